"""What only whoever watches the daemon wants to know: read when somebody scrapes, so that it survives a restart."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiagentchat.core.audit import HOUR_MS
from aiagentchat.core.ids import RoomId
from aiagentchat.store.database import Database
from aiagentchat.store.queries import statements

_NUMBERS = statements("numbers")


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits in a room."""

    count: int
    since: int
    """When the oldest was accepted; milliseconds, as all moments here."""


@dataclass(frozen=True, slots=True)
class Counted:
    """At one moment."""

    queues: Mapping[RoomId, Queue]
    oldest_parcel: int | None
    """When it was put into the outbox; None while none waits."""
    interrupted: Mapping[RoomId, int]
    """When a turn was last cut short."""
    refused: Mapping[str, int]
    """Attempts of the last hour, by what was tried."""
    sealed: int
    """Messages of the last day whose key has not come. Of older ones nobody need be told any more."""


class Numbers:
    """Of one ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def counted(self, now: int) -> Counted:
        """All of it, at `now`."""
        run = self._database.run
        queues = await run(_NUMBERS["queues"])
        [oldest] = await run(_NUMBERS["oldest_parcel"])
        interrupted = await run(_NUMBERS["interrupted"])
        [sealed] = await run(_NUMBERS["sealed"], since=now - 24 * HOUR_MS)
        refused = await run(_NUMBERS["refused"], since=now - HOUR_MS, hour=now // HOUR_MS)
        return Counted(
            queues={RoomId(row["room_id"]): Queue(row["count"], row["since"]) for row in queues},
            oldest_parcel=oldest["since"],
            interrupted={RoomId(row["room_id"]): row["at"] for row in interrupted},
            refused={str(row["kind"]): row["count"] for row in refused},
            sealed=sealed["count"],
        )
