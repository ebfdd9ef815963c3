"""Bells: how a stage that wrote something wakes the stage that waits for it, without either knowing the other."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakSet

from aiagentchat.core.ids import RoomId
from aiagentchat.core.ports.clock import Bell


class EventBell:
    """A `Bell` inside one process. Meant for one waiter at a time: whoever wakes first takes the ring."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake whoever waits, or the next one who does."""
        self._rung.set()

    async def wait(self, timeout: float) -> bool:
        """Return True when it rang since the last wait, False after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._rung.wait()
        except TimeoutError:
            return False
        # Cleared only here: a ring that comes together with the timeout, or a cancellation, is kept for the next wait.
        self._rung.clear()
        return True


class News:
    """Tells of changes of what was said, to as many as listen."""

    def __init__(self) -> None:
        self._listeners: WeakSet[EventBell] = WeakSet()
        self._editions: dict[RoomId, int] = {}
        self._everywhere = 0

    def listen(self) -> EventBell:
        """A bell that rings at each change, for as long as somebody holds it."""
        bell = EventBell()
        self._listeners.add(bell)
        return bell

    def edition(self, room: RoomId) -> int:
        """Another number after each change of what is kept of the room."""
        return self._everywhere + self._editions.get(room, 0)

    def tell(self, rooms: Collection[RoomId] | None) -> None:
        """Something of these rooms has changed; None: of any."""
        if rooms is None:
            self._everywhere += 1
        for room in rooms or ():
            self._editions[room] = self._editions.get(room, 0) + 1
        for bell in [*self._listeners]:
            bell.ring()


@contextmanager
def telling(news: News, rooms: Collection[RoomId] | None) -> Iterator[None]:
    """Tell on the way out, however it ends, as `ringing` does; nothing if there are no rooms."""
    try:
        yield
    finally:
        if rooms is None or rooms:
            news.tell(rooms)


@dataclass(frozen=True, slots=True)
class Bells:
    """The bells of a ledger."""

    inbox: EventBell = field(default_factory=EventBell)
    commands: EventBell = field(default_factory=EventBell)
    outbox: EventBell = field(default_factory=EventBell)
    messages: EventBell = field(default_factory=EventBell)
    history: News = field(default_factory=News)
    tasks: EventBell = field(default_factory=EventBell)


@contextmanager
def ringing(*bells: Bell) -> Iterator[None]:
    """Ring on the way out, however it ends.

    A write whose task is cancelled may have been committed all the same; a ring for nothing costs one look, a missing
    one leaves work lying.
    """
    try:
        yield
    finally:
        for bell in bells:
            bell.ring()
