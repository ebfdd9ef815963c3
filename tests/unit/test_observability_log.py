"""What a log may hold: never the values of variables, which are what people wrote, and secrets."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import structlog
from aiagentchat.observability.log import set_up

set_up({form!r})
log = structlog.get_logger("test")
try:
    body = "my password is hunter2"
    raise ZeroDivisionError("a bug")
except ZeroDivisionError:
    log.exception("event.broken", kind="text")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_where_and_not_what(form: str) -> None:
    program = [sys.executable, "-c", PROGRAM.format(form=form)]
    written = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout

    assert "ZeroDivisionError: a bug" in written
    assert "event.broken" in written
    assert "hunter2" not in written


def test_a_line_is_one_object() -> None:
    program = [sys.executable, "-c", PROGRAM.format(form="json")]
    written = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout

    [line] = written.splitlines()
    assert json.loads(line)["kind"] == "text"


SECRET = "correct/horse'battery"
REDACTING = """
import logging, structlog, sys
from aiagentchat.core.redact import Redactor
from aiagentchat.observability.log import set_up

SECRET = "correct/horse'battery"
known = [Redactor()]
set_up({form!r}, redacting=lambda: known[0])
known[0] = Redactor([("PASSWORD", SECRET)])
log = structlog.get_logger("test").bind(bound=SECRET)

class Strange:
    def __repr__(self):
        return f"<{{SECRET}}>"

def fail(text):
    try:
        try:
            raise ValueError(text)
        except ValueError as cause:
            raise RuntimeError("again") from cause
    except RuntimeError:
        return sys.exc_info()

log.warning("in a field", plain=SECRET, quoted="correct%2Fhorse%27battery", shaped="ghp_" + "aB3" * 12)
log.warning("nested", deep=dict(a=[(SECRET, {{SECRET}}, 1.5, None)], b={{1: SECRET, SECRET: True}}))
log.warning(f"in the event {{SECRET}}", strange=Strange(), bytes=SECRET.encode(), path=Strange)
log.error("failed", exc_info=fail(SECRET))
logging.getLogger("library").warning("from %s with %r", SECRET, Strange())
logging.getLogger("library").error("failed", exc_info=fail(SECRET), stack_info=True, extra=dict(more=SECRET))
logging.getLogger("library").error("this %d fails", SECRET)
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_secret_is_in_no_part_of_any_line(form: str) -> None:
    program = [sys.executable, "-c", REDACTING.format(form=form)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)

    for written in (done.stdout, done.stderr):
        for part in ("correct", "horse", "battery", "aB3aB3"):
            assert part not in written
    assert done.stdout.count("[redacted: PASSWORD]") >= 14
    assert "[redacted: GitHub token]" in done.stdout
    assert done.stderr == "aiagentchat: a log line of library cannot be written: TypeError\n"


def test_what_is_no_text_stays_what_it_is() -> None:
    program = [sys.executable, "-c", REDACTING.format(form="json")]
    written = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout

    lines = [json.loads(line) for line in written.splitlines()]
    gone = "[redacted: PASSWORD]"
    assert lines[1]["deep"] == {"a": [[gone, [gone], 1.5, None]], "b": {"1": gone, gone: True}}
    assert lines[3]["exception"].count(f"ValueError: {gone}") == 1
    assert (lines[4]["event"], lines[4]["logger"]) == (f"from {gone} with <{gone}>", "library")


SAYING = """
import structlog
from aiagentchat.core.log_content import LogContent, Said
from aiagentchat.core.redact import Redactor
from aiagentchat.observability.log import set_up

set_up({form!r}, redacting=lambda: Redactor([("PASSWORD", {secret!r})]))
for wish in LogContent:
    structlog.get_logger("test").info("event.decided", text=Said("make\\ntea with {secret}", wish))
structlog.get_logger("test").info("event.decided", text=[Said("tea", LogContent.FULL)], other=None)
"""


def test_what_is_said_is_a_field_only_where_it_may_be_and_without_secrets() -> None:
    program = [sys.executable, "-c", SAYING.format(form="json", secret="correct-horse")]
    written = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout

    lines = [json.loads(line) for line in written.splitlines()]
    assert "text" not in lines[0]
    assert [line["text"] for line in lines[1:]] == [
        "make tea with [redacted: PASSWORD]",
        "make\ntea with [redacted: PASSWORD]",
        ["(not shown)"],
    ]
    assert lines[3]["other"] is None
