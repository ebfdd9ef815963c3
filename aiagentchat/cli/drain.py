"""`aiagentchat drain`."""

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import typer

from aiagentchat.app.owner import owner_pid
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.core.errors import AppError, ConfigError
from aiagentchat.render import words
from aiagentchat.store.glance import RunningTurn, running_turns

GONE_SECONDS = 15.0
"""How long a daemon that was asked to end at once may take; it takes less than 10."""
MOST_SECONDS = 7 * 86_400
"""The longest wait that is taken for meant."""
_LOOK_SECONDS = 0.1
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def drain_command(config: Path, wait: str) -> int:
    """Let the daemon that owns the data_dir of `config` finish, and end it. Returns the exit code."""
    try:
        seconds = wait_seconds(wait)
        settings = load(config, os.environ)
        pid = owner_pid(settings.data_dir)
    except AppError as error:
        return complain(error)
    if pid is None:
        typer.echo(f"No daemon runs on {settings.data_dir}: there is nothing to wait for.")
        return 0
    if not _signal(pid, signal.SIGUSR1):
        return 1
    progress = Progress(settings.database, is_terminal=sys.stdout.isatty())
    if _is_gone(settings.data_dir, pid, within=seconds, meanwhile=progress.show):
        progress.end()
        typer.echo("The daemon has finished and ended.")
        return 0
    progress.end()
    cut_short = running_turns(settings.database)
    _signal(pid, signal.SIGTERM)
    _say_what_was_cut_short(cut_short, wait)
    if not _is_gone(settings.data_dir, pid, within=GONE_SECONDS):
        typer.echo(f"aiagentchat: the daemon (pid {pid}) has not ended in {GONE_SECONDS:.0f} s; see its log", err=True)
    return 1


def wait_seconds(text: str) -> float:
    """`90`, `30s`, `15m` or `1h` in seconds. Raises ConfigError."""
    match = re.fullmatch(r"(\d{1,9})([smh]?)", text.strip().lower(), re.ASCII)
    if match is None:
        raise ConfigError([f"--wait: {text!r} is no duration; write for example 30s, 15m, 1h, or a number of seconds"])
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > MOST_SECONDS:
        raise ConfigError([f"--wait: {text!r} is longer than a week; write for example 15m"])
    return float(seconds)


class Progress:
    """Says how far it is, on one line of a terminal; elsewhere only when the number of turns changes."""

    def __init__(self, database: Path, *, is_terminal: bool) -> None:
        self._database = database
        self._is_terminal = is_terminal
        self._shown = ""

    def show(self, left: float) -> None:
        """`left` seconds are left."""
        turns = running_turns(self._database)
        running = "Waiting" if turns is None else f"{words.count(len(turns), 'turn')} still running"
        text = f"{running}, at most {left:.0f} s more" if self._is_terminal else running
        if text == self._shown:
            return
        self._shown = text
        typer.echo(f"\r\x1b[K{text}" if self._is_terminal else text, nl=not self._is_terminal, color=self._is_terminal)

    def end(self) -> None:
        """Leave the line."""
        if self._is_terminal and self._shown:
            typer.echo()


def _signal(pid: int, number: signal.Signals) -> bool:
    """False, with a sentence, if we may not; one that has just ended is what we want."""
    try:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    except PermissionError:
        typer.echo(f"aiagentchat: the daemon (pid {pid}) belongs to another user; call this as that user", err=True)
        return False
    return True


def _is_gone(data_dir: Path, pid: int, *, within: float, meanwhile: Callable[[float], None] | None = None) -> bool:
    """Whether this daemon has ended. It may be another one's data_dir by then: a supervisor starts it again."""
    deadline = time.monotonic() + within
    while owner_pid(data_dir) == pid:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if meanwhile is not None:
            meanwhile(left)
        time.sleep(min(_LOOK_SECONDS, left))
    return True


def _say_what_was_cut_short(turns: list[RunningTurn] | None, wait: str) -> None:
    if turns is None:
        what = "What was still running was cut short"
    elif turns:
        what = f"{words.count(len(turns), 'turn')} cut short: " + ", ".join(turn.name for turn in turns)
    else:
        what = "No turn was running any more"
    typer.echo(
        f"aiagentchat: the daemon was not done within {wait}, and was ended. {what}. What was cut short is reported in "
        "its room, what was queued runs after the next start",
        err=True,
    )
