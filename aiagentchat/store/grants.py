"""Roles that were given in rooms. They change by the effects `GiveRole` and `TakeRole`."""

from aiagentchat.core.access import Grant, Role
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.store.database import Database, Row, Values
from aiagentchat.store.queries import statements

_GRANTS = statements("grants")


class SqliteGrants:
    """`core.ports.access.Grants` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def in_room(self, room: RoomId, now: int) -> list[Grant]:
        """Those that hold at that moment, the oldest first."""
        return [_grant(row) for row in await self._database.run(_GRANTS["in_room"], room=room, now=now)]


def grant_values(grant: Grant) -> Values:
    """A grant as its row has it."""
    return {
        "room": grant.room,
        "user": grant.user,
        "role": grant.role.name.lower(),
        "by": grant.by,
        "given_at": grant.given_at,
        "until": grant.until,
    }


def _grant(row: Row) -> Grant:
    return Grant(
        room=RoomId(row["room_id"]),
        user=UserId(row["user_id"]),
        role=Role[row["role"].upper()],
        by=UserId(row["given_by"]),
        given_at=row["given_at"],
        until=row["until"],
    )
