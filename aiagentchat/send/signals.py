"""Typing indicators and read receipts: seen at once, kept nowhere, and never in the way of anything.

They are free of the homeserver's message limit. If an indicator is lost, nobody is wrong for long. A receipt tells
whoever has sent something how far that has come, so one that could not be sent is sent later, unless a later one has
taken its place.
"""

import asyncio
import contextlib
from typing import TypeAlias

import structlog

from aiagentchat.core.errors import MatrixError, RateLimited, Unreachable
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.core.messages import MAIN
from aiagentchat.core.ports.matrix import Outbound

TYPING_SECONDS = 30.0
TYPING_AFTER = 0.3
"""A turn that is over by then shows no typing: it would only be in the way of the answer."""
RENEW_SECONDS = 20.0
"""Renewed before the homeserver takes it away."""
AGAIN_SECONDS = 10.0
"""Until receipts are tried again after one that could not be sent."""
MAX_WAITING = 200
"""Signals that wait, and receipts; what comes beyond that is dropped."""

Place: TypeAlias = tuple[RoomId, str | None]
"""A room, and one thread of it; None: all of it."""

log = structlog.get_logger(__name__)


class RoomSignals:
    """The Signals port."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._typing: dict[RoomId, float] = {}
        """When (loop time) the indicator is to be shown, or shown again."""
        self._shown: set[RoomId] = set()
        self._waiting: asyncio.Queue[tuple[RoomId, bool]] = asyncio.Queue(MAX_WAITING)
        self._read: dict[Place, EventId] = {}
        """Receipts that are not sent yet."""
        self._read_again = 0.0
        """When (loop time) they may be sent."""

    async def run(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout_at(self._next()):
                    room, on = await self._waiting.get()
            except TimeoutError:
                await self._show(loop.time())
                if self._read and self._read_again <= loop.time():
                    await self._tell(loop)
            else:
                if not on:  # else it only says that there is a new moment to wait for
                    await self._type(room, False)

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

    def read(self, room: RoomId, event: EventId, thread: EventId | None = None) -> None:
        """Show that all was read up to the event in its thread."""
        self._acknowledge((room, thread or MAIN), event)

    def begun(self, room: RoomId, event: EventId) -> None:
        """Show that we have begun with all up to the event."""
        self._acknowledge((room, None), event)

    def _acknowledge(self, place: Place, event: EventId) -> None:
        if place in self._read or len(self._read) < MAX_WAITING:
            self._read[place] = event
            self._put(place[0], True)

    def _next(self) -> float | None:
        """When there is something to be done by itself."""
        return min([*self._typing.values(), *([self._read_again] if self._read else [])], default=None)

    async def _show(self, now: float) -> None:
        due = [room for room, moment in self._typing.items() if moment <= now]
        # Before the first of them is sent: what is hidden meanwhile must stay hidden.
        self._typing.update(dict.fromkeys(due, now + RENEW_SECONDS))
        for room in due:
            if room in self._typing:
                self._shown.add(room)
                await self._type(room, True)

    async def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send the receipts. After one that cannot be sent now, the others wait with it, and go first."""
        for place, event in [*self._read.items()]:
            wait = await self._receipt(place, event)
            if wait is not None:
                self._read[place] = self._read.pop(place)
                self._read_again = loop.time() + wait
                return
            if self._read[place] == event:
                del self._read[place]

    async def _receipt(self, place: Place, event: EventId) -> float | None:
        """Send one receipt. In how many seconds to try again, if that makes sense."""
        room, thread = place
        try:
            await self._outbound.read_receipt(room, event, thread)
        except (Unreachable, RateLimited) as error:
            log.info("signal.postponed", room=room, error=str(error))
            return max(AGAIN_SECONDS, error.retry_after)
        except MatrixError as error:
            log.info("signal.lost", room=room, error=str(error))
        return None

    def _put(self, room: RoomId, on: bool) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait((room, on))

    async def _type(self, room: RoomId, on: bool) -> None:
        try:
            await self._outbound.typing(room, on, TYPING_SECONDS)
        except MatrixError as error:
            log.info("signal.lost", room=room, error=str(error))
