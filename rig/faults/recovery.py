"""How fast the daemon is back after `kill -9` with a hundred commands in its queue."""

import asyncio
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rig.faults.lane import Lane, Setting, open_lane
from rig.faults.oracle import Violation
from rig.faults.prompts import prompt
from rig.unprivileged import as_unprivileged

QUEUED = 100
TRIES = 20
TAKEN_IN_WITHIN = 60.0
BACK_WITHIN = 60.0
WORDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Milliseconds, of `tries` tries."""

    tries: int
    queued: int
    """Commands in the queue at the first kill."""
    start_to_resumed_p50: int
    start_to_resumed_p95: int
    """From exec until the log says `sync.resumed`: everything that was committed is at work again."""
    bare_imports_p50: int
    """A Python that only imports what the daemon imports, in the same run."""
    beyond_imports_p50: int
    beyond_imports_p95: int
    """The difference within each try: what the daemon itself takes."""

    def as_dict(self) -> dict[str, int]:
        """For the results."""
        return asdict(self)


async def measure(folder: Path, setting: Setting, *, tries: int = TRIES) -> tuple[Recovery, list[Violation]]:
    """Kill and start it so often; then let everything be answered, and judge that, too."""
    async with open_lane(25, folder, setting) as lane:
        gate = lane.victim.run_log.parent / "gate"
        await lane.typist.pause()
        await _fill(lane, gate, QUEUED + len(lane.rooms))
        back, bare = [], []
        for _ in range(tries):
            await lane.victim.murder()
            await lane.victim.left_behind(BACK_WITHIN)  # until then its agents are still being ended
            bare.append(await _bare(lane))
            back.append(await _back(lane))
            await _fill(lane, gate, len(lane.rooms))  # in the place of those that were just interrupted
        gate.touch()
        found = await lane.judge()
    return _recovery(back, bare), found


async def _fill(lane: Lane, gate: Path, count: int) -> None:
    """Type messages whose turns wait for the gate, and wait until the daemon has them in its queue."""
    before = lane.victim.lines_so_far
    for number in range(count):
        room = lane.rooms[number % len(lane.rooms)]
        await lane.typist.type(room, lambda name: prompt(name, WORDS, gate=str(gate)))
    await lane.victim.until_lines("event.decided", count, skip=before, within=TAKEN_IN_WITHIN)


async def _bare(lane: Lane) -> float:
    argv = [*as_unprivileged(), *lane.victim.import_probe()]
    begun = time.monotonic()
    done = await asyncio.to_thread(
        subprocess.run, argv, env=lane.victim.environ, cwd=lane.victim.folder, check=True, timeout=BACK_WITHIN
    )
    assert done.returncode == 0
    return time.monotonic() - begun


async def _back(lane: Lane) -> float:
    begun = time.monotonic()
    before = await lane.victim.launch()
    await lane.victim.until_line("sync.resumed", skip=before, timeout=BACK_WITHIN)
    return time.monotonic() - begun


def _recovery(back: Sequence[float], bare: Sequence[float]) -> Recovery:
    beyond = [whole - part for whole, part in zip(back, bare, strict=True)]
    return Recovery(
        tries=len(back),
        queued=QUEUED,
        start_to_resumed_p50=_ms(back, 0.5),
        start_to_resumed_p95=_ms(back, 0.95),
        bare_imports_p50=_ms(bare, 0.5),
        beyond_imports_p50=_ms(beyond, 0.5),
        beyond_imports_p95=_ms(beyond, 0.95),
    )


def _ms(values: Sequence[float], share: float) -> int:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000)
