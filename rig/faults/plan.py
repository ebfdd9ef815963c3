"""Which fault comes next, and what came of each. Shared by the lanes."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rig.faults.kinds import Fault
from rig.faults.oracle import Violation

PER_ROUND = {"kill -9": 25, "network": 10, "homeserver": 5, "disk": 5, "flood": 2, "twins": 2}
"""Strikes between two judgements. Few enough that a violation can be blamed on them."""
RESERVE = 15.0
"""Seconds of a short run that are kept for the last judgement."""
MOST_MISSES = 2
"""A fault that misses more often than this times its planned tries, plus ten, is given up."""
MISSES_IN_TIME = 2
"""The same for a short run."""


@dataclass(slots=True)
class Tally:
    """What came of a fault."""

    tries: int = 0
    """How often it took place."""
    misses: int = 0
    """How often it did not, or met nothing that it could harm."""
    violations: int = 0
    """In rounds in which it took place."""


@dataclass(slots=True, kw_only=True)
class Plan:
    """With `seconds`, each fault once and then whatever comes until the time is over; without, the planned tries."""

    faults: Sequence[Fault]
    chance: random.Random
    seconds: float | None = None
    share: int = 1
    """Of the planned tries only one in so many."""
    begun: float = field(default_factory=time.monotonic)
    tallies: dict[str, Tally] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    rounds: int = 0
    _given: dict[str, int] = field(default_factory=dict)
    """How many tries were handed out."""

    def __post_init__(self) -> None:
        self.tallies = {fault.name: Tally() for fault in self.faults}
        self._given = dict.fromkeys(self.tallies, 0)

    def next_round(self) -> list[Fault]:
        """What the lane that asks strikes with before its next judgement; empty when it is done."""
        return self._next_planned() if self.seconds is None else self._next_in_time(self.seconds)

    def count(self, fault: Fault, *, took_place: bool) -> None:
        """It was tried."""
        tally = self.tallies[fault.name]
        if took_place:
            tally.tries += 1
        else:
            tally.misses += 1
            most = MISSES_IN_TIME if self.seconds else self._planned(fault) * MOST_MISSES + 10
            self._given[fault.name] -= tally.misses <= most

    def blame(self, struck: Sequence[Fault], found: Sequence[Violation]) -> None:
        """What was found wrong after a round: everything that struck in it is suspected."""
        self.rounds += 1
        self.violations += found
        for name in {fault.name for fault in struck}:
            self.tallies[name].violations += len(found)

    def progress(self) -> str:
        """Where we are, in one line."""
        tries = sum(tally.tries for tally in self.tallies.values())
        elapsed = time.monotonic() - self.begun
        if self.seconds is not None:
            left, of = max(0.0, self.seconds - elapsed), ""
        else:
            planned = sum(map(self._planned, self.faults))
            left, of = (elapsed / tries * (planned - tries) if tries else 0.0), f" of {planned}"
        return f"{tries}{of} faults, {len(self.violations)} violations, {elapsed:.0f} s gone, about {left:.0f} s left"

    def _next_planned(self) -> list[Fault]:
        """Several of one group, so that they meet in many orders."""
        left = {fault.name: self._planned(fault) - self._given[fault.name] for fault in self.faults}
        groups = list(dict.fromkeys(fault.group for fault in self.faults if left[fault.name] > 0))
        if not groups:
            return []
        group = self.chance.choice(groups)
        able = [fault for fault in self.faults if fault.group == group for _ in range(left[fault.name])]
        return self._give(self.chance.sample(able, min(len(able), PER_ROUND[group])))

    def _next_in_time(self, seconds: float) -> list[Fault]:
        untried = [fault for fault in self.faults if not self._given[fault.name]]
        if not untried and time.monotonic() - self.begun > seconds - RESERVE:
            return []
        if untried:
            group = self.chance.choice(untried).group
            return self._give([fault for fault in untried if fault.group == group])
        return self._give(self.chance.choices(self.faults, [fault.planned for fault in self.faults], k=10))

    def _planned(self, fault: Fault) -> int:
        return -(-fault.planned // self.share)

    def _give(self, faults: list[Fault]) -> list[Fault]:
        for fault in faults:
            self._given[fault.name] += 1
        return faults
