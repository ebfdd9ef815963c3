"""`aiagentchat audit` as an operator types it."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aiagentchat.cli.audit import INTERRUPTED, moment, show_lines
from aiagentchat.cli.main import app
from aiagentchat.core.audit import AuditFilter, AuditKind, AuditLine, Deed
from aiagentchat.core.errors import ConfigError, StoreError
from aiagentchat.core.ids import RoomId, UserId
from tests.fakes.ledgers import fresh_ledger
from tests.unit.test_app_live import GOOD

ROOM = RoomId("!abc:localhost")
ANNA, EVE = UserId("@anna:localhost"), UserId("@eve:localhost")
NOON = round(datetime(2026, 11, 25, 12).timestamp() * 1000)  # noqa: DTZ001 - as the operator's clock shows it
LINES = (
    (NOON, Deed(kind=AuditKind.LOGGED_IN, actor=UserId("@claude:localhost"), subject="DEVICE")),
    (NOON + 1000, Deed(kind=AuditKind.ASKED, room=ROOM, actor=ANNA, subject="$a")),
    (NOON + 2000, Deed(kind=AuditKind.REFUSED, room=ROOM, actor=EVE, subject="$b", detail={"what": "message"})),
    (NOON + 3000, Deed(kind=AuditKind.REFUSED, room=RoomId("!else:hs"), actor=EVE, subject="$\x1b[31mc\nd")),
    (NOON + 4000, Deed(kind=AuditKind.RELOADED)),
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings, and an audit of five lines."""
    file = tmp_path / "config.yaml"
    file.write_text(GOOD)
    (tmp_path / "data").mkdir()
    asyncio.run(_write(tmp_path / "data" / "aiagentchat.db"))
    return file


@pytest.fixture
def database(config: Path) -> Path:
    return config.parent / "data" / "aiagentchat.db"


async def _write(path: Path) -> None:
    async with fresh_ledger(path) as ledger:
        for at, deed in LINES:
            await ledger.audit.write(deed, at)


def _run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["audit", *words, "--config", str(config)])


def test_people_read_a_table_oldest_first(config: Path) -> None:
    result = _run(config)

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "2026-11-25 12:00:00  logged_in       @claude:localhost               -                 DEVICE",
        "2026-11-25 12:00:01  asked           @anna:localhost                 backend           $a",
        "2026-11-25 12:00:02  refused         @eve:localhost                  backend           $b what=message",
        "2026-11-25 12:00:03  refused         @eve:localhost                  !else:hs          $\\u001b[31mc d",
        "2026-11-25 12:00:04  reloaded        (operator)                      -",
    ]


def test_machines_read_one_object_per_line(config: Path) -> None:
    result = _run(config, "--json")

    assert [json.loads(line) for line in result.output.splitlines()] == [
        {
            "at": at,
            "kind": deed.kind,
            "room": deed.room,
            "actor": deed.actor,
            "subject": deed.subject,
            "detail": dict(deed.detail),
        }
        for at, deed in LINES
    ]


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        pytest.param(["--room", "backend"], [1, 2], id="a room by its name"),
        pytest.param(["--room", ROOM], [1, 2], id="a room by its id"),
        pytest.param(["--room", "!else:hs"], [3], id="a room that is not configured"),
        pytest.param(["--actor", EVE], [2, 3], id="a person"),
        pytest.param(["--kind", "refused"], [2, 3], id="a kind"),
        pytest.param(["--since", "2026-11-25T12:00:02"], [2, 3, 4], id="since a moment"),
        pytest.param(["--limit", "2"], [3, 4], id="the newest"),
        pytest.param(["--room", "backend", "--actor", EVE], [2], id="both"),
    ],
)
def test_only_what_is_wanted_is_shown(config: Path, words: list[str], numbers: list[int]) -> None:
    result = _run(config, "--json", *words)

    shown = [json.loads(line)["at"] for line in result.output.splitlines()]
    assert shown == [LINES[number][0] for number in numbers]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--room", "kitchen"], "no room is called 'kitchen'; write an id (!…) or one of: backend"),
        (["--kind", "murder"], "--kind: 'murder' is none; write one of: asked, "),
        (["--since", "yesterday"], "--since: 'yesterday' is no moment"),
    ],
)
def test_what_is_not_understood_is_named_with_what_to_write(config: Path, words: list[str], said: str) -> None:
    result = _run(config, *words)

    assert result.exit_code == 2
    assert said in result.stderr


def test_without_a_database_it_says_so(config: Path, database: Path) -> None:
    database.unlink()

    result = _run(config)
    assert result.exit_code == 1
    assert "There is no database at" in result.stderr


def test_a_database_of_before_has_no_audit(config: Path, database: Path) -> None:
    connection = sqlite3.connect(database)
    connection.executescript("DROP TRIGGER audit_is_kept; DROP TABLE audit")
    connection.close()

    assert "of an older version" in " ".join(_run(config).stderr.split())


def test_it_works_beside_a_daemon_that_writes(config: Path, database: Path) -> None:
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    result = _run(config, "--json")
    writer.close()
    assert len(result.output.splitlines()) == len(LINES)


def test_following_shows_each_line_once(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def show(line: AuditLine) -> str:
        return line.deed.kind.value

    last = show_lines(database, AuditFilter(), 2, show)
    assert show_lines(database, AuditFilter(), 99, show, after=last) == last
    asyncio.run(_write(database))
    first = capsys.readouterr().out.split()[:2]

    show_lines(database, AuditFilter(), 99, show, after=last)
    assert [*first, *capsys.readouterr().out.split()] == ["refused", "reloaded", *(deed.kind for _, deed in LINES)]


def test_following_ends_with_ctrl_c(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) > 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", nap)
    result = _run(config, "--follow", "--limit", "1")

    assert result.exit_code == INTERRUPTED
    assert len(result.output.splitlines()) == 1


def test_nothing_that_cannot_be_read_is_followed(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        show_lines(tmp_path / "none.db", AuditFilter(), 1, str)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", lambda now: now - 30),
        ("2h", lambda now: now - 7200),
        (" 7D ", lambda now: now - 7 * 86_400),
        ("1w", lambda now: now - 7 * 86_400),
        ("999999w", lambda _: 0),
        ("2026-11-25T14:00+00:00", lambda _: 1_795_615_200),
        ("1970-01-01T00:00+00:00", lambda _: 0),
    ],
)
def test_a_moment_is_a_time_ago_or_a_date(text: str, expected: Callable[[float], float]) -> None:
    now = time.time()

    assert moment(text, now) == round(expected(now) * 1000)


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 hours", "2026-13-01", "٣h"])
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(ConfigError):
        moment(text, 0)
