"""In front of the app: who may come in, how much of it at once, and for how long.

A request is refused for the first of these that is wrong: where it comes from, its token, its size, how many there are.
Its body is here before the app is asked, so that who sends slowly holds nothing up but himself.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aiagentchat.core.exchange import Caller
from aiagentchat.core.instances import MOST_SESSIONS
from aiagentchat.exchange.filing import MOST_CONTENT
from aiagentchat.gateway.callers import Callers
from aiagentchat.gateway.guard import bearer, check_port, check_socket, hosts_of
from aiagentchat.gateway.models import MOST_ASK_SECONDS
from aiagentchat.gateway.problems import MEDIA_TYPE, Refusal, Trouble

MOST_BYTES = 256 * 1024
"""Of a request's body."""
MOST_REQUESTS = 64
"""At once, of all callers …"""
MOST_OF_CALLER = 16
"""… and of one."""
MOST_STREAMS = 16
MOST_STREAMS_OF_CALLER = 4
"""Sessions, whose streams tell that they are there, are counted apart: all of one user are one caller."""
REQUEST_SECONDS = 30.0
"""How long a request may take, with its body; `/ask` waits on top of that."""
SEND_SECONDS = 30.0
"""How long a part of an answer may take: who reads more slowly is cut off."""

LOGIN, ASK, EVENTS, MCP = "/login", "/ask", "/events", "/mcp"
INSTANCE = "instance"
"""By which a stream is a session."""
PROBES = frozenset({"/health", "/ready"})
"""What whoever watches the daemon asks without a token."""
_JSON = b"application/json"
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

_UNAUTHENTICATED = Trouble("unauthenticated", "The request has no token that is good here (Authorization: Bearer …).")
_TOO_LARGE = Trouble("too_large", f"The body of a request may have {MOST_BYTES // 1024} KiB.")
_WRONG_TYPE = Trouble("wrong_type", "The body must be JSON, and say so (Content-Type: application/json).")
_NO_SESSION = f"{MOST_SESSIONS} sessions are here, which is all: end one that nobody needs (`cchat who` lists them)."
_TOO_SLOW = Trouble("too_slow", "The request took too long. What it asked for may have been done.")
FAILED = Trouble("failed", "Something went wrong on our side. The operator finds it in the log.")

_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]

log = structlog.get_logger(__name__)


class Kind(Enum):
    """What is counted."""

    REQUEST = auto()
    STREAM = auto()
    SESSION = auto()
    """A stream that has a name."""


@dataclass(slots=True)
class Traffic:
    """What goes on at all doors together."""

    answers: Counter[int] = field(default_factory=Counter)
    """How often each status was answered."""
    requests: Counter[str] = field(default_factory=Counter)
    """Requests that are being served, by their callers."""
    streams: Counter[str] = field(default_factory=Counter)
    sessions: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def taking(self, caller: str, kind: "Kind") -> Iterator[None]:
        """Count one while it is served. Raises `Refusal` where there are too many."""
        counted, most, most_of_caller = self._of(kind)
        if counted.total() >= most or counted[caller] >= most_of_caller:
            raise Refusal("busy", _NO_SESSION if kind is Kind.SESSION else _busy(most, most_of_caller))
        counted[caller] += 1
        try:
            yield
        finally:
            counted[caller] -= 1
            if not counted[caller]:
                del counted[caller]

    def _of(self, kind: "Kind") -> tuple[Counter[str], int, int]:
        """Those that are there, and how many there may be: in all, and of one caller."""
        match kind:
            case Kind.REQUEST:
                return self.requests, MOST_REQUESTS, MOST_OF_CALLER
            case Kind.STREAM:
                return self.streams, MOST_STREAMS, MOST_STREAMS_OF_CALLER
            case Kind.SESSION:
                return self.sessions, MOST_SESSIONS, MOST_SESSIONS


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests come in."""

    port: int | None = None
    """Of 127.0.0.1; None at the operator's socket."""
    user: int = 0
    """Who runs the daemon, and so may come to the socket."""

    @property
    def is_socket(self) -> bool:
        """Whether it is the operator's socket."""
        return self.port is None

    def check(self, scope: Scope) -> Trouble | None:
        """Why the request is refused, whoever sends it."""
        if self.port is None:
            return check_socket(scope["headers"], scope.get("state", {}).get("peer"), self.user)
        return check_port(scope["headers"], hosts_of(self.port))


class Door:
    """An ASGI app in front of another one, which finds in the request's state who asks (`caller`) and where.

    `still()` says who that is by then, for what takes longer than a token may be good.
    """

    def __init__(self, app: ASGIApp, *, place: Place, callers: Callers, traffic: Traffic) -> None:
        self._app = app
        self._place = place
        self._callers = callers
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return  # nothing else comes: neither a lifespan nor WebSockets are asked for
        answer = _Answer(send, self._traffic)
        try:
            await self._serve(scope, receive, answer)
        except Refusal as refusal:
            await answer.refuse(refusal.trouble)
        except TimeoutError:
            await answer.refuse(_TOO_SLOW)
        except Exception:
            # Whoever asks shall not wait for an answer that will not come; what was begun cannot be mended.
            log.exception("gateway.failed", path=scope["path"])
            await answer.refuse(FAILED)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if (trouble := self._place.check(scope)) is not None:
            await answer.refuse(trouble)
            return
        caller = self._caller(scope)
        if caller is None and not self._is_open(scope):
            await answer.refuse(_UNAUTHENTICATED)
            return
        scope["state"] = {
            **scope.get("state", {}),
            "caller": caller,
            "still": partial(self._caller, scope),
            "at_socket": self._place.is_socket,
        }
        with self._traffic.taking("" if caller is None else caller.name, _kind(scope)):
            async with asyncio.timeout(REQUEST_SECONDS):
                body = await _body(scope, receive)
            if body is None:
                return  # they have gone
            async with asyncio.timeout(_seconds(scope)):
                await self._app(scope, _replaying(body, receive), answer)

    def _caller(self, scope: Scope) -> Caller | None:
        token = bearer(scope["headers"])
        found = None if token is None else self._callers.find(token)
        if found is None or (found.at_socket_only and not self._place.is_socket):
            return None
        return found.caller

    def _is_open(self, scope: Scope) -> bool:
        """Whether no token is needed: what a login gets shows in its body."""
        return scope["path"] in PROBES or (scope["path"] == LOGIN and self._place.is_socket)


class _Answer:
    """The way back, on which every answer gets its headers and is counted."""

    def __init__(self, send: Send, traffic: Traffic) -> None:
        self._send = send
        self._traffic = traffic
        self._begun = False

    async def __call__(self, message: Message) -> None:
        """As an app sends."""
        if message["type"] == "http.response.start":
            self._begun = True
            self._traffic.answers[message["status"]] += 1
            message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
        async with asyncio.timeout(SEND_SECONDS):
            await self._send(message)

    async def refuse(self, trouble: Trouble) -> None:
        """Say why. An answer that has begun just ends."""
        if self._begun:
            return
        body = trouble.body
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        if trouble.code == "unauthenticated":
            headers.append((b"www-authenticate", b"Bearer"))
        await self({"type": "http.response.start", "status": trouble.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _busy(most: int, most_of_caller: int) -> str:
    return f"More than {most} at once, or {most_of_caller} of one caller, are not served."


def _kind(scope: Scope) -> Kind:
    if scope["path"] != EVENTS:
        return Kind.REQUEST
    return Kind.SESSION if INSTANCE in parse_qs(scope["query_string"].decode("latin-1")) else Kind.STREAM


def _seconds(scope: Scope) -> float | None:
    if scope["path"] == ASK:
        return MOST_ASK_SECONDS + REQUEST_SECONDS
    # A stream ends by itself, and so does what the Model Context Protocol does.
    return None if scope["path"] == EVENTS or scope["path"].startswith(MCP) else REQUEST_SECONDS


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """All of it; None if they have gone. Raises `Refusal`."""
    most = MOST_BYTES + (MOST_CONTENT if scope["path"] == MCP else 0)  # where a file comes in the arguments of a tool
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if not declared.isdigit() or int(declared) > most:
        raise Refusal(_TOO_LARGE.code, _TOO_LARGE.detail)
    parts, size, more = [], 0, True
    while more:
        message: dict[str, Any] = dict(await receive())
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise Refusal(_TOO_LARGE.code, _TOO_LARGE.detail)
        parts.append(part)
        more = message.get("more_body", False)
    if size and scope["method"] in _WITH_BODY and not _says_json(scope):
        raise Refusal(_WRONG_TYPE.code, _WRONG_TYPE.detail)
    return b"".join(parts)


def _says_json(scope: Scope) -> bool:
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    return len(kinds) == 1 and kinds[0].partition(b";")[0].strip().lower() == _JSON


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Gives the body once, and then what comes."""
    left = [body]

    async def replay() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return replay
