"""Which trials come next, and what came of each. Shared by the lanes."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rig.torture.census import Verdict
from rig.torture.ends import End
from rig.torture.ways import Way

PER_ROUND = 12
"""Trials between two changes of the way: an owner serves several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a trial."""

    verdict: Verdict | None
    """None when it did not come to an end that could be judged."""
    again: float | None = None
    """Seconds that the next turn of the same run took."""
    wrong: tuple[str, ...] = ()
    """What else was not as it must be."""


@dataclass(slots=True)
class Tally:
    """What came of all trials of an end."""

    trials: int = 0
    survivors: int = 0
    """Processes."""
    zombies: int = 0
    late: int = 0
    """Trials."""
    wrong: int = 0
    """Trials."""
    seconds: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        """One more."""
        self.wrong += bool(outcome.wrong)
        self.again += [] if outcome.again is None else [outcome.again]
        if (verdict := outcome.verdict) is not None:
            self.trials += 1
            self.survivors += len(verdict.survivors)
            self.zombies += len(verdict.zombies)
            self.late += verdict.is_late
            self.seconds.append(verdict.seconds)


@dataclass(slots=True, kw_only=True)
class Plan:
    """With `seconds`, each end in each way once and then whatever comes until the time is over; without, as planned."""

    ends: Sequence[End]
    ways: Sequence[Way]
    chance: random.Random
    seconds: float | None = None
    begun: float = field(default_factory=time.monotonic)
    tallies: dict[str, Tally] = field(default_factory=dict)
    by_way: dict[str, Tally] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    _left: dict[str, list[End]] = field(default_factory=dict)
    """What was not handed out, by way."""

    def __post_init__(self) -> None:
        self.tallies = {end.name: Tally() for end in self.ends}
        self.by_way = {way.name: Tally() for way in self.ways}
        self._left = {way.name: [] for way in self.ways}
        for end in self.ends:
            ways = self._possible(end)
            if not ways:
                continue
            for number in range(max(len(ways), end.planned) if self.seconds is None else len(ways)):
                self._left[ways[number % len(ways)].name].append(end)
        for ends in self._left.values():
            self.chance.shuffle(ends)

    def next_round(self) -> tuple[Way, list[End]] | None:
        """What the lane that asks does next; None when it is done."""
        open_ = [way for way in self.ways if self._left[way.name]]
        if open_:
            way = max(open_, key=lambda way: len(self._left[way.name]))
            ends, self._left[way.name] = self._left[way.name][:PER_ROUND], self._left[way.name][PER_ROUND:]
            return way, ends
        if self.seconds is None or not self.ends or time.monotonic() - self.begun > self.seconds:
            return None
        way = self.chance.choice(self.ways)
        able = [end for end in self.ends if way in self._possible(end)]
        return way, self.chance.choices(able, [end.planned for end in able], k=PER_ROUND // 2)

    def count(self, end: End, way: Way, outcome: Outcome) -> list[str]:
        """It was tried; what was wrong."""
        self.tallies[end.name].count(outcome)
        self.by_way[way.name].count(outcome)
        found = list(outcome.wrong)
        if (verdict := outcome.verdict) is not None:
            found += [f"survives: {each}" for each in verdict.survivors]
            found += [f"zombie: {each}" for each in verdict.zombies]
            found += [f"late: {verdict.seconds * 1000:.0f} ms"] if verdict.is_late else []
        found = [f"{end.name} ({way.name}): {each}" for each in found]
        self.violations += found
        return found

    def progress(self) -> str:
        """Where we are, in one line."""
        done = sum(tally.trials for tally in self.tallies.values())
        left = sum(map(len, self._left.values()))
        elapsed = time.monotonic() - self.begun
        return f"{done} trials, {left} planned, {len(self.violations)} violations, {elapsed:.0f} s"

    def _possible(self, end: End) -> list[Way]:
        return [way for way in self.ways if end.only_in in (None, way.isolation)]
