"""How often agents have begun turns, and where they may not any more."""

from typing import assert_never

from aiagentchat.core.audit import Detail
from aiagentchat.core.effects import GuardChange, HaltAgents, LetAgentsGoOn
from aiagentchat.core.guards import AgentTurn, Halt, Limit, Standing
from aiagentchat.core.ids import RoomId
from aiagentchat.store.database import Database, Row, Transaction
from aiagentchat.store.queries import statements

_GUARDS = statements("guards")


class SqliteGuards:
    """`core.ports.guards.Guards` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self, room: RoomId, pair: str, since: int) -> Standing:
        """How the room stands, and the pair in it, after that moment."""
        [row] = await self._database.run(_GUARDS["standing"], room=room, pair=pair, since=since)
        return Standing(halt=await self.halt(room), in_pair=row["in_pair"], in_room=row["in_room"])

    async def halt(self, room: RoomId) -> Halt | None:
        """Since when, and why, agents begin nothing more there."""
        rows = await self._database.run(_GUARDS["halt_of"], room=room)
        return _halt(rows[0]) if rows else None

    async def halts(self) -> list[Halt]:
        """Of all rooms, the oldest first."""
        return [_halt(row) for row in await self._database.run(_GUARDS["halts"])]


async def change(transaction: Transaction, effect: GuardChange, now: int) -> Detail | None:
    """Apply one effect. None: nothing has changed."""
    match effect:
        case AgentTurn(event=event, room=room, pair=pair):
            await transaction.run(_GUARDS["count_turn"], event=event, room=room, pair=pair, now=now)
            return {}
        case HaltAgents(halt):
            halted = await transaction.run(
                _GUARDS["halt"], room=halt.room, why=halt.limit.value, turns=halt.turns, pair=halt.pair, at=halt.at
            )
            return {} if halted else None
        case LetAgentsGoOn(room=room):
            await transaction.run(_GUARDS["count_anew"], room=room)
            return {} if await transaction.run(_GUARDS["lift"], room=room) else None
        case _:
            assert_never(effect)


def _halt(row: Row) -> Halt:
    return Halt(
        room=RoomId(row["room_id"]), limit=Limit(row["why"]), turns=row["turns"], pair=row["pair"], at=row["at"]
    )
