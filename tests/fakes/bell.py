"""A bell that shows whether anybody waits for it."""

from aiagentchat.core.ports.clock import Bell
from aiagentchat.store.bell import EventBell
from tests.fakes.changes import Changes

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
        self._changes = Changes()
        bell.wait = self._watched  # type: ignore[method-assign]

    async def until_quiet(self) -> None:
        """Wait until somebody waits for the bell, and it has not rung."""
        await self._changes.until(lambda: self._is_waiting and not self._bell._rung.is_set())

    async def until_nap(self, seconds: float) -> None:
        """Wait until somebody is ready to wait for so long (nearly)."""
        await self._changes.until(lambda: self._is_waiting and abs(self.naps[-1] - seconds) < NEARLY)

    async def _watched(self, timeout: float) -> bool:
        self.naps.append(timeout)
        self._is_waiting = True
        self._changes.tell()
        try:
            return await self._wait(timeout)
        finally:
            self._is_waiting = False
