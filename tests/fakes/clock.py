"""Time that moves only when the test moves it; tests/contract/test_clock.py holds it to the real one."""

import asyncio

from tests.fakes.changes import Changes

START_MS = 1_700_000_000_000


class FakeClock:
    """The Clock port. Whoever sleeps wakes when `advance` has passed the moment."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._start_ms = now_ms
        self._seconds = 0.0
        self._sleepers: dict[asyncio.Future[None], float] = {}
        self._changes = Changes()

    def now_ms(self) -> int:
        """Wall-clock milliseconds since the epoch."""
        return self._start_ms + round(self._seconds * 1000)

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers[waker] = self._seconds + seconds
        self._wake()
        self._changes.tell()
        try:
            await waker
        finally:
            self._sleepers.pop(waker, None)

    def turn(self, seconds: float) -> None:
        """Somebody sets the wall clock, by so much forwards or (negative) backwards; no time passes."""
        self._start_ms += round(seconds * 1000)

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake whose moment has come."""
        self._seconds += seconds
        self._wake()

    async def until_asleep(self) -> float:
        """Wait until somebody sleeps; in how many seconds the first one wakes."""
        await self._changes.until(lambda: self._sleepers)
        return min(self._sleepers.values()) - self._seconds

    async def pass_nap(self) -> float:
        """Wait until somebody sleeps, and let exactly that time pass; how long it was."""
        nap = await self.until_asleep()
        self.advance(nap)
        return nap

    def _wake(self) -> None:
        for waker in [waker for waker, moment in self._sleepers.items() if moment <= self._seconds]:
            del self._sleepers[waker]
            if not waker.done():
                waker.set_result(None)
