"""JSON over HTTP with the standard library alone, so that `cchat send` is there at once.

What matters to whoever asks is whether a request may have arrived: `NotConnected` says that it has not, `Cut` that
nobody knows.
"""

import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

CONNECT_SECONDS = 10.0
"""How long a connection may take."""
ANSWER_SECONDS = 30.0
"""How long one answer may take, beside what the other side was asked to wait."""
MOST_BYTES = 16 * 1024 * 1024
"""Of one answer."""
_MOST_LINE = 1024 * 1024
_LONGEST_SOCKET = 100
"""Bytes of a socket's path that the kernel surely takes."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class NotConnected(Exception):
    """Nobody takes the connection: nothing was sent. Its text says why."""


class Cut(Exception):
    """The connection ended, or time was up, before there was an answer: what was sent may have arrived."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody listens."""

    shown: str
    socket: Path | None = None
    url: SplitResult | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    date: str = ""
    """When that was, by the clock of whoever answers."""


def place(text: str) -> Place:
    """A web address, or the path of a socket. Raises ValueError with what is wrong."""
    if text.startswith(("/", "~/", "./", "unix:")):
        path = Path(text.removeprefix("unix:")).expanduser()
        return Place(str(path), socket=path)
    parts = urlsplit(text.rstrip("/"))
    host, _ = parts.hostname, parts.port
    if host is None or parts.scheme not in ("http", "https") or parts.username is not None:
        raise ValueError("this is neither a web address nor the path of a socket")
    try:
        host.encode("idna")  # as a connection does it
    except UnicodeError:
        raise ValueError("no host can have that name") from None
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError("over plain http others can read your token; use https")
    return Place(text.rstrip("/"), url=parts)


class Wire:
    """Asks one place. Every request has a connection of its own."""

    def __init__(self, where: Place, token: str | None) -> None:
        self.where = where
        self._token = token

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        hold: float = 0.0,
    ) -> Reply:
        """One request, one answer. `hold`: seconds for which the other side was asked to wait. Bytes go as they are.

        Raises NotConnected or Cut.
        """
        with self._asked(method, path, query, body, headers or {}, ANSWER_SECONDS + hold) as response:
            data = response.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise Cut("its answer is too large")
            try:
                said = json.loads(data) if data else {}
            except ValueError:
                said = {}
            date = response.getheader("Date") or ""
            return Reply(response.status, said if isinstance(said, dict) else {}, date)

    @contextmanager
    def lines(
        self, path: str, *, query: Mapping[str, object], headers: Mapping[str, str], silence: float
    ) -> Iterator[tuple[Reply, Iterator[str]]]:
        """An answer that does not end, line by line. Nothing for `silence` seconds counts as its end: Cut."""
        with self._asked("GET", path, query, None, headers, silence) as response:
            if response.status != 200:
                said = json.loads(response.read(MOST_BYTES) or b"{}")
                yield Reply(response.status, said if isinstance(said, dict) else {}), iter(())
            else:
                yield Reply(response.status), _lines(response)

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: Mapping[str, Any] | bytes | None,
        headers: Mapping[str, str],
        seconds: float,
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _connection(self.where)
        try:
            try:
                connection.connect()
            except OSError as error:
                raise NotConnected(_reason(error)) from error
            if connection.sock is not None:
                connection.sock.settimeout(seconds)
            base = self.where.url.path if self.where.url else ""
            target = f"{base}{path}{_query(query)}"
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            try:
                connection.request(method, target, body=data, headers=self._headers(headers, data is not None))
                yield connection.getresponse()
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise Cut(_reason(error)) from error
        finally:
            connection.close()

    def _headers(self, more: Mapping[str, str], has_body: bool) -> dict[str, str]:
        headers = {"Accept": "application/json", **({"Content-Type": "application/json"} if has_body else {}), **more}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CONNECT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_SECONDS)
        if len(os.fsencode(self._path)) <= _LONGEST_SOCKET:
            self.sock.connect(str(self._path))
            return
        # The kernel takes no longer path for a socket, but one through its folder.
        folder = os.open(self._path.parent, os.O_PATH | os.O_CLOEXEC)
        try:
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)


def _connection(where: Place) -> http.client.HTTPConnection:
    if where.socket is not None:
        return _UnixConnection(where.socket)
    assert where.url is not None
    host = where.url.hostname or ""
    if where.url.scheme == "https":
        return http.client.HTTPSConnection(host, where.url.port, timeout=CONNECT_SECONDS)
    return http.client.HTTPConnection(host, where.url.port, timeout=CONNECT_SECONDS)


def _lines(response: http.client.HTTPResponse) -> Iterator[str]:
    while line := response.readline(_MOST_LINE):
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def _query(query: Mapping[str, object] | None) -> str:
    given: list[tuple[str, str]] = []
    for key, value in (query or {}).items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        given += [(key, _text(each)) for each in values]
    return f"?{urlencode(given)}" if given else ""


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def path(*parts: str) -> str:
    """A path out of parts that may hold anything."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "time is up"
    if isinstance(error, FileNotFoundError):
        return "there is no such socket"
    return getattr(error, "strerror", None) or type(error).__name__
