"""The ways in which a run is ended, and how long each may take."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aiagentchat.core.isolation import Isolation
from rig.torture import census
from rig.torture.census import Seen
from rig.torture.growing import TrialFailed

Stays = Literal["run", "owner", "nobody"]
"""What there is after an end: the warm run and its owner, the owner alone, or nobody."""
SLACK = 0.5
"""Seconds beyond the grace of an end that it may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One of them."""

    name: str
    stays: Stays
    how: Literal["timeout", "stop", "leave", "term", "kill", "launch"]
    victim: str = ""
    """Whom SIGKILL hits; the owner when nothing is said."""
    between: tuple[float, float] = (0, 0)
    """Of a launch: the seconds after its beginning in which it is hit."""
    bustle: bool = False
    """Whether other runs are being started meanwhile."""
    planned: int
    """Trials in a full run, in all ways of keeping a run in together."""
    only_in: Isolation | None = None


LAUNCH, GROWTH = (0, 0.08), (0.08, 0.4)

ENDS = (
    End(name="timeout", how="timeout", stays="owner", planned=100),
    End(name="/stop", how="stop", stays="run", planned=120),
    End(name="end of turn", how="leave", stays="run", planned=150),
    End(name="SIGTERM: daemon", how="term", stays="nobody", planned=80),
    End(name="kill -9: daemon", how="kill", stays="nobody", planned=80),
    End(name="kill -9: daemon, in a launch", how="launch", between=LAUNCH, stays="nobody", planned=150),
    End(name="kill -9: daemon, while it grows", how="launch", between=GROWTH, stays="nobody", planned=60),
    End(name="kill -9: shim", how="kill", victim="shim", stays="owner", planned=50),
    End(name="kill -9: shim, others start", how="kill", victim="shim", stays="owner", bustle=True, planned=50),
    End(name="kill -9: shim, in a launch", how="launch", victim="shim", between=LAUNCH, stays="owner", planned=50),
    End(name="kill -9: bwrap", how="kill", victim="bwrap", stays="owner", planned=40, only_in=Isolation.STRICT),
    End(name="kill -9: bwrap's init", how="kill", victim="init", stays="owner", planned=40, only_in=Isolation.STRICT),
    End(name="kill -9: first inside", how="kill", victim="inside", stays="owner", planned=60),
    End(name="kill -9: CLI", how="kill", victim="cli", stays="owner", planned=60),
)
"""With the driver alone and the fake CLI."""

WHOLE_ENDS = (
    End(name="real CLI: timeout", how="timeout", stays="run", planned=5),
    End(name="real CLI: /stop", how="stop", stays="run", planned=5),
    End(name="real CLI: end of turn", how="leave", stays="run", planned=5),
    End(name="real CLI: SIGTERM: daemon", how="term", stays="nobody", planned=5),
    End(name="real CLI: kill -9: daemon", how="kill", stays="nobody", planned=5),
    End(name="real CLI: kill -9: shim", how="kill", victim="shim", stays="owner", planned=5),
    End(
        name="real CLI: kill -9: bwrap",
        how="kill",
        victim="bwrap",
        stays="owner",
        planned=5,
        only_in=Isolation.STRICT,
    ),
    End(name="real CLI: kill -9: first inside", how="kill", victim="inside", stays="owner", planned=5),
    End(name="real CLI: kill -9: CLI", how="kill", victim="cli", stays="owner", planned=5),
)
"""With the whole daemon, a real Synapse and the real CLI."""


def chain(owner: int, *, of: str = "") -> list[Seen]:
    """From the shim down to the CLI, of a run that does nothing: each starts the next one.

    The run is the one in whose command lines `of` is; an owner may have several, and a shim that waits for one.
    """
    found = [each for each in census.children(owner) if not census.waits(each.pid) and _is_in(each, of)]
    if len(found) != 1:
        raise TrialFailed(f"not one run but {len(found)}")
    while len(below := census.children(found[-1].pid)) == 1:
        found += below
    return found


def _is_in(seen: Seen, of: str) -> bool:
    pids = [seen.pid, *(each.pid for each in census.below(seen.pid))]
    return any(of in word for pid in pids for word in census.argv(pid))


def victim(name: str, links: Sequence[Seen]) -> int:
    """Whom to kill."""
    place = {"shim": 0, "bwrap": 1, "init": 2, "inside": -2, "cli": -1}[name]
    if not -len(links) <= place < len(links):
        raise TrialFailed(f"there is no {name} among {[link.name for link in links]}")
    return links[place].pid


def kill(pid: int) -> None:
    """SIGKILL."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError as error:
        raise TrialFailed(f"{pid} had ended before it was killed") from error
