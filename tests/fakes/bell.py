"""Bells that show whether anybody waits for them."""

import asyncio

from aiagentchat.core.ports.clock import Bell
from aiagentchat.store.bell import EventBell
from tests.fakes.changes import Changes
from tests.fakes.clock import FakeClock

NEARLY = 0.01


class WatchedBell:
    """Watches a real bell."""

    def __init__(self, bell: Bell) -> None:
        assert isinstance(bell, EventBell)
        self.naps: list[float] = []
        """For how long somebody was ready to wait, each time."""
        self._bell = bell
        self._wait = bell.wait
        self._is_waiting = False
        self._is_passed = False
        self._changes = Changes()
        bell.wait = self._watched  # type: ignore[method-assign]

    async def until_quiet(self) -> None:
        """Wait until somebody waits for the bell, and it has not rung."""
        await self._changes.until(lambda: self._is_waiting and not self._bell._rung.is_set())

    async def until_nap(self, seconds: float) -> None:
        """Wait until somebody is ready to wait for so long (nearly)."""
        await self._changes.until(lambda: self._is_waiting and abs(self.naps[-1] - seconds) < NEARLY)

    def pass_nap(self) -> None:
        """Whoever waits has waited for as long as they wanted to, and nothing rang."""
        self._is_passed = True
        self._bell.ring()

    async def _watched(self, timeout: float) -> bool:
        self.naps.append(timeout)
        self._is_waiting = True
        self._changes.tell()
        try:
            rang = await self._wait(timeout)
        finally:
            self._is_waiting = False
        is_passed, self._is_passed = self._is_passed, False
        return rang and not is_passed


class ClockBell:
    """A bell whose waits last until the test lets time pass. For one waiter."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._is_rung = False
        self._waiter: asyncio.Future[bool] | None = None
        self._until = 0.0
        self._changes = Changes()

    def ring(self) -> None:
        """Wake whoever waits, or the next one who does."""
        if not self._wake(rang=True):
            self._is_rung = True

    async def wait(self, timeout: float) -> bool:
        """Return True when it rang since the last wait, False after `timeout` seconds."""
        if self._is_rung:
            self._is_rung = False
            return True
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        self._until = self._clock.monotonic() + timeout
        self._changes.tell()
        rang: bool = await waiter
        return rang

    async def until_quiet(self) -> float:
        """Wait until somebody waits for the bell, and it has not rung; for how long they are ready to wait still."""
        await self._changes.until(lambda: self._waiter is not None)
        return self._until - self._clock.monotonic()

    async def let_pass(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due in it."""
        while seconds >= 0:
            step = min(seconds, max(0.0, await self.until_quiet()))
            self._clock.advance(step)
            seconds -= step
            if self._until > self._clock.monotonic():
                return
            self._wake(rang=False)
            await self.until_quiet()
            if not seconds:
                return

    def _wake(self, *, rang: bool) -> bool:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return False
        waiter.set_result(rang)
        return True
