"""What happens while the database cannot be written: everybody waits in their own write, and tries again.

So nothing is accepted that could not be kept, nothing that was accepted is lost, and all goes on when the cause is
gone: the disk has space again, another process lets go of its lock. It is said once when it begins and once when it is
over.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from aiagentchat.core.health import StoreHealth
from aiagentchat.store.sqlite_errors import StoreUnavailable

RETRY_SECONDS = 1.0
"""How long after a failure the same is tried again. There is no last time: only the caller's cancellation ends it."""

log = structlog.get_logger(__name__)


class Stall:
    """Counts who waits, and knows why."""

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep = sleep
        self._monotonic = monotonic
        self._trouble: str | None = None
        self._since = 0.0
        self._stalls = 0
        self._waiting = 0

    @property
    def health(self) -> StoreHealth:
        """Whether writing works, as far as anybody has tried."""
        return StoreHealth(trouble=self._trouble, stalls=self._stalls)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """For as long as one of the callers waits."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def wait(self, why: StoreUnavailable) -> None:
        """Until it is time to try again."""
        if self._trouble is None:
            self._since = self._monotonic()
            self._stalls += 1
            log.error("store.stalled", error=str(why))
        self._trouble = why.trouble
        await self._sleep(RETRY_SECONDS)

    def written(self) -> None:
        """Something was written. It is over when nobody waits any more: what is small may fit where others do not."""
        if self._trouble is not None and not self._waiting:
            self._trouble = None
            log.info("store.recovered", seconds=round(self._monotonic() - self._since, 1))
