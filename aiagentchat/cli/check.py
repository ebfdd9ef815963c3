"""`aiagentchat check`."""

import os
from pathlib import Path

import typer

from aiagentchat.agents.claude_code.binary import find
from aiagentchat.cli.problems import complain
from aiagentchat.config.describe import describe
from aiagentchat.config.load import load
from aiagentchat.config.secrets import closed_folder, load_secrets, with_folder
from aiagentchat.core.errors import AppError

IN_CLEAR = "with history, what is said there lies in data_dir in clear text, also if the room is encrypted"


def check_command(config: Path) -> int:
    """Print the effective settings, or every problem. Returns the exit code."""
    environ = with_folder(config, os.environ)
    try:
        settings = load(config, environ)
        typer.echo(describe(settings, load_secrets(environ)), nl=False)
    except AppError as error:
        return complain(error)
    if (closed := closed_folder(config)) is not None:
        typer.echo(f"# {closed} is closed to this user: the daemon may have from there what is said to be missing here")
    for name, agent in settings.agents.items():
        typer.echo(f"# agent {name}: {_where(agent.binary, settings.data_dir)}")
    for room in settings.rooms:
        if room.history:
            typer.echo(f"# room {room.name}: {IN_CLEAR}")
    return 0


def _where(binary: str, data_dir: Path) -> str:
    try:
        return str(find(binary, os.environ, data_dir))
    except AppError as error:
        return str(error)
