"""How much at once: computed from the machine when config.yaml does not say it."""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

_PER_PROCESS = 300 * 1024 * 1024  # a Claude Code process takes 190 to 300 MiB
_SHARE = 2  # half of the memory is left to what the turns start, and to everything else
_MOST = 32
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class Machine(NamedTuple):
    """What the daemon may use."""

    cores: int
    memory: int
    """Bytes."""


class Limits(NamedTuple):
    """How many turns at once, and how many idle runs beside them."""

    max_parallel_turns: int
    max_warm: int


def measure(cgroup_limit: Path = _CGROUP_LIMIT) -> Machine:
    """This machine, or the container's share of it."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # no cgroup, or "max": there is no limit
        memory = min(memory, int(cgroup_limit.read_text(encoding="ascii")))
    return Machine(len(os.sched_getaffinity(0)), memory)


def computed(machine: Machine) -> Limits:
    """At least one turn; never more processes than half of the memory holds."""
    processes = machine.memory // _SHARE // _PER_PROCESS
    turns = max(1, min(2 * machine.cores, (processes + 1) // 2, _MOST))
    return Limits(turns, max(1, min(processes - turns, _MOST)))
