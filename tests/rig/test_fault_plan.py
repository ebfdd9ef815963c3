"""What the fault rig will do, and how much of it."""

import random

from rig.faults.catalog import chosen
from rig.faults.plan import Plan


def test_a_share_of_the_planned_tries_still_has_each_fault() -> None:
    faults = chosen([])
    plan = Plan(faults=faults, chance=random.Random(1), share=4)

    struck: list[str] = []
    while some := plan.next_round():
        struck += [fault.name for fault in some]

    assert {name: struck.count(name) for name in struck} == {fault.name: -(-fault.planned // 4) for fault in faults}
