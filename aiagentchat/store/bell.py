"""Bells: how a stage that wrote something wakes the stage that waits for it, without either knowing the other."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class Bells:
    """The bells of a ledger."""

    inbox: EventBell = field(default_factory=EventBell)
    commands: EventBell = field(default_factory=EventBell)
    outbox: EventBell = field(default_factory=EventBell)
    messages: EventBell = field(default_factory=EventBell)


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
