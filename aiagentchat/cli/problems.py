"""How an error that we raise on purpose looks in a terminal: its sentences on stderr, and its exit code."""

import typer

from aiagentchat.core.errors import AppError, ConfigError


def complain(error: AppError) -> int:
    """Print `error` and return the exit code that belongs to it."""
    lines = error.problems if isinstance(error, ConfigError) else [f"aiagentchat: {error}"]
    for line in lines:
        typer.echo(line, err=True)
    if isinstance(error, ConfigError):
        typer.echo(f"{len(lines)} problem{'s' if len(lines) != 1 else ''}; nothing was changed.", err=True)
    return error.exit_code
