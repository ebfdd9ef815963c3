"""The file is looked at before anything is done with it."""

from pathlib import Path

import pytest

from aiagentchat.core.errors import StoreCorrupt
from aiagentchat.store import soundness
from aiagentchat.store.database import open_database
from tests.fakes.log import FakeLog

PAGE = 4096


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A database with some pages of text, all in one file."""
    made = tmp_path / "ledger.db"
    async with open_database(made) as database:
        await database.run("INSERT INTO sync_token VALUES (1, hex(zeroblob(50000)))")
    return made


@pytest.mark.parametrize("page", [1, 5, 20])
async def test_a_damaged_file_is_refused_with_the_way_to_restore_it_and_left_alone(path: Path, page: int) -> None:
    _scribble(path, page)
    before = _content(path)

    with pytest.raises(
        StoreCorrupt, match=r"ledger\.db is damaged \(.+\).*2\. move .*ledger\.db-wal.*3\. copy"
    ) as raised:
        async with open_database(path):
            pass
    assert raised.value.exit_code == 6
    assert _content(path) == before


async def test_a_file_that_was_cut_off_is_refused(path: Path) -> None:
    _cut_in_half(path)

    with pytest.raises(StoreCorrupt, match="is damaged"):
        async with open_database(path):
            pass


async def test_a_file_that_is_too_large_to_be_read_at_the_start_is_opened_and_that_is_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = FakeLog()
    monkeypatch.setattr(soundness, "log", log)
    monkeypatch.setattr(soundness, "CHECK_BYTES", len(_content(path)) - 1)
    _scribble(path, len(_content(path)) // PAGE - 2)

    async with open_database(path) as database:
        assert await database.run("SELECT * FROM commands") == []
    assert log.of("store.not_checked") == [{"bytes": len(_content(path))}]


def _scribble(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(b"\xa5" * PAGE)


def _cut_in_half(path: Path) -> None:
    path.write_bytes(_content(path)[: len(_content(path)) // 2])


def _content(path: Path) -> bytes:
    return path.read_bytes()
