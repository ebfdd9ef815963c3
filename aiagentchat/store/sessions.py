"""Which conversation a room is in. A room enters one by the effects `NewSession` and `AcceptCommand`."""

from aiagentchat.core.ids import RoomId, SessionId
from aiagentchat.store.database import Database, Transaction
from aiagentchat.store.queries import statements

_APPROVALS = statements("approvals")
_COMMANDS = statements("commands")
_ROOMS = statements("rooms")
_SESSIONS = statements("sessions")


class SqliteSessions:
    """`core.ports.ledger.Sessions` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self, room: RoomId) -> SessionId | None:
        """The room's conversation, None before its first command."""
        rows = await self._database.run(_ROOMS["current_session"], room=room)
        return SessionId(rows[0]["session_id"]) if rows and rows[0]["session_id"] is not None else None

    async def begun(self, session: SessionId) -> bool:
        """Whether the agent has seen this session."""
        return bool(await self._database.run(_SESSIONS["begun"], session=session))

    async def mark_begun(self, session: SessionId, now: int) -> None:
        """The agent has seen it."""
        await self._database.run(_SESSIONS["mark_begun"], session=session, now=now)

    async def replace(self, room: RoomId, old: SessionId, new: SessionId) -> None:
        """The room, and those of its commands in `old` that have not ended, go on in `new`.

        The running command moves too: it is the one whose turn found that the agent had lost `old`.
        """

        async def write(transaction: Transaction) -> None:
            await transaction.run(_ROOMS["replace_session"], room=room, old=old, new=new)
            await transaction.run(_COMMANDS["move_to_session"], room=room, old=old, new=new)
            await transaction.run(_APPROVALS["end_rules_of_session"], session=old)

        await self._database.transact(write)
