"""The agent's processes: warm for a while, at most one per room, and each certain to end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aiagentchat.core.errors import AgentUnavailable
from aiagentchat.core.ids import RoomId, RunId
from aiagentchat.core.ports.agent import RunSpec
from aiagentchat.core.ports.ledger import RunRecord, RunRecords
from aiagentchat.execute import runs as module
from aiagentchat.execute.runs import Runs
from tests.contract.store_fixtures import OTHER_ROOM, ROOM
from tests.fakes.agent import ScriptedAgent, ScriptedRun
from tests.fakes.clock import FakeClock
from tests.fakes.ledgers import fresh_ledger
from tests.unit.execute_house import BOOT, PATIENCE, make_spec

TTL = 300.0
THIRD_ROOM = RoomId("!cellar:example.org")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def agent() -> ScriptedAgent:
    return ScriptedAgent()


@pytest.fixture
async def made(clock: FakeClock, tmp_path: Path) -> AsyncIterator[Runs]:
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        yield Runs(records=ledger.runs, boot_id=BOOT, clock=clock, warm_ttl=TTL, max_warm=2)


@pytest.fixture
async def runs(made: Runs) -> AsyncIterator[Runs]:
    async with asyncio.timeout(PATIENCE), made.open():
        yield made


async def use(runs: Runs, agent: ScriptedAgent, room: RoomId = ROOM) -> ScriptedRun:
    """Take a run for a turn, and give it back."""
    run = await runs.take(agent, make_spec(room))
    await runs.give_back(room)
    assert isinstance(run, ScriptedRun)
    return run


class _Watched(ScriptedRun):
    """A run that says when its process would be there."""

    def __init__(self, agent: ScriptedAgent, spec: RunSpec) -> None:
        super().__init__(agent, spec)
        self.spawned = asyncio.Event()

    async def serve(self) -> None:
        self.spawned.set()
        await super().serve()


class _WatchedAgent(ScriptedAgent):
    async def open(self, spec: RunSpec) -> _Watched:
        self.opened = _Watched(self, spec)
        return self.opened


class _HeldRecords:
    """The records of runs, of which the first is written when it is let."""

    def __init__(self, records: RunRecords) -> None:
        self._records = records
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def begun(self, record: RunRecord) -> None:
        self.asked.set()
        await self.let.wait()
        await self._records.begun(record)

    async def ended(self, run: RunId) -> None:
        await self._records.ended(run)

    async def left(self) -> list[RunRecord]:
        return await self._records.left()


# ── what a turn gets ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_processes_that_live_are_counted(runs: Runs, agent: ScriptedAgent) -> None:
    before = runs.count()
    await use(runs, agent)
    await runs.take(agent, make_spec(OTHER_ROOM))
    both = runs.count()
    await runs.drop(ROOM)

    assert (before, both, runs.count()) == (0, 2, 1)


async def test_there_is_no_process_before_its_record(tmp_path: Path, clock: FakeClock) -> None:
    agent = _WatchedAgent()
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        records = _HeldRecords(ledger.runs)
        runs = Runs(records=records, boot_id=BOOT, clock=clock, warm_ttl=TTL, max_warm=2)
        async with asyncio.timeout(PATIENCE), runs.open(), asyncio.TaskGroup() as group:
            taking = group.create_task(runs.take(agent, make_spec()))
            await records.asked.wait()
            before = agent.opened.spawned.is_set(), await records.left()
            records.let.set()
            await agent.opened.spawned.wait()
            after = [record.run for record in await records.left()]
        run = taking.result()

    assert before == (False, [])
    assert after == [run.id]


async def test_the_next_turn_gets_the_warm_run(runs: Runs, agent: ScriptedAgent) -> None:
    first = await use(runs, agent)

    assert await use(runs, agent) is first
    assert runs.is_warm(ROOM)


async def test_another_fingerprint_ends_the_warm_run_first(runs: Runs, agent: ScriptedAgent) -> None:
    first = await use(runs, agent)
    second = await runs.take(agent, make_spec(instructions="new words"))

    assert second is not first
    assert not first.alive
    assert second.alive


async def test_a_run_that_died_is_replaced(runs: Runs, agent: ScriptedAgent) -> None:
    first = await use(runs, agent)
    await first.die()

    assert not runs.is_warm(ROOM)
    assert await use(runs, agent) is not first


async def test_a_run_that_answers_empty_twice_in_a_row_is_replaced(runs: Runs, agent: ScriptedAgent) -> None:
    first = await use(runs, agent)
    with capture_logs() as logs:
        for empty in (True, False, True, True):
            await runs.take(agent, make_spec())
            assert first.alive
            await runs.give_back(ROOM, empty=empty)

    assert not first.alive
    assert [(line["event"], line["room"], line["empty"]) for line in logs] == [("run.replaced", ROOM, 2)]
    assert await use(runs, agent) is not first


async def test_each_room_has_its_own_run(runs: Runs, agent: ScriptedAgent) -> None:
    first, second = await use(runs, agent), await use(runs, agent, OTHER_ROOM)

    assert first is not second
    assert first.alive
    assert second.alive


async def test_an_agent_that_is_not_there_is_said_before_anything_ends(runs: Runs, agent: ScriptedAgent) -> None:
    warm = await use(runs, agent)
    agent.unavailable = AgentUnavailable("gone", human="gone")
    with pytest.raises(AgentUnavailable):
        await runs.take(agent, make_spec())

    assert warm.alive


# ── what a turn gives back ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_run_is_settled_before_it_is_kept(runs: Runs, agent: ScriptedAgent) -> None:
    run = await use(runs, agent)

    assert run.settled == 1
    assert run.alive


async def test_a_run_that_cannot_be_settled_is_ended(runs: Runs, agent: ScriptedAgent) -> None:
    agent.settles = False
    run = await use(runs, agent)

    assert not run.alive
    assert not runs.is_warm(ROOM)


async def test_a_run_that_died_in_its_turn_is_not_kept(runs: Runs, agent: ScriptedAgent) -> None:
    run = await runs.take(agent, make_spec())
    assert isinstance(run, ScriptedRun)
    await run.die()
    await runs.give_back(ROOM)

    assert run.settled == 0
    assert not runs.is_warm(ROOM)


async def test_a_room_without_a_run_has_nothing_to_give_back_or_drop(runs: Runs) -> None:
    await runs.give_back(ROOM)
    await runs.drop(ROOM)

    assert not runs.is_warm(ROOM)


async def test_a_dropped_run_is_gone(runs: Runs, agent: ScriptedAgent) -> None:
    run = await use(runs, agent)
    await runs.drop(ROOM)

    assert not run.alive
    assert not runs.is_warm(ROOM)


# ── idle runs ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_run_is_ended_after_it_was_idle_for_long(runs: Runs, agent: ScriptedAgent, clock: FakeClock) -> None:
    run = await use(runs, agent)
    clock.advance(TTL - 1)
    early = runs.end_idle()
    alive = run.alive
    clock.advance(1)
    late = runs.end_idle()
    await run.closed.wait()

    assert (early, alive, late) == (1.0, True, None)


async def test_a_run_in_use_is_not_idle(runs: Runs, agent: ScriptedAgent, clock: FakeClock) -> None:
    await use(runs, agent)
    run = await runs.take(agent, make_spec())
    clock.advance(TTL * 2)

    assert runs.end_idle() is None
    assert run.alive


async def test_of_too_many_warm_runs_those_idle_for_longest_are_ended(
    runs: Runs, agent: ScriptedAgent, clock: FakeClock
) -> None:
    made = {}
    for room in (OTHER_ROOM, THIRD_ROOM, ROOM):
        made[room] = await use(runs, agent, room)
        clock.advance(10)
    await use(runs, agent, OTHER_ROOM)
    due = runs.end_idle()
    await made[THIRD_ROOM].closed.wait()

    assert due == TTL - 10
    assert made[OTHER_ROOM].alive
    assert made[ROOM].alive


class _SlowToLeave(ScriptedRun):
    async def close(self) -> None:
        await self.gate.wait()
        await super().close()

    gate: asyncio.Event


class _SlowAgent(ScriptedAgent):
    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def open(self, spec: RunSpec) -> ScriptedRun:
        run = _SlowToLeave(self, spec)
        run.gate = self.gate
        self.runs.append(run)
        return run


async def test_an_idle_run_that_is_slow_to_leave_holds_up_only_its_own_room(
    runs: Runs, agent: ScriptedAgent, clock: FakeClock
) -> None:
    slow = _SlowAgent()
    leaving = await use(runs, slow)
    clock.advance(TTL)
    runs.end_idle()
    other = await use(runs, agent, OTHER_ROOM)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await runs.take(slow, make_spec())
    still_there = not leaving.closed.is_set()
    slow.gate.set()
    taken = await runs.take(slow, make_spec())

    assert still_there
    assert other.alive
    assert leaving.closed.is_set()
    assert taken is not leaving


async def test_an_idle_run_that_is_taken_meanwhile_is_not_ended(
    runs: Runs, agent: ScriptedAgent, clock: FakeClock
) -> None:
    slow = _SlowAgent()
    await use(runs, slow)
    kept = await use(runs, agent, OTHER_ROOM)
    clock.advance(TTL - 1)
    await use(runs, agent, OTHER_ROOM)
    clock.advance(1)
    runs.end_idle()
    taken = await runs.take(agent, make_spec(OTHER_ROOM))
    slow.gate.set()

    assert taken is kept
    assert kept.alive


# ── runs that misbehave ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_run_that_does_not_close_is_cancelled(
    runs: Runs, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.01)
    stuck = await use(runs, _SlowAgent())
    await runs.drop(ROOM)
    await stuck.closed.wait()
    other = await use(runs, agent, OTHER_ROOM)

    assert other.alive


class _Broken(ScriptedRun):
    """Its process ends with a bug, and so does every attempt to close it."""

    async def serve(self) -> None:
        raise RuntimeError("a bug in an adapter")

    async def close(self) -> None:
        raise RuntimeError("another one")


class _BrokenAgent(ScriptedAgent):
    async def open(self, spec: RunSpec) -> ScriptedRun:
        return _Broken(self, spec)


async def test_a_bug_in_one_rooms_agent_does_not_reach_the_others(runs: Runs, agent: ScriptedAgent) -> None:
    other = await use(runs, agent, OTHER_ROOM)
    with capture_logs() as logs:
        await use(runs, _BrokenAgent())
        await asyncio.wait([runs._kept[ROOM].served])
        await runs.drop(ROOM)

    assert [line["event"] for line in logs] == ["run.broken", "run.not_closed"]
    assert other.alive
    assert (await use(runs, agent)).alive


# ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_closing_ends_every_run_idle_or_not(agent: ScriptedAgent, made: Runs) -> None:
    async with asyncio.timeout(PATIENCE), made.open():
        idle = await use(made, agent)
        busy = await made.take(agent, make_spec(OTHER_ROOM))

    assert not idle.alive
    assert not busy.alive


async def test_closing_waits_for_nobody_longer_than_it_may(made: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHUTDOWN_SECONDS", 0.01)
    async with asyncio.timeout(PATIENCE), made.open():
        stuck = await use(made, _SlowAgent())

    assert not stuck.alive


async def test_a_cancelled_house_ends_its_runs(agent: ScriptedAgent, made: Runs) -> None:
    ready = asyncio.Event()

    async def live() -> None:
        async with made.open():
            await use(made, agent)
            ready.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        living = group.create_task(live())
        await ready.wait()
        living.cancel()

    assert not agent.runs[0].alive
