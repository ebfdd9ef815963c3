"""Typing indicators and read receipts: seen at once, kept nowhere, and never in the way of anything.

They are free of the homeserver's message limit. If one is lost, nobody is wrong for long.
"""

import asyncio
import contextlib

import structlog

from aiagentchat.core.errors import MatrixError
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.core.ports.matrix import Outbound

TYPING_SECONDS = 30.0
TYPING_AFTER = 0.3
"""A turn that is over by then shows no typing: it would only be in the way of the answer."""
RENEW_SECONDS = 20.0
"""Renewed before the homeserver takes it away."""
MAX_WAITING = 200
"""Signals that wait; what comes beyond that is dropped."""

log = structlog.get_logger(__name__)


class RoomSignals:
    """The Signals port."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._typing: dict[RoomId, float] = {}
        """When (loop time) the indicator is to be shown, or shown again."""
        self._shown: set[RoomId] = set()
        self._waiting: asyncio.Queue[tuple[RoomId, EventId | bool]] = asyncio.Queue(MAX_WAITING)

    async def run(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout_at(min(self._typing.values(), default=None)):
                    room, signal = await self._waiting.get()
            except TimeoutError:
                await self._show(loop.time())
            else:
                if signal is not True:  # which only says that there is a new moment to wait for
                    await self._send(room, signal)

    def typing(self, room: RoomId, on: bool) -> None:
        """Show the typing indicator soon, or hide it now."""
        if on:
            self._typing[room] = asyncio.get_running_loop().time() + TYPING_AFTER
            self._put(room, True)
        else:
            self._typing.pop(room, None)
            if room in self._shown:
                self._shown.discard(room)
                self._put(room, False)

    def read(self, room: RoomId, event: EventId) -> None:
        """Show that the event was read."""
        self._put(room, event)

    async def _show(self, now: float) -> None:
        due = [room for room, moment in self._typing.items() if moment <= now]
        # Before the first of them is sent: what is hidden meanwhile must stay hidden.
        self._typing.update(dict.fromkeys(due, now + RENEW_SECONDS))
        for room in due:
            if room in self._typing:
                self._shown.add(room)
                await self._send(room, True)

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
