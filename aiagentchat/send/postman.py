"""From the outbox into the rooms: in order within a room, rooms side by side, at the homeserver's pace.

A parcel is claimed, sent and marked as sent. A crash between the last two sends it again with the same transaction id,
which the homeserver answers with the first event.
"""

import asyncio

import structlog

from aiagentchat.core.backoff import delay
from aiagentchat.core.errors import RateLimited, Refused, Unreachable
from aiagentchat.core.parcels import Content, Parcel
from aiagentchat.core.ports import Clock, Outbound, Outbox, Random
from aiagentchat.render.message import edit

MAX_IN_FLIGHT = 4
"""Rooms that are written to at the same time; a homeserver works through one account's events one by one anyway."""
LONGEST_NAP = 30.0

log = structlog.get_logger(__name__)


class Postman:
    """Delivers parcels."""

    def __init__(self, *, outbox: Outbox, outbound: Outbound, clock: Clock, random: Random) -> None:
        self._outbox = outbox
        self._outbound = outbound
        self._clock = clock
        self._random = random
        self._failures = 0
        self._closed_until = 0
        """Milliseconds: the limit is the account's, not a room's, so nothing is sent before."""
        self._places = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def run(self) -> None:
        """Serve until cancelled. Raises LoginFailed, in a group, when the homeserver does not know us any more."""
        await self._outbox.release_claims()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._places.acquire()
                parcel = await self._next()
                group.create_task(self._deliver(parcel), name=f"deliver {parcel.txn}")

    async def _next(self) -> Parcel:
        """The next parcel that may go."""
        while True:
            now = self._clock.now_ms()
            if now >= self._closed_until and (parcel := await self._outbox.claim(now)) is not None:
                return parcel
            await self._outbox.bell.wait(await self._nap(now))

    async def _nap(self, now: int) -> float:
        due = await self._outbox.next_due()
        moments = [moment for moment in (due, self._closed_until) if moment is not None and moment > now]
        return min([LONGEST_NAP, *((moment - now) / 1000 for moment in moments)])

    async def _deliver(self, parcel: Parcel) -> None:
        try:
            event = await self._outbound.send(parcel.room, parcel.type, await self._content(parcel), parcel.txn)
        except RateLimited as error:
            log.info("outbox.rate_limited", retry_after=error.retry_after)
            await self._later(parcel, error.retry_after)
        except Unreachable as error:
            self._failures += 1
            wait = delay(self._failures, self._random)
            log.warning("outbox.unreachable", error=str(error), room=parcel.room, wait_s=round(wait, 1))
            await self._later(parcel, wait)
        except Refused as error:
            log.error(  # noqa: TRY400 - the cause is in the message; a traceback of ours says nothing more
                "outbox.refused", error=str(error), room=parcel.room, txn=parcel.txn, command=parcel.command
            )
            await self._outbox.give_up(parcel.txn, str(error), self._clock.now_ms())
        else:
            self._failures = 0
            await self._outbox.sent(parcel.txn, event, self._clock.now_ms())
        finally:
            self._places.release()

    async def _content(self, parcel: Parcel) -> Content:
        """What is sent: an edit names the event it replaces; if that one never arrived, its text stands for itself."""
        if parcel.edits is None:
            return parcel.content
        first = await self._outbox.event_of(parcel.edits)
        return parcel.content if first is None else edit(parcel.content, first)

    async def _later(self, parcel: Parcel, seconds: float) -> None:
        until = self._clock.now_ms() + round(seconds * 1000)
        self._closed_until = max(self._closed_until, until)
        await self._outbox.postpone(parcel.txn, until)
