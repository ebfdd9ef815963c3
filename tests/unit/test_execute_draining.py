"""A drain begins nothing new and lets what runs come to its end."""

import asyncio
from pathlib import Path

from aiagentchat.core.commands import CommandState
from tests.contract.store_fixtures import accept
from tests.fakes.agent import ScriptedAgent
from tests.unit.execute_house import house_for_a_scheduler
from tests.unit.test_execute_scheduler import ROOMS, Gated, asked, ended, look_around, running


async def test_a_drain_waits_for_the_turns_that_run_and_leaves_the_rest_for_the_next_life(tmp_path: Path) -> None:
    plan = Gated()
    async with house_for_a_scheduler(tmp_path, ScriptedAgent(plan), *ROOMS) as house:
        await accept(house.ledger, asked(0), asked(0, 1), asked(1))
        async with running(house, max_parallel=2) as scheduler, asyncio.TaskGroup() as group:
            await plan.until(2)
            draining = group.create_task(scheduler.drain())
            await asyncio.sleep(0)
            await accept(house.ledger, asked(2))
            plan.go_on("0.0")
            await ended(house, "$0.0")
            await look_around(house)
            assert (scheduler.draining, draining.done()) == (True, False)
            plan.go_on("1.0")
            await ended(house, "$1.0")
            await draining
            await look_around(house)

        assert plan.begun == ["0.0", "1.0"]
        assert [await house.state(event) for event in ("$0.1", "$2.0")] == [CommandState.QUEUED] * 2


async def test_a_drain_of_an_idle_house_is_done_at_once(tmp_path: Path) -> None:
    async with house_for_a_scheduler(tmp_path, ScriptedAgent(Gated()), *ROOMS) as house, running(house) as scheduler:
        assert scheduler.draining is False
        await scheduler.drain()
        await scheduler.drain()

        assert scheduler.draining is True


async def test_the_next_life_runs_what_was_left(tmp_path: Path) -> None:
    plan = Gated()
    async with house_for_a_scheduler(tmp_path, ScriptedAgent(plan), *ROOMS) as house:
        async with running(house) as scheduler:
            await scheduler.drain()
            await accept(house.ledger, asked(0))
            await look_around(house)
        assert plan.begun == []
        async with running(house):
            plan.go_on("0.0")
            await ended(house, "$0.0")

        assert await house.state("$0.0") is CommandState.DONE
