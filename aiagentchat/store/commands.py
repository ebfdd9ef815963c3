"""Commands and their states."""

import json
from collections.abc import Sequence

from aiagentchat.core.approvals import Approval
from aiagentchat.core.audit import AuditKind, AuditLine, Deed
from aiagentchat.core.commands import LATER, MOST_HELD_MS, Command, CommandState, RepliedTo, TurnRecord
from aiagentchat.core.files import MediaFile
from aiagentchat.core.ids import CallerName, EventId, RoomId, SessionId, UserId
from aiagentchat.core.meta import Meta, recalled
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.tasks import TaskState
from aiagentchat.store import audit, task_moves
from aiagentchat.store.approvals import put_approval
from aiagentchat.store.bell import Bells, EventBell, ringing
from aiagentchat.store.database import Database, Row, Transaction
from aiagentchat.store.inbox import media_file
from aiagentchat.store.outbox import put_parcels
from aiagentchat.store.queries import statements

_UNBEGUN = {"expired": TaskState.EXPIRED}
"""What a task comes to whose command was turned away because of this; else it is refused."""

_APPROVALS = statements("approvals")
_COMMANDS = statements("commands")
_INBOX = statements("inbox")
_OUTBOX = statements("outbox")
_SPENDING = statements("spending")


class SqliteCommands:
    """`core.ports.ledger.Commands` on SQLite. The statements ask for the state that each move starts from."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._bells = bells

    @property
    def bell(self) -> EventBell:
        """Rings when a command was queued, ended, asked to stop or given time, and when an approval was decided."""
        return self._bells.commands

    async def get(self, event: EventId) -> Command | None:
        """The command with this id, or that this message was joined to."""
        rows = await self._database.run(_COMMANDS["get"], event=event)
        return _command(rows[0]) if rows else None

    async def parts(self, command: EventId) -> dict[EventId, str]:
        """The messages that were joined to it, with its own, as far as something is left of them; empty without any."""
        rows = await self._database.run(_COMMANDS["parts"], command=command)
        return {EventId(row["event_id"]): row["text"] for row in rows}

    async def rooms_with_work(self, now: int = LATER) -> list[RoomId]:
        """Rooms with a queued command that is not held at that moment, the longest waiting first."""
        rows = await self._database.run(_COMMANDS["rooms_with_work"], now=now, most_held=MOST_HELD_MS)
        return [RoomId(row["room_id"]) for row in rows]

    async def next_queued(self, room: RoomId, now: int = LATER) -> Command | None:
        """The oldest queued command of the room that is not held at that moment; what is urgent first."""
        rows = await self._database.run(_COMMANDS["next_queued"], room=room, now=now, most_held=MOST_HELD_MS)
        return _command(rows[0]) if rows else None

    async def next_held(self, now: int) -> int | None:
        """When (milliseconds) the first command that is held at that moment may begin."""
        [row] = await self._database.run(_COMMANDS["next_held"], now=now)
        return None if row["due"] is None else int(row["due"])

    async def urgent(self, room: RoomId) -> list[Command]:
        """The queued commands of the room that a running turn may be given, in order."""
        return [_command(row) for row in await self._database.run(_COMMANDS["urgent"], room=room)]

    async def give(self, event: EventId, host: EventId, now: int) -> bool:
        """queued → running, in the turn of `host`. False also when that does not run, or is to end."""
        return bool(await self._database.run(_COMMANDS["give"], event=event, host=host, now=now))

    async def retryable(self, room: RoomId, most: int) -> list[Command]:
        """The room's last commands that came to no good end and were not taken up again, the newest first."""
        return [_command(row) for row in await self._database.run(_COMMANDS["retryable"], room=room, most=most)]

    async def last_answered(self, room: RoomId) -> Command | None:
        """The room's last command that has ended and whose answer is in the room, not deleted by us."""
        rows = await self._database.run(_COMMANDS["last_answered"], room=room)
        return _command(rows[0]) if rows else None

    async def replied_to(self, command: Command) -> RepliedTo | None:
        """What the command is a reply to, if that is known; None also for what its conversation has said last."""
        asked = {"about": command.about, "room": command.room}
        ours = await self._database.run(
            _COMMANDS["replied_to_ours"], **asked, session=command.session, command=command.event
        )
        if any(row["is_last"] for row in ours):
            return None
        for row in ours:
            text = "" if row["content"] is None else json.loads(row["content"]).get("body", "")
            if text:
                return RepliedTo(text=text, of_agent=bool(row["of_agent"]))
        for statement in (_COMMANDS["replied_to_typed"], _COMMANDS["replied_to_heard"]):
            for row in await self._database.run(statement, **asked):
                if row["text"]:
                    return RepliedTo(text=row["text"], by=UserId(row["sender"]))
        return None

    async def is_taken_up(self, event: EventId) -> bool:
        """Whether another command took this one up again."""
        return bool(await self._database.run(_COMMANDS["taken_up"], event=event))

    async def open(self) -> int:
        """How many commands are queued or running, in all rooms that we are in."""
        [row] = await self._database.run(_COMMANDS["open"])
        return int(row["count"])

    async def owing(self) -> int:
        """How many of those an answer is owed to now: not to whoever is waited for."""
        [row] = await self._database.run(_COMMANDS["owing"])
        return int(row["count"])

    async def queue(self, room: RoomId) -> list[Command]:
        """The running command of the room, if any, then the queued ones in order."""
        return [_command(row) for row in await self._database.run(_COMMANDS["queue"], room=room)]

    async def running(self) -> list[Command]:
        """Every command that is marked as running."""
        return [_command(row) for row in await self._database.run(_COMMANDS["running"])]

    async def counts(self) -> dict[CommandState, int]:
        """How many commands there are in each state, zeros included."""
        rows = await self._database.run(_COMMANDS["counts"])
        return dict.fromkeys(CommandState, 0) | {CommandState(row["state"]): row["count"] for row in rows}

    async def start(self, event: EventId, now: int) -> bool:
        """queued → running. False also while the room runs another one."""
        return bool(await self._database.run(_COMMANDS["start"], event=event, now=now))

    async def finish(
        self,
        event: EventId,
        state: CommandState,
        record: TurnRecord,
        parcels: Sequence[Parcel],
        now: int,
        carried: Sequence[EventId] = (),
    ) -> bool:
        """running → an end, with its parcels. False, and no change, if it is not running (any more)."""
        return await self._end(event, state, record, None, parcels, now, carried)

    async def interrupt(
        self, event: EventId, approval: Approval | None, record: TurnRecord, parcels: Sequence[Parcel], now: int
    ) -> bool:
        """running → interrupted, with its parcels and the question whether to go on."""
        return await self._end(event, CommandState.INTERRUPTED, record, approval, parcels, now)

    async def _end(
        self,
        event: EventId,
        state: CommandState,
        record: TurnRecord,
        approval: Approval | None,
        parcels: Sequence[Parcel],
        now: int,
        carried: Sequence[EventId] | None = None,
    ) -> bool:
        async def write(transaction: Transaction) -> bool:
            finished = await transaction.run(
                _COMMANDS["finish"],
                event=event,
                state=state.value,
                now=now,
                duration_ms=record.duration_ms,
                cost_micro_usd=record.cost_micro_usd,
                input_tokens=record.input_tokens,
                output_tokens=record.output_tokens,
            )
            if not finished:
                return False
            if carried is not None:
                await _pass_on(transaction, event, state, carried, now)
            await transaction.run(_SPENDING["add"], event=event)
            await transaction.run(_APPROVALS["withdraw_of"], command=event)
            await transaction.run(_OUTBOX["drop_spare"], command=event, now=now)
            if approval is not None:
                await put_approval(transaction, approval)
            await put_parcels(transaction, parcels, now)
            await task_moves.follow(transaction, event, now)
            return True

        with ringing(self._bells.commands, self._bells.outbox):
            return await self._database.transact(write)

    async def turn_away(self, event: EventId, parcels: Sequence[Parcel], now: int, *, what: str = "turn") -> bool:
        """queued → cancelled, with its parcels. False, and no change, if it is not queued (any more)."""

        async def write(transaction: Transaction) -> list[AuditLine] | None:
            turned = await transaction.run(_COMMANDS["turn_away"], event=event, now=now)
            if not turned:
                return None
            await transaction.run(_OUTBOX["drop_spare"], command=event, now=now)
            await put_parcels(transaction, parcels, now)
            await task_moves.follow(transaction, event, now, unbegun=_UNBEGUN.get(what, TaskState.REFUSED))
            return await audit.write(transaction, _turned_away(event, turned[0], what), now)

        with ringing(self._bells.commands, self._bells.outbox):
            lines = await self._database.transact(write)
        audit.tell(lines or ())
        return lines is not None

    async def files_of(self, event: EventId) -> list[MediaFile]:
        """The files that go along with this command, or with the one that it takes up again, in order."""
        return [media_file(row["file"]) for row in await self._database.run(_INBOX["files_of"], command=event)]

    async def stop_requested(self, event: EventId) -> UserId | None:
        """Who asked first to end this command, if anybody did."""
        rows = await self._database.run(_COMMANDS["stop_requested"], event=event)
        return UserId(rows[0]["stop_by"]) if rows and rows[0]["stop_by"] is not None else None

    async def time_limit(self, event: EventId) -> int | None:
        """What its turn may take (seconds in all), if somebody has set that."""
        rows = await self._database.run(_COMMANDS["time_limit"], event=event)
        return int(rows[0]["time_limit"]) if rows and rows[0]["time_limit"] is not None else None

    async def of_session(self, room: RoomId, session: SessionId) -> list[Command]:
        """All commands of a conversation, the oldest first."""
        return [_command(row) for row in await self._database.run(_COMMANDS["of_session"], room=room, session=session)]

    async def was_taken_back(self, room: RoomId, session: SessionId) -> frozenset[EventId]:
        """Those of them whose text was erased because somebody deleted it, or the answer."""
        rows = await self._database.run(_COMMANDS["of_session"], room=room, session=session)
        return frozenset(EventId(row["event_id"]) for row in rows if row["taken_back"])


async def _pass_on(
    transaction: Transaction, host: EventId, state: CommandState, carried: Sequence[EventId], now: int
) -> None:
    """What was given to a turn that has ended goes on without it, in this order, or has ended with it."""
    for index, event in enumerate(carried):
        await transaction.run(_COMMANDS["carry"], event=event, host=host, new=carried[0] if index else None)
    await transaction.run(_COMMANDS["finish_given"], host=host, state=state.value, now=now)


def _turned_away(event: EventId, row: Row, what: str) -> Deed:
    return Deed(
        kind=AuditKind.REFUSED,
        room=RoomId(row["room_id"]),
        actor=UserId(row["sender"]),
        subject=event,
        detail={"what": what},
    )


def _command(row: Row) -> Command:
    return Command(
        event=EventId(row["event_id"]),
        room=RoomId(row["room_id"]),
        sender=UserId(row["sender"]),
        text=row["text"],
        session=SessionId(row["session_id"]),
        state=CommandState(row["state"]),
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        origin=None if row["origin"] is None else EventId(row["origin"]),
        reply_to=None if row["reply_to"] is None else EventId(row["reply_to"]),
        granted=row["granted"],
        urgent=bool(row["urgent"]),
        host=None if row["host"] is None else EventId(row["host"]),
        held_until=row["held_until"],
        about=None if row["about"] is None else EventId(row["about"]),
        thread=None if row["thread"] is None else EventId(row["thread"]),
        own=row["own"],
        meta=meta if isinstance(meta := recalled(row["meta"]), Meta) else None,
        caller=None if row["caller"] is None else CallerName(row["caller"]),
    )
