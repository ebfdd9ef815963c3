"""The disk and the database: full, broken, read-only, locked; and a daemon that stands still."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from rig.faults import run_log, strace
from rig.faults.lane import Lane
from rig.unprivileged import as_unprivileged, clean_env

WRITES = ("write", "pwrite64", "ftruncate", "fallocate")
SYNCS = ("fsync", "fdatasync")
SHORTEST, LONGEST = 1.0, 4.0
"""Seconds that it lasts."""
PLANNED = 20
LOCKED = 7.0
"""Longer than SQLite waits for a lock in the daemon."""
_LOCK = """\
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
database.execute("ROLLBACK")
"""

Trouble = Callable[[Lane], AbstractAsyncContextManager[Callable[[], bool]]]
"""Lasts for a block; gives a function that says, behind the block, whether it took place."""


class Disk:
    """Keeps the daemon from writing, or from running, for some seconds, while commands run and wait.

    Attacks L and T (what could not be committed is neither lost nor run again), R, A. A daemon that waits is judged
    like one that ends and is started again.
    """

    group = "disk"

    def __init__(
        self,
        name: str,
        trouble: Trouble,
        *,
        seconds: float | None = None,
        planned: int = PLANNED,
        only_full: bool = False,
        needs_strace: bool = True,
    ) -> None:
        self.name = f"disk: {name}"
        self.planned = planned
        self.only_full = only_full
        self._trouble = trouble
        self._seconds = seconds
        self._needs_strace = needs_strace

    async def strike(self, lane: Lane) -> bool:
        """Let it last for some seconds."""
        await lane.victim.launch_and_wait()
        await lane.typist.until_busy()
        seconds = self._seconds or lane.random.uniform(SHORTEST, LONGEST)
        begun = time.time()
        async with self._trouble(lane) as took_place:
            at_stake = lane.typist.open()
            await asyncio.sleep(seconds)
        run_log.note_trouble(lane.victim.run_log, begun)
        return took_place() and bool(at_stake)

    def hindrance(self) -> str:
        """Most of them need strace."""
        return strace.hindrance() if self._needs_strace else ""


def _calls(calls: tuple[str, ...], what: str, *, only_wal: bool = False) -> Trouble:
    @asynccontextmanager
    async def trouble(lane: Lane) -> AsyncGenerator[Callable[[], bool], None]:
        database = lane.victim.database
        wal = database.with_name(f"{database.name}-wal")
        paths = [wal] if only_wal else [database, wal]
        async with strace.injected(lane.victim.pid, paths, calls, what) as injection:
            yield lambda: injection.hits > 0

    return trouble


@asynccontextmanager
async def _locked(lane: Lane) -> AsyncGenerator[Callable[[], bool], None]:
    """As the user who owns the files: another one would leave files that the daemon may not open."""
    process = await asyncio.create_subprocess_exec(
        *(*as_unprivileged(), sys.executable, "-c", _LOCK, str(lane.victim.database)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_env(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = await process.stdout.readline()
        yield lambda: said == b"locked\n"
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def _standing_still(lane: Lane) -> AsyncGenerator[Callable[[], bool], None]:
    lane.victim.send_signal(signal.SIGSTOP)
    try:
        yield lambda: True
    finally:
        lane.victim.send_signal(signal.SIGCONT)


def disk() -> list[Disk]:
    """Every kind."""
    return [
        Disk("ENOSPC on write", _calls(WRITES, "error=ENOSPC")),
        Disk("EIO on write", _calls(WRITES, "error=EIO")),
        Disk("EIO on fsync", _calls(SYNCS, "error=EIO")),
        Disk("read-only", _calls((*WRITES, *SYNCS), "error=EROFS")),
        Disk("locked by another process", _locked, planned=PLANNED - PLANNED // 2, needs_strace=False),
        Disk("locked for longer", _locked, seconds=LOCKED, planned=PLANNED // 2, only_full=True, needs_strace=False),
        Disk("quota on the write-ahead log", _calls(("pwrite64",), "error=EDQUOT", only_wal=True)),
        Disk("SIGSTOP", _standing_still, planned=PLANNED - 1, needs_strace=False),
        Disk("SIGSTOP for a minute", _standing_still, seconds=60.0, planned=1, only_full=True, needs_strace=False),
    ]
