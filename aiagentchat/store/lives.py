"""Who this ledger is, and when a daemon on it was last known to live."""

import uuid

from aiagentchat.store.database import Database
from aiagentchat.store.queries import statements

_DAEMON = statements("daemon")


class SqliteLives:
    """`core.ports.ledger.Lives` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def installation(self, now: int) -> str:
        """The id of this ledger: made at the first call, the same for ever after."""
        await self._database.run(_DAEMON["make_installation"], installation=uuid.uuid4().hex, now=now)
        [row] = await self._database.run(_DAEMON["installation"])
        return str(row["installation"])

    async def alive(self, now: int) -> None:
        """A daemon lives at this moment."""
        await self._database.run(_DAEMON["alive"], now=now)

    async def alive_at(self) -> int | None:
        """When that was said last; None before the first life."""
        rows = await self._database.run(_DAEMON["alive_at"])
        return int(rows[0]["alive_at"]) if rows else None
