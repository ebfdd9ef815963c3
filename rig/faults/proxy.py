"""A TCP proxy before the homeserver that does to a request what networks and their proxies do.

It stays transparent until something is armed: a strike waits for the next request that it is for, happens to that one
alone, and tells when it did. What the server did not hear, it did not do; what it heard and the client was not told,
the client must find out: that difference is the point.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from rig.faults.http_wire import HEAD_BYTES, Message, answer, read_answer, read_request

HOLD_AT_MOST = 60.0
"""Seconds after which a held answer is let go by itself."""
DRIP_BYTES = 400
"""So many bytes of an answer come one by one, the rest at once."""
DRIP_PAUSE = 0.002
_LOOPBACK = "127.0.0.1"
_BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)


class Kind(StrEnum):
    """What can happen to a request."""

    CUT_BEFORE = "cut before the request"
    """The connection ends; the server hears nothing."""
    CUT_IN_REQUEST = "cut in the request"
    """The server hears a part."""
    CUT_AFTER = "cut before the answer"
    """The server has done it; the client is not told."""
    CUT_IN_ANSWER = "cut in the answer"
    """The server has done it; the client hears a part."""
    DELAY = "delay"
    """The request waits before the server hears it."""
    DRIP = "drip"
    """The answer comes byte by byte."""
    TOO_MANY = "429"
    """With `retry_after_ms`; the server hears nothing."""
    TOO_LARGE = "413"
    """As for an event that is too large; the server hears nothing."""
    ERROR_500 = "500"
    """With JSON; the server hears nothing."""
    HTML_502 = "502"
    """With HTML; the server hears nothing."""
    HTML_504 = "504"
    """With HTML; the server has done it."""
    HOLD = "hold"
    """The server has done it; the answer waits for `Strike.release`."""


Match = Callable[[Message], bool]


def anything(_: Message) -> bool:
    """Every request."""
    return True


def is_send(request: Message) -> bool:
    """Puts an event into a room."""
    return request.method == "PUT" and "/send/" in request.path


def is_sync(request: Message) -> bool:
    """Asks for news."""
    return request.method == "GET" and "/sync" in request.path


@dataclass(slots=True, kw_only=True)
class Strike:
    """One fault that waits for its request."""

    kind: Kind
    match: Match = anything
    seconds: float = 0.5
    """How long a delay takes, or a 429 asks to wait."""
    times: int = 1
    """How many requests in a row it is for: clients of HTTP try once more by themselves."""
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it took place: for a hold, when the server has answered."""
    release: asyncio.Event = field(default_factory=asyncio.Event)


class _CutError(Exception):
    """The connection has been ended on purpose."""


class FaultProxy:
    """Serves from `async with` on until its end. `url` is what the client gets to know."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._armed: list[Strike] = []
        self._held: list[Strike] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving = 0
        self._quiet = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{_LOOPBACK}:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, _LOOPBACK, 0, limit=HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut whatever is open, and return when nobody is served any more."""
        assert self._server is not None
        self._server.close()
        self.disarm()
        self.cut_all()
        async with self._quiet:
            await self._quiet.wait_for(lambda: self._serving == 0)

    def arm(self, kind: Kind, match: Match = anything, *, seconds: float = 0.5, times: int = 1) -> Strike:
        """Let this happen to the next request that matches, or to the next few."""
        strike = Strike(kind=kind, match=match, seconds=seconds, times=times)
        self._armed.append(strike)
        return strike

    def disarm(self, strike: Strike | None = None) -> None:
        """Take back a strike that has not happened, or all; let go what they hold."""
        for each in [strike] if strike else [*self._armed, *self._held]:
            each.release.set()
        self._armed = [each for each in self._armed if not each.release.is_set()]
        self._held = [each for each in self._held if not each.release.is_set()]

    def cut_all(self) -> None:
        """End every connection."""
        for writer in self._writers:
            writer.transport.abort()

    def _strike_for(self, request: Message) -> Strike | None:
        for strike in self._armed:
            if strike.match(request):
                strike.times -= 1
                if not strike.times:
                    self._armed.remove(strike)
                self._held += [strike] if strike.kind is Kind.HOLD else []
                return strike
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving += 1
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._served)
            await stack.enter_async_context(self._open(writer))
            with contextlib.suppress(*_BROKEN, _CutError):
                upstream_reader, upstream = await asyncio.open_connection(_LOOPBACK, self._upstream, limit=HEAD_BYTES)
                await stack.enter_async_context(self._open(upstream))
                while (request := await read_request(reader)) is not None:
                    exchange = _Exchange(request, upstream_reader, upstream, writer)
                    strike = self._strike_for(request)
                    await (exchange.pass_on() if strike is None else exchange.suffer(strike))

    @contextlib.asynccontextmanager
    async def _open(self, writer: asyncio.StreamWriter) -> AsyncGenerator[None, None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            with contextlib.suppress(*_BROKEN):
                await writer.wait_closed()

    async def _served(self) -> None:
        self._serving -= 1
        async with self._quiet:
            self._quiet.notify_all()


class _Exchange:
    """A request on its way, and the answer on its way back."""

    def __init__(
        self,
        request: Message,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
    ) -> None:
        self._request = request
        self._reader = reader
        self._upstream = upstream
        self._client = client

    async def pass_on(self) -> None:
        await self._tell((await self._ask()).raw)

    async def suffer(self, strike: Strike) -> None:
        await _EFFECTS[strike.kind](self, strike)
        strike.struck.set()
        if strike.kind in _ENDS:
            raise _CutError

    async def cut_before(self, _: Strike) -> None:
        self._client.transport.abort()

    async def cut_in_request(self, _: Strike) -> None:
        raw = self._request.raw
        self._upstream.write(raw[: len(raw) - max(1, len(self._request.body) // 2)])
        await self._upstream.drain()

    async def cut_after(self, _: Strike) -> None:
        await self._ask()

    async def cut_in_answer(self, _: Strike) -> None:
        told = await self._ask()
        await self._tell(told.raw[: len(told.head) + len(told.body) // 2])

    async def delay(self, strike: Strike) -> None:
        await asyncio.sleep(strike.seconds)
        await self.pass_on()

    async def drip(self, _: Strike) -> None:
        raw = (await self._ask()).raw
        for at in range(min(DRIP_BYTES, len(raw))):
            await self._tell(raw[at : at + 1])
            await asyncio.sleep(DRIP_PAUSE)
        await self._tell(raw[DRIP_BYTES:])

    async def too_many(self, strike: Strike) -> None:
        wait = round(strike.seconds * 1000)
        await self._json(429, {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": wait})

    async def too_large(self, _: Strike) -> None:
        await self._json(413, {"errcode": "M_TOO_LARGE", "error": "event too large"})

    async def error_500(self, _: Strike) -> None:
        await self._json(500, {"errcode": "M_UNKNOWN", "error": "Internal server error"})

    async def html_502(self, _: Strike) -> None:
        await self._html(502, "Bad Gateway")

    async def html_504(self, _: Strike) -> None:
        await self._ask()
        await self._html(504, "Gateway Time-out")

    async def hold(self, strike: Strike) -> None:
        told = await self._ask()
        strike.struck.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD_AT_MOST):
                await strike.release.wait()
        await self._tell(told.raw)

    async def _ask(self) -> Message:
        self._upstream.write(self._request.raw)
        await self._upstream.drain()
        return await read_answer(self._reader)

    async def _tell(self, raw: bytes) -> None:
        self._client.write(raw)
        await self._client.drain()

    async def _json(self, status: int, body: dict[str, object]) -> None:
        await self._tell(answer(status, "Error", "application/json", json.dumps(body).encode()))

    async def _html(self, status: int, reason: str) -> None:
        page = f"<html><body><h1>{status} {reason}</h1></body></html>".encode()
        await self._tell(answer(status, reason, "text/html", page))


_ENDS = (Kind.CUT_BEFORE, Kind.CUT_IN_REQUEST, Kind.CUT_AFTER, Kind.CUT_IN_ANSWER)
_EFFECTS: dict[Kind, Callable[[_Exchange, Strike], Awaitable[None]]] = {
    Kind.CUT_BEFORE: _Exchange.cut_before,
    Kind.CUT_IN_REQUEST: _Exchange.cut_in_request,
    Kind.CUT_AFTER: _Exchange.cut_after,
    Kind.CUT_IN_ANSWER: _Exchange.cut_in_answer,
    Kind.DELAY: _Exchange.delay,
    Kind.DRIP: _Exchange.drip,
    Kind.TOO_MANY: _Exchange.too_many,
    Kind.TOO_LARGE: _Exchange.too_large,
    Kind.ERROR_500: _Exchange.error_500,
    Kind.HTML_502: _Exchange.html_502,
    Kind.HTML_504: _Exchange.html_504,
    Kind.HOLD: _Exchange.hold,
}
