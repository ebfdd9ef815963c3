"""Whether anybody is at the other end, and who got through meanwhile. Pure, but for the count that it keeps."""

import math
from dataclasses import dataclass

from aiagentchat.core.backoff import delay
from aiagentchat.core.ids import TxnId
from aiagentchat.core.ports.clock import Random

PROBE_SECONDS = 5.0
"""How long one parcel is waited for that finds out whether anybody answers."""
MOST_REMEMBERED = 1_000
"""Parcels of whose failures we know what passed since."""


@dataclass(frozen=True, slots=True)
class Trip:
    """One parcel on its way."""

    passed: int
    """How many had passed when it left."""
    is_probe: bool
    """Whether it is to find out if anybody answers again."""
    began: float
    """Monotonic seconds."""


class Line:
    """The line to the homeserver. Time is told in monotonic seconds."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0
        """In a row, of requests to which nobody answered."""
        self._closed_until = -math.inf
        self._probes: list[float] = []
        """When those began that are on their way."""
        self._passed = 0
        self._failed_at: dict[TxnId, int] = {}
        """How many had passed when a parcel failed last."""

    def closed_for(self, now: float) -> float:
        """Seconds. While one parcel finds out for all whether anybody answers again, the others wait for it a while.

        Not for ever: it may be its room that does not answer, and not the homeserver.
        """
        probing = self._probes[-1] + PROBE_SECONDS if self._failures and self._probes else -math.inf
        return max(0.0, probing - now, self._closed_until - now)

    def begin(self, now: float) -> Trip:
        """A parcel is on its way."""
        trip = Trip(self._passed, is_probe=self._failures > 0, began=now)
        if trip.is_probe:
            self._probes.append(now)
        return trip

    def end(self, trip: Trip) -> None:
        """It is not any more, however it went."""
        if trip.is_probe:
            self._probes.remove(trip.began)

    def answered(self) -> None:
        """Somebody is there."""
        self._failures, self._closed_until = 0, -math.inf

    def passed(self, txn: TxnId) -> None:
        """It has arrived."""
        self.answered()
        self._passed += 1
        self._failed_at.pop(txn, None)

    def failed(self, txn: TxnId, trip: Trip) -> bool:
        """It has not. Returns whether others have, since it failed before or, the first time, since it left."""
        others = self._passed > self._failed_at.pop(txn, trip.passed)
        self._failed_at[txn] = self._passed
        if len(self._failed_at) > MOST_REMEMBERED:
            del self._failed_at[next(iter(self._failed_at))]
        return others

    def close(self, now: float) -> float:
        """Nobody answers. Returns for how many seconds nothing is sent."""
        self._failures += 1
        wait = delay(self._failures, self._random)
        self._closed_until = max(self._closed_until, now + wait)
        return wait
