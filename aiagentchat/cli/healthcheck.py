"""`aiagentchat healthcheck`: asks the daemon on the data_dir of these settings how it is."""

import http.client
import json
import os
import socket
from pathlib import Path

import typer

from aiagentchat.app.owner import owner_pid
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.core.errors import AppError
from aiagentchat.gateway.service import SOCKET
from aiagentchat.gateway.tokens import FOLDER, OPERATOR

ANSWER_SECONDS = 10.0
"""How long an answer may take; a daemon whose loop stands still gives none."""
_MOST_BYTES = 64 * 1024


def healthcheck_command(config: Path, *, ready: bool = False) -> int:
    """Ask whether it lives, or whether it is `ready`. Returns 0 if so, else 1 with a sentence."""
    try:
        settings = load(config, os.environ)
    except AppError as error:
        return complain(error)
    if owner_pid(settings.data_dir) is None:
        return _no(f"no daemon runs on {settings.data_dir}")
    folder = settings.data_dir / FOLDER
    try:
        status, said = _ask(folder / SOCKET, "/ready" if ready else "/health", _token(folder))
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = str(error) or type(error).__name__
        return _no(
            f"the daemon runs, and its gateway does not answer at {folder / SOCKET} ({why}); "
            "in the isolations landlock and none there is a gateway only with gateway: {enabled: true}"
        )
    if status != http.client.OK:
        return _no(str(said.get("detail") or f"the daemon has answered {status}"))
    typer.echo("ready" if ready else str(said.get("status", "alive")))
    return 0


def _no(why: str) -> int:
    typer.echo(f"aiagentchat: {why}", err=True)
    return 1


def _token(folder: Path) -> str | None:
    """The operator's, where we may read it: with it the answer says what is missing."""
    try:
        return (folder / OPERATOR).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _ask(path: Path, target: str, token: str | None) -> tuple[int, dict[str, object]]:
    """One request. Raises OSError, HTTPException or ValueError."""
    connection = _AtSocket(path)
    try:
        connection.request("GET", target, headers={} if token is None else {"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        said = json.loads(answer.read(_MOST_BYTES))
    finally:
        connection.close()
    if not isinstance(said, dict):
        raise ValueError("the answer is no object")  # noqa: TRY004 - as all that is no answer
    return answer.status, said


class _AtSocket(http.client.HTTPConnection):
    """To a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("gateway", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Open it."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
