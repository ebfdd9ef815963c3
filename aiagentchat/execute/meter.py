"""Looks at how large the folders of a room become while a turn runs.

A file system has no quota for a folder, so this is a look every few seconds: what is written between two looks is not
held back. One look at a time, whatever the number of rooms, in small steps with pauses between them; and the longer a
look takes, the rarer it is.
"""

import asyncio
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import structlog

from aiagentchat.core.agent_events import LimitReached
from aiagentchat.core.isolation import RunLimits
from aiagentchat.core.ports.clock import Clock
from aiagentchat.process.measure import Measure

FIRST_SECONDS = 5.0
"""After the beginning of a turn: most are over before."""
EVERY_SECONDS = 5.0
SHARE = 20
"""A look that took a second is followed by so many seconds without one."""
STEP = 1_000
"""Entries that are looked at without a pause: some milliseconds."""
PAUSE_SECONDS = 0.01
LAST_SECONDS = 0.1
"""How long the look at the end of a turn may take: enough for some ten thousand files."""
BREATHING_MIB = 256
"""A room that is too large already may be tidied up: its turn ends only when it grows by so much more."""
_MIB = 1024 * 1024
_NS = 1_000_000  # in a millisecond

log = structlog.get_logger(__name__)


def until_next(took: float) -> float:
    """Seconds without a look after one that took so long."""
    return max(EVERY_SECONDS, took * SHARE)


class Meter:
    """One for the whole daemon."""

    def __init__(self, clock: Clock, *, breathing_mib: int = BREATHING_MIB) -> None:
        self._clock = clock
        self._breathing = breathing_mib * _MIB
        self._one_at_a_time = asyncio.Lock()
        self._full: dict[tuple[Path, ...], int | None] = {}
        """Folders that have outgrown their limit, and the bytes that they may have until they are below it again; None
        until they were looked at in the turn after."""

    async def outgrown(self, folders: Sequence[Path], limits: RunLimits) -> LimitReached:
        """Return when `folders` have outgrown the limit of a workspace, or a file in them has reached that of a file.

        It is for one turn, from its beginning until it is cancelled at the end.
        """
        key = tuple(folders)
        since_ns = self._clock.now_ms() * _NS
        told = False
        wait = 0.0 if key in self._full else FIRST_SECONDS
        while True:
            await self._clock.sleep(wait)
            found, took = await self._look(key, since_ns)
            if not (found.complete or told):
                told = True
                log.warning("workspace.not_measured", entries=found.entries)
            if reached := _file(found, limits) or self._folders(key, found, limits):
                return reached
            wait = until_next(took)

    async def at_the_end(self, folders: Sequence[Path], limits: RunLimits, since_ms: int) -> LimitReached | None:
        """What was reached in a turn that began at `since_ms`, perhaps after the last look. Nobody waits for long.

        What there was no time to see is left to the next turn.
        """
        with closing(Measure(folders, since_ns=since_ms * _NS)) as found:
            seen = False
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_SECONDS), self._one_at_a_time:
                    while not seen:
                        seen = await asyncio.to_thread(found.step, STEP)
            # Of a part it is known how much there is at least, and nothing else.
            is_known = seen or found.allocated > limits.workspace_size * _MIB
            return _file(found, limits) or (self._folders(tuple(folders), found, limits) if is_known else None)

    async def _look(self, folders: Sequence[Path], since_ns: int) -> tuple[Measure, float]:
        """What was found, and the seconds that it took."""
        async with self._one_at_a_time:
            began = self._clock.monotonic()
            with closing(Measure(folders, since_ns=since_ns)) as found:
                while not await asyncio.to_thread(found.step, STEP):
                    await self._clock.sleep(PAUSE_SECONDS)
            return found, self._clock.monotonic() - began

    def _folders(self, key: tuple[Path, ...], found: Measure, limits: RunLimits) -> LimitReached | None:
        if not limits.workspace_size or found.allocated <= limits.workspace_size * _MIB:
            self._full.pop(key, None)
            return None
        reached = LimitReached("workspace_size", limits.workspace_size)
        if key not in self._full:
            self._full[key] = None
            return reached
        allowed = self._full[key]
        now_allowed = found.allocated + self._breathing
        self._full[key] = now_allowed if allowed is None else min(allowed, now_allowed)
        return None if allowed is None or found.allocated <= allowed else reached


def _file(found: Measure, limits: RunLimits) -> LimitReached | None:
    if limits.file_size and found.largest >= limits.file_size * _MIB:
        return LimitReached("file_size", limits.file_size)
    return None
