"""What was said in the rooms that keep a history."""

from collections.abc import Collection
from typing import Protocol

from aiagentchat.core.exchange import Happened, Page, Said, Wanted
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.core.ports.clock import Bell


class History(Protocol):
    """The messages as they read now. `Inbox.take_in` and `Seals` fill it, erasing and time empty it.

    Positions grow: within a room they are the order of its timeline, but for what could be opened only later.
    """

    def listen(self) -> Bell:
        """A bell for whoever asks: it rings when something was said, changed, erased or forgotten, in any room."""
        ...

    def edition(self, room: RoomId) -> int:
        """Another number after each change of what is kept of the room. Asks nobody."""
        ...

    async def latest(self, room: RoomId, limit: int, before: int | None = None) -> Page:
        """The last messages of the room, or the last before that position; none that was deleted."""
        ...

    async def search(self, wanted: Wanted) -> Page:
        """The last messages that are wanted. Whatever is in `words` is looked for, and never a fault."""
        ...

    async def get(self, event: EventId) -> Said | None:
        """The message, without a body if it was deleted; None if it is not kept (any more)."""
        ...

    async def after(self, place: int, rooms: Collection[RoomId], limit: int) -> list[Happened]:
        """What has happened in these rooms behind that place, in order; nothing of what was deleted.

        Each message stands at its position, and once more where its last edit came: so whoever goes on from a place
        misses no text that a message has come to, and may be told one twice.
        """
        ...

    async def newest(self) -> int:
        """The last place; 0 before the first. Every later message and edit stands behind it."""
        ...
