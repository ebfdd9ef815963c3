"""What `aiagentchat drain` takes and says; tests/e2e/test_drain.py has it drain a real daemon."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from aiagentchat.app.owner import own
from aiagentchat.cli.drain import Progress, wait_seconds
from aiagentchat.cli.main import app
from aiagentchat.core.errors import ConfigError
from aiagentchat.core.ids import EventId
from aiagentchat.store.glance import running_turns
from tests.contract.store_fixtures import NOW, OTHER_ROOM, ROOM, accept, command
from tests.fakes.ledgers import fresh_ledger
from tests.unit.test_app_live import GOOD


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(GOOD)
    return file


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("30s", 30), ("15m", 900), ("1h", 3600), (" 2H ", 7200), ("168h", 604800)],
)
def test_a_wait_is_seconds_minutes_or_hours(text: str, seconds: float) -> None:
    assert wait_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "15 m", "-1", "1.5h", "1d", "forever", "１５m", "9" * 40])
def test_what_is_no_wait_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--wait.*15m"):
        wait_seconds(text)


def test_a_wait_of_more_than_a_week_is_not_meant() -> None:
    with pytest.raises(ConfigError, match="longer than a week"):
        wait_seconds("169h")


def test_a_bad_wait_ends_with_2(config: Path) -> None:
    shown = CliRunner().invoke(app, ["drain", "--config", str(config), "--wait", "soon"])

    assert shown.exit_code == 2
    assert "'soon'" in shown.stderr


def test_without_a_daemon_there_is_nothing_to_wait_for(config: Path) -> None:
    shown = CliRunner().invoke(app, ["drain", "--config", str(config)])

    assert shown.exit_code == 0
    assert "No daemon runs" in shown.stdout


def test_a_daemon_of_somebody_else_is_not_ours_to_drain(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_pid: int, _number: int) -> None:
        raise PermissionError

    monkeypatch.setattr("os.kill", denied)
    with own(config.parent / "data"):
        shown = CliRunner().invoke(app, ["drain", "--config", str(config)])

    assert shown.exit_code == 1
    assert "another user" in shown.stderr


async def test_running_turns_are_seen_from_another_process(tmp_path: Path) -> None:
    async with fresh_ledger(tmp_path / "a b.db") as ledger:
        await ledger.rooms.slug(ROOM, "kitchen")
        await accept(ledger, command("$1"), command("$2"), command("$3", OTHER_ROOM))
        await ledger.commands.start(EventId("$1"), NOW)
        await ledger.commands.start(EventId("$3"), NOW)

        assert running_turns(tmp_path / "a b.db") == [("$1", ROOM, "kitchen"), ("$3", OTHER_ROOM, OTHER_ROOM)]


def test_a_database_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text("no database")

    assert running_turns(tmp_path / "broken.db") is None
    assert running_turns(tmp_path / "none.db") is None
    assert not (tmp_path / "none.db").exists()


async def test_progress_is_one_line_of_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with fresh_ledger(tmp_path / "l.db") as ledger:
        await accept(ledger, command("$1"))
        await ledger.commands.start(EventId("$1"), NOW)
        capsys.readouterr()  # what the ledger logs is not ours to judge
        progress = Progress(tmp_path / "l.db", is_terminal=True)
        for left in (10.2, 10.1, 9.0):
            progress.show(left)
        progress.end()

    shown = capsys.readouterr().out
    assert shown == "\r\x1b[K1 turn still running, at most 10 s more\r\x1b[K1 turn still running, at most 9 s more\n"


def test_progress_elsewhere_is_a_line_when_something_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(tmp_path / "none.db", is_terminal=False)
    for left in (10.0, 9.0):
        progress.show(left)
    progress.end()

    assert capsys.readouterr().out == "Waiting\n"
