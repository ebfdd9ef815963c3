"""Typing indicators and read receipts: seen at once, kept nowhere, and never in the way of anything.

They are free of the homeserver's message limit. If one is lost, nobody is wrong for long.
"""

import asyncio
import contextlib

import structlog

from aiagentchat.core.errors import MatrixError
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.core.ports import Outbound

TYPING_SECONDS = 30.0
RENEW_SECONDS = 20.0
"""Renewed before the homeserver takes it away."""
MAX_WAITING = 200
"""Signals that wait; what comes beyond that is dropped."""

log = structlog.get_logger(__name__)


class RoomSignals:
    """The Signals port."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._typing: set[RoomId] = set()
        self._waiting: asyncio.Queue[tuple[RoomId, EventId | bool]] = asyncio.Queue(MAX_WAITING)

    async def run(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + RENEW_SECONDS
        while True:
            try:
                async with asyncio.timeout_at(renew_at):
                    room, signal = await self._waiting.get()
            except TimeoutError:
                renew_at = loop.time() + RENEW_SECONDS
                for typing_in in list(self._typing):
                    await self._send(typing_in, True)
            else:
                await self._send(room, signal)

    def typing(self, room: RoomId, on: bool) -> None:
        """Show or hide the typing indicator."""
        (self._typing.add if on else self._typing.discard)(room)
        self._put(room, on)

    def read(self, room: RoomId, event: EventId) -> None:
        """Show that the event was read."""
        self._put(room, event)

    def _put(self, room: RoomId, signal: EventId | bool) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait((room, signal))

    async def _send(self, room: RoomId, signal: EventId | bool) -> None:
        try:
            if isinstance(signal, bool):
                await self._outbound.typing(room, signal, TYPING_SECONDS)
            else:
                await self._outbound.read_receipt(room, signal)
        except MatrixError as error:
            log.info("signal.lost", room=room, error=str(error))
