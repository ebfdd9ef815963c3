"""What the torture rig will do, what it makes of what it saw, and the tree itself."""

import json
import os
import random
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from aiagentchat.core.isolation import Isolation
from rig.torture import census, init, report, tree
from rig.torture.census import Verdict
from rig.torture.ends import ENDS, WHOLE_ENDS
from rig.torture.growing import command, grown
from rig.torture.plan import Outcome, Plan
from rig.torture.ways import WAYS

CLEAN = Outcome(verdict=Verdict(seconds=0.05), again=0.1)


def make_plan(seconds: float | None = None) -> Plan:
    return Plan(ends=ENDS, ways=WAYS, chance=random.Random(1), seconds=seconds)


def handed_out(plan: Plan) -> list[tuple[str, str]]:
    """Everything that it plans, as end and way."""
    found = []
    while (asked := plan.next_round()) is not None:
        way, listed = asked
        found += [(end.name, way.name) for end in listed]
    return found


def test_a_full_run_has_more_than_a_thousand_trials_of_which_each_end_has_some_in_each_way() -> None:
    found = handed_out(make_plan())

    assert len(found) > 1000
    assert len(set(found)) == sum(len(WAYS) if end.only_in is None else 2 for end in ENDS)
    assert {way for end, way in found if "bwrap" in end} == {"strict", "strict, of root"}
    assert sum(end == "kill -9: daemon, in a launch" for end, _ in found) == 150


def test_a_short_run_has_each_of_them_once() -> None:
    found = handed_out(make_plan(seconds=0))

    assert len(found) == len(set(found)) == len(set(handed_out(make_plan())))


def test_with_time_left_there_is_always_more() -> None:
    plan = make_plan(seconds=1000)
    rounds = [plan.next_round() for _ in range(30)]

    assert None not in rounds


def test_whatever_is_wrong_is_a_violation_and_what_is_not_is_none() -> None:
    plan, end, way = make_plan(), ENDS[0], WAYS[0]
    bad = Verdict(seconds=3, survivors=("7 sleep",), zombies=("8 sh", "9 sh"), is_late=True)
    failed = Outcome(verdict=None, wrong=("no 'up' from the owner",))
    said = [
        plan.count(end, way, outcome)
        for outcome in (CLEAN, Outcome(verdict=bad, wrong=("the run did not stay",)), failed)
    ]
    row = report.as_dict(plan.tallies[end.name])

    assert said[0] == []
    assert (len(said[1]), len(said[2])) == (5, 1)
    assert plan.violations == [*said[1], *said[2]]
    assert (row["trials"], row["survivors"], row["zombies"], row["late"], row["wrong"]) == (2, 1, 2, 1, 2)
    assert (row["p50_ms"], row["max_ms"], row["next_turn_p50_ms"]) == (3000, 3000, 100)


def test_the_results_have_a_row_for_each_end_and_each_isolation(tmp_path: Path) -> None:
    plan, whole = make_plan(), Plan(ends=WHOLE_ENDS, ways=WAYS[:1], chance=random.Random(1))
    plan.count(ENDS[0], WAYS[0], CLEAN)
    file = tmp_path / "results" / "torture.json"
    report.write(report.results(plan, whole, seconds=1, seed=1, lanes=2), file)
    found = json.loads(file.read_text("utf-8"))

    assert found["ends"].keys() == {end.name for end in ENDS}
    assert found["isolation"].keys() == {way.name for way in WAYS}
    assert found["real_cli"].keys() == {end.name for end in WHOLE_ENDS}
    assert found["ends"]["timeout"]["trials"] == 1
    assert "1 trials, 0 violations" in report.table([plan, whole], seconds=1)


def test_every_isolation_is_tortured() -> None:
    assert {way.isolation for way in WAYS} == set(Isolation)


@pytest.mark.parametrize("leave", [True, False])
async def test_a_tree_has_as_many_processes_as_it_says_and_each_has_the_word(leave: bool) -> None:
    word = uuid.uuid4().hex
    argv = [sys.executable, "-ISE", str(init.__file__), *command(Path(tree.__file__), word, leave=leave)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220 - it is to start at once
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        await grown(process.pid, word)
        # Who walks through the tree while its first one leaves misses some; nobody is counted twice.
        living = max(sum(not each.is_zombie for each in census.below(process.pid)) for _ in range(10))
        while left := census.below(process.pid):
            for each in left:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, 9)

    assert tree.PROCESSES >= 70
    assert abs(living - tree.PROCESSES) <= 8  # those that fork on may just be between two
