"""What a life that ended hard may have left running. There should never be anything: the shim ends the tree with us.

It is looked for all the same, by two signs: the run's id in the environment of its processes, and the uid that only
its room has. The number of a process is no sign: it may be another's by now.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

MARKER = "AICHAT_RUN"
"""The variable that every process of a run has, with the run's id."""
GONE_SECONDS = 5.0
"""How long the kernel may take to let go of what was killed."""
_PAUSE = 0.01


async def end_leftovers(runs: Mapping[str, int | None]) -> dict[str, int]:
    """Kill every process of these runs (their uid, where they have one of their own); how many each had left.

    It looks again until there is none: a process may be born while we look.
    """
    return await asyncio.to_thread(_end, runs)


def _end(runs: Mapping[str, int | None]) -> dict[str, int]:
    counts: dict[str, int] = {}
    seen: set[tuple[int, float]] = set()
    deadline = time.monotonic() + GONE_SECONDS
    while found := list(_left(runs)):
        for process, run in found:
            with contextlib.suppress(psutil.Error):
                identity = process.pid, process.create_time()
                process.kill()
                counts[run] = counts.get(run, 0) + (identity not in seen)
                seen.add(identity)
        if time.monotonic() > deadline:
            break
        time.sleep(_PAUSE)
    return counts


def _left(runs: Mapping[str, int | None]) -> Iterator[tuple[psutil.Process, str]]:
    uids = {uid: run for run, uid in runs.items() if uid is not None}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            run = uids.get(process.uids().real) or _mark(process)
            if run in runs:
                yield process, run


def _mark(process: psutil.Process) -> str:
    try:
        return process.environ().get(MARKER, "")
    except (psutil.Error, OSError):
        return ""


def clear_sockets(folder: Path) -> None:
    """Remove what an earlier life listened on. OSError if the folder cannot be made."""
    folder.mkdir(parents=True, exist_ok=True)
    # Where a room is a user of its own, it goes through here to its way out; the umask is for what is secret.
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    for file in folder.glob("*.sock"):
        file.unlink(missing_ok=True)
