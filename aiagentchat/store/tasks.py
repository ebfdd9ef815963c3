"""Tasks, as they are asked for. How they are changed is in task_moves.py."""

import json
from collections.abc import Collection, Sequence

from aiagentchat.core.effects import MoveTask, OpenTask
from aiagentchat.core.ids import EventId, RoomId, TaskId, UserId
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.tasks import TaskChange
from aiagentchat.core.tasks import Task
from aiagentchat.store import effects as ledger_effects
from aiagentchat.store import task_moves
from aiagentchat.store.bell import Bells, EventBell, ringing
from aiagentchat.store.database import Database, Transaction
from aiagentchat.store.outbox import put_parcels
from aiagentchat.store.queries import statements

NOBODY = UserId("")
"""Whose event these changes follow from."""

_COMMANDS = statements("commands")
_OUTBOX = statements("outbox")
_TASKS = statements("tasks")


class SqliteTasks:
    """`core.ports.tasks.Tasks` on SQLite."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._bells = bells

    @property
    def bell(self) -> EventBell:
        """Rings when a task was given or has moved."""
        return self._bells.tasks

    async def get(self, room: RoomId, task: TaskId) -> Task | None:
        """The task, as it stands."""
        rows = await self._database.run(_TASKS["get"], room=room, task=task)
        return task_moves.task_of(rows[0]) if rows else None

    async def of_command(self, command: EventId) -> Task | None:
        """The task that this command works on."""
        rows = await self._database.run(_TASKS["of_command"], command=command)
        return task_moves.task_of(rows[0]) if rows else None

    async def of_thread(self, room: RoomId, thread: EventId) -> Task | None:
        """The task that is this thread."""
        rows = await self._database.run(_TASKS["of_thread"], room=room, thread=thread)
        return task_moves.task_of(rows[0]) if rows else None

    async def listed(self, rooms: Collection[RoomId], *, everything: bool = False, limit: int = 100) -> list[Task]:
        """Those of these rooms that are open, or all, the newest first."""
        statement = _TASKS["all_of"] if everything else _TASKS["open_ones"]
        rows = await self._database.run(statement, rooms=json.dumps(sorted(rooms)), limit=limit)
        return [task_moves.task_of(row) for row in rows]

    async def due(self, now: int, limit: int = 100) -> list[Task]:
        """Open ones about which something was to be done by then, the oldest first."""
        return [task_moves.task_of(row) for row in await self._database.run(_TASKS["due"], now=now, limit=limit)]

    async def next_due(self) -> int | None:
        """When that is next."""
        [row] = await self._database.run(_TASKS["next_due"])
        return None if row["due"] is None else int(row["due"])

    async def change(self, changes: Sequence[TaskChange], now: int) -> bool:
        """Apply these together. Whether a task was given, or has moved."""

        async def write(transaction: Transaction) -> bool:
            is_changed = False
            for effect in changes:
                found = await ledger_effects.apply(transaction, effect, NOBODY, now)
                is_changed = is_changed or (isinstance(effect, OpenTask | MoveTask) and found is not None)
            return is_changed

        with ringing(*ledger_effects.bells_for(changes, self._bells)):
            return await self._database.transact(write)

    async def reminded(self, task: Task, parcels: Sequence[Parcel], now: int) -> bool:
        """Its thread is told, or it is looked at again when that is next needed."""

        async def write(transaction: Transaction) -> bool:
            return await task_moves.reminded(transaction, task, parcels, now)

        with ringing(self._bells.outbox):
            return await self._database.transact(write)

    async def expire(self, task: Task, parcels: Sequence[Parcel], now: int) -> bool:
        """It was not begun in time: its command is not run, and its thread is told so."""

        async def write(transaction: Transaction) -> bool:
            if not await task_moves.expire(transaction, task, now):
                return False
            if task.command is not None:
                await transaction.run(_COMMANDS["turn_away"], event=task.command, now=now)
                await transaction.run(_OUTBOX["drop_spare"], command=task.command, now=now)
            await put_parcels(transaction, parcels, now)
            return True

        with ringing(self._bells.commands, self._bells.outbox):
            return await self._database.transact(write)
