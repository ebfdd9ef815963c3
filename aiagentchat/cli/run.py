"""`aiagentchat run`."""

import asyncio
import os
from pathlib import Path
from typing import cast

import structlog

from aiagentchat.app.daemon import first_app_error, run_daemon
from aiagentchat.app.harden import harden
from aiagentchat.app.live import Live
from aiagentchat.app.push import loki_handler
from aiagentchat.cli.fetch_cli import fetch_at_start
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.config.secrets import load_secrets, with_folder
from aiagentchat.core.errors import AppError, ConfigError
from aiagentchat.observability.log import Format, set_up

FORMATS = ("json", "console")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def run_command(config: Path, log_format: str, log_level: str, *, take_over: bool = False) -> int:
    """Run the daemon. Returns the exit code: 0 after a signal or a drain, otherwise by cause."""
    os.umask(0o077)
    open_because = harden()
    environ = with_folder(config, os.environ)
    try:
        _check_options(log_format, log_level)
        settings = load(config, environ)
        secrets = load_secrets(environ)
        live = Live(settings, secrets, environ)
        push = loki_handler(live)
    except AppError as error:
        return complain(error)
    set_up(cast(Format, log_format), log_level.upper(), redacting=live.redactor, also=push)
    if push is None:
        return _run(live, open_because, take_over=take_over)
    push.start()
    try:
        return _run(live, open_because, take_over=take_over)
    finally:
        push.close()


def _run(live: Live, open_because: str | None, *, take_over: bool) -> int:
    log = structlog.get_logger(__name__)
    if open_because is not None:
        log.warning("daemon.not_hardened", error=open_because)
    try:
        try:
            fetch_at_start(live.settings, live.environ)
        except KeyboardInterrupt:
            return 0
        asyncio.run(run_daemon(live, take_over=take_over))
    except BaseException as error:
        found = first_app_error(error)
        if found is not None:
            log.error("daemon.ended", error=str(found), exit_code=found.exit_code)  # noqa: TRY400 - a sentence
            return complain(found, live.redactor())
        log.exception("daemon.broken")
        if not isinstance(error, Exception):
            raise
        # The traceback is in the log, where secrets are hidden; Python's own would show them.
        return AppError.exit_code
    return 0


def _check_options(log_format: str, log_level: str) -> None:
    problems = []
    if log_format not in FORMATS:
        problems.append(f"--log-format: {log_format!r} is not a format; use one of {', '.join(FORMATS)}")
    if log_level.upper() not in LEVELS:
        problems.append(f"--log-level: {log_level!r} is not a level; use one of {', '.join(LEVELS)}")
    if problems:
        raise ConfigError(problems)
