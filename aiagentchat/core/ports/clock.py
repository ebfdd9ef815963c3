"""Time, waking and chance: passed in, so that nobody has to wait for them in a test."""

from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Time, passed in so that nobody has to wait for it in a test."""

    def now_ms(self) -> int:
        """Wall-clock milliseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class Bell(Protocol):
    """Rung when there may be work; nothing is lost if it rings while nobody waits."""

    def ring(self) -> None:
        """Wake whoever waits, or the next one who does."""
        ...

    async def wait(self, timeout: float) -> bool:
        """Return True when it rang since the last wait, False after `timeout` seconds."""
        ...


Random = Callable[[], float]
"""A number in [0, 1): passed in so that jitter can be tested."""
