"""A minute of the fault rig, with a fixed seed: `make faults` is the long form.

Its lanes bring a homeserver of their own, because they kill it.
"""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.faults.catalog import chosen
from rig.faults.lane import Setting
from rig.faults.plan import Plan
from rig.faults.runner import run
from rig.setup import synapse_python

SECONDS = 45.0
LANES = 2
SEED = 20


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="aiagentchat-faults-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.mark.real
@pytest.mark.timeout(400)
async def test_whatever_happens_every_message_has_one_outcome(folder: Path) -> None:
    """Each fault takes place at least once, and the oracle finds nothing."""
    synapse_python()
    faults = [fault for fault in chosen([]) if not fault.only_full and not fault.hindrance()]
    plan = Plan(faults=faults, chance=random.Random(SEED), seconds=SECONDS)

    findings = await run(plan, folder, Setting(seed=SEED), lanes=LANES)

    assert [str(violation) for violation in plan.violations] == []
    assert [name for name, tally in plan.tallies.items() if not tally.tries] == []
    assert findings.outcomes["lost"] == 0
    assert findings.outcomes["answered"] > 0
    assert findings.outcomes["reported"] > 0
