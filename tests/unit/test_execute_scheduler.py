"""Rooms run in parallel, each of them serially, and no more of them than the machine can bear."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiagentchat.core.agent_events import LimitReached
from aiagentchat.core.approvals import ApprovalState
from aiagentchat.core.commands import Command, CommandState, TurnTime
from aiagentchat.core.effects import DecideApproval, RequestStop
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.core.ports.agent import Prompt
from aiagentchat.execute import rests
from aiagentchat.execute.scheduler import Scheduler
from aiagentchat.render import words
from tests.contract.store_fixtures import ANNA, ROOM, accept, command, settle
from tests.fakes.agent import Emit, Hang, Reach, Say, ScriptedAgent, Step, Use, Wait, plays
from tests.fakes.changes import Changes
from tests.unit.execute_house import PATIENCE, TURN_SECONDS, House, house_for_a_scheduler

ROOMS = [RoomId(f"!room{number}:hs") for number in range(5)]


class Gated:
    """A plan that says when a turn begins, and lets each one go on when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}
        self._news = Changes()

    def __call__(self, prompt: Prompt) -> Sequence[Step]:
        self.begun.append(prompt.text)
        self._news.tell()
        return [Wait(self._gates.setdefault(prompt.text, asyncio.Event())), Say(prompt.text)]

    def go_on(self, *texts: str) -> None:
        for text in texts:
            self._gates.setdefault(text, asyncio.Event()).set()

    async def until(self, count: int) -> list[str]:
        await self._news.until(lambda: len(self.begun) >= count)
        return list(self.begun)


def asked(room: int, number: int = 0) -> Command:
    text = f"{room}.{number}"
    return replace(command(f"${text}", room=ROOMS[room]), text=text)


@asynccontextmanager
async def running(house: House, *, max_parallel: int = 5) -> AsyncIterator[Scheduler]:
    """The scheduler at work."""
    scheduler = Scheduler(house.shop, max_parallel=max_parallel, alive_at=house.ledger.lives.alive_at)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        serving = group.create_task(scheduler.run())
        yield scheduler
        serving.cancel()


async def ended(house: House, *events: str) -> None:
    """Wait until these commands have come to an end."""
    for event in events:
        while await house.state(event) in (CommandState.QUEUED, CommandState.RUNNING):
            await house.ledger.outbox.bell.wait(PATIENCE)


async def look_around(house: House) -> None:
    """Give the scheduler every chance to start what it should not: it asks the same database, behind us in the line."""
    for _ in range(20):
        house.ledger.commands.bell.ring()
        await house.ledger.commands.counts()


async def test_rooms_run_in_parallel_and_each_is_serial(tmp_path: Path) -> None:
    plan = Gated()
    async with house_for_a_scheduler(tmp_path, ScriptedAgent(plan), *ROOMS) as house:
        await accept(house.ledger, *[asked(room, number) for number in range(2) for room in range(5)])
        async with running(house):
            first = await plan.until(5)
            plan.go_on("0.0")
            after = await plan.until(6)
            plan.go_on(*[f"{room}.{number}" for room in range(5) for number in range(2)])
            await ended(house, *[f"${room}.1" for room in range(5)])

    assert sorted(first) == ["0.0", "1.0", "2.0", "3.0", "4.0"]
    assert after[5:] == ["0.1"]
    assert len(plan.begun) == 10


async def test_no_more_rooms_run_than_allowed_and_the_longest_waiting_goes_first(tmp_path: Path) -> None:
    plan = Gated()
    async with house_for_a_scheduler(tmp_path, ScriptedAgent(plan), *ROOMS) as house:
        await accept(house.ledger, asked(3), asked(1), asked(4), asked(0), asked(2))
        async with running(house, max_parallel=2):
            begun = [set(await plan.until(2))]
            await look_around(house)
            at_once = len(plan.begun)
            for done, count in (("3.0", 3), ("1.0", 4), ("4.0", 5)):
                plan.go_on(done)
                begun.append({(await plan.until(count))[-1]})
            plan.go_on("0.0", "2.0")
            await ended(house, "$0.0", "$2.0")

    assert at_once == 2
    assert begun == [{"3.0", "1.0"}, {"4.0"}, {"0.0"}, {"2.0"}]


async def test_a_busy_room_makes_place_for_one_that_waits(tmp_path: Path) -> None:
    plan = Gated()
    async with house_for_a_scheduler(tmp_path, ScriptedAgent(plan), *ROOMS) as house:
        await accept(house.ledger, asked(0, 0), asked(1, 0), asked(0, 1))
        async with running(house, max_parallel=1):
            await plan.until(1)
            plan.go_on("0.0", "0.1", "1.0")
            order = await plan.until(3)
            await ended(house, "$0.0", "$0.1", "$1.0")

    assert order == ["0.0", "1.0", "0.1"]


async def test_a_room_that_is_stuck_does_not_stop_another(tmp_path: Path) -> None:
    agent = ScriptedAgent(lambda prompt: [Say("So."), *([Hang()] if prompt.text == "0.0" else [])])
    async with house_for_a_scheduler(tmp_path, agent, *ROOMS) as house:
        await accept(house.ledger, asked(0, 0), asked(0, 1), asked(1, 0), asked(1, 1))
        async with running(house):
            await ended(house, "$1.0", "$1.1")

            assert await house.state("$0.0") is CommandState.RUNNING
            assert await house.state("$0.1") is CommandState.QUEUED


async def test_a_command_that_comes_while_it_waits_is_run_at_once(tmp_path: Path) -> None:
    async with house_for_a_scheduler(tmp_path, plays(Say("So.")), *ROOMS) as house, running(house):
        await accept(house.ledger, asked(0))
        await ended(house, "$0.0")
        await accept(house.ledger, asked(0, 1))
        await ended(house, "$0.1")

        assert len(house.agent.runs) == 1


async def test_a_stop_reaches_the_running_turn(tmp_path: Path) -> None:
    async with house_for_a_scheduler(tmp_path, plays(Say("So."), Hang()), *ROOMS) as house, running(house):
        await accept(house.ledger, asked(0))
        await house.clock.until_asleep()
        await settle(house.ledger, RequestStop(EventId("$0.0"), ANNA), event="$stop")
        await ended(house, "$0.0")

        assert await house.state("$0.0") is CommandState.CANCELLED


async def test_a_stop_is_with_the_agent_within_a_second(tmp_path: Path) -> None:
    here = asyncio.Event()
    async with house_for_a_scheduler(tmp_path, plays(Reach(here), Hang())) as house:
        await accept(house.ledger, command("$1"))
        async with running(house):
            await here.wait()
            async with asyncio.timeout(1):
                await settle(house.ledger, RequestStop(EventId("$1"), ANNA), event="$stop")
                await house.agent.runs[0].stopped.wait()


async def test_what_is_held_begins_when_its_time_has_come(tmp_path: Path) -> None:
    async with house_for_a_scheduler(tmp_path, ScriptedAgent()) as house:
        held = replace(command("$1"), held_until=house.clock.now_ms() + 50)
        async with running(house):
            await accept(house.ledger, held)
            await look_around(house)
            before = await house.state("$1")
            house.clock.advance(0.05)
            await ended(house, "$1")

    assert before is CommandState.QUEUED


async def test_an_answer_reaches_the_turn_that_asked(tmp_path: Path) -> None:
    agent = plays(Use("Bash", {"command": "touch tea"}), Say("So."))
    async with house_for_a_scheduler(tmp_path, agent, ROOM) as house, running(house):
        await accept(house.ledger, command("$1"))
        question = await house.question()
        await settle(
            house.ledger, DecideApproval(approval=question.id, state=ApprovalState.ALLOWED, by=ANNA), event="$yes"
        )
        await ended(house, "$1")

        assert (house.settings.workspaces / "a" / "tea").exists()


async def test_idle_runs_are_ended_in_their_time(tmp_path: Path) -> None:
    async with house_for_a_scheduler(tmp_path, plays(Say("So.")), *ROOMS) as house, running(house):
        await accept(house.ledger, asked(0))
        await ended(house, "$0.0")
        [run] = house.agent.runs
        house.clock.advance(house.settings.warm_ttl)
        house.ledger.commands.bell.ring()
        await run.closed.wait()

        assert not house.runs.is_warm(ROOMS[0])


async def test_when_it_ends_nothing_of_the_agent_is_left(tmp_path: Path) -> None:
    plan = Gated()
    async with house_for_a_scheduler(tmp_path, ScriptedAgent(plan), *ROOMS) as house:
        await accept(house.ledger, asked(0), asked(1))
        async with running(house):
            await plan.until(2)

        assert house.agent.runs
        assert not any(run.alive for run in house.agent.runs)
        assert await house.state("$0.0") is CommandState.RUNNING


async def test_a_room_that_burdens_the_machine_turn_after_turn_rests_and_the_others_do_not(tmp_path: Path) -> None:
    reached = LimitReached("processes", 7)

    def plan(prompt: Prompt) -> Sequence[Step]:
        return [Emit((reached,)), Hang()] if prompt.text.startswith("0.") else [Say("So.")]

    async with house_for_a_scheduler(tmp_path, ScriptedAgent(plan), *ROOMS) as house, running(house):
        await accept(house.ledger, *(asked(0, number) for number in range(3)))
        await ended(house, "$0.0", "$0.1")
        await accept(house.ledger, asked(1))
        await ended(house, "$1.0")
        await look_around(house)
        rested = await house.state("$0.2")
        house.clock.advance(rests.FIRST_SECONDS)
        house.ledger.commands.bell.ring()
        await ended(house, "$0.2")
        said = [text for text in await house.read(ROOMS[0]) if text.startswith("This turn was ended")]

    assert rested is CommandState.QUEUED
    assert ["so the next turn here waits" in text for text in said] == [False, True, True]
    assert [words.rests(seconds) in text for seconds, text in zip((5, 10), said[1:], strict=True)] == [True, True]


async def test_it_knows_how_a_running_turn_stands_with_its_time(tmp_path: Path) -> None:
    plan = Gated()
    async with house_for_a_scheduler(tmp_path, ScriptedAgent(plan), *ROOMS) as house, running(house) as scheduler:
        await accept(house.ledger, asked(0))
        await plan.until(1)
        house.clock.advance(7)
        time, other = scheduler.turn_time(ROOMS[0]), scheduler.turn_time(ROOMS[1])
        plan.go_on("0.0")
        await ended(house, "$0.0")

    assert time == TurnTime(limit=TURN_SECONDS, elapsed=7.0)
    assert other is None
