"""Events, written down before anything is done with them."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict

from aiagentchat.core.audit import AuditLine
from aiagentchat.core.deeds import Cause, deed_of
from aiagentchat.core.effects import Effect, EraseText, ForgetAnswer
from aiagentchat.core.files import FileKeys, MediaFile
from aiagentchat.core.heard import Echo, Heard
from aiagentchat.core.ids import CallerName, EventId, RoomId, TxnId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import kept, recalled
from aiagentchat.store import audit, echo, history
from aiagentchat.store import effects as ledger_effects
from aiagentchat.store.bell import Bells, EventBell, ringing, telling
from aiagentchat.store.database import Database, Row, Transaction, Values
from aiagentchat.store.queries import statements

ROOMS = 20
"""Rooms with a backlog that share what is offered at once …"""
LEAST_OF_A_ROOM = 5
"""… as long as each can have this much of it."""

EMPTY_EVERY_MS = 60_000
"""After an erasure SQLite's log is emptied at once, but not more often than that."""

_DATABASE = statements("database")
_INBOX = statements("inbox")
_ROOMS = statements("rooms")
_SYNC_TOKEN = statements("sync_token")


class SqliteInbox:
    """`core.ports.ledger.Inbox` on SQLite."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._bells = bells
        self._emptied_at = 0

    @property
    def bell(self) -> EventBell:
        """Rings when events were taken in."""
        return self._bells.inbox

    async def token(self) -> str | None:
        """The sync token up to which everything was taken in."""
        rows = await self._database.run(_SYNC_TOKEN["read"])
        return str(rows[0]["token"]) if rows else None

    async def take_in(
        self, token: str | None, events: Sequence[Incoming], now: int, heard: Sequence[Heard] = ()
    ) -> int:
        """Commit `events`, what was heard and the token together; how many events were new."""
        if not events and not heard:
            if token is not None:
                await self._database.run(_SYNC_TOKEN["keep"], token=token)
            return 0
        echoes = [each for each in heard if isinstance(each, Echo)]

        async def write(transaction: Transaction) -> int:
            new = await transaction.run_many(_INBOX["take_in"], [values_of(event, now) for event in events])
            await history.keep(transaction, heard, now)
            for each in echoes:
                await echo.arrived(transaction, each.txn, each.event, now)
            if token is not None:
                await transaction.run(_SYNC_TOKEN["keep"], token=token)
            return new

        rung = [self.bell, self._bells.outbox, self._bells.messages] if echoes else [self.bell]
        with ringing(*rung), telling(self._bells.history, rooms_of(heard)):
            return await self._database.transact(write)

    async def entered(self, rooms: Collection[RoomId]) -> None:
        """We are in these rooms."""
        with ringing(self._bells.commands, self._bells.outbox):
            await self._database.run(_ROOMS["entered"], rooms=json.dumps(sorted(rooms)))

    async def get(self, event: EventId) -> Incoming | None:
        """The event, settled or not."""
        rows = await self._database.run(_INBOX["get"], event=event)
        return incoming(rows[0]) if rows else None

    async def late(self, room: RoomId, taken_at: int) -> list[Incoming]:
        """The late events of the room that came in at that moment and are not settled, in order."""
        return [incoming(row) for row in await self._database.run(_INBOX["late"], room=room, taken_at=taken_at)]

    async def taken_at(self, event: EventId) -> int | None:
        """When the event was taken in."""
        rows = await self._database.run(_INBOX["get"], event=event)
        return int(rows[0]["taken_at"]) if rows else None

    async def files_waiting(self, room: RoomId, sender: UserId, since: int) -> int:
        """How many files of `sender` wait for their next command in `room`."""
        [row] = await self._database.run(_INBOX["files_waiting"], room=room, sender=sender, since=since)
        return int(row["count"])

    async def reactions(self, target: EventId, sender: UserId) -> list[str]:
        """What `sender` has put on that message and not taken back."""
        return [row["body"] for row in await self._database.run(_INBOX["reactions"], target=target, sender=sender)]

    async def unrouted(self, limit: int) -> list[Incoming]:
        """The oldest events of each room that nobody has settled."""
        rows = await self._database.run(_INBOX["unrouted"], limit=limit, each=max(LEAST_OF_A_ROOM, limit // ROOMS))
        return [incoming(row) for row in rows]

    async def settle(self, event: EventId, effects: Sequence[Effect], now: int) -> bool:
        """Apply `effects` and mark the event as routed, together."""

        async def write(transaction: Transaction) -> list[AuditLine] | None:
            routed = await transaction.run(_INBOX["mark_routed"], event=event, now=now)
            return await _apply(transaction, effects, _cause(routed[0]), now) if routed else None

        erases = any(isinstance(effect, EraseText | ForgetAnswer) for effect in effects)
        rooms = None if erases else ()
        with ringing(*ledger_effects.bells_for(effects, self._bells)), telling(self._bells.history, rooms):
            lines = await self._database.transact(write)
        if lines is None:
            return False
        audit.tell(lines)
        if erases:
            await self._empty_the_log(now)
        return True

    async def _empty_the_log(self, now: int) -> None:
        """What was erased leaves the index and SQLite's log, too: at once, or with the janitor's next round if that was
        just done."""
        if abs(now - self._emptied_at) >= EMPTY_EVERY_MS:
            self._emptied_at = now
            await history.forget_words(self._database)
            await self._database.run(_DATABASE["checkpoint"])


def rooms_of(heard: Iterable[Heard]) -> frozenset[RoomId]:
    """Of which rooms what is kept changes."""
    return frozenset(each.room for each in heard if not isinstance(each, Echo))


async def _apply(transaction: Transaction, effects: Sequence[Effect], cause: Cause, now: int) -> list[AuditLine]:
    """The effects, and what the audit says of them."""
    lines: list[AuditLine] = []
    for effect in effects:
        found = await ledger_effects.apply(transaction, effect, cause.sender, now)
        deed = None if found is None else deed_of(effect, cause, found)
        if deed is not None:
            lines += await audit.write(transaction, deed, now)
    return lines


def _cause(row: Row) -> Cause:
    return Cause(
        event=EventId(row["event_id"]),
        room=RoomId(row["room_id"]),
        sender=UserId(row["sender"]),
        kind=Kind(row["kind"]),
    )


def values_of(event: Incoming, now: int) -> Values:
    """What a statement needs to know of an event."""
    return {
        "event": event.event,
        "room": event.room,
        "sender": event.sender,
        "sent_at": event.sent_at,
        "kind": event.kind.value,
        "body": event.body,
        "target": event.target,
        "thread": event.thread,
        "mentions": json.dumps(sorted(event.mentions)),
        "late_ms": event.late_ms,
        "raw": event.raw,
        "file": None if event.file is None else json.dumps(asdict(event.file)),
        "encrypted": int(event.encrypted),
        "meta": kept(event.meta),
        "by_agent": int(event.by_agent),
        "caller": event.caller,
        "awaits": event.txn,
        "now": now,
    }


def incoming(row: Row) -> Incoming:
    """The event that a row of the inbox is."""
    return Incoming(
        event=EventId(row["event_id"]),
        room=RoomId(row["room_id"]),
        sender=UserId(row["sender"]),
        sent_at=row["sent_at"],
        kind=Kind(row["kind"]),
        body=row["body"],
        target=None if row["target"] is None else EventId(row["target"]),
        thread=None if row["thread"] is None else EventId(row["thread"]),
        mentions=frozenset(map(UserId, json.loads(row["mentions"]))),
        late_ms=row["late_ms"],
        raw=row["raw"],
        file=None if row["file"] is None else media_file(row["file"]),
        encrypted=bool(row["encrypted"]),
        meta=recalled(row["meta"]),
        by_agent=bool(row["by_agent"]),
        caller=None if row["caller"] is None else CallerName(row["caller"]),
        txn=None if row["awaits"] is None else TxnId(row["awaits"]),
    )


def media_file(text: str) -> MediaFile:
    """The file that a row tells of."""
    said = json.loads(text)
    keys = said.pop("keys")
    return MediaFile(**said, keys=None if keys is None else FileKeys(**keys))
