"""The daemon's sign of life, for when nobody can ask it."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aiagentchat.app import sign_of_life
from aiagentchat.app.owner import SIGN
from aiagentchat.app.sign_of_life import EVERY_SECONDS, SIZE, SignOfLife, ending, sign_of
from aiagentchat.core.errors import StoreError
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeLog


class Daemon:
    """What gives it."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.missing: list[str] = []
        self.hangs = False
        self.fails = False
        self.made = SignOfLife(folder, self.clock)
        self.made.missing = self._look

    async def _look(self) -> list[str]:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise StoreError("disk I/O error")
        return self.missing

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """It has given one, and lives until the end of the block."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.made.run())
            await self.clock.until_asleep()
            yield
            task.cancel()

    async def again(self) -> None:
        """Until it has given the next one."""
        self.clock.advance(EVERY_SECONDS)
        await self.clock.until_asleep()


async def _breaks() -> Sequence[str]:
    raise ValueError("no active connection")


async def test_it_says_who_lives_and_what_is_missing_again_and_again(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    async with daemon.living():
        first = sign_of(tmp_path)
        daemon.missing = ["the homeserver was not heard yet", "the database cannot be written"]
        await daemon.again()
        second = sign_of(tmp_path)
        daemon.missing = []
        await daemon.again()
        third = sign_of(tmp_path)

    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.pid, first.is_fresh, list(first.missing)) == (os.getpid(), True, [])
    assert list(second.missing) == ["the homeserver was not heard yet", "the database cannot be written"]
    assert list(third.missing) == []
    assert (tmp_path / SIGN).stat().st_mode & 0o777 == 0o600


async def test_what_is_missing_is_cut_so_that_it_stays_as_large_as_it_is(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.missing = [f"ärgerlich {number} " * 30 for number in range(100)]
    async with daemon.living():
        sign = sign_of(tmp_path)

    assert sign is not None
    assert (tmp_path / SIGN).stat().st_size == SIZE
    assert sign.missing[0].startswith("ärgerlich 0 ")


async def test_one_that_cannot_find_out_what_is_missing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_of_life, "WITHIN_SECONDS", 0.01)
    daemon = Daemon(tmp_path)
    daemon.hangs = True
    async with daemon.living():
        sign = sign_of(tmp_path)

    assert sign is not None
    assert list(sign.missing) == ["what is missing could not be found out within 10 s"]


async def test_a_database_that_fails_ends_no_sign(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.fails = True
    async with daemon.living():
        sign = sign_of(tmp_path)

    assert sign is not None
    assert list(sign.missing) == ["the database does not answer"]


@pytest.mark.parametrize(
    ("asks", "missing"),
    [(_breaks, "what is missing could not be found out"), (ending, "the daemon is ending")],
)
async def test_nothing_that_is_asked_ends_who_asks(
    tmp_path: Path, asks: Callable[[], Awaitable[Sequence[str]]], missing: str
) -> None:
    clock = FakeClock()
    life = SignOfLife(tmp_path, clock)
    life.missing = asks
    async with asyncio.TaskGroup() as group:
        task = group.create_task(life.run())
        await clock.until_asleep()
        task.cancel()
    sign = sign_of(tmp_path)

    assert sign is not None
    assert list(sign.missing) == [missing]


async def test_before_anybody_knows_more_the_homeserver_was_not_heard_yet(tmp_path: Path) -> None:
    clock = FakeClock()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(SignOfLife(tmp_path, clock).run())
        await clock.until_asleep()
        task.cancel()
    sign = sign_of(tmp_path)

    assert sign is not None
    assert list(sign.missing) == ["the homeserver was not heard yet"]


async def test_one_that_cannot_be_written_is_said_once_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = FakeLog()
    monkeypatch.setattr(sign_of_life, "log", log)
    folder = tmp_path / "data"
    daemon = Daemon(folder)
    async with daemon.living():
        await daemon.again()
        assert log.of("life.not_told") == [{"error": "No such file or directory"}]
        folder.mkdir()
        await daemon.again()

        assert sign_of(folder) is not None


async def test_what_nobody_had_thought_of_is_said_once_until_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = FakeLog()
    monkeypatch.setattr(sign_of_life, "log", log)
    daemon = Daemon(tmp_path)
    looks = daemon.made.missing
    daemon.made.missing = _breaks
    async with daemon.living():
        await daemon.again()
        once = len(log.of("life.broken"))
        daemon.made.missing = looks
        await daemon.again()
        daemon.made.missing = _breaks
        await daemon.again()

    assert (once, len(log.of("life.broken"))) == (1, 2)


@pytest.mark.parametrize(
    "said", ["", "nonsense", "[]", "{}", '{"pid": "x", "missing": []}', '{"pid": 1, "missing": 2}']
)
def test_what_is_no_sign_is_none(tmp_path: Path, said: str) -> None:
    (tmp_path / SIGN).write_text(said)

    assert sign_of(tmp_path) is None
    assert sign_of(tmp_path / "nowhere") is None
