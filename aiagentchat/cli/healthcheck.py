"""`aiagentchat healthcheck`: asks the daemon on the data_dir of these settings how it is."""

import http.client
import os
from pathlib import Path

import typer

from aiagentchat.app.owner import owner_pid
from aiagentchat.app.sign_of_life import Sign, sign_of
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.core.errors import AppError
from aiagentchat.gateway.asking import UNANSWERED, ask_at_socket, operator_token
from aiagentchat.gateway.service import SOCKET
from aiagentchat.gateway.tokens import FOLDER

ANSWER_SECONDS = 10.0
"""How long an answer may take; a daemon whose loop stands still gives none."""


def healthcheck_command(config: Path, *, ready: bool = False) -> int:
    """Ask whether it lives, or whether it is `ready`. Returns 0 if so, else 1 with a sentence."""
    try:
        settings = load(config, os.environ)
        pid = owner_pid(settings.data_dir)
    except AppError as error:
        return complain(error)
    if pid is None:
        return _no(f"no daemon runs on {settings.data_dir}")
    folder = settings.data_dir / FOLDER
    try:
        target, token = "/ready" if ready else "/health", operator_token(folder)
        status, said = ask_at_socket(folder / SOCKET, target, token=token, within=ANSWER_SECONDS)
    except UNANSWERED as error:
        sign = sign_of(settings.data_dir)
        # One that takes the question, and answers late, nothing or nonsense, is there.
        nobody_there = isinstance(error, OSError) and not isinstance(error, (TimeoutError, http.client.HTTPException))
        if nobody_there and sign is not None and sign.pid == pid:
            return _by_sign(sign, ready=ready)
        why = str(error) or type(error).__name__
        return _no(
            f"the daemon runs, and its gateway does not answer at {folder / SOCKET} ({why}); in the first second of a "
            "life it does not yet"
        )
    if status != http.client.OK:
        return _no(str(said.get("detail") or f"the daemon has answered {status}"))
    typer.echo("ready" if ready else str(said.get("status", "alive")))
    return 0


def _by_sign(sign: Sign, *, ready: bool) -> int:
    """No gateway is there (yet); the daemon says by itself, again and again, how it is."""
    if not sign.is_fresh:
        return _no(f"the daemon runs (pid {sign.pid}), and has given no sign of life for {sign.age:.0f} s")
    if ready and sign.missing:
        return _no(f"The daemon is not ready: {'; '.join(sign.missing)}.")
    typer.echo("ready" if ready else "degraded" if sign.missing else "alive")
    return 0


def _no(why: str) -> int:
    typer.echo(f"aiagentchat: {why}", err=True)
    return 1
