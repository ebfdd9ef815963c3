"""A way to a homeserver whose clock seems to be ahead: what was said just now looks old to whoever asks through it.

Only the `Date` of its answers is changed. It has the same length afterwards, so nothing else has to be understood.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import urlsplit

_DATE = re.compile(rb"(?<=\r\nDate: )[^\r]{29}(?=\r\n)", re.IGNORECASE)
_PIECE = 64 * 1024


class ShiftedClock:
    """The way. `ahead` can be changed while it serves."""

    def __init__(self, homeserver: str) -> None:
        self._to = urlsplit(homeserver)
        self.ahead = timedelta()
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["ShiftedClock"]:
        """It listens inside, at `url`."""
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        async with server:
            yield self

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        with suppress(OSError):
            try:
                async with asyncio.TaskGroup() as group:
                    asked = group.create_task(_pass_on(reader, far_writer, lambda piece: piece))
                    answered = group.create_task(_pass_on(far_reader, writer, self._shift))
                    await asyncio.wait({asked, answered}, return_when=asyncio.FIRST_COMPLETED)
                    asked.cancel()
                    answered.cancel()
            except* OSError:
                pass
            finally:
                far_writer.close()
                writer.close()

    def _shift(self, piece: bytes) -> bytes:
        return _DATE.sub(lambda found: self._later(found[0]), piece)

    def _later(self, date: bytes) -> bytes:
        return format_datetime(parsedate_to_datetime(date.decode("ascii")) + self.ahead, usegmt=True).encode("ascii")


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Callable[[bytes], bytes]
) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(change(piece))
        await writer.drain()
