"""What must stay the same for a room, however its configuration changes."""

from collections.abc import Mapping
from itertools import count

from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.rooms import Made, MadeRoom, WaitingRoom
from aiagentchat.store import made_rooms
from aiagentchat.store.bell import Bells, ringing
from aiagentchat.store.database import Database, Row, Transaction
from aiagentchat.store.queries import statements

_MADE_ROOMS = statements("made_rooms")
_REFUSALS = statements("refusals")
_ROOMS = statements("rooms")


class SqliteRooms:
    """`core.ports.ledger.Rooms` on SQLite."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._bells = bells

    async def slug(self, room: RoomId, wanted: str) -> str:
        """The folder name of the room, fixed at the first call: `wanted`, or `wanted`-2, -3 … if others have it."""

        async def write(transaction: Transaction) -> str:
            return await _fix_slug(transaction, await _slugs(transaction), room, wanted)

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

    async def model(self, room: RoomId) -> str | None:
        """The model that somebody has set in the room."""
        rows = await self._database.run(_ROOMS["model"], room=room)
        return str(rows[0]["model"]) if rows and rows[0]["model"] is not None else None

    async def made(self) -> Made:
        """The rooms that are not in config.yaml."""

        async def write(transaction: Transaction) -> Made:
            slugs = await _slugs(transaction)
            rooms = tuple(map(made_room, await transaction.run(_MADE_ROOMS["made"])))
            for each in rooms:
                slugs[each.room] = await _fix_slug(transaction, slugs, each.room, each.folder)
            waiting = tuple(map(waiting_room, await transaction.run(_MADE_ROOMS["waiting"])))
            return Made(rooms=rooms, waiting=waiting, slugs=slugs)

        return await self._database.transact(write)

    async def wait_in(self, waiting: WaitingRoom) -> None:
        """What is said there is kept from now on."""
        await self._database.transact(lambda transaction: made_rooms.wait_in(transaction, waiting))

    async def adopt(self, room: RoomId, now: int) -> None:
        """What was kept is looked at again."""
        with ringing(self._bells.inbox):
            await self._database.transact(lambda transaction: made_rooms.adopt(transaction, room, now))

    async def forget(self, room: RoomId) -> None:
        """What was kept is forgotten."""
        await self._database.transact(lambda transaction: made_rooms.forget(transaction, room))


def made_room(row: Row) -> MadeRoom:
    """A row of `made_rooms`."""
    return MadeRoom(
        room=RoomId(row["room_id"]),
        folder=str(row["folder"]),
        by=UserId(row["made_by"]),
        at=int(row["made_at"]),
        direct=bool(row["direct"]),
    )


def waiting_room(row: Row) -> WaitingRoom:
    """A row of `waiting_rooms`."""
    return WaitingRoom(
        room=RoomId(row["room_id"]),
        by=UserId(row["by_user"]),
        since=int(row["since_at"]),
        until=int(row["until_at"]),
        keeps=bool(row["keeps"]),
    )


async def _slugs(transaction: Transaction) -> dict[RoomId, str]:
    return {RoomId(row["room_id"]): str(row["slug"]) for row in await transaction.run(_ROOMS["slugs"])}


async def _fix_slug(transaction: Transaction, known: Mapping[RoomId, str], room: RoomId, wanted: str) -> str:
    if room in known:
        return known[room]
    taken = set(known.values())
    numbered = (f"{wanted}-{number}" for number in count(2))
    slug = wanted if wanted not in taken else next(name for name in numbered if name not in taken)
    await transaction.run(_ROOMS["fix_slug"], room=room, slug=slug)
    return slug
