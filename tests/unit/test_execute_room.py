"""One room's executor: its commands in order, each to an end that the room reads."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aiagentchat.config.settings import GitIdentity, Settings
from aiagentchat.core.access import Hindrance
from aiagentchat.core.agent_events import Ending, Failure, LimitReached, ToolUsed, TurnEnded, UsageLimited
from aiagentchat.core.approvals import ApprovalState
from aiagentchat.core.commands import Command, CommandState, TurnRecord, TurnTime
from aiagentchat.core.effects import AcceptCommand, EditCommand, RequestStop
from aiagentchat.core.errors import AgentDied, AgentUnavailable, SessionInUse, SessionNotFound, Unreachable
from aiagentchat.core.ids import EventId, InstanceName, MessageId, SessionId, TaskId, UserId, message_uuid
from aiagentchat.core.isolation import Held, Isolation, Network, RunLimits
from aiagentchat.core.log_content import LogContent, Said
from aiagentchat.core.messages import Incoming
from aiagentchat.core.meta import Address, Meta, MetaKind, read_meta
from aiagentchat.core.meters import EndedTurn
from aiagentchat.core.parcels import MESSAGE, Parcel
from aiagentchat.core.ports.agent import Prompt
from aiagentchat.core.ports.post import Post
from aiagentchat.core.tasks import Ours, Task, TaskState
from aiagentchat.execute.admission import ASK_AGAIN, ASK_FOR
from aiagentchat.execute.meter import FIRST_SECONDS
from aiagentchat.execute.room import RoomExecutor
from aiagentchat.execute.usage_limit import MOST_WAITS
from aiagentchat.render import words
from aiagentchat.send.speech import Speech
from tests.contract.store_fixtures import ANNA, NOW, OTHER_ROOM, ROOM, SESSION, accept, command, settle
from tests.fakes.agent import Emit, End, Fail, Hang, Reach, Say, ScriptedAgent, Step, Use, Wait, plays
from tests.fakes.signals import FakeSignals
from tests.unit.execute_house import PATIENCE, TURN_SECONDS, House, make_spec, open_house

NAME = "make-tea"
"""What a session is called that begins with `command`; the one after it has a number."""
NEXT = "make-tea-2"


def footer(session: str = NAME) -> str:
    return f"— 0.0 s · session {session}"


class Lines:
    """A plan per turn: the first turn plays the first, and so on; the last one is played from then on."""

    def __init__(self, *plans: Sequence[Step]) -> None:
        self._plans = list(plans)

    def __call__(self, _: Prompt) -> Sequence[Step]:
        return self._plans.pop(0) if len(self._plans) > 1 else self._plans[0]


# ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_command_ends_with_its_answer_its_footer_and_its_mark(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Tea is ready."))) as house:
        await house.execute(command("$1"))

        assert await house.read() == [f"Tea is ready.\n\n{footer()}", "✅"]
        assert await house.state("$1") is CommandState.DONE


async def test_commands_run_in_the_order_they_came(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedAgent()) as house:
        await house.execute(*[replace(command(f"${number}"), text=f"number {number}") for number in range(5)])
        [run] = house.agent.runs

        assert [prompt.text for prompt in run.prompts] == [f"number {number}" for number in range(5)]
        shown = [text.partition("\n")[0] for text in await house.read()]
        assert shown == [*(f"number {number}" for number in range(5)), *["✅"] * 5]


async def test_the_turn_is_committed_as_started_before_the_agent_hears_of_it(tmp_path: Path) -> None:
    seen: list[Command | None] = []

    async with open_house(tmp_path, ScriptedAgent()) as house:
        gate = asyncio.Event()
        house.agent.plan = lambda _: [Say("So."), Wait(gate)]
        async with asyncio.TaskGroup() as group:
            group.create_task(house.execute(command("$1")))
            await house.clock.until_asleep()
            seen.append(await house.ledger.commands.get(EventId("$1")))
            gate.set()

    assert [each.state for each in seen if each] == [CommandState.RUNNING]


async def test_typing_is_shown_while_it_works(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Fail(AgentDied("x")))) as house:
        await house.execute(command("$1"))
        signals = house.shop.signals

    assert isinstance(signals, FakeSignals)
    assert signals.shown == [(ROOM, True), (ROOM, False)]


async def test_while_a_person_is_waited_for_nobody_types(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Use("Bash", {"command": "true"}), Say("So."))) as house:
        await accept(house.ledger, command("$1"))
        executor = RoomExecutor(ROOM, house.shop)
        async with asyncio.TaskGroup() as group:
            group.create_task(executor.run(others_wait=lambda: False))
            question = await house.question()
            await house.decide(question.id, ApprovalState.ALLOWED)
            executor.nudge.set()
        signals = house.shop.signals

    assert isinstance(signals, FakeSignals)
    assert [on for _, on in signals.shown] == [True, False, True, False]


@pytest.mark.parametrize(
    ("step", "state", "mark"),
    [
        pytest.param(Say("So."), CommandState.DONE, "✅", id="done"),
        pytest.param(Fail(AgentDied("x")), CommandState.FAILED, "❌", id="failed"),
        pytest.param(End(TurnEnded(ending=Ending.INTERRUPTED)), CommandState.CANCELLED, "🛑", id="cancelled"),
    ],
)
async def test_the_mark_shows_how_it_ended(tmp_path: Path, step: Step, state: CommandState, mark: str) -> None:
    async with open_house(tmp_path, plays(step)) as house:
        await house.execute(command("$1"))

        assert (await house.read())[-1] == mark
        assert await house.state("$1") is state


async def test_what_a_turn_used_is_kept(tmp_path: Path) -> None:
    used = TurnRecord(cost_micro_usd=6_600, input_tokens=40, output_tokens=2)
    agent = plays(Say("So."), End(TurnEnded(ending=Ending.FAILED, failure=Failure.API, record=used)))
    async with open_house(tmp_path, agent) as house:
        await house.execute(command("$1"), command("$2"))

        assert (await house.ledger.spending.session(SESSION)).cost_micro_usd == 2 * 6_600
        assert "$0.0066 · 42 tokens" in (await house.read())[0]


async def test_whoever_counts_turns_is_told_of_each_with_its_first_words(tmp_path: Path) -> None:
    reached, gate, ended = asyncio.Event(), asyncio.Event(), list[EndedTurn]()
    first: list[Step] = [Reach(reached), Wait(gate), Say("Tea."), Say("Milk.")]
    agent = ScriptedAgent(Lines(first, [End(TurnEnded(ending=Ending.COMPLETED))]))
    async with open_house(tmp_path, agent) as house, asyncio.TaskGroup() as group:
        house.shop = replace(house.shop, on_turn_ended=ended.append)
        group.create_task(house.execute(command("$1"), command("$2")))
        await reached.wait()
        house.clock.advance(2.0)
        gate.set()

    assert [(turn.room, turn.agent, turn.state) for turn in ended] == [(ROOM, "claude", CommandState.DONE)] * 2
    assert [turn.first_text for turn in ended] == [2.0, None]


async def test_a_failed_command_does_not_hold_up_the_next(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedAgent(Lines([Fail(AgentDied("x"))], [Say("So.")]))) as house:
        await house.execute(command("$1"), command("$2"))

        assert await house.state("$1") is CommandState.FAILED
        assert await house.state("$2") is CommandState.DONE


async def test_a_command_that_was_stopped_in_the_queue_is_not_run(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await accept(house.ledger, command("$1"))
        await settle(house.ledger, RequestStop(EventId("$1"), ANNA), event="$stop")
        await house.execute()

        assert house.agent.runs == []
        assert await house.state("$1") is CommandState.CANCELLED


async def test_a_command_that_was_taken_meanwhile_is_left_alone(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await accept(house.ledger, command("$1"))
        await settle(house.ledger, RequestStop(EventId("$1"), ANNA), event="$stop")
        await RoomExecutor(ROOM, house.shop)._execute(command("$1"))

        assert house.agent.runs == []


async def test_the_room_makes_place_after_each_command_when_others_wait(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await accept(house.ledger, command("$1"), command("$2"))
        await RoomExecutor(ROOM, house.shop).run(others_wait=lambda: True)

        assert await house.state("$1") is CommandState.DONE
        assert await house.state("$2") is CommandState.QUEUED


async def test_the_run_stays_warm_for_the_next_command(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await house.execute(command("$1"))
        await house.execute(command("$2"))

        assert len(house.agent.runs) == 1
        assert house.agent.runs[0].settled == 2


async def test_a_command_of_another_session_gets_another_run(tmp_path: Path) -> None:
    other = SessionId("5e551011-0000-4000-8000-00000000000a")
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await house.execute(command("$1"), command("$2", session=other))

        assert [(run.spec.session, run.alive) for run in house.agent.runs] == [(SESSION, False), (other, True)]


async def test_a_cancelled_executor_leaves_the_command_for_the_next_life_to_report(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."), Hang())) as house:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(house.execute(command("$1")))
            await house.clock.until_asleep()
            running.cancel()

        assert await house.state("$1") is CommandState.RUNNING
        assert not house.agent.runs[0].alive


# ── sessions ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_that_has_begun_is_resumed(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await house.execute(command("$1"))
        await house.runs.drop(ROOM)
        await house.execute(command("$2"))

        assert [run.spec.resume for run in house.agent.runs] == [False, True]


async def test_a_session_that_the_agent_already_has_is_gone_on_with_and_the_room_is_told(tmp_path: Path) -> None:
    agent = plays(Say("So."))
    agent.sessions.add(SESSION)
    async with open_house(tmp_path, agent) as house:
        await house.execute(command("$1"))

        assert [run.spec.resume for run in agent.runs] == [False, True]
        assert await house.read() == [words.session_resumed(NAME), f"So.\n\n{footer()}", "✅"]


async def test_a_session_that_the_agent_lost_is_replaced_and_the_room_is_told(tmp_path: Path) -> None:
    agent = plays(Say("So."))
    async with open_house(tmp_path, agent) as house:
        await house.ledger.sessions.mark_begun(SESSION, NOW)
        await house.execute(command("$1"))
        fresh = agent.runs[-1].spec.session
        current = await house.ledger.sessions.current(ROOM)
        shown = await house.read()

    assert [run.spec.resume for run in agent.runs] == [True, False]
    assert fresh == current != SESSION
    assert shown == [words.session_replaced(NAME, NEXT), f"So.\n\n{footer(NEXT)}", "✅"]


@pytest.mark.parametrize("lost", [SessionInUse("x"), SessionNotFound("x")])
async def test_each_disagreement_is_mended_only_once(tmp_path: Path, lost: Exception) -> None:
    async with open_house(tmp_path, plays(Fail(lost))) as house:
        await house.execute(command("$1"))

        assert len(house.agent.runs) == 2
        assert await house.state("$1") is CommandState.FAILED
        assert (await house.read())[-1] == "❌"


async def test_a_session_that_is_in_use_and_then_not_found_is_mended_both_ways(tmp_path: Path) -> None:
    plan = Lines([Fail(SessionInUse("x"))], [Fail(SessionNotFound("x"))], [Say("So.")])
    async with open_house(tmp_path, ScriptedAgent(plan)) as house:
        house.agent.sessions.clear()
        await house.execute(command("$1"))

        assert await house.state("$1") is CommandState.DONE
        assert len(house.agent.runs) == 3


async def test_a_session_that_fails_to_be_taken_up_once_is_tried_again_and_nobody_hears_of_it(tmp_path: Path) -> None:
    agent = plays(Say("So."))
    agent.unfit = lambda _: len(agent.runs) == 1
    async with open_house(tmp_path, agent) as house:
        await _has_begun(house)
        await house.execute(command("$1"))
        shown = await house.read()

    assert [(run.spec.session, run.spec.resume) for run in agent.runs] == [(SESSION, True)] * 2
    assert shown == [f"So.\n\n{footer()}", "✅"]


async def test_a_session_that_fails_to_be_taken_up_twice_is_set_aside_and_the_room_is_told(tmp_path: Path) -> None:
    agent = plays(Say("So."))
    agent.unfit = lambda spec: spec.session == SESSION
    async with open_house(tmp_path, agent) as house:
        await _has_begun(house)
        await house.execute(command("$1"), command("$2"))
        fresh = agent.runs[-1].spec.session
        current = await house.ledger.sessions.current(ROOM)
        shown = await house.read()

    assert [run.spec.resume for run in agent.runs] == [True, True, False]
    assert fresh == current != SESSION
    assert shown[:2] == [words.session_set_aside(NAME, NEXT), f"So.\n\n{footer(NEXT)}"]
    assert [prompt.uuid for run in agent.runs for prompt in run.prompts] == [
        *[message_uuid(EventId("$1"))] * 3,
        message_uuid(EventId("$2")),
    ]


async def test_where_a_new_session_does_not_help_the_room_stays_in_the_old_one(tmp_path: Path) -> None:
    agent = plays(Say("So."))
    agent.unfit = lambda _: True
    async with open_house(tmp_path, agent) as house:
        await _has_begun(house)
        await house.execute(command("$1"))
        current = await house.ledger.sessions.current(ROOM)
        shown = await house.read()

    assert len(agent.runs) == 3
    assert current == SESSION
    assert shown == [
        words.session_set_aside(NAME, NEXT),
        words.session_taken_back(NAME),
        f"{AgentDied.human}\n\n{footer()}",
        "❌",
    ]


async def test_a_command_whose_prompt_was_taken_is_never_run_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Fail(AgentDied("x")))) as house:
        await _has_begun(house)
        house.agent.sessions.add(SESSION)
        await house.execute(command("$1"))

        assert len(house.agent.runs) == 1
        assert await house.state("$1") is CommandState.FAILED


async def _has_begun(house: House) -> None:
    house.agent.sessions.add(SESSION)
    await house.ledger.sessions.mark_begun(SESSION, NOW)


# ── usage limits ──────────────────────────────────────────────────────────────────────────────────────────────────

HOUR_MS = 3_600_000
AT_THE_LIMIT: list[Step] = [
    Emit((UsageLimited(NOW + HOUR_MS),)),
    End(TurnEnded(ending=Ending.FAILED, failure=Failure.USAGE_LIMIT, record=TurnRecord(cost_micro_usd=2_000))),
]
WAITS = words.limit_waited_for(NOW + HOUR_MS, NOW)


async def _until_told(house: House, text: str) -> list[str]:
    """Send what waits, until the room reads `text`; all that was sent."""
    sent: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while True:
            sent += [str(parcel.content.get("body")) for parcel in await house.send_all()]
            if text in sent:
                return sent
            await house.ledger.outbox.bell.wait(PATIENCE)


async def _run(house: House, executor: RoomExecutor, asked: Command) -> None:
    await accept(house.ledger, asked)
    async with asyncio.timeout(PATIENCE):
        await executor.run(others_wait=lambda: False)


@pytest.mark.parametrize(
    ("before", "prompts"),
    [
        pytest.param([], ["make tea", "make tea"], id="nothing was done, so it is asked again"),
        pytest.param([Say("Water.")], ["make tea", words.go_on_after_limit("make tea")], id="after words it goes on"),
        pytest.param(
            [Emit((ToolUsed("Bash", {}),))],
            ["make tea", words.go_on_after_limit("make tea")],
            id="after a tool it goes on",
        ),
    ],
)
async def test_a_usage_limit_is_waited_for_and_the_turn_goes_on(
    tmp_path: Path, before: list[Step], prompts: list[str]
) -> None:
    agent = ScriptedAgent(Lines([*before, *AT_THE_LIMIT], [Say("Tea.")]))
    async with open_house(tmp_path, agent) as house, asyncio.TaskGroup() as group:
        executor = RoomExecutor(ROOM, house.shop)
        going = group.create_task(_run(house, executor, command("$1")))
        await _until_told(house, WAITS)
        standing = executor.turn_time()
        house.clock.advance(HOUR_MS / 1000)
        executor.nudge.set()
        await going
        asked = [prompt for run in agent.runs for prompt in run.prompts]
        shown = await house.read()
        spent = await house.ledger.spending.session(SESSION)

    assert standing is not None
    assert replace(standing, doing="") == TurnTime(limit=TURN_SECONDS, elapsed=0.0, stands=True)
    assert executor.turn_time() is None
    assert [prompt.text for prompt in asked] == prompts
    assert [prompt.uuid for prompt in asked] == [message_uuid(EventId("$1")), message_uuid(EventId("$1"), 1)]
    assert shown[-2].startswith("Tea.")
    assert shown[-1] == "✅"
    assert "— 0.0 s · " in shown[-2]
    assert (spent.turns, spent.cost_micro_usd) == (1, 2_000)


async def test_nobody_types_while_a_usage_limit_is_waited_for(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedAgent(Lines(AT_THE_LIMIT, [Say("Tea.")]))) as house:
        async with asyncio.TaskGroup() as group:
            executor = RoomExecutor(ROOM, house.shop)
            group.create_task(_run(house, executor, command("$1")))
            await _until_told(house, WAITS)
            house.clock.advance(HOUR_MS / 1000)
            executor.nudge.set()
        signals = house.shop.signals

    assert isinstance(signals, FakeSignals)
    assert [on for _, on in signals.shown] == [True, False, True, False]


async def test_a_stop_ends_the_wait_for_a_usage_limit(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(*AT_THE_LIMIT)) as house:
        async with asyncio.TaskGroup() as group:
            executor = RoomExecutor(ROOM, house.shop)
            group.create_task(_run(house, executor, command("$1")))
            await _until_told(house, WAITS)
            await settle(house.ledger, RequestStop(EventId("$1"), ANNA), event="$stop")
            executor.nudge.set()
        shown = await house.read()

    assert shown[0].startswith(words.stopped(ANNA))
    assert shown[-1] == "🛑"


async def _waited(
    folder: Path, prepare: Callable[[House], None], *then: Callable[[House], Awaitable[None]]
) -> list[str]:
    """What the room reads of a command that waited for a usage limit, when this had happened meanwhile."""
    async with open_house(folder, ScriptedAgent(Lines(AT_THE_LIMIT, [Say("Tea.")]))) as house:
        async with asyncio.TaskGroup() as group:
            executor = RoomExecutor(ROOM, house.shop)
            group.create_task(_run(house, executor, command("$1")))
            await _until_told(house, WAITS)
            prepare(house)
            house.clock.advance(HOUR_MS / 1000)
            executor.nudge.set()
            for each in then:
                await each(house)
                executor.nudge.set()
        return await house.read()


async def test_what_waited_for_a_usage_limit_does_not_go_on_for_somebody_who_has_left(tmp_path: Path) -> None:
    shown = await _waited(tmp_path, lambda house: house.members.gone.add((ROOM, ANNA)))

    assert shown[0].startswith(f"{words.turned_away(ANNA, Hindrance.LEFT)} {words.DONE_IS_DONE}")
    assert shown[-1] == "🛑"


async def test_what_waited_for_a_usage_limit_waits_until_the_homeserver_says_who_is_there(tmp_path: Path) -> None:
    def trouble(house: House) -> None:
        house.members.trouble = Unreachable("nobody")

    async def answers(house: House) -> None:
        await house.members.changes.until(lambda: house.members.asked[1:])
        house.members.trouble = None
        house.clock.advance(ASK_AGAIN)

    shown = await _waited(tmp_path, trouble, answers)

    assert shown[-1] == "✅"


async def test_what_waited_for_a_usage_limit_does_not_wait_for_the_homeserver_for_ever(tmp_path: Path) -> None:
    def trouble(house: House) -> None:
        house.members.trouble = Unreachable("nobody")

    async def time_passes(house: House) -> None:
        await house.members.changes.until(lambda: house.members.asked[1:])
        house.clock.advance(ASK_FOR)

    shown = await _waited(tmp_path, trouble, time_passes)

    assert shown[0].startswith(words.turned_away(ANNA, Hindrance.UNKNOWN))


async def test_a_process_that_ended_while_it_waited_is_replaced_by_one_that_resumes(tmp_path: Path) -> None:
    agent = ScriptedAgent(Lines(AT_THE_LIMIT, [Say("Tea.")]))
    async with open_house(tmp_path, agent) as house, asyncio.TaskGroup() as group:
        executor = RoomExecutor(ROOM, house.shop)
        going = group.create_task(_run(house, executor, command("$1")))
        await _until_told(house, WAITS)
        await agent.runs[0].die()
        house.clock.advance(HOUR_MS / 1000)
        executor.nudge.set()
        await going

        assert [run.spec.resume for run in agent.runs] == [False, True]
        assert await house.state("$1") is CommandState.DONE


async def test_what_was_not_begun_is_asked_once_more_after_each_wait_and_then_fails(tmp_path: Path) -> None:
    always = plays(Emit((UsageLimited(NOW),)), End(TurnEnded(ending=Ending.FAILED, failure=Failure.USAGE_LIMIT)))
    async with open_house(tmp_path, always) as house, asyncio.TaskGroup() as group:
        executor = RoomExecutor(ROOM, house.shop)
        going = group.create_task(_run(house, executor, command("$1")))
        for waits in range(MOST_WAITS):
            now = house.clock.now_ms()
            await _until_told(house, words.limit_waited_for(now + 1000 * 4**waits, now))
            house.clock.advance(4**waits)
            executor.nudge.set()
        await going
        asked = [prompt for run in always.runs for prompt in run.prompts]

        assert len({prompt.uuid for prompt in asked}) == MOST_WAITS + 1
        assert {prompt.text for prompt in asked} == {"make tea"}
        assert await house.state("$1") is CommandState.FAILED


@pytest.mark.parametrize(
    ("on_limit", "steps", "told"),
    [
        pytest.param("fail", AT_THE_LIMIT, words.usage_limit_reached(NOW + HOUR_MS, NOW), id="it would rather fail"),
        pytest.param("wait", AT_THE_LIMIT[1:], words.failed(Failure.USAGE_LIMIT), id="nobody knows when it is lifted"),
        pytest.param(
            "wait",
            [Emit((UsageLimited(NOW + 25 * HOUR_MS),)), *AT_THE_LIMIT[1:]],
            words.usage_limit_reached(NOW + 25 * HOUR_MS, NOW),
            id="it takes too long",
        ),
    ],
)
async def test_a_usage_limit_that_is_not_waited_for_fails_with_the_moment_of_its_end(
    tmp_path: Path, on_limit: str, steps: list[Step], told: str
) -> None:
    def change(settings: Settings) -> Settings:
        return replace(settings, rooms=tuple(replace(room, on_limit=on_limit) for room in settings.rooms))

    async with open_house(tmp_path, plays(*steps), change=change) as house:
        await house.execute(command("$1"))
        shown = await house.read()

    assert shown[0].startswith(told)
    assert shown[-1] == "❌"


# ── empty answers ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_process_that_answers_empty_twice_is_replaced_and_the_conversation_goes_on(tmp_path: Path) -> None:
    agent = ScriptedAgent(Lines([], [], [Say("So.")]))
    async with open_house(tmp_path, agent) as house:
        await house.execute(command("$1"), command("$2"), command("$3"))
        shown = await house.read()

    assert [(run.spec.session, run.spec.resume, len(run.prompts)) for run in agent.runs] == [
        (SESSION, False, 2),
        (SESSION, True, 1),
    ]
    assert [text.partition("\n")[0] for text in shown[:3]] == [words.NO_TEXT, words.NO_TEXT, "So."]


async def test_a_process_that_used_too_much_memory_is_replaced_and_the_conversation_goes_on(tmp_path: Path) -> None:
    agent = ScriptedAgent(Lines([Emit((LimitReached("memory", 7),)), Hang()], [Say("So.")]))
    async with open_house(tmp_path, agent) as house:
        await house.execute(command("$1"), command("$2"))

        assert [await house.state(f"${number}") for number in (1, 2)] == [CommandState.FAILED, CommandState.DONE]
    assert [(run.spec.resume, len(run.prompts)) for run in agent.runs] == [(False, 1), (True, 1)]


# ── what keeps a turn from starting ───────────────────────────────────────────────────────────────────────────────


async def test_a_room_that_is_no_longer_configured_is_told(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So.")), change=lambda settings: replace(settings, rooms=())) as house:
        await house.execute(command("$1"))

        assert house.agent.runs == []
        assert (await house.read())[0].startswith(words.ROOM_NOT_CONFIGURED)


async def test_a_workspace_that_became_a_link_is_a_sentence(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        house.settings.workspaces.mkdir()
        (house.settings.workspaces / "a").symlink_to(tmp_path)
        await house.execute(command("$1"))

        assert (await house.read())[0].startswith(words.NO_WORKSPACE)
        assert await house.state("$1") is CommandState.FAILED


async def test_an_agent_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    agent = plays(Say("So."))
    agent.unavailable = AgentUnavailable("no such file", human="Claude Code is not installed here.")
    async with open_house(tmp_path, agent) as house:
        await house.execute(command("$1"))

        assert (await house.read())[0].startswith("Claude Code is not installed here.")


async def test_an_agent_that_is_not_configured_is_told_and_the_next_command_runs(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        agents = house.shop.agents
        assert isinstance(agents, dict)
        agent = agents.pop("claude")
        await house.execute(command("$1"))
        agents["claude"] = agent
        await house.execute(command("$2"))

        assert (await house.read())[0].startswith(words.BROKEN)
        assert await house.state("$2") is CommandState.DONE


# ── agents that ask ──────────────────────────────────────────────────────────────────────────────────────────────


ASKED = Meta(id=MessageId("m1"))


class _Post(Post):
    """Writes down whose turns have begun."""

    def __init__(self) -> None:
        self.told: list[EventId] = []

    async def landed(self, events: Sequence[Incoming]) -> None:
        raise AssertionError(events)

    async def heard(self, event: Incoming) -> bool:
        raise AssertionError(event)

    async def begun(self, command: Command) -> None:
        self.told.append(command.event)


async def test_whoever_has_sent_a_command_is_told_when_its_turn_begins(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        post = _Post()
        await accept(house.ledger, replace(command("$1"), meta=ASKED), command("$2"))
        async with asyncio.timeout(PATIENCE):
            await RoomExecutor(ROOM, replace(house.shop, post=post)).run(others_wait=lambda: False)

    assert post.told == ["$1", "$2"]


@pytest.mark.parametrize(
    ("plan", "state"),
    [
        pytest.param([Say("So.")], CommandState.DONE, id="done"),
        pytest.param([Say("So far."), Fail(AgentDied("gone"))], CommandState.FAILED, id="failed"),
        pytest.param(
            [Fail(AgentUnavailable("not there", human="It is not there."))], CommandState.FAILED, id="failed at once"
        ),
        pytest.param([Say("So far."), Fail(ZeroDivisionError("a bug"))], CommandState.FAILED, id="broken"),
        pytest.param(
            [End(TurnEnded(ending=Ending.FAILED, failure=Failure.OVERLOADED))], CommandState.FAILED, id="the API failed"
        ),
    ],
)
async def test_however_its_turn_ends_an_agent_is_told_that_this_is_the_end(
    tmp_path: Path, plan: Sequence[Step], state: CommandState
) -> None:
    async with open_house(tmp_path, ScriptedAgent(lambda _: plan)) as house:
        await house.execute(replace(command("$1"), meta=ASKED))
        metas = [read_meta(parcel.content) for parcel in await house.send_all() if parcel.type == MESSAGE]

        assert await house.state("$1") is state
    answers = [meta for meta in metas if isinstance(meta, Meta)]
    assert {meta.in_reply_to for meta in answers} == {"m1"}
    assert [meta.last for meta in answers] == [False] * (len(answers) - 1) + [True]


# ── bugs ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_bug_in_the_agents_adapter_is_told_and_the_next_command_runs(tmp_path: Path) -> None:
    plan = Lines([Say("So far."), Fail(ZeroDivisionError("secret detail"))], [Say("So.")])
    async with open_house(tmp_path, ScriptedAgent(plan)) as house:
        await house.execute(command("$1"), command("$2"))
        shown = await house.read()

        assert await house.state("$1") is CommandState.FAILED
        assert await house.state("$2") is CommandState.DONE
    assert words.BROKEN in shown[0]
    assert not any("secret detail" in text for text in shown)


class _BrokenSpeech(Speech):
    def close(self, last_words: str, footer: str) -> list[Parcel]:
        raise ZeroDivisionError(f"a bug in rendering {last_words!r} and {footer!r}")


class _Stammer:
    """A voice whose first answer cannot be brought to its end."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._opened = 0

    def open(self, asked: Command) -> Speech:
        self._opened += 1
        kind = _BrokenSpeech if self._opened == 1 else Speech
        return kind(asked, outbox=self._house.ledger.outbox, clock=self._house.clock)


async def test_a_bug_in_the_last_words_is_told_and_the_next_command_runs(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await accept(house.ledger, command("$1"), command("$2"))
        shop = replace(house.shop, voice=_Stammer(house))
        async with asyncio.timeout(PATIENCE):
            await RoomExecutor(ROOM, shop).run(others_wait=lambda: False)

        assert await house.state("$1") is CommandState.DONE
        assert await house.state("$2") is CommandState.DONE
        assert (await house.read())[0] == words.BROKEN


async def test_an_agent_reads_it_as_the_end_of_the_answer(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await accept(house.ledger, replace(command("$1"), meta=ASKED))
        shop = replace(house.shop, voice=_Stammer(house), instance=InstanceName("attic"))
        async with asyncio.timeout(PATIENCE):
            await RoomExecutor(ROOM, shop).run(others_wait=lambda: False)

        meta = read_meta((await house.send_all())[0].content)
    assert isinstance(meta, Meta)
    assert (meta.in_reply_to, meta.instance, meta.last) == ("m1", "attic", True)


async def test_a_room_never_runs_the_commands_of_another(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await house.execute(command("$1", room=OTHER_ROOM))

        assert await house.state("$1") is CommandState.QUEUED
        assert house.agent.runs == []


async def test_what_was_edited_in_the_last_moment_is_run_as_it_reads_now(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedAgent()) as house:
        await accept(house.ledger, command("$1"))
        before = await house.ledger.commands.next_queued(ROOM)
        await settle(house.ledger, EditCommand(EventId("$1"), "make coffee", ANNA), event="$edit")
        assert before is not None
        await RoomExecutor(ROOM, house.shop)._execute(before)

        assert [prompt.text for prompt in house.agent.runs[0].prompts] == ["make coffee"]


# ── what its folders take ─────────────────────────────────────────────────────────────────────────────────────────


def _fill(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "hog").write_bytes(os.urandom(2 * 1024 * 1024))


@pytest.mark.parametrize("folder", ["workspace", "home"])
async def test_a_room_that_fills_the_disk_is_ended_and_told_which_limit(tmp_path: Path, folder: str) -> None:
    limits = RunLimits(workspace_size=1, file_size=0)

    def limited(settings: Settings) -> Settings:
        return replace(settings, rooms=tuple(replace(room, limits=limits) for room in settings.rooms))

    async with open_house(tmp_path, plays(Hang()), change=limited) as house:
        async with asyncio.TaskGroup() as group:
            group.create_task(house.execute(command("$1")))
            await house.clock.until_asleep()
            spec = house.agent.runs[0].spec
            _fill(Path(spec.workspace if folder == "workspace" else spec.home))
            house.clock.advance(FIRST_SECONDS)
        shown = await house.read()

    assert words.limit_reached("workspace_size", 1) in shown[0]
    assert shown[-1] == "❌"


async def test_without_a_limit_nobody_looks(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Tea."))) as house:
        [room, _] = house.settings.rooms
        executor = RoomExecutor(ROOM, house.shop)

        assert executor._outgrown(room, make_spec()) is None
        assert executor._outgrown(replace(room, limits=RunLimits()), make_spec()) is not None


# ── isolation ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_isolation_does_not_hold_back_is_told_once_in_a_life(tmp_path: Path) -> None:
    held = Held(Isolation.LANDLOCK, 7)
    async with open_house(tmp_path, ScriptedAgent()) as house:
        house.shop = replace(house.shop, held=held)
        await house.execute(command("$1"), command("$2"))
        shown = await house.read()

    warning = words.isolation_warning(held)
    assert warning is not None
    assert [text for text in shown if text == warning] == [warning]


async def test_a_run_gets_what_the_room_may_use_reach_and_be_called(tmp_path: Path) -> None:
    def change(settings: Settings) -> Settings:
        room = replace(
            settings.rooms[0],
            git=GitIdentity(name="Claude"),
            env=(("CI", "1"),),
            network=Network.FULL,
            network_hosts=("x",),
            limits=RunLimits(memory=7),
        )
        return replace(settings, rooms=(room,))

    agent = ScriptedAgent()
    async with open_house(tmp_path, agent, change=change) as house:
        await house.execute(command("$1"))

    spec = agent.runs[0].spec
    assert spec.env == (("GIT_AUTHOR_NAME", "Claude"), ("GIT_COMMITTER_NAME", "Claude"), ("CI", "1"))
    assert (spec.network, spec.network_hosts, spec.limits.memory, spec.uid) == (Network.FULL, ("x",), 7, None)


async def test_the_agent_reads_which_task_it_works_on(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Done."))) as house:
        asked = replace(command("$1"), thread=EventId("$1"))
        given = Task(
            id=TaskId("t1"),
            room=ROOM,
            thread=EventId("$1"),
            title="make tea",
            by=Address(ANNA),
            to=Address(UserId("@claude:example.org")),
            ours=Ours.TAKEN,
            message=MessageId("m1"),
        )
        await settle(house.ledger, AcceptCommand(asked, of_thread=True, task=given), event="$1")
        await house.execute()
        found = await house.ledger.tasks.get(ROOM, TaskId("t1"))

        [prompt] = house.agent.runs[0].prompts
        assert prompt.text.startswith("[aiagentchat: what follows is task t1.")
        assert prompt.text.endswith("make tea")
        assert found is not None
        assert found.state is TaskState.DONE
        assert "[STATUS] ✅ done" in await house.read()


async def test_a_turn_knows_what_it_answers_and_in_which_thread(tmp_path: Path) -> None:
    asked = Meta(id=MessageId("m1"), kind=MetaKind.QUESTION, hop=1, budget=3)
    async with open_house(tmp_path, plays(Say("So."))) as house:
        await house.execute(replace(command("$1"), meta=asked, thread=EventId("$thread")), command("$2"))

        prompts = [prompt for run in house.agent.runs for prompt in run.prompts]
        assert [(prompt.cause, prompt.thread) for prompt in prompts] == [(asked, "$thread"), (None, None)]


@pytest.mark.parametrize("tools", [True, False])
async def test_a_run_has_tools_and_reaches_rooms_as_its_room_says(tmp_path: Path, tools: bool) -> None:
    def reaching(settings: Settings) -> Settings:
        room = settings.rooms[0]
        rules = replace(room.exchange, tools=tools, rooms=("other", "nowhere"))
        other = replace(room, id=OTHER_ROOM, name="other")
        return replace(settings, rooms=(replace(room, exchange=rules), other))

    async with open_house(tmp_path, plays(Say("So.")), change=reaching) as house:
        await house.execute(command("$1"))

        [run] = house.agent.runs
        assert (run.spec.speaks, run.spec.reaches) == (tools, (OTHER_ROOM,))


# ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wish", LogContent)
async def test_the_answer_is_in_the_log_as_far_as_the_room_lets_it(tmp_path: Path, wish: LogContent) -> None:
    def change(settings: Settings) -> Settings:
        return replace(settings, rooms=tuple(replace(room, log_content=wish) for room in settings.rooms))

    async with open_house(tmp_path, plays(Say("Tea is "), Say("ready.")), change=change) as house:
        with capture_logs() as lines:
            await house.execute(command("$1"))

    assert [line["answer"] for line in lines if line["event"] == "turn.ended"] == [Said("Tea is ready.", wish)]
