"""Runs lanes side by side until the plan is done."""

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rig.faults.lane import Lane, Setting, open_lane
from rig.faults.oracle import Violation
from rig.faults.plan import Plan

GONE_WITHIN = 10.0
"""Seconds for everything that a daemon has started to be gone after it."""


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a run leaves beside the tallies."""

    lives: int = 0
    """How often a daemon was started."""
    ended_by_itself: int = 0
    """How often one ended although nobody had killed it."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """What became of the messages: answered, reported, refused, lost."""


def say(text: str) -> None:
    """Progress, where it does not disturb the table."""
    print(text, file=sys.stderr, flush=True)


async def run(plan: Plan, folder: Path, setting: Setting, *, lanes: int) -> Findings:
    """Run the plan on so many lanes, each in a folder of its own below `folder`."""
    findings = Findings()
    async with asyncio.TaskGroup() as group:
        for number in range(lanes):
            where = folder / f"lane-{number}"
            group.create_task(_lane(number, where, plan, findings, setting))
    return findings


async def _lane(number: int, folder: Path, plan: Plan, findings: Findings, setting: Setting) -> None:
    async with open_lane(number, folder, setting) as lane:
        while struck := plan.next_round():
            say(f"lane {lane.name}: {_names([fault.name for fault in struck])} ({plan.progress()})")
            for fault in struck:
                plan.count(fault, took_place=await fault.strike(lane))
            found = await lane.judge()
            plan.blame(struck, found)
            for violation in found:
                say(f"lane {lane.name}: VIOLATION {violation}; evidence in {lane.evidence[-1]}")
        plan.violations += await _orphans(lane)
        findings.lives += lane.victim.lives
        findings.outcomes += lane.outcomes
        findings.ended_by_itself += len(lane.victim.ended_by_itself)


async def _orphans(lane: Lane) -> list[Violation]:
    """What still runs after the daemon has ended for good."""
    await lane.victim.murder()
    left = await lane.victim.left_behind(GONE_WITHIN)
    return [Violation(invariant="O", room="any", event="none", seen=f"still runs: {process}") for process in left]


def _names(names: list[str]) -> str:
    counted = {name: names.count(name) for name in names}
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counted.items())
