"""`aiagentchat fetch-cli`, and the same at the start of the daemon where the environment says so."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog
import typer

from aiagentchat.agents.claude_code.binary import find
from aiagentchat.agents.claude_code.fetched import LICENCE, NotFetched, fetch, pinned, place
from aiagentchat.app.beforehand import alive
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import AgentUnavailable, AppError

VARIABLE = "AIAGENTCHAT_FETCH_CLI"
"""1: the daemon fetches the CLI at its start if there is none."""
DOING = "Fetches the agent's program"
MISSING = "the agent's program is not fetched yet"
ENDED = 130
"""Exit code after Ctrl-C, as shells have it."""

log = structlog.get_logger(__name__)


def fetch_cli_command(config: Path, wheels: Path | None, *, yes: bool) -> int:
    """Show the licence, ask, and fetch the CLI. Returns the exit code."""
    try:
        settings = load(config, os.environ)
        if os.access(there := place(settings.data_dir), os.X_OK):
            typer.echo(f"It is there: {there}")
            return 0
        typer.echo(LICENCE)
        if not yes and not _agreed():
            typer.echo("Nothing was fetched.")
            return 1
        typer.echo(f"Fetching claude-agent-sdk {pinned()}, 170 MB …")
        program = fetch(settings.data_dir, os.environ, wheels=wheels)
    except AppError as error:
        return complain(error)
    except KeyboardInterrupt:
        typer.echo("\naiagentchat: ended before it was fetched; nothing is left behind", err=True)
        return ENDED
    typer.echo(f"It is there: {program}")
    return 0


def _agreed() -> bool:
    """Raises NotFetched where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise NotFetched("there is nobody to ask whether you accept that; say it with --yes. Nothing was fetched")
    return typer.confirm("Do you accept that, and fetch it?")


def fetch_at_start(settings: Settings, environ: Mapping[str, str]) -> None:
    """Fetch the CLI if the environment says so and an agent lacks it. What fails is logged, and said in the rooms.

    Raises KeyboardInterrupt when a signal comes meanwhile, and as `own`.
    """
    if environ.get(VARIABLE, "") != "1" or not _is_missing(settings, environ):
        return
    log.info("agent.fetching", package=f"claude-agent-sdk {pinned()}", licence=LICENCE)
    try:
        with _ended_by_signals(), alive(settings.data_dir, environ, doing=DOING, missing=MISSING):
            program = fetch(settings.data_dir, environ)
    except NotFetched as error:
        log.error("agent.not_fetched", error=str(error))  # noqa: TRY400 - a sentence
    else:
        log.info("agent.fetched", path=str(program))


def _is_missing(settings: Settings, environ: Mapping[str, str]) -> bool:
    for agent in settings.agents.values():
        try:
            find(agent.binary, environ, settings.data_dir)
        except AgentUnavailable:
            if os.sep not in agent.binary:  # what was named by its path is not what would be fetched
                return True
    return False


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # A reload has nothing to apply to yet, and a drain nothing to wait for; neither may kill us unheard.
    handlers: dict[signal.Signals, Callable[[int, FrameType | None], None] | signal.Handlers] = {
        signal.SIGTERM: end,
        signal.SIGUSR1: end,
        signal.SIGHUP: signal.SIG_IGN,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
