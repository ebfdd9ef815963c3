"""Which conversations a room has, and which one it is in, or a thread of it.

A room enters one by the effects `NewSession` and `AcceptCommand`; the first command that is accepted in one names it.
"""

from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import AcceptCommand, NameSession
from aiagentchat.core.ids import EventId, RoomId, SessionId
from aiagentchat.core.sessions import UNNAMED, Session, free_name, name_from
from aiagentchat.store.database import Database, Row, Transaction
from aiagentchat.store.queries import statements

_APPROVALS = statements("approvals")
_COMMANDS = statements("commands")
_ROOMS = statements("rooms")
_SESSIONS = statements("sessions")
_THREADS = statements("threads")


class SqliteSessions:
    """`core.ports.ledger.Sessions` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self, room: RoomId, thread: EventId | None = None) -> SessionId | None:
        """The conversation of the room, or of a thread in it; None before its first command."""
        if thread is not None:
            rows = await self._database.run(_THREADS["current_session"], room=room, thread=thread)
        else:
            rows = await self._database.run(_ROOMS["current_session"], room=room)
        return SessionId(rows[0]["session_id"]) if rows and rows[0]["session_id"] is not None else None

    async def get(self, session: SessionId) -> Session | None:
        """The conversation, once it has a name."""
        rows = await self._database.run(_SESSIONS["get"], session=session)
        return _session(rows[0]) if rows else None

    async def of_room(self, room: RoomId, limit: int) -> list[Session]:
        """The conversations of a room, the last used first."""
        return [_session(row) for row in await self._database.run(_SESSIONS["of_room"], room=room, limit=limit)]

    async def begun(self, session: SessionId) -> bool:
        """Whether the agent has seen this session."""
        return bool(await self._database.run(_SESSIONS["begun"], session=session))

    async def mark_begun(self, session: SessionId, now: int) -> None:
        """The agent has seen it."""
        await self._database.run(_SESSIONS["mark_begun"], session=session, now=now)

    async def replace(self, room: RoomId, old: SessionId, new: SessionId, now: int) -> None:
        """The room, its threads, and those of its commands in `old` that have not ended, go on in `new`.

        The running command moves too: it is the one whose turn found that the agent had left `old`.
        """

        async def write(transaction: Transaction) -> None:
            await transaction.run(_ROOMS["replace_session"], room=room, old=old, new=new)
            await transaction.run(_THREADS["replace_session"], room=room, old=old, new=new)
            await transaction.run(_COMMANDS["move_to_session"], room=room, old=old, new=new)
            await transaction.run(_APPROVALS["end_rules_of_session"], session=old)
            rows = await transaction.run(_SESSIONS["get"], session=old)
            before = _session(rows[0]) if rows else None
            name, thread = (UNNAMED, None) if before is None else (before.name, before.thread)
            await _make(transaction, room, new, name=name, thread=thread, now=now)
            await transaction.run(_SESSIONS["carry_over"], session=new)

        await self._database.transact(write)


async def enter(transaction: Transaction, room: RoomId, thread: EventId | None, session: SessionId) -> None:
    """What is said there from now on belongs to this conversation. What was allowed in the last one ends with that."""
    for row in await _current(transaction, room, thread):
        await transaction.run(_APPROVALS["end_rules_of_session"], session=row["session_id"])
    if thread is not None:
        await transaction.run(_THREADS["set_session"], room=room, thread=thread, session=session)
    else:
        await transaction.run(_ROOMS["set_session"], room=room, session=session)


async def _current(transaction: Transaction, room: RoomId, thread: EventId | None) -> list[Row]:
    if thread is not None:
        return await transaction.run(_THREADS["current_session"], room=room, thread=thread)
    return await transaction.run(_ROOMS["current_session"], room=room)


async def begin(transaction: Transaction, accepted: AcceptCommand, now: int) -> None:
    """The command is accepted: where it was typed there is a conversation, and that has a name."""
    command = accepted.command
    room, session = command.room, command.session
    thread = command.thread if accepted.of_thread else None
    if thread is not None:
        await transaction.run(_THREADS["set_first_session"], room=room, thread=thread, session=session)
    else:
        await transaction.run(_ROOMS["set_first_session"], room=room, session=session)
    if command.state is CommandState.QUEUED and not command.own:
        text = name_from(command.text)
        await _make(transaction, room, session, name=text, named_by=command.event, thread=thread, now=now)


async def name(transaction: Transaction, effect: NameSession, now: int) -> None:
    """It is called so from now on, or as nearly so as others of the room allow."""
    await _make(transaction, effect.room, effect.session, name=effect.name, thread=effect.thread, now=now)
    free = await _free(transaction, effect.room, effect.session, effect.name)
    await transaction.run(_SESSIONS["rename"], session=effect.session, name=free)


async def unname(transaction: Transaction, command: EventId) -> None:
    """The command was taken back: its words are nobody's name."""
    for row in await transaction.run(_SESSIONS["named_by"], command=command):
        session = SessionId(row["session_id"])
        free = await _free(transaction, RoomId(row["room_id"]), session, UNNAMED)
        await transaction.run(_SESSIONS["rename"], session=session, name=free)


async def _make(
    transaction: Transaction,
    room: RoomId,
    session: SessionId,
    *,
    name: str,
    now: int,
    named_by: EventId | None = None,
    thread: EventId | None = None,
) -> None:
    if await transaction.run(_SESSIONS["get"], session=session):
        return
    free = await _free(transaction, room, session, name)
    await transaction.run(
        _SESSIONS["make"], session=session, room=room, thread=thread, name=free, named_by=named_by, now=now
    )


async def _free(transaction: Transaction, room: RoomId, session: SessionId, wanted: str) -> str:
    taken = {row["name"] for row in await transaction.run(_SESSIONS["names"], room=room, session=session)}
    return free_name(wanted, taken)


def _session(row: Row) -> Session:
    return Session(
        id=SessionId(row["session_id"]),
        room=RoomId(row["room_id"]),
        name=row["name"],
        used_at=row["used_at"],
        turns=row["turns"],
        thread=None if row["thread"] is None else EventId(row["thread"]),
    )
