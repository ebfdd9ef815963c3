"""`aiagentchat db …`."""

import os
from pathlib import Path

import typer

from aiagentchat.app.owner import own, owner_pid, see_into
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.core.errors import AlreadyRunning, AppError
from aiagentchat.store.maintenance import back_up, look_through, require, shrink


def backup_command(config: Path, target: Path, *, force: bool) -> int:
    """Copy the database of `config` to `target`. Returns the exit code."""
    try:
        path = _database(config)
        length = back_up(path, target, force=force)
    except AppError as error:
        return complain(error)
    typer.echo(f"Copied {path} to {target} ({_megabytes(length)}), and read the copy through.")
    return 0


def check_command(config: Path) -> int:
    """Say what is wrong with the database of `config`. Returns the exit code."""
    try:
        path = _database(config)
        problems = look_through(path)
    except AppError as error:
        return complain(error)
    for problem in problems:
        typer.echo(f"aiagentchat: {problem}", err=True)
    if problems:
        typer.echo(f"{path} can be read, but is not as it should be: that is worth a bug report.", err=True)
        return 1
    typer.echo(f"{path} is sound.")
    return 0


def vacuum_command(config: Path) -> int:
    """Shrink the database of `config`. Returns the exit code."""
    try:
        path = _database(config)
        require(path)
        if (pid := owner_pid(path.parent)) is not None:
            raise AlreadyRunning(f"the daemon (pid {pid}) uses {path}; end it first, for example by aiagentchat drain")
        with own(path.parent):  # no daemon starts meanwhile
            before, after = shrink(path)
    except AppError as error:
        return complain(error)
    typer.echo(f"{path} had {_megabytes(before)} and has {_megabytes(after)}.")
    return 0


def _database(config: Path) -> Path:
    settings = load(config, os.environ)
    see_into(settings.data_dir)
    return settings.database


def _megabytes(length: int) -> str:
    return f"{length / 1_000_000:.1f} MB"
