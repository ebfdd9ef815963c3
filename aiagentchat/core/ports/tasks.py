"""Tasks: what has become of the work that agents, and people, have given to agents."""

from collections.abc import Collection, Sequence
from typing import Protocol

from aiagentchat.core.effects import MoveTask, OpenTask, PutParcel, RequestStop
from aiagentchat.core.ids import EventId, RoomId, TaskId
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.clock import Bell
from aiagentchat.core.tasks import Task

TaskChange = OpenTask | MoveTask | PutParcel | RequestStop


class Tasks(Protocol):
    """What is known of tasks here.

    They are changed by the effects `OpenTask` and `MoveTask`, and by what becomes of their commands: whatever ends one
    (`Commands.finish`, `interrupt`, `turn_away`, the effects `RequestStop` and `EraseText`) moves its task in the same
    transaction, and writes the parcel that tells the thread of it. Of tasks that we have given, what becomes of their
    messages moves them, too.
    """

    @property
    def bell(self) -> Bell:
        """Rings when a task was given or has moved."""
        ...

    async def get(self, room: RoomId, task: TaskId) -> Task | None:
        """The task, as it stands."""
        ...

    async def of_command(self, command: EventId) -> Task | None:
        """The task that this command works on; None also once another one does."""
        ...

    async def of_thread(self, room: RoomId, thread: EventId) -> Task | None:
        """The task that is this thread."""
        ...

    async def listed(self, rooms: Collection[RoomId], *, everything: bool = False, limit: int = 100) -> list[Task]:
        """Those of these rooms that are open, or all, the newest first."""
        ...

    async def due(self, now: int, limit: int = 100) -> list[Task]:
        """Open ones about which something was to be done by then (`remind_at`), the oldest first."""
        ...

    async def next_due(self) -> int | None:
        """When (milliseconds) that is next; None: never."""
        ...

    async def change(self, changes: Sequence[TaskChange], now: int) -> bool:
        """Apply these together. Whether a task was given, or has moved."""
        ...

    async def reminded(self, task: Task, parcels: Sequence[Parcel], now: int) -> bool:
        """Its thread is told what `parcels` say; without any, it is only looked at again when that is next needed.

        False, and no change, if the task is not any more as `task` has it.
        """
        ...

    async def expire(self, task: Task, parcels: Sequence[Parcel], now: int) -> bool:
        """It was not begun in time: its command is not run, and its thread is told so.

        False, and no change, if it was begun or has ended.
        """
        ...
