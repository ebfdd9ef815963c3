"""What turns cost. Written by the end of each command (`store.commands`), read by whoever asks."""

from aiagentchat.core.ids import RoomId, SessionId
from aiagentchat.core.spending import Spent
from aiagentchat.store.database import Database, Row
from aiagentchat.store.queries import statements

_SPENDING = statements("spending")


class SqliteSpending:
    """`core.ports.ledger.Spending` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def session(self, session: SessionId) -> Spent:
        """What all turns of a session used together."""
        [row] = await self._database.run(_SPENDING["of_session"], session=session)
        return _spent(row)

    async def room(self, room: RoomId, since: str) -> Spent:
        """What the room's turns used that ended on that day (UTC) or later."""
        [row] = await self._database.run(_SPENDING["of_room"], room=room, since=since)
        return _spent(row)

    async def rooms(self, since: str) -> dict[RoomId, Spent]:
        """The same of every room that had a turn since, the dearest first."""
        rows = await self._database.run(_SPENDING["of_all"], since=since)
        return {RoomId(row["room_id"]): _spent(row) for row in rows}


def _spent(row: Row) -> Spent:
    return Spent(
        turns=row["turns"],
        cost_micro_usd=row["cost_micro_usd"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
    )
