"""`aiagentchat healthcheck`: what a container's health check calls."""

import os
from pathlib import Path

import typer

from aiagentchat.app.owner import owner_pid
from aiagentchat.cli.exchange.wire import Cut, NotConnected, Place, Wire
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.core.errors import AppError
from aiagentchat.gateway.service import SOCKET
from aiagentchat.gateway.tokens import FOLDER

_OK = 200


def healthcheck_command(config: Path) -> int:
    """Ask the daemon on the data_dir of `config` at its socket whether it lives. Returns 0 or 1."""
    try:
        settings = load(config, os.environ)
    except AppError as error:
        complain(error)
        return 1
    trouble = _trouble(settings.data_dir, is_off=settings.gateway.enabled is False)
    if trouble:
        typer.echo(f"aiagentchat: {trouble}", err=True)
    return 1 if trouble else 0


def _trouble(data_dir: Path, *, is_off: bool) -> str:
    """Why the daemon counts as not alive; empty: it lives."""
    pid = owner_pid(data_dir)
    if pid is None:
        return f"no daemon runs on {data_dir}"
    socket = data_dir / FOLDER / SOCKET
    if is_off or not socket.exists():
        return ""  # there is no gateway, or not yet: that it owns its data is all that can be seen
    try:
        status = Wire(Place(str(socket), socket=socket), None).ask("GET", "/health").status
    except (NotConnected, Cut) as error:
        return f"the daemon (pid {pid}) does not answer at {socket}: {error}"
    return "" if status == _OK else f"the daemon (pid {pid}) answers {status} at {socket}"
