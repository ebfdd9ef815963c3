"""What the Agent port promises, held by the driver on the real CLI, the driver on a fake one, and the scripted agent.

What only the driver promises, because only it has a process, is in tests/unit/test_claude_*.py.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from aiagentchat.core.agent_events import (
    SEND_FILE,
    AgentEvent,
    ApprovalAsked,
    ApprovalWithdrawn,
    Ending,
    FileOffered,
    Folded,
    NotFolded,
    TextBlockEnded,
    TextDelta,
    ToolUsed,
    TurnStarted,
)
from aiagentchat.core.errors import AgentDied, AgentError, SessionInUse, SessionNotFound
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.ports.agent import Agent, AgentRun, RunSpec
from rig import fake_cli
from rig.model import Model
from rig.script import Step, numbered, script
from tests.fakes.agent import ScriptedAgent, ScriptedRun
from tests.unit.claude_stage import (
    FOREVER,
    PATIENCE,
    TOUCH,
    claude,
    end_of,
    made,
    main_process,
    make_spec,
    processes,
    prompt,
    rest,
    resumed,
    served,
    text_of,
    turn,
    until,
)

SAY = script("say it", Step(text="All of what was said.", chunk=4))
AGAIN = script("say more", Step(text="Another answer."))


@dataclass
class Stage:
    """An agent, and what a test must be able to do to it."""

    agent: Agent
    kill: Callable[[AgentRun, RunSpec], Awaitable[None]]


def _scripted(_: pytest.FixtureRequest, __: Path) -> Stage:
    async def kill(run: AgentRun, _: RunSpec) -> None:
        assert isinstance(run, ScriptedRun)
        await run.die()

    return Stage(ScriptedAgent(), kill)


async def _kill_main(_: AgentRun, spec: RunSpec) -> None:
    main_process(spec).kill()


def _fake(_: pytest.FixtureRequest, folder: Path) -> Stage:
    return Stage(claude(fake_cli.install(folder)), _kill_main)


def _real(request: pytest.FixtureRequest, _: Path, isolation: Isolation = Isolation.NONE) -> Stage:
    binary: Path = request.getfixturevalue("cli")
    model: Model = request.getfixturevalue("model")
    return Stage(claude(binary, model.url, isolation=isolation), _kill_main)


def _kept_in(request: pytest.FixtureRequest, folder: Path) -> Stage:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    return _real(request, folder, Isolation.STRICT)


@pytest.fixture(
    params=[
        pytest.param(_scripted, id="scripted"),
        pytest.param(_fake, id="fake cli"),
        pytest.param(_real, id="real cli", marks=[pytest.mark.real, pytest.mark.long]),
        pytest.param(_kept_in, id="real cli, strict", marks=pytest.mark.real),
    ]
)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    chosen: Stage = request.param(request, tmp_path)
    return chosen


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    return make_spec(tmp_path)


# ── a turn ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_turn_begins_with_its_session_and_ends_once(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        events = await turn(run, SAY)

    assert events[0] == TurnStarted(spec.session)
    assert end_of(events).ending is Ending.COMPLETED


async def test_what_is_said_in_pieces_arrives_whole_and_once(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        events = await turn(run, SAY)

    said = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(said) > 1
    assert "".join(said) == text_of(events) == "All of what was said."
    assert events.count(TextBlockEnded()) == 1


async def test_an_answer_of_300_kb_arrives_whole_and_in_order(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        events = await turn(run, script("say a lot", Step(text=numbered(300_000))))

    assert text_of(events) == numbered(300_000)


async def test_a_run_serves_one_turn_after_the_other(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        first, second = await turn(run, SAY), await turn(run, AGAIN)

    assert text_of(first) == "All of what was said."
    assert text_of(second) == "Another answer."
    assert end_of(second).ending is Ending.COMPLETED


# ── approvals ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_tool_that_was_allowed_runs(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        events = await turn(run, TOUCH, allow=True)

    assert made(spec)
    assert text_of(events) == "I will.That was it."


async def test_a_tool_that_was_denied_does_not_run_and_the_turn_goes_on(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        events = await turn(run, TOUCH, allow=False, reason="not today")

    assert not made(spec)
    assert text_of(events) == "I will.That was it."
    assert end_of(events).ending is Ending.COMPLETED


async def test_a_question_shows_the_tool_and_its_whole_input(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        events = await turn(run, TOUCH)

    [used] = [event for event in events if isinstance(event, ToolUsed)]
    [asked] = [event for event in events if isinstance(event, ApprovalAsked)]
    assert (used.tool, used.input) == (asked.tool, asked.input) == ("Bash", {"command": "touch made"})


async def test_a_stop_withdraws_the_question_and_a_late_answer_changes_nothing(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(TOUCH))
        asked = (await until(events, ApprovalAsked))[-1]
        assert isinstance(asked, ApprovalAsked)
        async with asyncio.TaskGroup() as group:
            group.create_task(run.stop())
            ended = await rest(events)
        await run.answer(asked.request, allow=True)
        after = await turn(run, AGAIN)

    assert ApprovalWithdrawn(asked.request) in ended
    assert end_of(ended).ending is Ending.INTERRUPTED
    assert text_of(after) == "Another answer."
    assert not made(spec)


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

OFFER = script(
    "send it",
    Step(text="Here it is.", tool=SEND_FILE, input={"path": "a.png", "caption": "look"}),
    Step(text="That was it."),
)


async def test_a_file_is_offered_without_a_question_and_the_turn_goes_on_once_it_is_known_what_came_of_it(
    stage: Stage, spec: RunSpec
) -> None:
    async with served(stage.agent, spec) as run:
        for _ in range(2):  # in each turn of a run
            events = run.turn(prompt(OFFER))
            begun = await until(events, FileOffered)
            offered = begun[-1]
            assert isinstance(offered, FileOffered)
            await run.reply(offered.request, "It is on its way.")
            ended = await rest(events)

            assert (offered.path, offered.caption) == ("a.png", "look")
            assert text_of(begun) == "Here it is."
            assert text_of(ended) == "That was it."
            assert not [event for event in begun + ended if isinstance(event, ApprovalAsked)]
            assert end_of(ended).ending is Ending.COMPLETED


async def test_a_stop_while_a_file_is_offered_ends_the_turn_and_a_late_reply_changes_nothing(
    stage: Stage, spec: RunSpec
) -> None:
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(OFFER))
        offered = (await until(events, FileOffered))[-1]
        assert isinstance(offered, FileOffered)
        async with asyncio.TaskGroup() as group:
            group.create_task(run.stop())
            ended = await rest(events)
        await run.reply(offered.request, "It is on its way.")
        after = await turn(run, AGAIN)

    assert end_of(ended).ending is Ending.INTERRUPTED
    assert text_of(after) == "Another answer."


# ── stop ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stop_in_a_tool_ends_the_turn_and_the_run_serves_the_next_one(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(FOREVER))
        await until(events, ToolUsed)
        async with asyncio.TaskGroup() as group:
            group.create_task(run.stop())
            ended = await rest(events)
        alive = run.alive
        after = await turn(run, AGAIN)

    assert end_of(ended).ending is Ending.INTERRUPTED
    assert alive
    assert text_of(after) == "Another answer."


async def test_a_stop_before_the_first_event_ends_the_turn(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run, asyncio.TaskGroup() as group:
        turning = group.create_task(turn(run, script("slow", Step(before=20, text="late"), Step(hang="start"))))
        group.create_task(run.stop())  # begins when the turn has begun, and nothing of it can have come back

    events = turning.result()
    assert end_of(events).ending is Ending.INTERRUPTED


async def test_a_stop_while_nothing_runs_is_no_stop(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        await turn(run, SAY)
        async with asyncio.timeout(1):
            await run.stop()
        after = await turn(run, AGAIN)

    assert text_of(after) == "Another answer."


# ── more for a turn that runs ─────────────────────────────────────────────────────────────────────────────────────────

MORE = script("one thing more", Step(text="I have read it."))
SLOWLY = script("say it slowly", Step(text="All of what was said, and it took a while.", chunk=2, delay=0.1))


async def test_what_is_given_while_a_question_waits_is_read_after_the_answer(stage: Stage, spec: RunSpec) -> None:
    more = prompt(MORE)
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(TOUCH))
        asked = (await until(events, ApprovalAsked))[-1]
        assert isinstance(asked, ApprovalAsked)
        taken = await run.fold(more)
        await run.answer(asked.request, allow=True)
        ended = await rest(events)
        settled = await run.settle()
        after = await turn(run, AGAIN)

    assert taken
    assert made(spec)
    assert ended.count(Folded(more.uuid)) == 1
    assert text_of(ended) == "I have read it."
    assert end_of(ended).ending is Ending.COMPLETED
    assert settled
    assert text_of(after) == "Another answer."


async def test_what_is_given_while_a_tool_runs_is_read_after_the_tool(stage: Stage, spec: RunSpec) -> None:
    work = script("work", Step(text="On it.", tool="Bash", input={"command": "echo a; sleep 1"}), Step(text="never"))
    more = prompt(MORE)
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(work))
        await until(events, ToolUsed)
        taken = await run.fold(more)
        ended = await _allowing(run, events)

    assert taken
    assert Folded(more.uuid) in ended
    assert text_of(ended) == "I have read it."


async def test_what_is_given_at_the_end_of_a_turn_is_a_turn_of_its_own(stage: Stage, spec: RunSpec) -> None:
    more = prompt(MORE)
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(SLOWLY))
        begun = await until(events, TextDelta)
        taken = await run.fold(more)
        first = [*begun, *await rest(events)]
        settled = await run.settle()
        async with asyncio.timeout(PATIENCE):
            second = [event async for event in run.turn(more)]
        after = await turn(run, AGAIN)

    assert taken
    assert not settled
    assert Folded(more.uuid) not in first
    assert text_of(first) == "All of what was said, and it took a while."
    assert second[0] == TurnStarted(spec.session)
    assert text_of(second) == "I have read it."
    assert end_of(second).ending is Ending.COMPLETED
    assert text_of(after) == "Another answer."


async def test_what_follows_a_turn_can_be_stopped(stage: Stage, spec: RunSpec) -> None:
    more = prompt(FOREVER)
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(SLOWLY))
        await until(events, TextDelta)
        await run.fold(more)
        await rest(events)
        following = run.turn(more)
        await until(following, ToolUsed)
        async with asyncio.TaskGroup() as group:
            group.create_task(run.stop())
            ended = await rest(following)
        after = await turn(run, AGAIN)

    assert end_of(ended).ending is Ending.INTERRUPTED
    assert text_of(after) == "Another answer."


async def test_what_follows_a_turn_and_is_not_followed_is_gone_when_the_run_is_closed(
    stage: Stage, spec: RunSpec
) -> None:
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(SLOWLY))
        await until(events, TextDelta)
        await run.fold(prompt(FOREVER))
        await rest(events)
        async with asyncio.timeout(PATIENCE):
            await run.close()

        assert not run.alive
        assert processes(spec) == []


async def test_a_stop_drops_what_was_not_read(stage: Stage, spec: RunSpec) -> None:
    more = prompt(MORE)
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(TOUCH))
        await until(events, ApprovalAsked)
        await run.fold(more)
        async with asyncio.TaskGroup() as group:
            group.create_task(run.stop())
            ended = await rest(events)
        settled = await run.settle()
        after = await turn(run, AGAIN)

    assert NotFolded(more.uuid) in ended
    assert end_of(ended).ending is Ending.INTERRUPTED
    assert settled
    assert text_of(after) == "Another answer."


async def test_where_no_turn_runs_nothing_is_given(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        before = await run.fold(prompt(MORE))
        await turn(run, SAY)
        between = await run.fold(prompt(MORE))
        await run.close()

        assert not before
        assert not between
        assert not await run.fold(prompt(MORE))


async def _allowing(run: AgentRun, events: AsyncGenerator[AgentEvent, None]) -> list[AgentEvent]:
    """The events up to the end of the turn; what it asks is allowed."""
    seen: list[AgentEvent] = []
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            seen.append(event)
            if isinstance(event, ApprovalAsked):
                await run.answer(event.request, allow=True)
    return seen


# ── the end of a run ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_close_leaves_nothing_of_an_idle_run(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        await turn(run, SAY)
        await run.close()

        assert not run.alive
        assert processes(spec) == []


async def test_close_in_a_turn_ends_the_turn_and_leaves_nothing(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(FOREVER))
        await until(events, ToolUsed)
        async with asyncio.TaskGroup() as group:
            group.create_task(_to_the_end(events))
            await run.close()

        assert not run.alive
        assert processes(spec) == []


async def _to_the_end(events: AsyncGenerator[AgentEvent, None]) -> None:
    """However it ends: with an interrupted turn, or because the process is gone."""
    with contextlib.suppress(AgentDied):
        await rest(events)


async def test_a_closed_run_serves_no_turn(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        await turn(run, SAY)
        await run.close()
        with pytest.raises(AgentError):
            await turn(run, AGAIN)


async def test_a_turn_that_nobody_follows_to_its_end_costs_the_run(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(FOREVER))
        await until(events, ToolUsed)
        await events.aclose()

        assert not run.alive
        async with asyncio.timeout(PATIENCE):
            await run.close()
        assert processes(spec) == []


async def test_a_process_that_is_killed_in_a_turn_is_reported(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        events = run.turn(prompt(FOREVER))
        await until(events, ToolUsed)
        await stage.kill(run, spec)
        with pytest.raises(AgentDied):
            await rest(events)

        assert not run.alive


async def test_cancelling_serve_leaves_nothing(stage: Stage, spec: RunSpec) -> None:
    run = await stage.agent.open(spec)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        serving = group.create_task(run.serve())
        events = run.turn(prompt(FOREVER))
        await until(events, ToolUsed)
        serving.cancel()
        await asyncio.wait([serving])

        assert not run.alive
        assert processes(spec) == []
        await events.aclose()


async def test_after_settling_the_run_is_still_there(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        await turn(run, SAY)

        assert await run.settle()
        assert text_of(await turn(run, AGAIN)) == "Another answer."


async def test_a_closed_run_cannot_be_settled(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        await turn(run, SAY)
        await run.close()

        assert not await run.settle()


# ── sessions ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_goes_on_in_the_next_run(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        await turn(run, SAY)
    async with served(stage.agent, resumed(spec)) as run:
        events = await turn(run, AGAIN)

    assert events[0] == TurnStarted(spec.session)
    assert text_of(events) == "Another answer."


async def test_a_session_goes_on_after_its_process_was_killed(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        await turn(run, SAY)
        await stage.kill(run, spec)
    async with served(stage.agent, resumed(spec)) as run:
        events = await turn(run, AGAIN)

    assert text_of(events) == "Another answer."


async def test_a_session_that_exists_is_not_made_again(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, spec) as run:
        await turn(run, SAY)
    async with served(stage.agent, spec) as run:
        with pytest.raises(SessionInUse):
            await turn(run, AGAIN)

        assert not run.alive


async def test_a_session_that_does_not_exist_is_not_found(stage: Stage, spec: RunSpec) -> None:
    async with served(stage.agent, resumed(spec)) as run:
        with pytest.raises(SessionNotFound):
            await turn(run, SAY)

        assert not run.alive


# ── what a run is compared by ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_fingerprint_tells_specs_that_may_share_a_run_from_others(stage: Stage, spec: RunSpec) -> None:
    same = [spec, resumed(spec)]
    others = [
        replace(spec, session=make_spec(Path(spec.workspace).parent).session),
        replace(spec, workspace=spec.home),
        replace(spec, home=spec.workspace),
        replace(spec, instructions="You answer in the garden."),
        replace(spec, model="another"),
        replace(spec, permission_mode="plan"),
        replace(spec, allow=("Bash(make:*)",)),
        replace(spec, deny=("WebFetch",)),
        replace(spec, env=(("LEVEL", "1"),)),
    ]

    assert len({await stage.agent.fingerprint(each) for each in same}) == 1
    assert len({await stage.agent.fingerprint(each) for each in [spec, *others]}) == 1 + len(others)
