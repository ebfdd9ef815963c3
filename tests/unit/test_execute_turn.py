"""One turn, whatever the agent, the room and the clock do meanwhile."""

import asyncio
import copy
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aiagentchat.core.agent_events import (
    AgentEvent,
    ApiRetry,
    ApprovalAsked,
    ApprovalWithdrawn,
    Ending,
    Failure,
    HostBlocked,
    LimitReached,
    PlanChanged,
    PlanState,
    PlanStep,
    TextBlockEnded,
    TextDelta,
    TextRetracted,
    Thought,
    ToolUsed,
    TurnEnded,
    TurnStarted,
    Unrecognised,
    UsageLimited,
)
from aiagentchat.core.approvals import ApprovalState, Scope, request_digest
from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.effects import RequestStop, SetTimeLimit
from aiagentchat.core.errors import AgentDied, SessionInUse, SessionNotFound
from aiagentchat.core.ids import EventId, SessionId, new_session_id
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.agent import Prompt, RunSpec
from aiagentchat.execute.room import RoomExecutor
from aiagentchat.execute.turn import MOST_HOSTS, MOST_SESSIONS, MOST_WARNINGS, Outcome
from aiagentchat.render import asking_words, words
from aiagentchat.send.speech import WINDOW
from tests.contract.store_fixtures import ANNA, ROOM, SESSION, accept, command, settle
from tests.fakes.agent import Emit, End, Fail, Hang, Reach, Say, ScriptedAgent, ScriptedRun, Step, Use, Wait, plays
from tests.fakes.clock import FakeClock
from tests.unit.execute_house import APPROVAL_SECONDS, PATIENCE, TURN_SECONDS, House, open_house

TOUCH = Use("Bash", {"command": "touch tea"})
ALL_OF_IT: list[Step] = [Say("I will."), TOUCH, Say("That was it.")]


async def _go(house: House) -> tuple[Outcome, ScriptedRun]:
    turn, run = await house.turn()
    async with asyncio.timeout(PATIENCE):
        return await turn.go(), run


async def _until_said(house: House, text: str) -> Parcel:
    """Send what waits, until a parcel says `text`."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for parcel in await house.send_all():
                if text in parcel.content.get("body", ""):
                    return parcel
            assert await house.ledger.outbox.bell.wait(PATIENCE)


async def _stop(house: House) -> None:
    await settle(house.ledger, RequestStop(EventId("$1"), ANNA), event="$stop")
    house.nudge.set()


# ── how it ends ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_turn_that_completes_is_done_with_what_it_used(tmp_path: Path) -> None:
    used = TurnRecord(duration_ms=5, cost_micro_usd=6_600, input_tokens=40, output_tokens=2)
    gate = asyncio.Event()
    agent = plays(Say("Tea."), Wait(gate), End(TurnEnded(ending=Ending.COMPLETED, record=used)))
    async with open_house(tmp_path, agent) as house, asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        await house.clock.until_asleep()
        house.clock.advance(2.0)
        gate.set()

    outcome, run = going.result()
    assert outcome == Outcome(
        state=CommandState.DONE, record=replace(used, duration_ms=2_000), goes_on=True, first_text=0.0
    )
    assert [prompt.text for prompt in run.prompts] == ["make tea"]


async def test_the_session_has_begun_once_the_agent_took_the_prompt(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Tea."))) as house:
        before = await house.ledger.sessions.begun(SESSION)
        await _go(house)

        assert not before
        assert await house.ledger.sessions.begun(SESSION)


@pytest.mark.parametrize("failure", list(Failure))
async def test_a_turn_that_fails_says_why(tmp_path: Path, failure: Failure) -> None:
    agent = plays(End(TurnEnded(ending=Ending.FAILED, failure=failure)))
    async with open_house(tmp_path, agent) as house:
        outcome, _ = await _go(house)

    assert (outcome.state, outcome.words) == (CommandState.FAILED, words.failed(failure))


async def test_a_turn_that_fails_without_a_reason_says_that(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(End(TurnEnded(ending=Ending.FAILED)))) as house:
        outcome, _ = await _go(house)

    assert outcome.words == words.failed(Failure.UNKNOWN)


async def test_a_turn_that_ends_itself_is_cancelled(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(End(TurnEnded(ending=Ending.INTERRUPTED)))) as house:
        outcome, _ = await _go(house)

    assert (outcome.state, outcome.words) == (CommandState.CANCELLED, words.ENDED_BY_ITSELF)


@pytest.mark.parametrize(
    ("said", "shown"),
    [pytest.param("", words.NO_TEXT, id="nothing"), pytest.param("Tea.", "Tea.", id="only in the result")],
)
async def test_a_turn_in_which_nothing_was_streamed_is_not_silent(tmp_path: Path, said: str, shown: str) -> None:
    agent = plays(End(TurnEnded(ending=Ending.COMPLETED, text=said)))
    async with open_house(tmp_path, agent) as house:
        turn, _ = await house.turn()
        await turn.go()

        assert [parcel.content["body"] for parcel in turn._sink.close("", "")] == [shown]


async def test_a_process_that_dies_fails_the_turn(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Te"), Fail(AgentDied("exit code 137")))) as house:
        outcome, _ = await _go(house)

    assert (outcome.state, outcome.words) == (CommandState.FAILED, AgentDied.human)


@pytest.mark.parametrize("lost", [SessionInUse("x"), SessionNotFound("x")])
async def test_a_disagreement_about_the_session_is_left_to_the_room(
    tmp_path: Path, lost: SessionInUse | SessionNotFound
) -> None:
    async with open_house(tmp_path, plays(Fail(lost))) as house:
        turn, _ = await house.turn()
        outcome = await turn.go()

    assert turn.lost is lost
    assert outcome.state is CommandState.FAILED


class _Mute(ScriptedRun):
    """A run that breaks its promise: a turn without an end."""

    async def turn(self, prompt: Prompt) -> AsyncGenerator[AgentEvent, None]:
        self.prompts.append(prompt)
        yield TextDelta("Te")


class _MuteAgent(ScriptedAgent):
    async def open(self, spec: RunSpec) -> ScriptedRun:
        return _Mute(self, spec)


async def test_a_turn_without_an_end_failed(tmp_path: Path) -> None:
    async with open_house(tmp_path, _MuteAgent()) as house:
        outcome, _ = await _go(house)

    assert (outcome.state, outcome.words) == (CommandState.FAILED, words.AGENT_DIED)


# ── what it says ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_text_tools_and_what_is_taken_back_come_out_in_order(tmp_path: Path) -> None:
    events: tuple[AgentEvent, ...] = (
        TextDelta("First."),
        TextBlockEnded(),
        ToolUsed("Bash", {"command": "make tea"}),
        TextDelta("Sec"),
        TextRetracted(),
        Unrecognised("hologram"),
        TextDelta("Second."),
        TextBlockEnded(),
    )
    async with open_house(tmp_path, plays(Emit(events))) as house:
        turn, _ = await house.turn()
        await turn.go()
        [parcel] = turn._sink.close("", "")

    body = parcel.content["body"]
    assert body.startswith("First.")
    assert body.index("make tea") < body.index("Second.")
    assert body.count("Sec") == 1


# ── the clock ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_turn_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Let me think."), Hang())) as house, asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        await house.clock.until_asleep()
        house.clock.advance(TURN_SECONDS)
        house.nudge.set()

    outcome, _ = going.result()
    assert (outcome.state, outcome.words) == (CommandState.TIMED_OUT, words.timed_out(TURN_SECONDS))
    assert outcome.record.duration_ms == TURN_SECONDS * 1000


async def test_the_turns_clock_stands_still_while_an_approval_waits(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(*ALL_OF_IT)) as house, asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        question = await house.question()
        house.clock.advance(TURN_SECONDS * 2)
        await house.decide(question.id, ApprovalState.DENIED)

    outcome, _ = going.result()
    assert (outcome.state, outcome.record.duration_ms) == (CommandState.DONE, 0)


async def test_the_turns_clock_goes_on_after_the_answer(tmp_path: Path) -> None:
    answered = asyncio.Event()
    async with open_house(tmp_path, plays(TOUCH, Reach(answered), Hang())) as house, asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        question = await house.question()
        house.clock.advance(TURN_SECONDS * 2)
        await house.decide(question.id, ApprovalState.DENIED)
        await answered.wait()
        house.clock.advance(TURN_SECONDS)
        house.nudge.set()

    assert going.result()[0].state is CommandState.TIMED_OUT


async def test_the_room_is_warned_a_minute_before_the_end_and_once(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Let me think."), Hang())) as house, asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        await house.clock.until_asleep()
        house.clock.advance(TURN_SECONDS - 60)
        house.nudge.set()
        warned = await _until_said(house, words.last_minute(60))
        house.clock.advance(30)
        house.nudge.set()
        await _stop(house)
        await going
        after = await house.read()

    assert warned.content["msgtype"] == "m.notice"
    assert words.last_minute(30) not in after


async def test_time_that_was_given_counts_and_its_end_is_warned_of_too(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Let me think."), Hang())) as house, asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        await house.clock.until_asleep()
        await settle(house.ledger, SetTimeLimit(EventId("$1"), TURN_SECONDS * 3), event="$timeout")
        house.clock.advance(TURN_SECONDS * 3 - 60)
        house.nudge.set()
        await _until_said(house, words.last_minute(60))
        house.clock.advance(60)
        house.nudge.set()

    outcome, _ = going.result()
    assert (outcome.state, outcome.words) == (CommandState.TIMED_OUT, words.timed_out(TURN_SECONDS * 3))


async def test_while_a_question_waits_nobody_is_warned_nor_called_silent(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(*ALL_OF_IT)) as house:
        async with asyncio.TaskGroup() as group:
            group.create_task(_go(house))
            question = await house.question()
            house.clock.advance(TURN_SECONDS - 60)
            await house.decide(question.id, ApprovalState.DENIED)
        shown = await house.read()

    assert not any("⏱" in text or "⏳" in text for text in shown)


async def test_silence_is_told_in_the_answer_and_ends_nothing(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with open_house(tmp_path, plays(Say("Let me think."), Wait(gate), Say("So."))) as house:
        async with asyncio.TaskGroup() as group:
            turn, _ = await house.turn()
            going = group.create_task(turn.go())
            await house.clock.pass_nap()
            await house.clock.pass_nap()
            await _until_said(house, "Let me think.")
            house.clock.advance(120)
            house.nudge.set()
            told = await _until_said(house, words.still_working(120))
            gate.set()
        [page, last] = turn._sink.close("", "")

    assert told.edits is not None
    assert going.result().state is CommandState.DONE
    assert page.content["body"] == "Let me think.\n\nSo."
    assert (last.content["body"], last.content["m.mentions"]) == (words.TURN_OVER, {"user_ids": [ANNA]})


async def test_a_turn_with_nothing_to_show_says_how_long_it_takes(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with open_house(tmp_path, plays(Wait(gate), Say("So."))) as house, asyncio.TaskGroup() as group:
        turn, _ = await house.turn()
        group.create_task(turn.go())
        house.clock.advance(20)
        house.nudge.set()
        await house.clock.pass_nap()
        await house.clock.pass_nap()
        first = await _until_said(house, words.working(20))
        house.clock.advance(60 - house.clock.monotonic())
        house.nudge.set()
        second = await _until_said(house, words.working(60))
        gate.set()

    assert (first.content["msgtype"], second.edits) == ("m.notice", first.txn)


async def test_plans_and_thoughts_come_into_the_answer_as_the_room_wants_them(tmp_path: Path) -> None:
    events: tuple[AgentEvent, ...] = (
        Thought("Hm."),
        PlanChanged((PlanStep("Boil water", PlanState.DOING),)),
        TextDelta("Tea."),
        TextBlockEnded(),
    )
    async with open_house(tmp_path, plays(Emit(events))) as house:
        turn, _ = await house.turn()
        await turn.go()
        [parcel] = turn._sink.close("", "")

        assert turn.worked
    assert parcel.content["body"] == "Tea.\n\n**Plan: 0 of 1 done**\n- [ ] Boil water ⏳"


# ── stops ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stop_ends_the_turn_and_names_who_asked(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Let me think."), Hang())) as house, asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        await house.clock.until_asleep()
        await _stop(house)
        outcome, run = await going
        alive = run.alive

    assert (outcome.state, outcome.words) == (CommandState.CANCELLED, words.stopped(ANNA))
    assert alive


async def test_a_stop_does_not_wait_for_the_window_in_which_words_wait(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def until_words_wait(clock: FakeClock) -> None:
        while await clock.until_asleep() < WINDOW / 2:
            await clock.pass_nap()

    async with (
        open_house(tmp_path, plays(Say("First."), Wait(gate), Say("And more."), Hang())) as house,
        asyncio.TaskGroup() as group,
    ):
        going = group.create_task(_go(house))
        waiting = group.create_task(until_words_wait(house.clock))
        await _until_said(house, "First.")
        gate.set()
        await waiting
        before = house.clock.monotonic()
        await _stop(house)
        await house.agent.runs[0].stopped.wait()
        outcome, _ = await going

        assert house.clock.monotonic() == before
    assert outcome.state is CommandState.CANCELLED


async def test_a_stop_while_an_approval_waits_withdraws_it(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(*ALL_OF_IT)) as house:
        async with asyncio.TaskGroup() as group:
            going = group.create_task(_go(house))
            question = await house.question()
            await _stop(house)
        approval = await house.ledger.approvals.get(question.id)

    outcome, run = going.result()
    assert outcome.state is CommandState.CANCELLED
    assert run.answers == []
    assert approval is not None
    assert approval.state is ApprovalState.WITHDRAWN


async def test_the_first_reason_to_end_a_turn_stands(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Let me think."), Hang())) as house, asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        await house.clock.until_asleep()
        await settle(house.ledger, RequestStop(EventId("$1"), ANNA), event="$stop")
        house.clock.advance(TURN_SECONDS)
        house.nudge.set()

    assert going.result()[0].state is CommandState.CANCELLED


async def test_a_key_that_the_api_refuses_ends_the_turn_at_once(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Emit((ApiRetry(1, 4, 401),)), Hang())) as house:
        outcome, _ = await _go(house)

    assert (outcome.state, outcome.words) == (CommandState.FAILED, words.failed(Failure.AUTHENTICATION))


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (None, "⏳ The model's API does not answer: try 2 of at most 5."),
        (429, "⏳ The model's API wants us to slow down (429): try 2 of at most 5."),
        (500, "⏳ The model's API has trouble (500): try 2 of at most 5."),
        (529, "⏳ The model's API is overloaded (529): try 2 of at most 5."),
    ],
)
async def test_any_other_retry_is_left_to_the_agent_and_shown_meanwhile(
    tmp_path: Path, status: int | None, told: str
) -> None:
    gate = asyncio.Event()
    async with open_house(tmp_path, plays(Emit((ApiRetry(1, 4, status),)), Wait(gate), Say("Tea."))) as house:
        turn, _ = await house.turn()
        async with asyncio.TaskGroup() as group:
            going = group.create_task(turn.go())
            await house.clock.pass_nap()
            await house.clock.pass_nap()
            await _until_said(house, told)
            gate.set()
        said = turn._sink.close("", "")

    assert going.result().state is CommandState.DONE
    assert [parcel.content["body"] for parcel in said] == ["Tea."]


# ── what the room's executor must know ────────────────────────────────────────────────────────────────────────────


LIMITED = End(TurnEnded(ending=Ending.FAILED, failure=Failure.USAGE_LIMIT))


@pytest.mark.parametrize(
    ("steps", "limited"),
    [
        pytest.param([Emit((UsageLimited(7),)), LIMITED], UsageLimited(7), id="until a moment"),
        pytest.param([LIMITED], UsageLimited(None), id="until nobody knows when"),
        pytest.param([Emit((UsageLimited(7),)), Say("Tea.")], None, id="but it went on"),
    ],
)
async def test_a_turn_that_ends_at_a_usage_limit_says_so(
    tmp_path: Path, steps: list[Step], limited: UsageLimited | None
) -> None:
    async with open_house(tmp_path, plays(*steps)) as house:
        outcome, _ = await _go(house)

    assert outcome.limited == limited


@pytest.mark.parametrize(
    ("steps", "empty", "worked"),
    [
        pytest.param([], True, False, id="nothing at all"),
        pytest.param([Say("Tea.")], False, True, id="words"),
        pytest.param([Emit((ToolUsed("Bash", {}),))], False, True, id="a tool"),
        pytest.param([End(TurnEnded(ending=Ending.COMPLETED, text="Tea."))], False, False, id="words in the result"),
        pytest.param([End(TurnEnded(ending=Ending.FAILED))], False, False, id="a failure"),
        pytest.param([Emit((Unrecognised("hologram"), TurnStarted(SESSION)))], True, False, id="only signs of life"),
    ],
)
async def test_a_turn_knows_whether_it_was_empty(tmp_path: Path, steps: list[Step], empty: bool, worked: bool) -> None:
    async with open_house(tmp_path, plays(*steps)) as house:
        turn, _ = await house.turn()
        outcome = await turn.go()

    assert (outcome.empty, turn.worked) == (empty, worked)


async def test_what_was_allowed_before_is_used_up_once(tmp_path: Path) -> None:
    used = request_digest("Bash", {"command": "touch tea"})
    async with open_house(tmp_path, plays(Emit((ApprovalAsked("r1", "Bash", {"command": "touch tea"}),)))) as house:
        turn, _ = await house.turn(granted=f"{used},another")
        await turn.go()

    assert turn.granted == "another"


class _Stillborn(ScriptedRun):
    """A run that ends before it takes the prompt, after it may have said something."""

    async def turn(self, prompt: Prompt) -> AsyncGenerator[AgentEvent, None]:
        self.prompts.append(prompt)
        for event in self.before:
            yield event
        raise AgentDied("stillborn")

    before: tuple[AgentEvent, ...] = ()


class _StillbornAgent(ScriptedAgent):
    def __init__(self, *before: AgentEvent) -> None:
        super().__init__()
        self._before = before

    async def open(self, spec: RunSpec) -> ScriptedRun:
        run = _Stillborn(self, spec)
        run.before = self._before
        return run


@pytest.mark.parametrize(
    ("before", "lost"),
    [
        pytest.param((), True, id="it had said nothing"),
        pytest.param((Unrecognised("hologram"),), True, id="nothing that we know"),
        pytest.param((HostBlocked("pypi.org"),), True, id="only its way out has been heard"),
        pytest.param((TurnStarted(SESSION),), False, id="it had taken the prompt"),
        pytest.param((TextDelta("Te"),), False, id="it must have taken the prompt"),
    ],
)
async def test_a_run_is_lost_only_if_it_had_not_taken_the_prompt(
    tmp_path: Path, before: tuple[AgentEvent, ...], lost: bool
) -> None:
    async with open_house(tmp_path, _StillbornAgent(*before)) as house:
        turn, _ = await house.turn()
        outcome = await turn.go()

    assert isinstance(turn.lost, AgentDied) is lost
    assert (outcome.state, outcome.words) == (CommandState.FAILED, AgentDied.human)


async def test_a_run_that_we_ended_ourselves_is_not_lost(tmp_path: Path) -> None:
    async with open_house(tmp_path, _StillbornAgent()) as house:
        turn, _ = await house.turn()
        turn._end(Outcome(state=CommandState.CANCELLED))
        await turn.go()

    assert turn.lost is None


# ── what it uses and reaches ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("limit", ["processes", "memory", "file_size", "workspace_size"])
async def test_a_turn_that_reaches_a_limit_is_ended_with_its_name(tmp_path: Path, limit: str) -> None:
    reached = LimitReached(limit, 7)
    async with open_house(tmp_path, plays(Say("Tea."), Emit((reached, reached)), Hang())) as house:
        outcome, _ = await _go(house)

    assert (outcome.state, outcome.words) == (CommandState.FAILED, words.limit_reached(limit, 7))


async def test_a_turn_whose_folders_become_too_large_is_ended(tmp_path: Path) -> None:
    grown = asyncio.Event()

    async def outgrown() -> LimitReached:
        await grown.wait()
        return LimitReached("workspace_size", 7)

    async with open_house(tmp_path, plays(Say("Tea."), Reach(grown), Hang())) as house:
        turn, _ = await house.turn(outgrown=outgrown)
        async with asyncio.timeout(PATIENCE):
            outcome = await turn.go()

    assert (outcome.state, outcome.words) == (CommandState.FAILED, words.limit_reached("workspace_size", 7))


@pytest.mark.parametrize("reached", [None, LimitReached("file_size", 7)])
@pytest.mark.parametrize("tool", [True, False])
async def test_what_a_tool_has_reached_counts_also_when_the_turn_is_over_already(
    tmp_path: Path, reached: LimitReached | None, tool: bool
) -> None:
    async def at_the_end() -> LimitReached | None:
        return reached

    used = [Emit((ToolUsed("Bash", {"command": "dd"}),))] if tool else []
    async with open_house(tmp_path, plays(*used, Say("Tea."))) as house:
        turn, _ = await house.turn(at_the_end=at_the_end)
        outcome = await turn.go()

    ended = outcome.state, outcome.words
    failed = CommandState.FAILED, words.limit_reached("file_size", 7)
    assert ended == (failed if tool and reached else (CommandState.DONE, ""))


async def test_a_turn_that_ends_is_looked_at_no_longer(tmp_path: Path) -> None:
    over = asyncio.Event()

    async def outgrown() -> LimitReached:
        try:
            await asyncio.Event().wait()
        finally:
            over.set()
        raise AssertionError

    async with open_house(tmp_path, plays(Say("Tea."))) as house:
        turn, _ = await house.turn(outgrown=outgrown)
        outcome = await turn.go()

    assert outcome.state is CommandState.DONE
    assert over.is_set()


async def test_a_host_that_was_refused_is_named_once_and_the_turn_goes_on(tmp_path: Path) -> None:
    blocked = HostBlocked("pypi.org"), HostBlocked("PyPI.org"), HostBlocked("pypi.org")
    async with open_house(tmp_path, plays(Emit(blocked), Say("Tea."))) as house:
        outcome, _ = await _go(house)
        sent = await house.send_all()

    assert outcome.state is CommandState.DONE
    told = [parcel for parcel in sent if "refused" in parcel.content["body"]]
    assert [parcel.content["body"] for parcel in told] == [words.host_blocked("pypi.org")]
    assert [parcel.content["msgtype"] for parcel in told] == ["m.notice"]
    assert [parcel.command for parcel in told] == [EventId("$1")]


async def test_of_many_hosts_that_were_refused_a_few_are_named(tmp_path: Path) -> None:
    blocked = tuple(HostBlocked(f"{number}.example.org") for number in range(20))
    async with open_house(tmp_path, plays(Emit(blocked), Say("Tea."))) as house:
        await _go(house)
        shown = await house.read()

    named = [words.host_blocked(f"{number}.example.org") for number in range(MOST_HOSTS)]
    assert [text for text in shown if "refused" in text] == [*named, words.OTHER_HOSTS_BLOCKED]


async def test_a_turn_that_is_taken_up_again_does_not_name_a_host_twice(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Tea."))) as house:
        turn, _ = await house.turn()
        for each in (turn, copy.copy(turn)):
            each._blocked = set()  # as in the second turn of a command whose session had to be mended
            await each._take(HostBlocked("pypi.org"))
        shown = await house.read()

    assert shown == [words.host_blocked("pypi.org")]


# ── approvals ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "reason", "answer"),
    [
        pytest.param(ApprovalState.ALLOWED, "", True, id="allowed"),
        pytest.param(ApprovalState.DENIED, "no milk", False, id="denied"),
    ],
)
async def test_a_persons_answer_reaches_the_agent(
    tmp_path: Path, state: ApprovalState, reason: str, answer: bool
) -> None:
    async with open_house(tmp_path, plays(Use("Bash", {"command": "make tea"}), Say("So."))) as house:
        async with asyncio.TaskGroup() as group:
            going = group.create_task(_go(house))
            question = await house.question()
            await house.decide(question.id, state, reason)
        shown = await house.read()

    outcome, run = going.result()
    assert run.answers == [(answer, "" if answer else words.denied_for_agent(ANNA, reason))]
    assert outcome.state is CommandState.DONE
    assert "make tea" in shown[-1]
    assert question.expires_at == house.clock.now_ms() + APPROVAL_SECONDS * 1000


async def test_in_an_encrypted_room_the_question_asks_for_words(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Use("Bash", {"command": "make tea"}), Say("So."))) as house:
        await house.ledger.keyring.mark_encrypted(ROOM, house.clock.now_ms())
        await accept(house.ledger, command("$1"))
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            executor = RoomExecutor(ROOM, house.shop)
            group.create_task(executor.run(others_wait=lambda: False))
            question = await house.question()
            shown = await house.read()
            await house.decide(question.id, ApprovalState.DENIED)
            executor.nudge.set()

    request = asking_words.tool_answers_in_words(
        Scope.COMMAND, "Bash", minutes=APPROVAL_SECONDS // 60, request=question.digest[:8]
    )
    assert shown[-1].endswith(request)
    assert "✅" not in "".join(shown)


async def test_what_was_said_before_stands_above_the_question(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(*ALL_OF_IT)) as house, asyncio.TaskGroup() as group:
        group.create_task(_go(house))
        question = await house.question()
        said, asked = await house.read()
        await house.decide(question.id, ApprovalState.DENIED)

    assert said.startswith("I will.")
    assert asked.startswith("🔐")


async def test_nobodys_answer_is_a_no_and_the_room_is_told(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(*ALL_OF_IT)) as house:
        async with asyncio.TaskGroup() as group:
            going = group.create_task(_go(house))
            question = await house.question()
            house.clock.advance(APPROVAL_SECONDS)
            house.nudge.set()
        approval = await house.ledger.approvals.get(question.id)
        shown = await house.read()

    outcome, run = going.result()
    assert run.answers == [(False, words.NOT_ANSWERED)]
    assert outcome.state is CommandState.DONE
    assert approval is not None
    assert approval.state is ApprovalState.EXPIRED
    assert words.approval_expired(APPROVAL_SECONDS // 60) in shown


async def test_an_answer_in_the_last_moment_counts(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(TOUCH, Hang())) as house:
        turn, run = await house.turn()
        async with aclosing(run.turn(Prompt(uuid="1", text="make tea"))) as events:
            asked = [await anext(events) for _ in range(3)][-1]
            await turn._take(asked)
            question = await house.question()
            await house.decide(question.id, ApprovalState.ALLOWED)
            house.clock.advance(APPROVAL_SECONDS)
            await turn._questions.look()

    assert [allowed for allowed, _ in run.answers] == [True]


async def test_a_question_that_the_agent_takes_back_is_withdrawn_and_the_clock_goes_on(tmp_path: Path) -> None:
    asked = (ApprovalAsked("r1", "Bash", {}), ApprovalWithdrawn("r1"), ApprovalWithdrawn("unknown"))
    taken_back = asyncio.Event()
    async with open_house(tmp_path, plays(Emit(asked), Reach(taken_back), Hang())) as house:
        async with asyncio.TaskGroup() as group:
            going = group.create_task(_go(house))
            await taken_back.wait()
            house.clock.advance(TURN_SECONDS)
            house.nudge.set()
        questions = await house.ledger.approvals.open_in(ROOM)

    assert questions == []
    assert going.result()[0].state is CommandState.TIMED_OUT


async def test_an_answer_to_a_question_that_was_just_withdrawn_is_dropped(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("Tea."))) as house:
        turn, run = await house.turn()
        await turn._questions._answer("withdrawn meanwhile", allow=True, reason="")

    assert run.answers == []


@pytest.mark.parametrize("seconds", [APPROVAL_SECONDS * 2, -APPROVAL_SECONDS * 2])
async def test_a_clock_that_is_set_neither_hurries_nor_delays_an_answer(tmp_path: Path, seconds: int) -> None:
    async with open_house(tmp_path, plays(*ALL_OF_IT)) as house, asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        question = await house.question()
        house.clock.turn(seconds)
        house.nudge.set()
        await house.decide(question.id, ApprovalState.DENIED, "no")
        outcome, run = await going

    assert [reason for _, reason in run.answers] == [words.denied_for_agent(ANNA, "no")]
    assert outcome.record.duration_ms == 0


async def test_while_two_questions_are_open_the_clock_stands_until_both_are_answered(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Hang())) as house:
        turn, _ = await house.turn()
        left = []
        for request in ("r1", "r2"):
            await turn._take(ApprovalAsked(request, "Bash", {}))
        for question in await house.ledger.approvals.open_in(ROOM):
            await house.decide(question.id, ApprovalState.ALLOWED)
            await turn._questions.look()
            house.clock.advance(10)
            left.append(turn._turn_clock.left(house.clock.monotonic()))

    assert left == [None, TURN_SECONDS - 10]


async def test_a_question_of_a_shape_that_we_do_not_know_is_denied_in_plain_words(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Use("AskUserQuestion", {"questions": []}), Say("Milk?"))) as house:
        outcome, run = await _go(house)
        shown = await house.read()

    assert run.answers == [(False, words.ASK_IN_PLAIN_TEXT)]
    assert outcome.state is CommandState.DONE
    assert not any("AskUserQuestion" in text for text in shown)


# ── what it does not say ──────────────────────────────────────────────────────────────────────────────────────────


SECRET = "ghp_" + "aB3dE6gH9jK2" * 3
GONE = "[redacted: GitHub token]"


async def test_a_tool_line_shows_no_secret_not_even_its_beginning(tmp_path: Path) -> None:
    used = ToolUsed("Bash", {"command": "x" * 95 + f" {SECRET}"})
    async with open_house(tmp_path, plays(Emit((used,)))) as house:
        turn, _ = await house.turn()
        await turn.go()
        [parcel] = turn._sink.close("", "")

    assert "ghp_" not in parcel.content["body"]
    assert "[redacted" in parcel.content["body"]


async def test_a_question_shows_no_secret_and_is_about_what_was_asked(tmp_path: Path) -> None:
    given = {"command": f"deploy --token {SECRET}"}
    async with open_house(tmp_path, plays(Use("Bash", given))) as house, asyncio.TaskGroup() as group:
        group.create_task(_go(house))
        question = await house.question()
        shown = "\n".join(await house.read())
        await house.decide(question.id, ApprovalState.DENIED)

    assert f"deploy --token {GONE}" in shown
    assert f"deploy --token {GONE}" in question.shown
    assert SECRET not in shown + question.shown
    assert question.digest == request_digest("Bash", given)


async def test_conversations_that_are_made_up_are_not_remembered(tmp_path: Path) -> None:
    """Whatever else runs there can say so in the agent's name."""
    made_up = [new_session_id() for _ in range(MOST_SESSIONS + 1)]
    said: list[AgentEvent] = [TurnStarted(SessionId("x" * 5_000)), *map(TurnStarted, made_up)]
    async with open_house(tmp_path, plays(Emit(tuple(said)), Say("Tea."))) as house:
        turn, _ = await house.turn()
        await turn.go()
        begun = [await house.ledger.sessions.begun(session) for session in made_up]

        assert not await house.ledger.sessions.begun(SessionId("x" * 5_000))
    assert begun == [True] * (MOST_SESSIONS - 1) + [False] * 2  # the first was its own


async def test_what_is_said_again_and_again_fills_no_log(tmp_path: Path) -> None:
    said: tuple[AgentEvent, ...] = (ApiRetry(1, 4, 529), UsageLimited(None))
    with capture_logs() as logs:
        async with open_house(tmp_path, plays(Emit(said * MOST_WARNINGS), Say("Tea."))) as house:
            turn, _ = await house.turn()
            await turn.go()

    assert len([line for line in logs if line["event"] in {"turn.api_retry", "turn.usage_limited"}]) == MOST_WARNINGS
