"""What the way to the homeserver does: cuts, delays, and answers that are not the homeserver's."""

import asyncio
from contextlib import suppress
from urllib.parse import unquote

from rig.faults.lane import Lane
from rig.faults.prompts import prompt
from rig.faults.proxy import Kind, anything, is_send, is_sync

MEET_WITHIN = 12.0
"""Seconds until a request must have come by: longer than an idle long poll."""
MATCHES = ((6, is_send), (3, is_sync), (1, anything))
"""What is struck, and how often: what puts something into a room most of all."""

TIMES = (1, 2, 2, 3)
"""How many requests in a row are struck: a single cut is often healed by the HTTP client itself."""
ONE_ROOM_TRIES = 14
OTHERS_WITHIN = 40.0
"""Seconds until the other room must have been answered: it may have a few longer turns before that."""


class Network:
    """Does one thing to one request of the daemon.

    Attacks R (an answer that was heard by the homeserver and is sent again), L (a sync whose answer never came), A.
    """

    group = "network"
    only_full = False

    def __init__(self, kind: Kind, planned: int) -> None:
        self.name = f"network: {kind}"
        self.planned = planned
        self._kind = kind

    async def strike(self, lane: Lane) -> bool:
        """Strike the next request."""
        await lane.serve()
        await lane.typist.until_busy()
        [match] = lane.random.choices([match for _, match in MATCHES], [weight for weight, _ in MATCHES])
        seconds, times = lane.random.uniform(0.2, 1.5), lane.random.choice(TIMES)
        strike = lane.proxy.arm(self._kind, match, seconds=seconds, times=times)
        with suppress(TimeoutError):
            async with asyncio.timeout(MEET_WITHIN):
                await strike.struck.wait()
        await asyncio.sleep(lane.random.uniform(0, 1.0))
        lane.proxy.disarm(strike)
        return strike.struck.is_set()

    def hindrance(self) -> str:
        """It can be done everywhere."""
        return ""


class OneRoomHeld:
    """Holds the answer to what the daemon puts into one room, and types into another one meanwhile.

    Attacks A: the other room is answered while the first one hangs.
    """

    name = "network: one room hangs"
    group = "network"
    planned = ONE_ROOM_TRIES
    only_full = False

    async def strike(self, lane: Lane) -> bool:
        """Hold one room until another one was answered."""
        await lane.serve()
        await lane.typist.until_busy()
        held, other = lane.random.sample(list(lane.rooms), 2)
        strike = lane.proxy.arm(Kind.HOLD, lambda request: is_send(request) and held in unquote(request.path))
        try:
            async with asyncio.timeout(MEET_WITHIN):
                await strike.struck.wait()
            name = await lane.typist.type(other, lambda name: prompt(name, 3))
            if not await lane.typist.until_ended(name, OTHERS_WITHIN):
                lane.complain("A", f"{name} was not answered in {OTHERS_WITHIN:g} s, while another room hung")
        except TimeoutError:
            return False
        finally:
            lane.proxy.disarm(strike)
        return True

    def hindrance(self) -> str:
        """It can be done everywhere."""
        return ""


def network(planned: int) -> list[Network | OneRoomHeld]:
    """Every kind, `planned` tries altogether."""
    kinds = [kind for kind in Kind if kind is not Kind.TOO_LARGE]  # no fault of a network
    share, over = divmod(planned - ONE_ROOM_TRIES, len(kinds))
    return [*(Network(kind, share + (number < over)) for number, kind in enumerate(kinds)), OneRoomHeld()]
