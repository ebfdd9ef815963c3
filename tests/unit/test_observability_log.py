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
