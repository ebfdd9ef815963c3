"""What encryption must remember between lives, apart from the keys themselves."""

from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.store.database import Database
from aiagentchat.store.queries import statements

_KEYRING = statements("keyring")


class SqliteKeyring:
    """`core.ports.ledger.Keyring` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def device_key(self, user: UserId, device: str) -> str | None:
        """By which key others know this device of ours."""
        rows = await self._database.run(_KEYRING["device_key"], user=user, device=device)
        return str(rows[0]["ed25519"]) if rows else None

    async def keep_device_key(self, user: UserId, device: str, ed25519: str) -> None:
        """From now on the device is known by this key."""
        await self._database.run(_KEYRING["keep_device_key"], user=user, device=device, ed25519=ed25519)

    async def encrypted_rooms(self) -> frozenset[RoomId]:
        """Every room that was ever seen to be encrypted."""
        return frozenset(RoomId(row["room_id"]) for row in await self._database.run(_KEYRING["encrypted_rooms"]))

    async def mark_encrypted(self, room: RoomId, now: int) -> None:
        """The room is encrypted."""
        await self._database.run(_KEYRING["mark_encrypted"], room=room, now=now)
