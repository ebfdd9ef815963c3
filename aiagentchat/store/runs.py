"""Which runs exist, written down before they do."""

from aiagentchat.core.ids import RoomId, RunId
from aiagentchat.core.ports.ledger import RunRecord
from aiagentchat.store.database import Database
from aiagentchat.store.queries import statements

_RUNS = statements("runs")


class SqliteRunRecords:
    """`core.ports.ledger.RunRecords` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begun(self, record: RunRecord) -> None:
        """The run is about to be started."""
        await self._database.run(
            _RUNS["begun"],
            run=record.run,
            room=record.room,
            boot=record.boot_id,
            uid=record.uid,
            now=record.started_at,
        )

    async def ended(self, run: RunId) -> None:
        """Nothing of it is left."""
        await self._database.run(_RUNS["ended"], run=run)

    async def left(self) -> list[RunRecord]:
        """The runs whose end nobody has seen, the oldest first."""
        return [
            RunRecord(
                run=RunId(row["run_id"]),
                room=RoomId(row["room_id"]),
                boot_id=row["boot_id"],
                uid=row["uid"],
                started_at=row["started_at"],
            )
            for row in await self._database.run(_RUNS["left"])
        ]
