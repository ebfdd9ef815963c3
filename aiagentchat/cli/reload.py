"""`aiagentchat reload`."""

import os
import signal
import time
from pathlib import Path

import typer

from aiagentchat.app.live import last_report
from aiagentchat.app.owner import owner_pid
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.core.errors import AppError, ConfigError
from aiagentchat.render import words

ANSWER_SECONDS = 30.0
"""How long the daemon may take to say what came of it; it may have to ask the homeserver for aliases."""
_POLL_SECONDS = 0.05


def reload_command(config: Path) -> int:
    """Signal the daemon that owns the data_dir of `config`, and say what it says. Returns the exit code."""
    try:
        settings = load(config, os.environ)
        pid = owner_pid(settings.data_dir)
    except AppError as error:
        return complain(error)
    if pid is None:
        typer.echo(
            f"aiagentchat: no daemon runs on {settings.data_dir}; start one with: aiagentchat run "
            "(a changed data_dir needs a restart too)",
            err=True,
        )
        return 1
    before, _ = last_report(settings.data_dir)
    os.kill(pid, signal.SIGHUP)
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        number, problems = last_report(settings.data_dir)
        if number != before:
            if problems:
                return complain(ConfigError(problems))
            typer.echo(f"Reloaded: {words.count(len(settings.rooms), 'room')}. Turns that run were not touched.")
            return 0
        time.sleep(_POLL_SECONDS)
    typer.echo(f"aiagentchat: the daemon (pid {pid}) did not answer in {ANSWER_SECONDS:.0f} s; see its log", err=True)
    return 1
