"""Rooms that burden the whole machine, turn after turn: they wait a little, and each time longer.

One turn that runs into its limits is an accident. Many in a row, each ended and begun again, would take from the other
rooms what the limits are there to leave them.
"""

from dataclasses import dataclass, replace

from aiagentchat.core.ids import RoomId
from aiagentchat.core.ports.clock import Clock

FIRST_SECONDS = 5.0
"""After the second turn in a row; after each further one twice as long."""
MOST_SECONDS = 60.0
FORGOTTEN_SECONDS = 600.0
"""What was so long ago is no row any more."""
BURDENS = frozenset({"processes", "memory", "output"})
"""The limits (fields of `RunLimits`) that are reached at the cost of others."""


@dataclass(frozen=True, slots=True)
class _Row:
    turns: int
    ended: float
    """When the last of them did, as is `until` in monotonic seconds."""
    until: float


class Rests:
    """One for the whole daemon."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[RoomId, _Row] = {}

    def note(self, room: RoomId, limit: str) -> float:
        """A turn has ended: by this limit, if any. How many seconds the room's next one waits for it."""
        now = self._clock.monotonic()
        row = self._rows.pop(room, None)
        if limit not in BURDENS:
            return 0.0
        turns = 1 if row is None or now - row.ended > FORGOTTEN_SECONDS else row.turns + 1
        rest = min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(turns - 2, 10)) if turns > 1 else 0.0
        self._rows[room] = _Row(turns, now, now + rest)
        return rest

    def hold(self, room: RoomId, seconds: float) -> None:
        """The room's next turn waits so long, for another reason than its turns before."""
        now = self._clock.monotonic()
        row = self._rows.get(room, _Row(0, now, now))
        self._rows[room] = replace(row, until=max(row.until, now + seconds))

    def left(self, room: RoomId) -> float:
        """Seconds until the room's next turn may begin."""
        row = self._rows.get(room)
        return 0.0 if row is None else max(0.0, row.until - self._clock.monotonic())
