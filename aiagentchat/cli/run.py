"""`aiagentchat run`."""

import asyncio
import os
from pathlib import Path
from typing import cast

import structlog

from aiagentchat.app.daemon import first_app_error, run_daemon
from aiagentchat.app.live import Live
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.config.secrets import load_secrets
from aiagentchat.core.errors import AppError, ConfigError
from aiagentchat.observability.log import Format, set_up

FORMATS = ("json", "console")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def run_command(config: Path, log_format: str, log_level: str, *, take_over: bool = False) -> int:
    """Run the daemon. Returns the exit code: 0 after a signal or a drain, otherwise by cause."""
    os.umask(0o077)
    try:
        _check_options(log_format, log_level)
        settings = load(config, os.environ)
        secrets = load_secrets(os.environ)
    except AppError as error:
        return complain(error)
    set_up(cast(Format, log_format), log_level.upper())
    try:
        asyncio.run(run_daemon(Live(settings, secrets, dict(os.environ)), take_over=take_over))
    except BaseException as error:
        found = first_app_error(error)
        if found is None:
            structlog.get_logger(__name__).exception("daemon.broken")
            raise
        structlog.get_logger(__name__).error("daemon.ended", error=str(found), exit_code=found.exit_code)
        return complain(found)
    return 0


def _check_options(log_format: str, log_level: str) -> None:
    problems = []
    if log_format not in FORMATS:
        problems.append(f"--log-format: {log_format!r} is not a format; use one of {', '.join(FORMATS)}")
    if log_level.upper() not in LEVELS:
        problems.append(f"--log-level: {log_level!r} is not a level; use one of {', '.join(LEVELS)}")
    if problems:
        raise ConfigError(problems)
