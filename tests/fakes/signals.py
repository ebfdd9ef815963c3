"""Signals that are written down."""

from dataclasses import dataclass, field

from aiagentchat.core.ids import EventId, RoomId


@dataclass(slots=True)
class FakeSignals:
    """The Signals port."""

    shown: list[tuple[RoomId, EventId | bool]] = field(default_factory=list)
    """In order: an event that was read, or whether somebody types."""
    read_in: dict[EventId, EventId | None] = field(default_factory=dict)
    """Of each that was read its thread."""
    begun_with: list[tuple[RoomId, EventId]] = field(default_factory=list)
    """In order: the events that we have begun with."""

    def typing(self, room: RoomId, on: bool) -> None:
        """Show or hide the typing indicator."""
        self.shown.append((room, on))

    def read(self, room: RoomId, event: EventId, thread: EventId | None = None) -> None:
        """Show that all was read up to the event in its thread."""
        self.shown.append((room, event))
        self.read_in[event] = thread

    def begun(self, room: RoomId, event: EventId) -> None:
        """Show that we have begun with all up to the event."""
        self.begun_with.append((room, event))
