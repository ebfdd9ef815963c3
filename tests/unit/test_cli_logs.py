"""`aiagentchat logs …` as an operator types it."""

import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aiagentchat.cli.logs.lines import read
from aiagentchat.cli.logs.sources import file_lines, lines_of
from aiagentchat.cli.main import app
from tests.unit.test_app_live import GOOD

NOW = datetime.now(UTC)
BACKEND = "!abc:localhost"


def line(event: str, *, ago: int = 0, level: str = "info", **more: Any) -> str:
    at = (NOW - timedelta(seconds=ago)).isoformat().replace("+00:00", "Z")
    return json.dumps({**more, "event": event, "level": level, "logger": "x", "timestamp": at}, ensure_ascii=False)


LINES = (
    line("daemon.ready", ago=7200),
    line("turn.started", ago=3600, room=BACKEND, session="5e55"),
    line("turn.ended", ago=60, room=BACKEND, state="done", duration_ms=12, answer="Tea is\nready."),
    line("sync.failed", ago=30, level="warning", error="it is\x1b[31m red", wait_s=0.5),
    line("event.broken", ago=20, level="error", room="!else:hs", exception="Traceback:\n  Boom\x1b[0m"),
    "Killed",
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(GOOD)
    file = tmp_path / "daemon.log"
    file.write_text("\n".join(LINES) + "\n")
    return file


def _run(log: Path, *words: str, source: str | None = None, said: str | None = None) -> Result:
    config = str(log.parent / "config.yaml")
    return CliRunner().invoke(app, ["logs", source or str(log), *words, "--config", config], input=said)


def _events(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [json.loads(each)["event"] if "{" in each else each for each in result.output.splitlines()]


def test_a_person_reads_when_how_bad_where_what_and_more(log: Path) -> None:
    result = _run(log)

    lines = [each.split(maxsplit=2)[2] if each[:1].isdigit() else each for each in result.output.splitlines()]
    assert lines == [
        "info      -             daemon.ready",
        "info      backend       turn.started  session=5e55",
        'info      backend       turn.ended  state=done duration_ms=12 answer="Tea is\\nready."',
        'warning   -             sync.failed  error="it is\\u001b[31m red" wait_s=0.5',
        "error     !else:hs      event.broken",
        "    Traceback:",
        "      Boom\\u001b[0m",
        "Killed",
    ]


@pytest.mark.parametrize(
    ("words", "events"),
    [
        pytest.param(
            [], ["daemon.ready", "turn.started", "turn.ended", "sync.failed", "event.broken", "Killed"], id="all"
        ),
        pytest.param(["--room", "backend"], ["turn.started", "turn.ended"], id="a room by its name"),
        pytest.param(["--room", BACKEND], ["turn.started", "turn.ended"], id="a room by its id"),
        pytest.param(["--room", "!else:hs"], ["event.broken"], id="a room that is not configured"),
        pytest.param(["--level", "WARNING"], ["sync.failed", "event.broken"], id="a level and what is worse"),
        pytest.param(["--since", "10m"], ["turn.ended", "sync.failed", "event.broken"], id="since a moment"),
        pytest.param(["--event", "turn.*"], ["turn.started", "turn.ended"], id="a family of events"),
        pytest.param(
            ["--event", "turn.ended", "--event", "daemon.*"], ["daemon.ready", "turn.ended"], id="more than one event"
        ),
        pytest.param(["--room", "backend", "--event", "*.ended", "--since", "2h"], ["turn.ended"], id="all of them"),
    ],
)
def test_only_what_is_wanted_is_shown(log: Path, words: list[str], events: list[str]) -> None:
    assert _events(_run(log, "--json", *words)) == events


def test_what_comes_through_a_pipe_is_read_also_behind_the_name_of_a_container(log: Path) -> None:
    said = "".join(f"aiagentchat-1  | {each}\n" for each in LINES)

    assert _events(_run(log, "--json", "--room", "backend", source="-", said=said)) == ["turn.started", "turn.ended"]


def test_a_log_can_be_read_where_there_are_no_settings(log: Path) -> None:
    (log.parent / "config.yaml").unlink()

    assert "!abc:localhost" in _run(log).output
    assert _events(_run(log, "--json", "--room", BACKEND)) == ["turn.started", "turn.ended"]
    assert _run(log, "--room", "backend").exit_code == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["--room", "nowhere"], 2, "no room is called 'nowhere'; write an id (!…) or", id="room"),
        pytest.param(["--level", "loud"], 2, "--level: 'loud' is none", id="level"),
        pytest.param(["--since", "soon"], 2, "--since: 'soon' is no moment", id="since"),
    ],
)
def test_a_wish_that_makes_no_sense_is_said(log: Path, words: list[str], code: int, said: str) -> None:
    result = _run(log, *words)

    assert result.exit_code == code
    assert said in result.output


def test_a_file_that_is_not_there_is_said(log: Path) -> None:
    result = _run(log, source=str(log.parent / "nothing.log"))

    assert result.exit_code == 1
    assert "nothing.log cannot be read: No such file or directory." in result.output


@pytest.mark.parametrize("raw", ["", "{", "{}", "[1]", '{"event": ', "3 {4}", '{"level": "info"}', "null"])
def test_what_is_no_line_of_ours_stays_as_it_is(raw: str) -> None:
    assert (read(raw).raw, read(raw).fields) == (raw, {})


@pytest.mark.parametrize(
    "odd", [{"event": 1}, {"event": "x", "timestamp": 3, "level": None, "room": [1]}, {"event": {}}]
)
def test_any_object_with_an_event_can_be_shown(log: Path, odd: dict[str, Any]) -> None:
    log.write_text(json.dumps(odd) + "\n")

    assert _run(log).exit_code == 0


def test_what_is_no_utf_8_can_be_read() -> None:
    assert list(lines_of(io.BytesIO(b"a\xff\nb"))) == ["a\ufffd\n", "b"]


# ── following ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Looking:
    """What happens to a file between two looks at it; then somebody presses Ctrl-C."""

    def __init__(self, *steps: Any) -> None:
        self._steps: Iterator[Any] = iter(steps)

    def __call__(self) -> None:
        step = next(self._steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()


def _append(file: Path, text: str) -> Any:
    def step() -> None:
        with file.open("a") as stream:
            stream.write(text)

    return step


def _followed(file: Path, *steps: Any, from_begin: bool = False) -> list[str]:
    found = []
    with suppress(KeyboardInterrupt):
        for each in file_lines(file, follow=True, from_begin=from_begin, wait=Looking(*steps)):
            found.append(each)  # noqa: PERF402 - it ends with an exception
    return found


def test_what_comes_is_followed_from_now_on_and_a_half_line_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("old\n")

    steps = (_append(file, "one\ntw"), _append(file, "o\n"))
    assert _followed(file, *steps) == ["one\n", "two\n"]
    assert _followed(file, from_begin=True) == ["old\n", "one\n", "two\n"]


def test_a_file_that_is_rotated_or_emptied_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("old\n")

    def away() -> None:
        file.rename(tmp_path / "log.1")

    steps = (away, lambda: file.write_text("new\n"), lambda: os.truncate(file, 0), _append(file, "newer\n"))
    assert _followed(file, *steps) == ["new\n", "newer\n"]


# ── the journal ───────────────────────────────────────────────────────────────────────────────────────────────────

JOURNALCTL = """#!/bin/sh
echo "$@" > "$ASKED"
cat "$LINES_FILE"
exit "$CODE"
"""


@pytest.fixture
def journal(log: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journalctl that has the log, and says how it was called."""
    program = log.parent / "bin" / "journalctl"
    program.parent.mkdir()
    program.write_text(JOURNALCTL)
    program.chmod(0o755)
    for name, value in {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "ASKED": str(log.parent / "asked"),
        "LINES_FILE": str(log),
        "CODE": "0",
    }.items():
        monkeypatch.setenv(name, value)
    return log.parent


def _journal(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["logs", *words, "--config", str(folder / "config.yaml")])


def test_without_a_file_the_journal_is_read(journal: Path) -> None:
    result = _journal(journal, "--json", "--room", "backend")

    assert _events(result) == ["turn.started", "turn.ended"]
    asked = (journal / "asked").read_text()
    assert asked == "--unit=aiagentchat --output=cat --no-pager --lines=all\n"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--follow"], "--unit=aiagentchat --output=cat --no-pager --lines=0 --follow\n"),
        (["--since", "2026-11-25T14:00:00+00:00", "-f"], "--no-pager --since=@1795615200 --follow\n"),
        (["--unit", "other"], "--unit=other --output=cat --no-pager --lines=all\n"),
    ],
)
def test_the_journal_is_asked_for_no_more_than_is_wanted(journal: Path, words: list[str], asked: str) -> None:
    assert _journal(journal, *words).exit_code == 0
    assert (journal / "asked").read_text().endswith(asked)


@pytest.mark.parametrize("said", ["", "-- No entries --\n"])
@pytest.mark.parametrize(("words", "code"), [((), 1), (("--since", "1h"), 0)])
def test_a_journal_that_has_nothing_says_so_unless_only_the_last_hour_was_asked_for(
    journal: Path, log: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    log.write_text(said)
    result = _journal(journal, *words)

    assert (result.exit_code, result.stdout) == (code, "")
    assert ("The journal has nothing of the unit aiagentchat" in result.stderr) == bool(code)


def test_a_journal_that_cannot_be_read_is_said(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE", "4")
    broken = _journal(journal)
    monkeypatch.setenv("PATH", str(journal))
    missing = _journal(journal)

    assert (broken.exit_code, missing.exit_code) == (1, 1)
    assert "journalctl has ended with exit code 4" in broken.output
    assert "There is no journalctl here" in missing.output
