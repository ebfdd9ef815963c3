"""Parcels on their way into the rooms.

What becomes of edits:

- One whose message waits and was never offered goes into the message itself.
- Otherwise it waits behind its message, in the place of any older edit that still waits.
- One whose message was given up is offered all the same: there is no event to edit, so the sender asks `event_of`,
  gets None, and sends the content as a plain message, which is better than silence. The next edits edit that one.
"""

import json
from collections.abc import Sequence

from aiagentchat.core.ids import ApprovalId, EventId, RoomId, TxnId
from aiagentchat.core.parcels import Attachment, Attempt, Parcel, Urgency
from aiagentchat.store import echo
from aiagentchat.store.bell import Bells, EventBell, ringing
from aiagentchat.store.database import Database, Row, Transaction
from aiagentchat.store.queries import statements

LONGEST_MS = 60_000
"""Nothing is postponed for longer; a time beyond that comes from a clock that was turned back since."""

_OUTBOX = statements("outbox")


class SqliteOutbox:
    """`core.ports.ledger.Outbox` on SQLite."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._bells = bells

    @property
    def bell(self) -> EventBell:
        """Rings when a parcel was put, and when one made way for the next of its room."""
        return self._bells.outbox

    async def put(self, parcels: Sequence[Parcel], now: int) -> None:
        """Write parcels down, all of them or none. A known txn changes nothing."""

        async def write(transaction: Transaction) -> None:
            await put_parcels(transaction, parcels, now)

        with ringing(self.bell):
            await self._database.transact(write)

    async def claim(self, now: int, *, device: str, least: Urgency = Urgency.SPARE) -> Attempt | None:
        """The next parcel that may be sent now, if there is one."""
        rows = await self._database.run(_OUTBOX["claim"], now=now, device=device, least=least, longest=LONGEST_MS)
        return _attempt(rows[0]) if rows else None

    async def attachment(self, txn: TxnId) -> Attachment | None:
        """The file that goes with a parcel that is not sent yet."""
        rows = await self._database.run(_OUTBOX["attachment"], txn=txn)
        return Attachment(rows[0]["data"], rows[0]["thumbnail"]) if rows else None

    async def attached(self, room: RoomId) -> int:
        """How many bytes of files wait for a room."""
        [row] = await self._database.run(_OUTBOX["attached"], room=room)
        return int(row["bytes"])

    async def owed(self) -> int:
        """How many rooms have something NEEDED that is not sent."""
        [row] = await self._database.run(_OUTBOX["owed"], needed=Urgency.NEEDED)
        return int(row["count"])

    async def next_due(self) -> int | None:
        """When the earliest postponed parcel may be sent; one that is behind another does not count."""
        [row] = await self._database.run(_OUTBOX["next_due"])
        return None if row["due"] is None else int(row["due"])

    async def sent(self, txn: TxnId, event: EventId, now: int) -> None:
        """It is in the room, as `event`."""
        with ringing(self.bell, self._bells.inbox, self._bells.messages):
            await self._database.transact(lambda transaction: echo.arrived(transaction, txn, event, now))

    async def postpone(
        self, txn: TxnId, until: int, *, faults: int | None = None, variant: int | None = None, untaken: bool = False
    ) -> None:
        """Offer it again at `until`; a newer edit that waits takes the place of this one, not before `until`.

        Longer than LONGEST_MS it does not wait, whatever `until` says.
        """

        async def write(transaction: Transaction) -> None:
            rows = await transaction.run(
                _OUTBOX["postpone"], txn=txn, until=until, faults=faults, variant=variant, untaken=untaken
            )
            if rows and rows[0]["edits"] is not None:
                await transaction.run(_OUTBOX["merge_edits"], message=rows[0]["edits"])
            elif untaken:
                await transaction.run(_OUTBOX["fold_waiting"], message=txn)
                await transaction.run(_OUTBOX["merge_edits"], message=txn)

        with ringing(self.bell):
            await self._database.transact(write)

    async def give_up(self, txn: TxnId, why: str, now: int) -> None:
        """It will never be sent."""
        with ringing(self.bell, self._bells.messages):
            await self._database.transact(lambda transaction: echo.given_up(transaction, txn, why, now))

    async def event_of(self, txn: TxnId) -> EventId | None:
        """The event that a sent parcel became."""
        rows = await self._database.run(_OUTBOX["event_of"], txn=txn)
        return EventId(rows[0]["event_id"]) if rows and rows[0]["event_id"] is not None else None

    async def parcel_of(self, event: EventId) -> Parcel | None:
        """The parcel that became this event."""
        rows = await self._database.run(_OUTBOX["parcel_of"], event=event)
        return _parcel(rows[0]) if rows else None

    async def shown_at(self, approval: ApprovalId) -> int | None:
        """When the message that asks this question was in the room."""
        rows = await self._database.run(_OUTBOX["shown_at"], approval=approval)
        return int(rows[0]["ended_at"]) if rows else None

    async def release_claims(self) -> None:
        """Offer again what an earlier life claimed and did not finish."""
        with ringing(self.bell):
            await self._database.run(_OUTBOX["release_claims"])

    async def sent_since(self, moment: int) -> int:
        """How many parcels were sent since then."""
        [row] = await self._database.run(_OUTBOX["sent_since"], moment=moment)
        return int(row["count"])

    async def unsent(self) -> int:
        """How many parcels wait or are on their way."""
        [row] = await self._database.run(_OUTBOX["unsent"])
        return int(row["count"])


async def put_parcels(transaction: Transaction, parcels: Sequence[Parcel], now: int) -> None:
    """Write parcels down in the order given. Whoever commits rings the outbox's bell."""
    for parcel in parcels:
        content = json.dumps(parcel.content)
        put = await transaction.run(
            _OUTBOX["put"],
            txn=parcel.txn,
            room=parcel.room,
            type=parcel.type,
            content=content,
            edits=parcel.edits,
            command=parcel.command,
            approval=parcel.approval,
            urgency=parcel.urgency,
            thread=parcel.thread,
            attached=parcel.attachment is not None,
            now=now,
        )
        if put and parcel.attachment is not None:
            file = parcel.attachment
            await transaction.run(_OUTBOX["attach"], txn=parcel.txn, data=file.data, thumbnail=file.thumbnail)
        if put and parcel.edits is not None:
            await transaction.run(_OUTBOX["fold_edit"], message=parcel.edits, content=content, urgency=parcel.urgency)
            await transaction.run(_OUTBOX["merge_edits"], message=parcel.edits)


def _parcel(row: Row) -> Parcel:
    return Parcel(
        txn=TxnId(row["txn_id"]),
        room=RoomId(row["room_id"]),
        type=row["type"],
        content=json.loads(row["content"]),
        edits=None if row["edits"] is None else TxnId(row["edits"]),
        command=None if row["command"] is None else EventId(row["command"]),
        approval=None if row["approval"] is None else ApprovalId(row["approval"]),
        urgency=Urgency(row["urgency"]),
        thread=None if row["thread"] is None else EventId(row["thread"]),
    )


def _attempt(row: Row) -> Attempt:
    return Attempt(
        parcel=_parcel(row),
        tried_at=row["tried_at"],
        tried_as=row["tried_as"],
        faults=row["faults"],
        variant=row["variant"],
        attached=bool(row["attached"]),
    )
