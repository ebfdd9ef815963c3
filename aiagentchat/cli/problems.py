"""How an error that we raise on purpose looks in a terminal: its sentences on stderr, and its exit code."""

from collections.abc import Callable

import typer

from aiagentchat.core.errors import AppError, ConfigError
from aiagentchat.core.redact import shapes_only


def complain(error: AppError, redact: Callable[[str], str] = shapes_only()) -> int:  # noqa: B008 - it never changes
    """Print `error` without secrets, and return the exit code that belongs to it."""
    lines = error.problems if isinstance(error, ConfigError) else [f"aiagentchat: {error}"]
    for line in lines:
        typer.echo(redact(line), err=True)
    if isinstance(error, ConfigError):
        typer.echo(f"{len(lines)} problem{'s' if len(lines) != 1 else ''}; nothing was changed.", err=True)
    return error.exit_code
