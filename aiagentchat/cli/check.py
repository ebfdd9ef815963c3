"""`aiagentchat check`."""

import os
from pathlib import Path

import typer

from aiagentchat.cli.problems import complain
from aiagentchat.config.describe import describe
from aiagentchat.config.load import load
from aiagentchat.config.secrets import load_secrets
from aiagentchat.core.errors import AppError


def check_command(config: Path) -> int:
    """Print the effective settings, or every problem. Returns the exit code."""
    try:
        typer.echo(describe(load(config, os.environ), load_secrets(os.environ)))
    except AppError as error:
        return complain(error)
    return 0
