"""Asks a gateway one thing, without the HTTP framework: for the health check and the doctor."""

import http.client
import json
import socket
from pathlib import Path
from typing import TypeAlias

from aiagentchat.gateway.tokens import OPERATOR

MOST_BYTES = 64 * 1024
"""Of an answer; what is longer is none."""

Answer: TypeAlias = tuple[int, dict[str, object]]
"""The status, and what was said."""
UNANSWERED = (OSError, http.client.HTTPException, ValueError)
"""What is raised where nobody answers, or not as a gateway does."""


def ask_at_socket(path: Path, target: str, *, token: str | None, within: float) -> Answer:
    """One request at the operator's socket. Raises `UNANSWERED`."""
    return _ask(_AtSocket(path, within), target, token)


def ask_at_port(port: int, target: str, *, within: float) -> Answer:
    """One request at a port of this machine, without a token: whoever has the port learns none. Raises `UNANSWERED`."""
    return _ask(http.client.HTTPConnection("127.0.0.1", port, timeout=within), target, None)


def operator_token(folder: Path) -> str | None:
    """The operator's, where we may read it: with it an answer says what is missing."""
    try:
        return (folder / OPERATOR).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _ask(connection: http.client.HTTPConnection, target: str, token: str | None) -> Answer:
    try:
        connection.request("GET", target, headers={} if token is None else {"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        said = json.loads(answer.read(MOST_BYTES))
    finally:
        connection.close()
    if not isinstance(said, dict):
        raise ValueError("the answer is no object")  # noqa: TRY004 - as all that is no answer
    return answer.status, said


class _AtSocket(http.client.HTTPConnection):
    """To a unix socket."""

    def __init__(self, path: Path, within: float) -> None:
        super().__init__("gateway", timeout=within)
        self._path = path

    def connect(self) -> None:
        """Open it."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
