"""From the run to another host: a tunnel, or a plain request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11

from aiagentchat.egress.answers import host_unreachable
from aiagentchat.egress.client import CHUNK_BYTES, Client, CutError, RefusedError
from aiagentchat.egress.decide import Asked, Forward
from aiagentchat.egress.headers import from_host, to_host
from aiagentchat.egress.internet import Streams


@asynccontextmanager
async def hung_up(streams: Streams) -> AsyncIterator[Streams]:
    """The connection, which ends with the block."""
    _, writer = streams
    # As with the run itself: nothing is piled up.
    writer.transport.set_write_buffer_limits(high=0)
    try:
        yield streams
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def tunnel(client: Client, streams: Streams) -> None:
    """Bytes both ways, until both have said everything."""
    reader, writer = streams
    early = await client.switch()
    async with asyncio.TaskGroup() as group:
        group.create_task(_there(client, writer, early), name="egress there")
        group.create_task(_back(client, reader, writer), name="egress back")


async def _there(client: Client, writer: asyncio.StreamWriter, early: bytes) -> None:
    try:
        data = early or await client.read()
        while data:
            writer.write(data)
            await writer.drain()
            data = await client.read()
        writer.write_eof()
    except (OSError, RuntimeError):
        await _break_off(client, writer)


async def _back(client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK_BYTES):
            await client.write(data)
        client.end_writing()
    except (OSError, CutError):
        await _break_off(client, writer)


async def _break_off(client: Client, writer: asyncio.StreamWriter) -> None:
    """Both ends, so that the other direction ends, too."""
    writer.transport.abort()
    await client.cut()


async def forward(client: Client, asked: Asked, to: Forward, streams: Streams, *, header_bytes: int) -> None:
    """One request and its answer."""
    exchange = _Exchange(client, to, streams, header_bytes)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(exchange.ask(asked), name="egress ask")
        failure = await exchange.listen()
        asking.cancel()
    if failure is not None:
        raise failure


class _Exchange:
    def __init__(self, client: Client, to: Forward, streams: Streams, header_bytes: int) -> None:
        self._client = client
        self._to = to
        self._reader, self._writer = streams
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=header_bytes)
        self._body = client.body()

    async def ask(self, asked: Asked) -> None:
        """The request, and its body as it comes. Who no longer reads it may have answered already."""
        headers = to_host(asked.headers, self._to.target)
        try:
            await self._say(h11.Request(method=asked.method, target=self._to.path, headers=headers))
            async for part in self._body:
                await self._say(h11.Data(data=part))
            await self._say(h11.EndOfMessage())
        except (RefusedError, h11.LocalProtocolError):
            self._writer.transport.abort()  # a part must not be taken for the whole
        except OSError:
            pass

    async def listen(self) -> RefusedError | CutError | None:
        """The answer, as it comes; why it did not come to its end."""
        try:
            while not await self._heard():
                pass
        except CutError as error:
            return error
        except (OSError, h11.ProtocolError, ValueError):
            return RefusedError(self._body.refusal or host_unreachable(self._to.target))
        return None

    async def _heard(self) -> bool:
        """Whether that was the end."""
        match event := self._http.next_event():
            case h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(CHUNK_BYTES))
            case h11.Response():
                await self._client.begin(event.status_code, from_host(event.headers.raw_items()))
            case h11.Data():
                await self._client.send(bytes(event.data))
            case h11.EndOfMessage():
                await self._client.finish()
                return True
            case h11.InformationalResponse():
                pass
            case _:
                raise ConnectionAbortedError
        return False

    async def _say(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()
