"""A task: work that somebody has given to an agent. It is a thread, whose first event gives it. Pure.

    assigned ──▶ accepted ──▶ working ──▶ done
        │            │           ├──────▶ failed
        │            └───────────┴──────▶ cancelled
        └──▶ refused, expired, cancelled

Both sides keep it, each in its own ledger, by what the messages of its thread say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aiagentchat.core.ids import EventId, RoomId, TaskId
from aiagentchat.core.meta import Address


class TaskState(StrEnum):
    """Where a task stands."""

    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    EXPIRED = "expired"


_ENDS = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED})

MOVES: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.ASSIGNED: _ENDS | {TaskState.ACCEPTED, TaskState.WORKING, TaskState.REFUSED, TaskState.EXPIRED},
    TaskState.ACCEPTED: _ENDS | {TaskState.WORKING, TaskState.REFUSED, TaskState.EXPIRED},
    TaskState.WORKING: _ENDS,
    TaskState.DONE: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
    TaskState.REFUSED: frozenset(),
    TaskState.EXPIRED: frozenset(),
}


def may_move(before: TaskState, after: TaskState) -> bool:
    """Whether a task may go from `before` to `after`."""
    return after in MOVES[before]


class Ours(StrEnum):
    """What a task is to us."""

    GIVEN = "given"
    TAKEN = "taken"
    WATCHED = "watched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task."""

    id: TaskId
    room: RoomId
    thread: EventId | None
    title: str
    by: Address
    to: Address
    ours: Ours
    state: TaskState = TaskState.ASSIGNED
    note: str = ""
    """The last news of it."""
    deadline: int | None = None
    """Milliseconds since the epoch, as are the others."""
    remind_at: int | None = None
    reminded_at: int | None = None
    command: EventId | None = None
    """The command that works on it here."""
    created_at: int = 0
    changed_at: int = 0
