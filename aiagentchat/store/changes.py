"""What the last turn of each room changed."""

from aiagentchat.core.changes import Changed, LastChange
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.store.database import Database
from aiagentchat.store.queries import statements

_CHANGES = statements("changes")


class SqliteChanges:
    """`core.ports.ledger.Changes` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, change: LastChange) -> None:
        """In the place of what was kept for the room before."""
        changed = change.changed
        await self._database.run(
            _CHANGES["keep"],
            room=change.room,
            command=change.command,
            at=change.at,
            files=changed.files,
            added=changed.added,
            removed=changed.removed,
            patch=changed.patch,
            cut=int(changed.cut),
        )

    async def last(self, room: RoomId) -> LastChange | None:
        """What is kept for the room; without a patch if that is not kept any more."""
        rows = await self._database.run(_CHANGES["last"], room=room)
        return next(
            (
                LastChange(
                    room=room,
                    command=EventId(row["command"]),
                    at=row["made_at"],
                    changed=Changed(
                        files=row["files"],
                        added=row["added"],
                        removed=row["removed"],
                        patch=row["patch"],
                        cut=bool(row["cut"]),
                    ),
                )
                for row in rows
            ),
            None,
        )
