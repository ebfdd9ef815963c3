"""Signals that are written down."""

from dataclasses import dataclass, field

from aiagentchat.core.ids import EventId, RoomId


@dataclass(slots=True)
class FakeSignals:
    """The Signals port."""

    shown: list[tuple[RoomId, EventId | bool]] = field(default_factory=list)
    """In order: an event that was read, or whether somebody types."""

    def typing(self, room: RoomId, on: bool) -> None:
        """Show or hide the typing indicator."""
        self.shown.append((room, on))

    def read(self, room: RoomId, event: EventId) -> None:
        """Show that the event was read."""
        self.shown.append((room, event))
