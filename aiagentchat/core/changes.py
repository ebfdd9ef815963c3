"""What a turn changed in its room's workspace."""

from dataclasses import dataclass

from aiagentchat.core.ids import EventId, RoomId


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Files that are not as they were when the turn began."""

    files: int
    added: int = 0
    """Lines, as is `removed`."""
    removed: int = 0
    patch: str = ""
    """A unified diff. It is of the room's making: nothing in it is to be believed or run."""
    cut: bool = False
    """Whether the diff was longer than what is kept of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastChange:
    """What the last turn of a room that changed anything changed."""

    room: RoomId
    command: EventId
    at: int
    """Milliseconds since the epoch."""
    changed: Changed
