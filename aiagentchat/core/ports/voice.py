"""How a turn gets into its room: its words, and what is seen at once and kept nowhere."""

from typing import Protocol

from aiagentchat.core.agent_events import PlanChanged
from aiagentchat.core.commands import Command
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.core.parcels import Parcel


class Sink(Protocol):
    """Takes the agent's words for one command, in order, and gets them into the room window by window."""

    async def serve(self) -> None:
        """Say what was added, window by window, until cancelled."""
        ...

    def add(self, text: str) -> None:
        """Some more text."""
        ...

    def tool(self, line: str) -> None:
        """One quiet line about a tool."""
        ...

    def think(self, text: str) -> None:
        """What the model thought, whole. Not shown unless the room asks for it."""
        ...

    def plan(self, plan: PlanChanged) -> None:
        """What the agent wants to do, in the place of what it wanted before."""
        ...

    def progress(self, line: str) -> None:
        """One quiet line about what goes on while nothing is said; whatever is said next takes its place."""
        ...

    def block_ended(self) -> None:
        """What was added is final."""
        ...

    def break_off(self) -> list[Parcel]:
        """What is still unsaid; what is added later goes into a new message, below whatever stands between."""
        ...

    def retract(self) -> None:
        """Take back what was added since the last final block."""
        ...

    @property
    def silent(self) -> bool:
        """Whether no word was added yet."""
        ...

    def close(self, last_words: str, footer: str) -> list[Parcel]:
        """What is still unsaid, with `last_words` as a paragraph of their own and the footer under all.

        A turn that took long ends with a new message that mentions whoever asked: an edit rings nobody. An answer that
        is too long for its room comes whole as a file. To be committed together with the end of the command; nothing
        may be added afterwards.
        """
        ...


class Voice(Protocol):
    """Where the executor gets a `Sink` for a command."""

    def open(self, command: Command) -> Sink:
        """A sink whose messages answer `command`."""
        ...


class Signals(Protocol):
    """What a room sees at once and nobody has to keep: typing and read receipts. Never blocks, never raises."""

    def typing(self, room: RoomId, on: bool) -> None:
        """Show or hide the typing indicator, and keep it shown until told otherwise."""
        ...

    def read(self, room: RoomId, event: EventId, thread: EventId | None = None) -> None:
        """Show that all was read up to the event in its thread, or in what is in none.

        It is shown later if the homeserver cannot be reached, unless a later one takes its place.
        """
        ...

    def begun(self, room: RoomId, event: EventId) -> None:
        """Show, in the same way, that we have begun with all of the room up to the event."""
        ...
