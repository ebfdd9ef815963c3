"""Waiting, without sleeping, for something that a fake sees happen."""

import asyncio
from collections.abc import Callable

PATIENCE = 10.0
"""Seconds of real time that a test waits for something that should happen at once."""


class Changes:
    """Tells whoever waits that it is time to look again."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def tell(self) -> None:
        """Something changed."""
        for waiter in self._waiting:
            waiter.set()

    async def until(self, condition: Callable[[], object], *, patience: float | None = PATIENCE) -> None:
        """Return when `condition` is true; raise TimeoutError after `patience`."""
        news = asyncio.Event()
        self._waiting.add(news)
        try:
            async with asyncio.timeout(patience):
                while not condition():
                    await news.wait()
                    news.clear()
        finally:
            self._waiting.discard(news)
