"""What came encrypted and waits in the inbox for its key."""

from collections.abc import Sequence

from aiagentchat.core.audit import AuditLine, Deed
from aiagentchat.core.heard import Heard
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import Incoming
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.seals import Untold, Waiting
from aiagentchat.store import audit, history
from aiagentchat.store.bell import Bells, ringing, telling
from aiagentchat.store.database import Database, Row, Transaction
from aiagentchat.store.inbox import incoming, rooms_of, values_of
from aiagentchat.store.outbox import put_parcels
from aiagentchat.store.queries import statements

_SEALS = statements("seals")


class SqliteSeals:
    """`core.ports.ledger.Seals` on SQLite."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._bells = bells

    async def waiting(self, after: int, limit: int) -> list[Waiting]:
        """Sealed events behind that place, in the order of arrival."""
        rows = await self._database.run(_SEALS["waiting"], after=after, limit=limit)
        return [Waiting(incoming(row), row["position"]) for row in rows]

    async def opened(self, events: Sequence[Incoming], now: int, heard: Sequence[Heard] = ()) -> int:
        """These are what was sealed; how many still were."""

        async def write(transaction: Transaction) -> int:
            found = [await transaction.run(_SEALS["opened"], **values_of(event, now)) for event in events]
            return await _keep(transaction, found, heard, now)

        with ringing(self._bells.inbox), telling(self._bells.history, rooms_of(heard)):
            return await self._database.transact(write)

    async def settle(
        self, events: Sequence[EventId], parcels: Sequence[Parcel], now: int, heard: Sequence[Heard] = ()
    ) -> None:
        """They are of no use; the room is told, if that was not known before."""

        async def write(transaction: Transaction) -> None:
            settled = [await transaction.run(_SEALS["settled"], event=event, now=now) for event in events]
            if await _keep(transaction, settled, heard, now):
                await put_parcels(transaction, parcels, now)

        with ringing(self._bells.outbox), telling(self._bells.history, rooms_of(heard)):
            await self._database.transact(write)

    async def untold(self) -> list[Untold]:
        """Of which sessions the rooms were not told."""
        return [
            Untold(
                room=RoomId(row["room_id"]),
                sender=UserId(row["sender"]),
                session=row["session_id"],
                count=row["count"],
                since=row["since"],
            )
            for row in await self._database.run(_SEALS["untold"])
        ]

    async def tell(
        self, told: Sequence[Untold], parcels: Sequence[Parcel], now: int, deeds: Sequence[Deed] = ()
    ) -> None:
        """The room is told of these, and the audit."""

        async def write(transaction: Transaction) -> list[AuditLine]:
            fresh = [
                await transaction.run(
                    _SEALS["mark_told"], room=each.room, sender=each.sender, session=each.session, now=now
                )
                for each in told
            ]
            if not any(fresh):
                return []
            await put_parcels(transaction, parcels, now)
            return [line for deed in deeds for line in await audit.write(transaction, deed, now)]

        with ringing(self._bells.outbox):
            lines = await self._database.transact(write)
        audit.tell(lines)

    async def count(self) -> int:
        """How many events are sealed."""
        [row] = await self._database.run(_SEALS["count"])
        return int(row["count"])

    async def give_up(self, before: int, most: int, now: int) -> int:
        """Settle what nobody will open; how many."""
        rows = await self._database.run(_SEALS["give_up"], before=before, most=most, now=now)
        await self._database.run(_SEALS["forget_told"], before=before)
        return len(rows)


async def _keep(transaction: Transaction, found: Sequence[list[Row]], heard: Sequence[Heard], now: int) -> int:
    """Keep what was heard of the rows that were found, and not taken back meanwhile; how many were found."""
    rows = [row for rows in found for row in rows]
    sealed = {row["event_id"] for row in rows if row["was_there"]}
    await history.keep(transaction, [each for each in heard if each.event in sealed], now)
    return len(rows)
