"""Messages that we have accepted to send, and what became of them."""

from collections.abc import Mapping, Sequence

from aiagentchat.core.effects import OpenTask
from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import Message, MessageState
from aiagentchat.core.ids import CallerName, EventId, MessageId, RoomId
from aiagentchat.core.messages import Incoming, Receipt
from aiagentchat.core.meta import kept
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.tasks import Task
from aiagentchat.store import task_moves
from aiagentchat.store.answers import close, first, hear, message_of
from aiagentchat.store.bell import Bells, EventBell, ringing
from aiagentchat.store.database import Database, Row, Transaction
from aiagentchat.store.inbox import values_of
from aiagentchat.store.outbox import put_parcels
from aiagentchat.store.queries import statements

_INBOX = statements("inbox")
_MESSAGES = statements("messages")


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
        task: Task | None = None,
        key: str | None = None,
        digest: str = "",
    ) -> Message:
        """Write down the message, its parcel, what it begins here and the task that it gives, together, or nothing."""

        async def write(transaction: Transaction) -> Message:
            if key is not None:
                rows = await transaction.run(_MESSAGES["by_key"], caller=message.caller, key=key)
                if rows:
                    return _the_same(rows[0], digest)
            await accept(transaction, message, parcel, waits=waits, key=key, digest=digest)
            if task is not None:
                await task_moves.change(transaction, OpenTask(task), message.accepted_at)
            return message

        with ringing(self._bells.outbox, self.bell, self._bells.tasks):
            return await self._database.transact(write)

    async def get(self, message: MessageId) -> Message | None:
        """The message, as it stands."""
        return first(await self._database.run(_MESSAGES["get"], id=message))

    async def by_key(self, caller: CallerName, key: str) -> Message | None:
        """What the caller has sent with this key."""
        return first(await self._database.run(_MESSAGES["by_key"], caller=caller, key=key))

    async def by_event(self, event: EventId) -> Message | None:
        """The message that has become this event."""
        return first(await self._database.run(_MESSAGES["by_event"], event=event))

    async def open(self, room: RoomId | None = None) -> list[Message]:
        """Those that are not over, the oldest first."""
        return [message_of(row) for row in await self._database.run(_MESSAGES["open"], room=room)]

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


def _the_same(row: Row, digest: str) -> Message:
    if row["digest"] != digest:
        raise ExchangeRefused("conflict", "This key was used for another message.")
    return message_of(row)
