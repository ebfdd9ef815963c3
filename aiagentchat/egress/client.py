"""One connection of a run: its requests, one after the other, and the answers to them.

Whatever comes over it ends in one of two ways: an answer that is complete, or a connection that is cut (`CutError`).
Nothing in between, so that nobody takes the part of an answer that was there for the whole.
"""

import asyncio
import contextlib
import select
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Self

import h11

from aiagentchat.egress import answers
from aiagentchat.egress.answers import Refusal
from aiagentchat.egress.headers import Headers
from aiagentchat.egress.limits import Limits, Traffic

CHUNK_BYTES = 65_536
"""How much is read at once, and so how much of a stream is in memory."""
GLANCE_SECONDS = 0.5
"""How often we look whether somebody who has nothing more to say is still there."""


class RefusedError(Exception):
    """The run is told why it does not get what it asked for."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status)
        self.refusal = refusal


class CutError(Exception):
    """The connection cannot be used any more."""


@dataclass(slots=True)
class Meter:
    """Counts what goes through."""

    bytes_in: int = 0
    bytes_out: int = 0
    requests: int = 0
    blocked: int = 0

    def read(self) -> Traffic:
        """The numbers now."""
        return Traffic(bytes_in=self.bytes_in, bytes_out=self.bytes_out, requests=self.requests, blocked=self.blocked)


class Ears(asyncio.StreamReader):
    """A reader that tells when nothing more will come, also to those who do not read."""

    def __init__(self) -> None:
        super().__init__(limit=CHUNK_BYTES)
        self.ended = asyncio.Event()

    def feed_eof(self) -> None:
        """The other side has said its last."""
        super().feed_eof()
        self.ended.set()

    def set_exception(self, exc: Exception) -> None:
        """The connection broke."""
        super().set_exception(exc)
        self.ended.set()


class Client:
    """The one at the other end of a connection."""

    def __init__(self, reader: Ears, writer: asyncio.StreamWriter, *, limits: Limits, meter: Meter) -> None:
        # What was written is on its way when `drain` returns: nothing is piled up here, and nothing lost by closing.
        writer.transport.set_write_buffer_limits(high=0)
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._meter = meter
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header_bytes)
        self._idle: asyncio.Timeout | None = None
        self._wants_text = True

    # --- what it says

    async def request(self) -> h11.Request | None:
        """The next request, None when there is none. `RefusedError` for what is no request."""
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        try:
            event = self._http.next_event()
            if event is h11.NEED_DATA and not self._http.trailing_data[0]:
                try:
                    await self._receive()
                except TimeoutError:
                    return None
            async with asyncio.timeout(self._limits.header_seconds):
                event = await self._event() if event is h11.NEED_DATA else event
        except TimeoutError:
            raise RefusedError(answers.TOO_SLOW) from None
        except OSError:
            return None
        except h11.RemoteProtocolError as error:
            raise RefusedError(answers.broken_request(error.error_status_hint)) from None
        if not isinstance(event, h11.Request):
            return None
        self._wants_text = event.method != b"HEAD"
        return event

    def body(self, most: int | None = None) -> "Body":
        """What comes after the head of the request."""
        return Body(self, most)

    async def part_of_body(self) -> bytes | None:
        """Some more of it; None at its end."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def read(self) -> bytes:
        """Some bytes of a tunnel; nothing at the end."""
        async with self._bounded():
            data = await self._reader.read(CHUNK_BYTES)
        self._moved()
        self._meter.bytes_out += len(data)
        return data

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            await self._receive()
        return event  # type: ignore[return-value] # mypy does not follow `is` to NEED_DATA

    async def _receive(self) -> None:
        self._http.receive_data(await self.read())

    # --- what it is told

    async def tell(self, refusal: Refusal, *, of_model: bool) -> None:
        """A whole answer of our own. `CutError` when another one has begun."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            raise CutError
        kind, text = refusal.for_model() if of_model else refusal.for_host()
        await self._answer(refusal.status, [(b"content-type", kind), *refusal.headers], text)

    async def say(self, text: bytes | None) -> None:
        """A whole answer as JSON; None: it was heard, and there is nothing to say."""
        if text is None:
            await self._answer(answers.ACCEPTED, [], b"")
        else:
            await self._answer(answers.OK, [(b"content-type", b"application/json")], text)

    async def greet(self) -> None:
        """Somebody is here."""
        await self._answer(answers.OK, [], b"")

    async def _answer(self, status: int, headers: list[tuple[bytes, bytes]], text: bytes) -> None:
        end = [] if self._is_heard_out() else [(b"connection", b"close")]
        head = [*headers, (b"content-length", str(len(text)).encode()), *end]
        data = [h11.Data(data=text)] if text and self._wants_text else []
        await self._send(h11.Response(status_code=status, headers=head), *data, h11.EndOfMessage())

    async def begin(self, status: int, headers: Headers) -> None:
        """The head of somebody else's answer. ValueError, and nothing sent, if it is none."""
        try:
            response = h11.Response(status_code=status, headers=list(headers))
        except h11.LocalProtocolError as error:
            raise ValueError from error
        await self._send(response)

    async def send(self, data: bytes) -> None:
        """A part of the answer. Returns when it is on its way."""
        await self._send(h11.Data(data=data))

    async def finish(self) -> None:
        """The answer is complete."""
        await self._send(h11.EndOfMessage())

    async def switch(self) -> bytes:
        """Make a tunnel of the connection; what it has said into it already."""
        self._is_heard_out()
        await self._send(h11.Response(status_code=answers.OK, headers=[]))
        return self._http.trailing_data[0]

    async def write(self, data: bytes) -> None:
        """Bytes into a tunnel."""
        try:
            self._writer.write(data)
            async with self._bounded():
                await self._writer.drain()
        except (OSError, RuntimeError):  # TimeoutError is an OSError
            raise CutError from None
        self._moved()
        self._meter.bytes_in += len(data)

    def end_writing(self) -> None:
        """There is nothing more for it in the tunnel."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write_eof()

    async def _send(self, *events: h11.Event) -> None:
        try:
            data = b"".join([self._http.send(event) or b"" for event in events])
        except h11.LocalProtocolError:
            raise CutError from None
        await self.write(data)

    # --- how long

    @property
    def goes_on(self) -> bool:
        """Whether it may ask for something more."""
        return self._is_heard_out() and self._http.our_state is h11.DONE

    async def while_here(self, work: Callable[[], Awaitable[None]], *, idle: bool = False) -> None:
        """Do what it asked for, as long as somebody waits for it and something moves; `idle`: also when nothing does.

        `CutError` when it left, TimeoutError when nothing moved for too long.
        """
        failures: list[RefusedError | CutError] = []
        try:
            seconds = None if idle else self._limits.idle_seconds
            async with asyncio.timeout(seconds) as self._idle, asyncio.TaskGroup() as group:
                working = group.create_task(_caught(work, failures), name="egress work")
                leaving = group.create_task(self._left(), name="egress left")
                await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
                if not working.done():
                    failures.append(CutError())
                working.cancel()
                leaving.cancel()
        finally:
            self._idle = None
        if failures:
            raise failures[0]

    async def leave(self) -> None:
        """Hang up. Who has not been heard out is heard for a moment, lest the answer gets lost under his words."""
        with contextlib.suppress(OSError, RuntimeError):  # TimeoutError is an OSError
            if not self._is_heard_out():
                self._writer.write_eof()
                async with asyncio.timeout(self._limits.linger_seconds):
                    while await self.read():
                        pass

    async def cut(self) -> None:
        """End the connection, whatever was on its way."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _is_heard_out(self) -> bool:
        """Whether the request was read to its end, with what has come of it until now."""
        try:
            while self._http.their_state is h11.SEND_BODY and self._http.next_event() is not h11.NEED_DATA:
                pass
        except h11.RemoteProtocolError:
            return False
        return self._http.their_state not in (h11.IDLE, h11.SEND_BODY, h11.ERROR)

    async def _left(self) -> None:
        await self._reader.ended.wait()
        while not self._is_gone():  # noqa: ASYNC110 - nobody tells when the other way is closed, too
            await asyncio.sleep(GLANCE_SECONDS)

    def _is_gone(self) -> bool:
        """Whether it closed both ways. Who closed one way has said everything, and still waits for his answer."""
        if self._writer.transport.is_closing():
            return True
        look = select.poll()
        look.register(self._writer.get_extra_info("socket").fileno(), 0)
        return bool(look.poll(0))

    def _bounded(self) -> asyncio.Timeout:
        return asyncio.timeout(self._limits.idle_seconds if self._idle is None else None)

    def _moved(self) -> None:
        if self._idle is not None and self._idle.when() is not None and not self._idle.expired():
            self._idle.reschedule(asyncio.get_running_loop().time() + self._limits.idle_seconds)


class Body(AsyncIterator[bytes]):
    """The body of a request, piece by piece. `RefusedError` where it is none, or too large."""

    def __init__(self, client: Client, most: int | None) -> None:
        self._client = client
        self._most = most
        self._size = 0
        self.refusal: Refusal | None = None
        """Why it ended too early."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            part = await self._client.part_of_body()
        except TimeoutError:
            raise self._refused(answers.TOO_SLOW) from None
        except (h11.RemoteProtocolError, OSError, CutError):
            raise self._refused(answers.broken_request(400)) from None
        if part is None:
            raise StopAsyncIteration
        self._size += len(part)
        if self._most is not None and self._size > self._most:
            raise self._refused(answers.too_large(self._most))
        return part

    def _refused(self, refusal: Refusal) -> RefusedError:
        self.refusal = refusal
        return RefusedError(refusal)


async def _caught(work: Callable[[], Awaitable[None]], failures: list[RefusedError | CutError]) -> None:
    """Without a group around them, which would hide what they say."""
    try:
        await work()
    except (RefusedError, CutError) as error:
        failures.append(error)
