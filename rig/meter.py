"""A TCP proxy before the homeserver that writes down what was asked and how it was answered, and changes nothing."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Self

from rig.faults.http_wire import HEAD_BYTES, read_answer, read_request

_LOOPBACK = "127.0.0.1"
_BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer."""

    at: float
    """Monotonic seconds, of the answer."""
    method: str
    path: str
    status: int


class Meter:
    """Serves from `async with` on until its end. `url` is what the client gets to know."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.exchanges: list[Exchange] = []
        self.url = ""

    def refusals(self) -> list[float]:
        """When the homeserver said "too many requests"."""
        return [exchange.at for exchange in self.exchanges if exchange.status == _TOO_MANY]

    def sends(self) -> list[float]:
        """When an event was taken into a room."""
        return [each.at for each in self.exchanges if "/send/" in each.path and each.status == 200]

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, _LOOPBACK, 0, limit=HEAD_BYTES)
        self.url = f"http://{_LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every connection."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*_BROKEN):
            upstream_reader, upstream = await asyncio.open_connection(_LOOPBACK, self._upstream, limit=HEAD_BYTES)
            self._writers |= {writer, upstream}
            try:
                while (request := await read_request(reader)) is not None:
                    upstream.write(request.raw)
                    await upstream.drain()
                    answer = await read_answer(upstream_reader)
                    self.exchanges.append(Exchange(time.monotonic(), request.method, request.path, answer.status))
                    writer.write(answer.raw)
                    await writer.drain()
            finally:
                for each in (writer, upstream):
                    self._writers.discard(each)
                    each.transport.abort()
