"""Messages that we have accepted to send, and what became of them."""

from collections.abc import Mapping, Sequence

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import MOST_ANSWER, MOST_PARTS, Message, MessageState
from aiagentchat.core.ids import CallerName, EventId, MessageId, RoomId
from aiagentchat.core.messages import Incoming, Kind, Receipt
from aiagentchat.core.meta import Meta, MetaKind, kept, recalled, unprefixed
from aiagentchat.core.parcels import Parcel
from aiagentchat.store.bell import Bells, EventBell, ringing
from aiagentchat.store.database import Database, Row, Transaction
from aiagentchat.store.inbox import values_of
from aiagentchat.store.outbox import put_parcels
from aiagentchat.store.queries import statements

CUT = " […]"
"""The end of an answer that is longer than we keep; the room has all of it."""

_INBOX = statements("inbox")
_MESSAGES = statements("messages")

_ENDINGS = {MetaKind.REFUSED: MessageState.REFUSED, MetaKind.EXPIRED: MessageState.EXPIRED}


class SqliteMessages:
    """`core.ports.messages.Messages` on SQLite."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._bells = bells

    @property
    def bell(self) -> EventBell:
        """Rings when the state of a message has changed."""
        return self._bells.messages

    async def accept(
        self,
        message: Message,
        parcel: Parcel,
        *,
        waits: Incoming | None = None,
        key: str | None = None,
        digest: str = "",
    ) -> Message:
        """Write down the message, its parcel and what it begins here, together, or nothing of it."""

        async def write(transaction: Transaction) -> Message:
            if key is not None:
                rows = await transaction.run(_MESSAGES["by_key"], caller=message.caller, key=key)
                if rows:
                    return _the_same(rows[0], digest)
            await accept(transaction, message, parcel, waits=waits, key=key, digest=digest)
            return message

        with ringing(self._bells.outbox, self.bell):
            return await self._database.transact(write)

    async def get(self, message: MessageId) -> Message | None:
        """The message, as it stands."""
        return _first(await self._database.run(_MESSAGES["get"], id=message))

    async def by_key(self, caller: CallerName, key: str) -> Message | None:
        """What the caller has sent with this key."""
        return _first(await self._database.run(_MESSAGES["by_key"], caller=caller, key=key))

    async def by_event(self, event: EventId) -> Message | None:
        """The message that has become this event."""
        return _first(await self._database.run(_MESSAGES["by_event"], event=event))

    async def open(self, room: RoomId | None = None) -> list[Message]:
        """Those that are not over, the oldest first."""
        return [_message(row) for row in await self._database.run(_MESSAGES["open"], room=room)]

    async def open_of(self, caller: CallerName, room: RoomId) -> tuple[int, int]:
        """How many of those are this caller's: in the room, and in all rooms."""
        [row] = await self._database.run(_MESSAGES["open_of"], caller=caller, room=room)
        return int(row["in_room"]), int(row["everywhere"])

    async def counts(self) -> Mapping[MessageState, int]:
        """How many messages there are in each state."""
        return {MessageState(row["state"]): row["count"] for row in await self._database.run(_MESSAGES["counts"])}

    async def received(self, receipts: Sequence[Receipt], now: int) -> list[MessageId]:
        """Somebody has come so far."""

        async def write(transaction: Transaction) -> list[MessageId]:
            return [changed for receipt in receipts for changed in await receive(transaction, receipt, now)]

        if not receipts:
            return []
        with ringing(self.bell):
            return await self._database.transact(write)

    async def heard(self, said: Incoming, now: int) -> Message | None:
        """Something that the other side has said."""
        with ringing(self.bell):
            return await self._database.transact(lambda transaction: hear(transaction, said, now))

    async def close(self, message: MessageId, state: MessageState, why: str, now: int) -> bool:
        """End it as refused or expired, because of us."""

        async def write(transaction: Transaction) -> bool:
            return await close(transaction, message, state, why, now) is not None

        with ringing(self.bell, self._bells.outbox):
            return await self._database.transact(write)


async def accept(
    transaction: Transaction,
    message: Message,
    parcel: Parcel,
    *,
    waits: Incoming | None = None,
    key: str | None = None,
    digest: str = "",
) -> None:
    """Write down a message, its parcel and what it begins here. Whoever commits rings the bells."""
    now, to = message.accepted_at, message.meta.to
    await transaction.run(
        _MESSAGES["accept"],
        id=message.id,
        room=message.room,
        caller=message.caller,
        key=key,
        digest=digest,
        kind=message.meta.kind.value,
        body=message.body,
        meta=kept(message.meta),
        to_user=None if to is None else to.user,
        txn=parcel.txn,
        expires_at=message.meta.expires_at,
        now=now,
    )
    await put_parcels(transaction, [parcel], now)
    if waits is not None:
        await transaction.run_many(_INBOX["take_in"], [values_of(waits, now)])


async def receive(transaction: Transaction, receipt: Receipt, now: int) -> list[MessageId]:
    """What one receipt changes."""
    rows = await transaction.run(
        _MESSAGES["received"],
        room=receipt.room,
        event=receipt.event,
        user=receipt.user,
        thread=receipt.thread,
        state=receipt.says.value,
        now=now,
    )
    return [MessageId(row["id"]) for row in rows]


async def hear(transaction: Transaction, said: Incoming, now: int) -> Message | None:
    """What one thing that was said changes; the message if its state has changed."""
    message = await _answered(transaction, said)
    to = None if message is None else message.meta.to
    if message is None or message.ended_at is not None or message.room != said.room:
        return None
    if to is None or to.user != said.sender:
        return None
    meta = said.meta if isinstance(said.meta, Meta) else None
    event = said.target if said.kind is Kind.EDIT and said.target is not None else said.event
    if meta is not None and meta.kind in _ENDINGS:
        why = unprefixed(meta.kind, said.body)
        return await close(transaction, message.id, _ENDINGS[meta.kind], why, now, event=event)
    part, last = (0, True) if meta is None else (meta.part, meta.last)
    await transaction.run(
        _MESSAGES["keep_part"],
        message=message.id,
        part=part,
        event=event,
        body=unprefixed(MetaKind.ANSWER, said.body),
        said_at=said.sent_at,
        last=int(last),
        # There is always a place for the end.
        most=MOST_PARTS + int(last),
    )
    return await _whole(transaction, message.id, now)


async def close(
    transaction: Transaction,
    message: MessageId,
    state: MessageState,
    why: str,
    now: int,
    *,
    event: EventId | None = None,
) -> Message | None:
    """End it as refused or expired; the message if it was not over."""
    rows = await transaction.run(_MESSAGES["close"], id=message, state=state.value, why=why, event=event, now=now)
    if not rows:
        return None
    txn = rows[0]["txn_id"]
    await transaction.run(_MESSAGES["withdraw"], txn=txn, why=state.value, now=now)
    await transaction.run(_MESSAGES["settle_withdrawn"], txn=txn, now=now)
    await transaction.run(_MESSAGES["forget_parts"], message=message)
    return _message(rows[0])


async def _answered(transaction: Transaction, said: Incoming) -> Message | None:
    """The message of ours that it may be an answer to."""
    if isinstance(said.meta, Meta):
        ends = said.meta.kind is MetaKind.ANSWER or said.meta.kind in _ENDINGS
        if not ends or said.meta.in_reply_to is None:
            return None
        return _first(await transaction.run(_MESSAGES["get"], id=said.meta.in_reply_to))
    if said.by_agent or said.kind is not Kind.TEXT or said.target is None:
        return None
    return _first(await transaction.run(_MESSAGES["by_event"], event=said.target))


async def _whole(transaction: Transaction, message: MessageId, now: int) -> Message | None:
    """The message with its answer, if that is there to its end."""
    parts = await transaction.run(_MESSAGES["parts"], message=message)
    ends = [row for row in parts if row["last"]]
    if not ends:
        return None
    answer = "\n\n".join(row["body"] for row in parts if row["body"])
    if len(answer) > MOST_ANSWER:
        answer = answer[: MOST_ANSWER - len(CUT)] + CUT
    rows = await transaction.run(_MESSAGES["answer"], id=message, answer=answer, event=ends[-1]["event_id"], now=now)
    await transaction.run(_MESSAGES["forget_parts"], message=message)
    return _first(rows)


def _the_same(row: Row, digest: str) -> Message:
    if row["digest"] != digest:
        raise ExchangeRefused("conflict", "This key was used for another message.")
    return _message(row)


def _first(rows: Sequence[Row]) -> Message | None:
    return _message(rows[0]) if rows else None


def _message(row: Row) -> Message:
    meta = recalled(row["meta"])
    assert isinstance(meta, Meta)
    return Message(
        meta=meta,
        room=RoomId(row["room_id"]),
        caller=CallerName(row["caller"]),
        body=row["body"],
        state=MessageState(row["state"]),
        why=row["why"],
        event=None if row["event_id"] is None else EventId(row["event_id"]),
        answer=row["answer"],
        answer_event=None if row["answer_event"] is None else EventId(row["answer_event"]),
        accepted_at=row["accepted_at"],
        sent_at=row["sent_at"],
        delivered_at=row["delivered_at"],
        read_at=row["read_at"],
        ended_at=row["ended_at"],
    )
