"""The service that forgets: at the start, and then every hour."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from aiagentchat.core.ports.clock import Clock
from aiagentchat.store.housekeeping import Housekeeping

EVERY_SECONDS = 3600.0
"""Between two rounds: what is kept for days is kept for an hour longer."""
_DAY_MS = 24 * 3_600_000
_SPENDING_DAYS = 400
"""What was spent is known for longer than a year, however soon the rest goes."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """For how many days after its end a thing is kept; 0: for ever."""

    rows: int
    bodies: int
    """Its text; 0: as long as its row."""
    audit: int = 0
    """A line of the audit."""


class Janitor:
    """Erases texts, prunes rows, and empties SQLite's log."""

    def __init__(self, housekeeping: Housekeeping, *, keep: Callable[[], Keep], clock: Clock) -> None:
        self._housekeeping = housekeeping
        self._keep = keep
        self._clock = clock

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            await self.tidy()
            await self._clock.sleep(EVERY_SECONDS)

    async def tidy(self) -> None:
        """One round."""
        now, keep = self._clock.now_ms(), self._keep()
        await self._housekeeping.expire(now)
        await self._housekeeping.write_held(now)
        await self._housekeeping.prune_agent_turns(now - _DAY_MS)  # before their commands go
        bodies = lines = 0
        pruned: Mapping[str, int] = {}
        if keep.rows:
            pruned = await self._housekeeping.prune(now - keep.rows * _DAY_MS)
            await self._housekeeping.prune_spending(now - max(keep.rows, _SPENDING_DAYS) * _DAY_MS)
        if keep.bodies:
            bodies = await self._housekeeping.erase(now - keep.bodies * _DAY_MS)
        if keep.audit:
            lines = await self._housekeeping.prune_audit(now - keep.audit * _DAY_MS)
        if bodies or any(pruned.values()):
            log.info("store.pruned", bodies=bodies, rows=dict(pruned))
        if lines:
            log.info("audit.pruned", lines=lines)
        await self._housekeeping.checkpoint()
