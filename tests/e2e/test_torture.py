"""A minute of the torture rig, with a fixed seed: the driver alone, and then each end through all of it.

`make torture` is the long form, and the one that judges how fast.
"""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.setup import synapse_python
from rig.torture.ends import ENDS, WHOLE_ENDS
from rig.torture.plan import Plan
from rig.torture.runner import best, possible_ways, run, run_whole

SECONDS = 15.0
LANES = 2
SEED = 20


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="aiagentchat-torture-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def bad(plan: Plan) -> list[str]:
    """What must not be. Other tests keep this machine busy, so that it is slow is no fault here: neither is a run that
    was ended because it had not obeyed a stop within its rung. `make torture` judges both."""
    slow = (": late: ", ": the run did not stay")
    return [violation for violation in plan.violations if not any(each in violation for each in slow)]


@pytest.mark.real
@pytest.mark.timeout(400)
async def test_no_end_of_a_run_leaves_a_process_or_a_zombie(folder: Path) -> None:
    """Each end takes place at least once in each isolation that there is, with the driver alone."""
    plan = Plan(ends=ENDS, ways=await possible_ways(folder), chance=random.Random(SEED), seconds=SECONDS)

    await run(plan, folder, lanes=LANES)

    assert bad(plan) == []
    assert plan.ways
    assert [name for name, tally in plan.by_way.items() if not tally.trials] == []


@pytest.mark.real
@pytest.mark.timeout(400)
async def test_no_end_of_a_run_of_the_real_program_does_and_the_room_reads_what_came_of_it(folder: Path) -> None:
    """Each end once, through the whole daemon; the next message is answered each time."""
    synapse_python()
    ways = [best(await possible_ways(folder))]
    plan = Plan(ends=WHOLE_ENDS, ways=ways, chance=random.Random(SEED), seconds=0)

    await run_whole(plan, folder)

    assert bad(plan) == []
    assert [name for name, tally in plan.tallies.items() if not tally.trials] == (
        [] if ways[0].name == "strict" else ["real CLI: kill -9: bwrap"]
    )
