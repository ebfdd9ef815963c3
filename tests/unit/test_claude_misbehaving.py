"""The driver against a CLI that does what the real one cannot be made to do."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from aiagentchat.agents.claude_code import driver
from aiagentchat.agents.claude_code.driver import ClaudeCode, ClaudeRun
from aiagentchat.agents.claude_code.quarters import Quarters
from aiagentchat.agents.claude_code.translate import MOST_KINDS
from aiagentchat.core.agent_events import (
    AgentEvent,
    ApprovalAsked,
    Ending,
    Failure,
    HostBlocked,
    LimitReached,
    TextBlockEnded,
    TextDelta,
    ToolUsed,
    TurnStarted,
    Unrecognised,
    UsageLimited,
)
from aiagentchat.core.errors import AgentDied, AgentUnavailable
from aiagentchat.core.isolation import Isolation, RunLimits
from aiagentchat.core.ports.agent import Mounted, RunSpec
from aiagentchat.render import words
from rig import fake_cli
from rig.script import Step, script
from tests.unit.claude_stage import (
    FOREVER,
    PATIENCE,
    claude,
    end_of,
    main_process,
    make_spec,
    others,
    processes,
    prompt,
    rest,
    resumed,
    served,
    text_of,
    turn,
    until,
)

TOO_LONG = 50_000_000


def steps(*listed: Mapping[str, object]) -> str:
    """A prompt that makes the fake do this."""
    return f"@@stub {json.dumps(listed)} @@"


@pytest.fixture
def agent(tmp_path: Path) -> ClaudeCode:
    return claude(fake_cli.install(tmp_path))


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    return make_spec(tmp_path)


@pytest.fixture
def quick_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rungs, in less time."""
    monkeypatch.setattr(driver, "INTERRUPT_SECONDS", 0.5)
    monkeypatch.setattr(driver, "END_SESSION_SECONDS", 0.4)
    monkeypatch.setattr(driver, "SIGINT_SECONDS", 0.3)


# ── before it begins ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_mount_that_is_not_where_it_was_starts_nothing(
    agent: ClaudeCode, spec: RunSpec, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    docs = str(tmp_path / "docs")
    (tmp_path / "docs").symlink_to(tmp_path / "data")

    with pytest.raises(AgentUnavailable, match="not where it was") as caught:
        await agent.open(replace(spec, mounts=(Mounted(docs, "ro", docs),)))
    assert caught.value.human.startswith(f"The folder {docs}, which is mounted in this room, is not where")


async def test_a_workspace_that_is_not_where_it_was_starts_nothing(
    agent: ClaudeCode, spec: RunSpec, tmp_path: Path
) -> None:
    (tmp_path / "way").symlink_to(spec.workspace)

    with pytest.raises(AgentUnavailable, match="not where it was") as caught:
        await agent.open(replace(spec, workspace_source=str(tmp_path / "way")))
    assert caught.value.human == words.NO_WORKSPACE


# ── lines ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_line_of_50_mb_neither_ends_nor_stalls_the_turn(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = await turn(run, steps({"line": TOO_LONG}, {"text": "after it"}))
        after = await turn(run, "the next one")

    assert Unrecognised("line too long") in events
    assert text_of(events) == "after it"
    assert end_of(events).ending is Ending.COMPLETED
    assert text_of(after) == "the next one"


async def test_a_turn_whose_result_is_too_long_ends_when_the_cli_is_idle(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = await turn(run, steps({"text": "said"}, {"result": TOO_LONG}))
        after = await turn(run, "the next one")

    assert text_of(events) == "said"
    assert end_of(events).ending is Ending.COMPLETED
    assert text_of(after) == "the next one"


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param([{"line": 2**21}, {"text": "after it"}], id="bytes"),
        pytest.param([{"line": 2**50}], id="a line that never ends"),
        pytest.param([*[{"raw": "x"}] * 5_000, {"text": "after it"}], id="short lines"),
    ],
)
async def test_a_turn_that_writes_too_much_ends_and_the_run_with_it(
    agent: ClaudeCode, spec: RunSpec, listed: list[Mapping[str, object]]
) -> None:
    events: list[AgentEvent] = []
    async with served(agent, replace(spec, limits=RunLimits(output=1))) as run:
        with suppress(AgentDied):
            async for event in run.turn(prompt(steps(*listed))):
                events.append(event)  # noqa: PERF401 - it ends by an error

        assert not run.alive
    assert events[-1] == LimitReached("output", 1)
    assert processes(spec) == []


async def test_a_kind_that_is_not_known_is_logged_once(agent: ClaudeCode, spec: RunSpec) -> None:
    unknown = [{"raw": json.dumps({"type": f"kind {number // 2}"})} for number in range(80)]
    with capture_logs() as logs:
        async with served(agent, spec) as run:
            await turn(run, steps(*unknown, {"text": "after them"}))

    kinds = [line["kind"] for line in logs if line["event"] == "agent.unrecognised"]
    assert kinds == [f"kind {number}" for number in range(MOST_KINDS)]


async def test_the_longest_line_that_is_read_costs_no_more_than_a_few_times_its_size(
    agent: ClaudeCode, spec: RunSpec
) -> None:
    before = psutil.Process().memory_info().rss
    async with served(agent, spec) as run:
        await turn(run, steps(*[{"line": TOO_LONG}] * 4))

    assert psutil.Process().memory_info().rss - before < 4 * TOO_LONG


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        pytest.param({"raw": '{"type": "hologram"}'}, "hologram", id="a type"),
        pytest.param({"raw": '{"type": "system", "subtype": "moon"}'}, "system.moon", id="a system line"),
        pytest.param({"raw": "{}"}, "no type", id="no type"),
        pytest.param({"raw": "[]"}, "no object", id="no object"),
        pytest.param({"raw": "Segmentation fault"}, "not json", id="words"),
        pytest.param({"raw": "[" * 100_000}, "not json", id="endlessly nested"),
        pytest.param({"hex": "00ff80c3"}, "not json", id="binary"),
        pytest.param({"raw": ""}, "not json", id="an empty line"),
    ],
)
async def test_a_line_that_we_do_not_know_is_counted_and_the_turn_goes_on(
    agent: ClaudeCode, spec: RunSpec, line: dict[str, object], kind: str
) -> None:
    async with served(agent, spec) as run:
        events = await turn(run, steps(line, {"text": "after it"}))

    assert [event for event in events if isinstance(event, Unrecognised)] == [Unrecognised(kind)]
    assert text_of(events) == "after it"


async def test_a_flood_of_lines_is_read_to_its_end(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = await turn(run, steps({"flood": 100_000}, {"text": "after it"}))

    assert text_of(events) == "after it"


async def test_a_cli_that_talks_faster_than_the_room_listens_has_to_wait(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        assert isinstance(run, ClaudeRun)
        events = run.turn(prompt(steps({"text": "word " * 4_000, "chunk": 5})))
        await until(events, TextDelta)
        queue = await _full(run)
        taken = await rest(events)

    assert queue.maxsize == driver.MAX_EVENTS_WAITING
    assert "word " + text_of(taken) == "word " * 4_000


async def _full(run: ClaudeRun) -> asyncio.Queue[AgentEvent | None]:
    """The events that nobody takes, once there is no place for more."""
    queue = run._events
    assert queue is not None
    async with asyncio.timeout(5):
        while not queue.full():  # noqa: ASYNC110 - a queue tells nobody that it is full
            await asyncio.sleep(0)
    return queue


async def test_text_that_was_not_streamed_is_said_all_the_same(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        whole = await turn(run, steps({"text": "all at once", "whole": True}))
        longer = await turn(run, steps({"text": "the beginning", "tail": " and the rest"}))

    assert text_of(whole) == "all at once"
    assert text_of(longer) == "the beginning and the rest"


async def test_a_question_that_the_host_cannot_answer_is_declined_and_the_turn_goes_on(
    agent: ClaudeCode, spec: RunSpec
) -> None:
    async with served(agent, spec) as run:
        events = await turn(run, steps({"request": "elicitation"}, {"text": "after it"}))

    assert Unrecognised("control_request.elicitation") in events
    assert "not supported by this host" in text_of(events)
    assert text_of(events).endswith("after it")


async def test_a_failed_turn_says_why_and_leaves_the_run(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = await turn(run, steps({"status": 529}))
        after = await turn(run, "the next one")

    assert (end_of(events).ending, end_of(events).failure) == (Ending.FAILED, Failure.OVERLOADED)
    assert text_of(after) == "the next one"


# ── death ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["now", "mid-line"])
async def test_a_cli_that_dies_is_reported_with_its_exit_code(agent: ClaudeCode, spec: RunSpec, how: str) -> None:
    async with served(agent, spec) as run:
        with pytest.raises(AgentDied, match="exit code 3"):
            await turn(run, steps({"text": "so far"}, {"die": how}))

        assert not run.alive


async def test_what_a_dying_cli_said_is_not_lost(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = run.turn(prompt(steps({"text": "last words " * 20_000}, {"die": "now"})))
        seen = await until(events, TextBlockEnded)
        with pytest.raises(AgentDied):
            await rest(events)

    assert text_of(seen) == "last words " * 20_000


async def test_a_cli_that_dies_while_a_daemonised_child_holds_stdout_is_reported(
    agent: ClaudeCode, spec: RunSpec
) -> None:
    async with served(agent, spec) as run:
        with pytest.raises(AgentDied):
            await turn(run, steps({"hold": True}, {"die": "now"}))

        assert processes(spec) == []


async def test_a_turn_whose_supervisor_is_killed_ends_and_leaves_nothing(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = run.turn(prompt(FOREVER))
        await until(events, ToolUsed)
        psutil.Process(main_process(spec).ppid()).kill()
        with pytest.raises(AgentDied):
            await rest(events)

        assert not run.alive
        await run.close()
        assert processes(spec) == []


async def test_words_about_a_session_in_mid_turn_do_not_make_the_command_run_again(
    agent: ClaudeCode, spec: RunSpec
) -> None:
    async with served(agent, spec) as run:
        with pytest.raises(AgentDied):
            await turn(run, steps({"stderr": "Error: port 3000 is already in use."}, {"die": "now"}))


async def test_a_prompt_for_a_process_that_ends_meanwhile_is_not_waited_for(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        await turn(run, "hello")
        main_process(spec).kill()
        with pytest.raises(AgentDied):
            await turn(run, "x" * 300_000)


# ── the ladder ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_ladder_is_the_one_that_is_promised() -> None:
    assert (driver.INTERRUPT_SECONDS, driver.END_SESSION_SECONDS, driver.SIGINT_SECONDS) == (5.0, 2.0, 3.0)


@pytest.mark.usefixtures("quick_ladder")
@pytest.mark.parametrize(
    ("ignored", "least", "most"),
    [
        pytest.param(["interrupt"], 0.5, 1.0, id="end_session"),
        pytest.param(["interrupt", "end_session"], 0.9, 1.3, id="SIGINT"),
        pytest.param(["interrupt", "end_session", "SIGINT"], 1.2, 2.5, id="the end of the tree"),
    ],
)
async def test_each_rung_ends_what_ignored_those_before(
    agent: ClaudeCode, spec: RunSpec, ignored: list[str], least: float, most: float
) -> None:
    async with served(agent, spec) as run:
        events = run.turn(prompt(steps({"ignore": ignored}, {"text": "I do not listen."}, {"hang": "start"})))
        await until(events, TextDelta)
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(_fails(events))
            await run.stop()

        assert least <= time.monotonic() - began < most
        assert not run.alive
        assert processes(spec) == []


async def _fails(events: AsyncGenerator[AgentEvent, None]) -> None:
    with pytest.raises(AgentDied):
        await rest(events)


@pytest.mark.usefixtures("quick_ladder")
async def test_an_idle_cli_that_does_not_leave_is_ended(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        await turn(run, steps({"ignore": ["interrupt", "end_session", "SIGINT"]}))
        await run.close()

        assert processes(spec) == []


@pytest.fixture
def deaf(tmp_path: Path) -> ClaudeCode:
    """A CLI that never reads what it is told."""
    program = tmp_path / "claude"
    program.write_text("#!/bin/sh\n[ $1 = --version ] && echo 2.1.329 || sleep 300\n", encoding="utf-8")
    program.chmod(0o755)
    return claude(program)


@pytest.mark.usefixtures("quick_ladder")
async def test_a_cli_that_never_reads_is_ended_in_the_ladders_time(deaf: ClaudeCode, spec: RunSpec) -> None:
    async with served(deaf, spec) as run:
        events = run.turn(prompt("x" * 1_000_000))
        async with asyncio.TaskGroup() as group:
            group.create_task(_fails(events))
            group.create_task(run.stop())
            began = time.monotonic()

        assert time.monotonic() - began < 5
        assert processes(spec) == []


@pytest.mark.usefixtures("quick_ladder")
async def test_a_turn_that_was_left_before_the_cli_read_it_is_ended_in_that_time_too(
    deaf: ClaudeCode, spec: RunSpec
) -> None:
    async with served(deaf, spec) as run:
        async with asyncio.TaskGroup() as group:
            turning = group.create_task(turn(run, "x" * 1_000_000))
            group.create_task(_cancel(turning))
        began = time.monotonic()
        await run.close()

        assert time.monotonic() - began < 5
        assert processes(spec) == []


@pytest.mark.usefixtures("quick_ladder")
async def test_a_stop_that_is_not_waited_for_still_ends_the_tree(agent: ClaudeCode, spec: RunSpec) -> None:
    ignoring = {"ignore": ["interrupt", "end_session", "SIGINT"]}
    async with served(agent, spec) as run:
        events = run.turn(prompt(steps(ignoring, {"text": "I do not listen."}, {"hang": "start"})))
        await until(events, TextDelta)
        async with asyncio.TaskGroup() as group:
            group.create_task(_fails(events))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.7):
                    await run.stop()

        assert processes(spec) == []


async def test_a_left_turn_keeps_no_reader_waiting(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = run.turn(prompt(steps({"text": "word " * 10_000, "chunk": 5})))
        await until(events, TurnStarted)
        assert isinstance(run, ClaudeRun)
        await _full(run)
        await events.aclose()
        async with asyncio.timeout(4):
            await run.close()

        assert processes(spec) == []


# ── what a turn leaves running ────────────────────────────────────────────────────────────────────────────────────

_LEFT = "echo left; (setsid sleep 602 &); setsid nohup sleep 603 & env -i HOME=$HOME setsid sleep 604 &"


async def test_settling_ends_what_the_turn_left_and_keeps_the_run(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        await turn(run, steps({"tool": "Bash", "input": {"command": _LEFT}}))
        before = others(spec)

        assert await run.settle()
        assert len(before) == 3
        assert others(spec) == []
        assert text_of(await turn(run, "the next one")) == "the next one"


async def test_a_tool_that_is_stopped_is_gone(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = run.turn(prompt(FOREVER))
        await until(events, ToolUsed)
        async with asyncio.TaskGroup() as group:
            group.create_task(run.stop())
            await rest(events)

        assert await run.settle()
        assert others(spec) == []


# ── what keeps a run from starting ────────────────────────────────────────────────────────────────────────────────


async def test_a_workspace_that_is_gone_is_a_sentence(agent: ClaudeCode, spec: RunSpec) -> None:
    run = await agent.open(spec)
    Path(spec.workspace).rmdir()  # noqa: ASYNC240 - a test folder
    async with asyncio.TaskGroup() as group:
        group.create_task(run.serve())
        with pytest.raises(AgentUnavailable) as caught:
            await turn(run, "hello")

    assert caught.value.human.startswith("Claude Code could not be started, so nothing was run.")
    assert not run.alive


async def test_without_a_key_nothing_is_started(tmp_path: Path, spec: RunSpec) -> None:
    quarters = Quarters(isolation=Isolation.NONE, gates=tmp_path)
    agent = ClaudeCode(str(fake_cli.install(tmp_path)), environ={}, credentials=dict, quarters=quarters)

    with pytest.raises(AgentUnavailable) as caught:
        await agent.open(spec)
    assert "ANTHROPIC_API_KEY" in caught.value.human


async def test_a_home_that_cannot_be_made_is_a_sentence(agent: ClaudeCode, spec: RunSpec) -> None:
    Path(spec.home).parent.write_text("in the way", encoding="utf-8")

    with pytest.raises(AgentUnavailable) as caught:
        await agent.open(spec)
    assert caught.value.human.startswith("Claude Code could not be started, so nothing was run.")


async def test_a_home_in_which_the_room_put_a_link_in_the_way_is_a_sentence(agent: ClaudeCode, spec: RunSpec) -> None:
    Path(spec.home).mkdir(parents=True)  # noqa: ASYNC240 - a test folder
    Path(spec.home, ".claude").symlink_to("/etc")  # noqa: ASYNC240

    with pytest.raises(AgentUnavailable) as caught:
        await agent.open(spec)
    assert caught.value.human.startswith("Claude Code could not be started, so nothing was run.")


async def test_a_run_that_is_cancelled_before_it_started_serves_no_turn(agent: ClaudeCode, spec: RunSpec) -> None:
    run = await agent.open(spec)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        serving = group.create_task(run.serve())
        group.create_task(_cancel(serving))
        await asyncio.wait([serving])
        with pytest.raises(AgentDied):
            await turn(run, "hello")

    assert processes(spec) == []


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()


async def test_the_binary_is_asked_for_its_version_once(tmp_path: Path, spec: RunSpec) -> None:
    starter = fake_cli.install(tmp_path)
    log = tmp_path / "asked"
    starter.write_text(starter.read_text().replace("exec ", f"echo x >> {log}\nexec "), encoding="utf-8")
    agent = claude(starter)
    for _ in range(3):
        await agent.fingerprint(spec)

    assert log.read_text(encoding="utf-8") == "x\n"


async def test_a_new_binary_changes_the_fingerprint(tmp_path: Path, spec: RunSpec) -> None:
    agent = claude(fake_cli.install(tmp_path))
    before = await agent.fingerprint(spec)
    fake_cli.install(tmp_path, version="2.1.400")

    assert await agent.fingerprint(spec) != before


# ── what a conversation or an account cannot do any more ──────────────────────────────────────────────────────────


async def test_a_conversation_that_cannot_be_taken_up_dies_before_it_takes_the_prompt(
    agent: ClaudeCode, spec: RunSpec
) -> None:
    async with served(agent, spec) as run:
        await turn(run, steps({"unfit": True}, {"text": "So."}))
    async with served(agent, resumed(spec)) as run:
        events = run.turn(prompt("and now?"))
        with pytest.raises(AgentDied):
            await anext(events)


async def test_a_usage_limit_ends_the_turn_and_the_run_serves_the_next_one(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = await turn(run, steps({"text": "So far."}, {"limit": 1_795_640_400}))
        after = await turn(run, "the next one")

    assert UsageLimited(1_795_640_400_000) in events
    assert end_of(events).failure is Failure.USAGE_LIMIT
    assert text_of(after) == "the next one"


# ── limits and hosts ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_limit_that_is_reached_is_an_event_of_the_turn(agent: ClaudeCode, spec: RunSpec) -> None:
    hog = "python3 -c 'import time; held = bytearray(400 * 2**20); time.sleep(60)'"
    limited = replace(spec, limits=RunLimits(memory=150))
    asked = script("hog", Step(tool="Bash", input={"command": f"echo start; {hog}"}))
    async with served(agent, limited) as run:
        events = run.turn(prompt(asked))
        seen: list[AgentEvent] = []
        async with asyncio.timeout(PATIENCE):
            async for event in events:
                seen.append(event)
                if isinstance(event, ApprovalAsked):
                    await run.answer(event.request, allow=True)
                if isinstance(event, LimitReached):
                    await run.stop()

    assert [event for event in seen if isinstance(event, LimitReached)] == [LimitReached("memory", 150)]
    assert end_of(seen).ending is Ending.INTERRUPTED


async def test_a_host_that_is_refused_is_an_event_of_the_turn(agent: ClaudeCode, spec: RunSpec) -> None:
    fetch = "python3 -c 'import urllib.request as u; u.urlopen(\"http://example.invalid/\")' 2>/dev/null; true"
    asked = script("fetch", Step(tool="Bash", input={"command": f"echo start; {fetch}"}), Step(text="done"))
    async with served(agent, spec) as run:
        events = await turn(run, asked)

    assert [event.host for event in events if isinstance(event, HostBlocked)] == ["example.invalid:80"]
