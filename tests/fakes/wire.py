"""A server that says whatever it was told to say, byte for byte: what no real homeserver does on demand."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]
DRIP_SECONDS = 0.005


def bytes_(raw: bytes) -> Say:
    """These bytes; then the connection ends."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return say


def http(status: int, body: bytes, *headers: str, kind: str = "application/json", length: int | None = None) -> Say:
    """An answer; `length` where it lies about itself."""
    head = [
        f"HTTP/1.1 {status} X",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body) if length is None else length}",
    ]
    return bytes_("\r\n".join([*head, *headers, "Connection: close", "", ""]).encode() + body)


def tell(content: object, *headers: str, status: int = 200) -> Say:
    """JSON."""
    return http(status, json.dumps(content).encode(), *headers)


def silence() -> Say:
    """Nothing, for ever: a connection of which only one half is left."""

    async def say(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    return say


def drip(start: bytes) -> Say:
    """An answer that comes byte by byte, and never ends."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(b" ")
            await asyncio.sleep(DRIP_SECONDS)

    return say


class Wire:
    """Made by `wire`. Says the first of `answers` that is left; the last one again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[Say] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Paths and queries."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = urlsplit(head.split(" ")[1])
        self.asked.append((target.path, {name: values[0] for name, values in parse_qs(target.query).items()}))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await answer(writer)


@asynccontextmanager
async def wire() -> AsyncGenerator[Wire, None]:
    """Listens on loopback until the block ends."""
    open_: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_.add(task)
        try:
            await made.serve(reader, writer)
            await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass  # the other side has gone, or the test is over
        finally:
            open_.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made = Wire(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield made
    finally:
        server.close()
        for task in [*open_]:
            task.cancel()
        await asyncio.gather(*open_, return_exceptions=True)
