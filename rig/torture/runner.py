"""Runs lanes side by side until the plan is done."""

import asyncio
import os
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rig.torture import whole
from rig.torture.alone import Stage, Trial, stage
from rig.torture.growing import TrialFailed
from rig.torture.plan import Outcome, Plan
from rig.torture.ways import WAYS, Way

_UIDS = 400_000


def say(text: str) -> None:
    """Progress, where it does not disturb the table."""
    print(text, file=sys.stderr, flush=True)


def uid_of(lane: int) -> int:
    """A user that nobody else on this machine has."""
    return _UIDS + os.getpid() * 16 + lane


async def possible_ways(folder: Path) -> list[Way]:
    """Those that work here, by trying each; the rest is left out, aloud."""
    found = []
    for way in WAYS:
        why = await _hindrance(folder, way)
        if why:
            say(f"left out: {way.name}: {why}")
        else:
            found.append(way)
    return found


async def _hindrance(folder: Path, way: Way) -> str:
    if not way.is_possible:
        return "only root can change users"
    try:
        async with stage(folder, way, uid_of(0), attempt=True) as made:
            await made.start()
    except TrialFailed as error:
        return str(error)
    return ""


def best(ways: Sequence[Way]) -> Way:
    """What a daemon that is not root takes by itself."""
    return next(way for way in ways if not way.as_root)


async def run(plan: Plan, folder: Path, *, lanes: int) -> None:
    """Run the plan on so many lanes, in folders of their own below `folder`."""
    async with asyncio.TaskGroup() as group:
        for number in range(lanes):
            chance = random.Random(plan.chance.random())  # noqa: S311 - to be repeated, not to be secret
            group.create_task(_lane(plan, folder, number, chance), name=f"lane {number}")


async def _lane(plan: Plan, folder: Path, number: int, chance: random.Random) -> None:
    while (asked := plan.next_round()) is not None:
        way, ends = asked
        async with stage(folder, way, uid_of(number)) as made:
            for end in ends:
                outcome = await _trial(made, Trial(made, end, chance))
                if found := plan.count(end, way, outcome):
                    _keep_log(made, folder / "evidence")
                for violation in found:
                    say(f"VIOLATION {violation}")
        say(f"lane {number}: {way.name} ({plan.progress()})")


async def run_whole(plan: Plan, folder: Path) -> None:
    """Run the plan through one daemon."""
    async with whole.house(folder) as house:
        while (asked := plan.next_round()) is not None:
            way, ends = asked
            for end in ends:
                try:
                    outcome = await whole.Trial(house, end).go()
                except (TrialFailed, AssertionError) as error:
                    outcome = _failed(error)
                    await house.close()
                for violation in plan.count(end, way, outcome):
                    say(f"VIOLATION {violation}")
            say(f"real CLI ({plan.progress()})")


async def _trial(stage: Stage, trial: Trial) -> Outcome:
    try:
        return await trial.go()
    except TrialFailed as error:  # it did not come to an end that could be judged
        await stage.end()
        return _failed(error)


def _failed(error: Exception) -> Outcome:
    return Outcome(verdict=None, wrong=(str(error),))


def _keep_log(stage: Stage, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    shutil.copy(stage.folder / "owner.log", folder / f"{stage.folder.name}.log")
