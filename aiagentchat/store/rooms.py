"""What must stay the same for a room, however its configuration changes."""

from itertools import count

from aiagentchat.core.ids import RoomId
from aiagentchat.store.database import Database, Transaction
from aiagentchat.store.queries import statements

_REFUSALS = statements("refusals")
_ROOMS = statements("rooms")


class SqliteRooms:
    """`core.ports.ledger.Rooms` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def slug(self, room: RoomId, wanted: str) -> str:
        """The folder name of the room, fixed at the first call: `wanted`, or `wanted`-2, -3 … if others have it."""

        async def write(transaction: Transaction) -> str:
            taken = {row["slug"]: row["room_id"] for row in await transaction.run(_ROOMS["slugs"])}
            for slug, owner in taken.items():
                if owner == room:
                    return str(slug)
            numbered = (f"{wanted}-{number}" for number in count(2))
            slug = wanted if wanted not in taken else next(name for name in numbered if name not in taken)
            await transaction.run(_ROOMS["fix_slug"], room=room, slug=slug)
            return slug

        return await self._database.transact(write)

    async def uid(self, room: RoomId, first: int, last: int) -> int | None:
        """The user id of the room's runs, fixed at the first call; None if the range has no free one."""

        async def write(transaction: Transaction) -> int | None:
            taken = {row["uid"]: row["room_id"] for row in await transaction.run(_ROOMS["uids"])}
            for uid, owner in taken.items():
                if owner == room:
                    return int(uid)
            free = next((uid for uid in range(first, last + 1) if uid not in taken), None)
            if free is not None:
                await transaction.run(_ROOMS["fix_uid"], room=room, uid=free)
            return free

        return await self._database.transact(write)

    async def refusals(self, room: RoomId, day: str) -> int:
        """How often the room was told on this day that a sender is not allowed."""
        rows = await self._database.run(_REFUSALS["count_of"], room=room, day=day)
        return int(rows[0]["count"]) if rows else 0

    async def is_encrypted(self, room: RoomId) -> bool:
        """Whether the room is known to be encrypted."""
        return bool(await self._database.run(_ROOMS["is_encrypted"], room=room))

    async def mark_encrypted(self, room: RoomId, now: int) -> None:
        """The room is encrypted, from now on for ever."""
        await self._database.run(_ROOMS["mark_encrypted"], room=room, now=now)
