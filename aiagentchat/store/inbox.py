"""Events, written down before anything is done with them."""

import json
from collections.abc import Sequence

from aiagentchat.core.effects import Effect
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.store import effects as ledger_effects
from aiagentchat.store.bell import Bells, EventBell, ringing
from aiagentchat.store.database import Database, Row, Values
from aiagentchat.store.queries import statements

_INBOX = statements("inbox")
_SYNC_TOKEN = statements("sync_token")


class SqliteInbox:
    """`core.ports.Inbox` on SQLite."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._bells = bells

    @property
    def bell(self) -> EventBell:
        """Rings when events were taken in."""
        return self._bells.inbox

    async def token(self) -> str | None:
        """The sync token up to which everything was taken in."""
        rows = await self._database.run(_SYNC_TOKEN["read"])
        return str(rows[0]["token"]) if rows else None

    async def take_in(self, token: str, events: Sequence[Incoming], now: int) -> int:
        """Commit `events` and the token together; how many were new."""
        if not events:
            await self._database.run(_SYNC_TOKEN["keep"], token=token)
            return 0
        with ringing(self.bell):
            async with self._database.transaction() as transaction:
                new = await transaction.run_many(_INBOX["take_in"], [_values(event, now) for event in events])
                await transaction.run(_SYNC_TOKEN["keep"], token=token)
                return new

    async def unrouted(self, limit: int) -> list[Incoming]:
        """The oldest events that nobody has settled."""
        return [_incoming(row) for row in await self._database.run(_INBOX["unrouted"], limit=limit)]

    async def settle(self, event: EventId, effects: Sequence[Effect], now: int) -> bool:
        """Apply `effects` and mark the event as routed, together."""
        with ringing(*ledger_effects.bells_for(effects, self._bells)):
            async with self._database.transaction() as transaction:
                if not await transaction.run(_INBOX["mark_routed"], event=event, now=now):
                    return False
                for effect in effects:
                    await ledger_effects.apply(transaction, effect, now)
                return True


def _values(event: Incoming, now: int) -> Values:
    return {
        "event": event.event,
        "room": event.room,
        "sender": event.sender,
        "sent_at": event.sent_at,
        "kind": event.kind.value,
        "body": event.body,
        "target": event.target,
        "mentions": json.dumps(sorted(event.mentions)),
        "now": now,
    }


def _incoming(row: Row) -> Incoming:
    return Incoming(
        event=EventId(row["event_id"]),
        room=RoomId(row["room_id"]),
        sender=UserId(row["sender"]),
        sent_at=row["sent_at"],
        kind=Kind(row["kind"]),
        body=row["body"],
        target=None if row["target"] is None else EventId(row["target"]),
        mentions=frozenset(map(UserId, json.loads(row["mentions"]))),
    )
