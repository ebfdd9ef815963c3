"""How many parcels are on their way at once. Whoever takes long makes place for another: one room that does not answer
must not hold up those that would."""

import asyncio

from aiagentchat.core.ports.clock import Clock

MAX_IN_FLIGHT = 4
"""Rooms that are written to at the same time; a homeserver works through one account's events one by one anyway."""
SLOW_SECONDS = 3.0
"""After so long on its way a parcel does not count any more …"""
MAX_SLOW = 60
"""… unless so many do not already."""


class Places:
    """The places, and who has one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._free = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._slow = 0

    async def take(self) -> None:
        """Wait for a place."""
        await self._free.acquire()

    async def lend(self, place: "Place") -> None:
        """Give the place to others when whoever has it takes long. To be cancelled when it is given back."""
        await self._clock.sleep(SLOW_SECONDS)
        if self._slow < MAX_SLOW:
            self._slow += 1
            place.is_lent = True
            self._free.release()

    def give_back(self, place: "Place") -> None:
        """Whoever had it has arrived."""
        if place.is_lent:
            self._slow -= 1
        else:
            self._free.release()


class Place:
    """One of them."""

    def __init__(self) -> None:
        self.is_lent = False
