"""Signals that are written down."""

from dataclasses import dataclass, field

from aiagentchat.core.ids import EventId, RoomId


@dataclass(slots=True)
class FakeSignals:
    """The Signals port."""

    shown: list[tuple[RoomId, EventId | bool]] = field(default_factory=list)
    """In order: an event that was read, or whether somebody types."""
    begun: list[tuple[RoomId, EventId, str]] = field(default_factory=list)
    """Events that were read in a thread."""

    def typing(self, room: RoomId, on: bool) -> None:
        """Show or hide the typing indicator."""
        self.shown.append((room, on))

    def read(self, room: RoomId, event: EventId, thread: str | None = None) -> None:
        """Show that all was read up to the event."""
        if thread is None:
            self.shown.append((room, event))
        else:
            self.begun.append((room, event, thread))
