"""The driver on the real CLI: what reaches the model, what stays out of sight, and what a room cannot plant."""

import asyncio
import json
import re
import subprocess
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.agents.claude_code import transcript
from aiagentchat.agents.claude_code.driver import ClaudeCode
from aiagentchat.core.agent_events import (
    AgentEvent,
    ApiRetry,
    ApprovalAsked,
    CostSoFar,
    Ending,
    Failure,
    ToolUsed,
    TurnStarted,
    Unrecognised,
)
from aiagentchat.core.approvals import LEAVE_PLAN, Picked
from aiagentchat.core.choices import answer_of, answered, choices_in
from aiagentchat.core.models import ALIASES
from aiagentchat.core.ports.agent import AgentRun, Prompt, RunSpec
from aiagentchat.core.transcripts import Part
from rig.claude import cli_env
from rig.model import Model, Request
from rig.script import Step, script
from tests.unit.claude_stage import (
    FOREVER,
    KEY,
    PATIENCE,
    TOUCH,
    claude,
    end_of,
    made,
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


@pytest.fixture
def agent(cli: Path, model: Model) -> ClaudeCode:
    return claude(cli, model.url)


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    return make_spec(tmp_path)


def asked(model: Model, spec: RunSpec) -> list[Request]:
    """What the room's conversation asked of the model; small questions on the side carry no tools."""
    return [each for each in model.requests() if each.session == spec.session and each.body.get("tools")]


def write(spec: RunSpec, name: str, text: str) -> None:
    Path(spec.workspace, name).write_text(text, encoding="utf-8")


def read(spec: RunSpec, name: str) -> str:
    return Path(spec.workspace, name).read_text(encoding="utf-8")


def files(folder: str) -> list[str]:
    return [file.name for file in Path(folder).rglob("*") if file.is_file()]


# ── what reaches the model ────────────────────────────────────────────────────────────────────────────────────────


async def test_the_instructions_join_the_system_prompt_and_are_in_no_argv(
    agent: ClaudeCode, model: Model, spec: RunSpec
) -> None:
    told = replace(spec, instructions="This is the kitchen.\n\nFrom its CLAUDE.md: always wash your hands 🧼.")
    async with served(agent, told) as run:
        await turn(run, "hello")
        lines = [each.cmdline() for each in processes(spec)]

    [request] = asked(model, spec)
    assert told.instructions in request.system
    assert "You are" in request.system  # the agent's own, which ours only follows
    assert len(lines) >= 2
    assert not [word for line in lines for word in line if "the kitchen" in word or "wash" in word or "hello" in word]


async def test_the_cli_reads_no_project_file_by_itself(agent: ClaudeCode, model: Model, spec: RunSpec) -> None:
    write(spec, "CLAUDE.md", "a line that only the file has")
    async with served(agent, spec) as run:
        await turn(run, "hello")

    [request] = asked(model, spec)
    assert not request.has("a line that only the file has")


async def test_what_a_person_types_arrives_as_plain_text(agent: ClaudeCode, model: Model, spec: RunSpec) -> None:
    typed = [
        "@/etc/passwd",
        "look at @/etc/passwd please",
        "@secret.txt",
        "/cost",
        "/clear",
        "/model haiku",
        "/usr/bin is full",
        "!important",
        "@bob:hs hello",
        "# remember this",
        "--version",
    ]
    write(spec, "secret.txt", "the content of the file")
    async with served(agent, spec) as run:
        said = [(text, await turn(run, text)) for text in typed]

    requests = asked(model, spec)
    assert len(requests) == len(typed)
    assert [text for text, request in zip(typed, requests, strict=True) if not request.asked.text.endswith(text)] == []
    assert [request for request in requests if request.has("root:x:0:0")] == []
    assert [request for request in requests if request.has("the content of the file")] == []
    assert {events[0].session for _, events in said} == {spec.session}  # type: ignore[union-attr]
    # The model says what it was told.
    assert [text for text, events in said if text not in text_of(events).replace("\\", "")] == []


# ── the agent's own commands ──────────────────────────────────────────────────────────────────────────────────────────


async def own(run: AgentRun, command: str) -> list[AgentEvent]:
    """All events of a turn that runs a command of the agent's own."""
    return await rest(run.turn(Prompt(uuid=str(uuid.uuid4()), text="unused", own=command)))


@pytest.mark.long
async def test_its_own_commands_are_run_and_asked_of_no_model_but_for_a_summary(
    agent: ClaudeCode, model: Model, spec: RunSpec
) -> None:
    async with served(agent, spec) as run:
        await turn(run, "hello")
        said = {name: text_of(await own(run, name)) for name in ("cost", "context", "model")}
        requests = [request for request in asked(model, spec) if "count_tokens" not in request.path]
        await own(run, "model haiku")
        await turn(run, "which one")
        await own(run, "context")
        compacted = await own(run, "compact")

    assert len(requests) == 1
    assert "cost" in said["cost"].lower()
    assert "token" in said["context"].lower()
    listed = set(re.findall(r"[\w\[\]]+", said["model"].partition("Available:")[2]))
    assert set(ALIASES) <= listed
    assert "haiku" in model.requests("which one")[-1].body["model"]
    assert text_of(compacted) == ""
    assert end_of(compacted).ending is Ending.COMPLETED


@pytest.mark.long
async def test_clear_leaves_the_conversation_for_one_that_can_be_taken_up_again(
    agent: ClaudeCode, model: Model, spec: RunSpec
) -> None:
    async with served(agent, spec) as run:
        await turn(run, "my number is 4711")
        events = await own(run, "clear")
    new = next(event.session for event in events if isinstance(event, TurnStarted))
    async with served(agent, replace(resumed(spec), session=new)) as run:
        again = await turn(run, "what came after the purple cow")
    async with served(agent, resumed(spec)) as run:
        await turn(run, "what came before the purple cow")

    assert not [event for event in events if isinstance(event, Unrecognised)]
    assert new != spec.session
    assert end_of(again).ending is Ending.COMPLETED
    assert not model.requests("what came after the purple cow")[-1].has("4711")
    assert model.requests("what came before the purple cow")[-1].has("4711")


@pytest.mark.long
async def test_a_conversation_goes_on_with_another_model_and_with_the_first_one_again(
    agent: ClaudeCode, model: Model, spec: RunSpec
) -> None:
    async with served(agent, spec) as run:
        await turn(run, "hello purple cow")
    async with served(agent, replace(resumed(spec), model="haiku")) as run:
        await turn(run, "hello green cow")
    async with served(agent, resumed(spec)) as run:
        await turn(run, "hello yellow cow")

    first, second, third = [request.body["model"] for request in asked(model, spec)]
    assert "haiku" in second
    assert first == third != second


@pytest.mark.long
async def test_what_was_said_is_read_from_its_own_record(agent: ClaudeCode, spec: RunSpec) -> None:
    asks = prompt(script("look", Step(text="I look.", tool="Bash", input={"command": "ls"}), Step(text="Done.")))
    async with served(agent, spec) as run:
        async with asyncio.timeout(PATIENCE):
            async for event in run.turn(asks):
                if isinstance(event, ApprovalAsked):
                    await run.answer(event.request, allow=True)
    found = transcript.read(Path(spec.home), Path(spec.workspace), spec.session)

    assert found is not None
    assert [(piece.part, piece.text) for piece in found.pieces] == [
        (Part.ASKED, asks.text),
        (Part.SAID, "I look."),
        (Part.USED, "▸ Bash: `ls`"),
        (Part.SAID, "Done."),
    ]
    assert found.pieces[0].uuid == asks.uuid


async def test_text_with_lines_quotes_and_halves_of_characters_arrives(
    agent: ClaudeCode, model: Model, spec: RunSpec
) -> None:
    text = 'first\nsecond\r\n"quoted" \\ \u2028 \x00 ✅ \ud83d'
    async with served(agent, spec) as run:
        events = await turn(run, text)

    [request] = asked(model, spec)
    assert end_of(events).ending is Ending.COMPLETED
    assert request.asked.text.startswith('first\nsecond\r\n"quoted" \\ \u2028')


async def test_a_denial_reaches_the_model_with_its_reason(agent: ClaudeCode, model: Model, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        await turn(run, TOUCH, allow=False, reason="not on a Friday evening")

    assert [result.text for result in asked(model, spec)[-1].asked.results] == ["not on a Friday evening"]


async def test_a_resumed_session_knows_what_was_said(agent: ClaudeCode, model: Model, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        await turn(run, "the word is marmalade")
    async with served(agent, resumed(spec)) as run:
        await turn(run, "which word?")

    assert asked(model, spec)[-1].has("the word is marmalade")


@pytest.mark.long
async def test_a_prompt_that_was_answered_is_not_run_again_in_another_life(
    agent: ClaudeCode, model: Model, spec: RunSpec
) -> None:
    once = prompt("only once")
    async with served(agent, spec) as run:
        await rest(run.turn(once))
    async with served(agent, resumed(spec)) as run:
        again = await rest(run.turn(once))

    assert end_of(again).ending is Ending.COMPLETED
    assert text_of(again) == ""
    assert len(asked(model, spec)) == 1


@pytest.mark.long
async def test_a_run_with_a_budget_says_what_a_turn_costs_while_it_runs(agent: ClaudeCode, spec: RunSpec) -> None:
    """Of its own turn, also when the process is warm, and when the conversation is taken up again."""
    asked = script(
        "work",
        Step(text="One.", tool="Bash", input={"command": "echo one"}),
        Step(text="Two.", tool="Bash", input={"command": "echo two"}),
        Step(text="Done."),
    )
    heard = []
    for more in (replace(spec, tells_cost=True), replace(resumed(spec), tells_cost=True)):
        async with served(agent, more) as run:
            heard += [await turn(run, asked) for _ in range(1 if more.resume else 2)]

    for events in heard:
        costs = [event.cost_micro_usd for event in events if isinstance(event, CostSoFar)]
        whole = end_of(events).record.cost_micro_usd
        assert whole > 0
        assert costs == sorted(costs)
        assert whole // 3 in costs
        assert whole * 2 // 3 in costs
        assert max(costs) <= whole


async def test_a_run_without_one_is_not_asked(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        assert not [event for event in await turn(run, "hello") if isinstance(event, CostSoFar)]


async def test_cost_and_tokens_are_those_of_the_turn(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        first, second = (
            end_of(await turn(run, script("say", Step(text="so")))).record,
            end_of(await turn(run, script("say", Step(text="so")))).record,
        )

    assert first.cost_micro_usd == second.cost_micro_usd > 0
    assert first.input_tokens == second.input_tokens == 4_200
    assert first.output_tokens == second.output_tokens == 50


async def test_a_subagents_words_stay_inside_and_its_tools_are_asked_for(agent: ClaudeCode, spec: RunSpec) -> None:
    inner = script("sub", Step(text="Inside.", tool="Bash", input={"command": "touch made"}), Step(text="Also inside."))
    task = {"description": "delegate", "prompt": inner, "subagent_type": "general-purpose"}
    async with served(agent, spec) as run:
        events = await turn(run, script("x", Step(text="Outside.", tool="Task", input=task), Step(text=" Done.")))

    assert [event.tool for event in events if isinstance(event, ToolUsed)] == ["Task"]
    assert [event.tool for event in events if isinstance(event, ApprovalAsked)] == ["Bash"]
    assert made(spec)
    assert text_of(events) == "Outside. Done."


# ── trouble ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_that_is_refused_is_reported_at_the_first_retry(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = run.turn(prompt(script("x", Step(error=401))))
        retry = (await until(events, ApiRetry))[-1]
        async with asyncio.TaskGroup() as group:
            group.create_task(run.stop())
            ended = await rest(events)

    assert retry == ApiRetry(1, 4, 401)
    assert end_of(ended).ending is Ending.INTERRUPTED


async def test_a_model_that_does_not_exist_is_that_failure(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = await turn(run, script("x", Step(error=404)))

    assert (end_of(events).ending, end_of(events).failure) == (Ending.FAILED, Failure.MODEL)
    assert text_of(events) == ""


async def test_the_real_cli_says_nothing_that_we_do_not_know(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = [*await turn(run, TOUCH), *await turn(run, script("x", Step(thinking="hm", text="so")))]

    assert [event for event in events if isinstance(event, Unrecognised)] == []


# ── what stays out of sight ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_key_is_in_no_argv(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        events = run.turn(prompt(FOREVER))
        await until(events, ToolUsed)
        lines = [word for each in processes(spec) for word in each.cmdline()]
        async with asyncio.TaskGroup() as group:
            group.create_task(run.stop())
            await rest(events)

    assert lines
    assert not [word for word in lines if KEY in word]


async def test_the_cli_gets_the_environment_that_we_list_and_nothing_else(
    agent: ClaudeCode, spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATRIX_ACCESS_TOKEN", "syt_secret")
    async with served(agent, replace(spec, env=(("LEVEL", "1"),))) as run:
        await turn(run, "hello")
        environment = main_process(spec).environ()

    assert sorted(environment) == [
        "AIAGENTCHAT_ROOM",
        "AIAGENTCHAT_ROOM_TOKEN",
        "AICHAT_RUN",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS",
        "CLAUDE_CODE_ENABLE_TASKS",
        "CLAUDE_CODE_ENABLE_TODO_TOOLS",
        "CLAUDE_CODE_MAX_RETRIES",
        "CLAUDE_CODE_TMPDIR",
        "CLAUDE_CONFIG_DIR",
        "DISABLE_AUTOUPDATER",
        "DISABLE_ERROR_REPORTING",
        "DISABLE_TELEMETRY",
        "HOME",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "LANG",
        "LEVEL",
        "NO_PROXY",
        "PATH",
        "TERM",
        "TMPDIR",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    ]
    assert not [value for value in environment.values() if KEY in value]


async def test_all_that_the_cli_keeps_is_in_the_rooms_home(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        await turn(run, "hello")

    assert files(spec.workspace) == []
    assert f"{spec.session}.jsonl" in files(spec.home)


# ── what a room cannot plant ──────────────────────────────────────────────────────────────────────────────────────

_HOOKS = ("SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "SessionEnd")


def plant(spec: RunSpec) -> Path:
    """Settings and servers everywhere that the CLI might look; the folder where each that runs leaves a mark."""
    marks = Path(spec.workspace).with_name("marks")
    marks.mkdir()
    config = Path(spec.home, ".claude")
    for name, folder in (("project", Path(spec.workspace, ".claude")), ("home", config)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "settings.json").write_text(_settings(marks, name), encoding="utf-8")
        (folder / "settings.local.json").write_text(_settings(marks, f"{name}-local"), encoding="utf-8")
    servers = {"planted": {"command": "/bin/sh", "args": ["-c", f"touch {marks}/mcp"]}}
    Path(spec.workspace, ".mcp.json").write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    (config / ".claude.json").write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    return marks


def _settings(marks: Path, name: str) -> str:
    hooks = {hook: [{"hooks": [{"type": "command", "command": f"touch {marks}/{name}-{hook}"}]}] for hook in _HOOKS}
    return json.dumps(
        {
            "hooks": hooks,
            "env": {"PLANTED": "yes"},
            "enableAllProjectMcpServers": True,
            "permissions": {"allow": ["Bash"], "defaultMode": "acceptEdits"},
        }
    )


_SHOW = script(
    "show it",
    Step(tool="Bash", input={"command": "touch made; echo planted: $PLANTED > seen"}),
    Step(text="Done."),
)


async def test_hooks_env_rules_and_servers_that_a_room_plants_have_no_effect(agent: ClaudeCode, spec: RunSpec) -> None:
    marks = plant(spec)
    async with served(agent, spec) as run:
        events = await turn(run, _SHOW)

    assert list(marks.iterdir()) == []
    assert [event.tool for event in events if isinstance(event, ApprovalAsked)] == ["Bash"]
    assert read(spec, "seen") == "planted:\n"


async def test_what_is_planted_while_a_run_is_warm_has_no_effect(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        await turn(run, "hello")
        marks = plant(spec)
        events = await turn(run, _SHOW)

    assert list(marks.iterdir()) == []
    assert [event.tool for event in events if isinstance(event, ApprovalAsked)] == ["Bash"]
    assert read(spec, "seen") == "planted:\n"


def test_the_plants_do_grow_without_our_flags(cli: Path, model: Model, spec: RunSpec) -> None:
    """Or the two tests above would show nothing."""
    marks = plant(spec)
    home = Path(spec.home)
    environment = {**cli_env(home, model.url), "CLAUDE_CONFIG_DIR": str(home / ".claude")}
    subprocess.run(
        [cli, "-p"], input=b"hello", env=environment, cwd=spec.workspace, check=True, capture_output=True, timeout=60
    )

    grown = {mark.name for mark in marks.iterdir()}
    assert {"project-SessionStart", "project-local-SessionStart", "home-SessionStart", "mcp"} <= grown


# ── what a turn leaves running ────────────────────────────────────────────────────────────────────────────────────

_LEAVE = script(
    "leave something",
    Step(
        tool="Bash",
        input={
            "command": "leave='touch left$0; exec sleep 60$0'; (setsid sh -c \"$leave\" 2 >/dev/null 2>&1 &); "
            'setsid nohup sh -c "$leave" 3 >/dev/null 2>&1 & '
            'env -i HOME=$HOME PATH=$PATH setsid nohup sh -c "$leave" 4 >/dev/null 2>&1 & '
            "until [ -e left2 ] && [ -e left3 ] && [ -e left4 ]; do :; done; echo left"
        },
    ),
    Step(text="Left."),
)


async def test_settling_ends_what_a_tool_left_running_and_keeps_the_cli(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        await turn(run, _LEAVE)
        left = others(spec)

        assert await run.settle()
        assert len(left) == 3
        assert others(spec) == []
        assert text_of(await turn(run, script("go on", Step(text="Still here.")))) == "Still here."


async def test_closing_ends_what_a_tool_left_running(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        await turn(run, _LEAVE)
        await run.close()

        assert processes(spec) == []


async def test_killing_the_cli_ends_what_its_tool_runs(agent: ClaudeCode, spec: RunSpec) -> None:
    run = await agent.open(spec)
    async with asyncio.TaskGroup() as group:
        group.create_task(run.serve())
        await turn(run, _LEAVE)
        main_process(spec).kill()

    assert processes(spec) == []


# ── questions with more answers than yes and no ──


DRINK = {
    "question": "Which drink?",
    "header": "Drink",
    "options": [{"label": "Tea", "description": "green"}, {"label": "Milk", "description": "cold"}],
    "multiSelect": False,
}
EXTRAS = {**DRINK, "question": "With what?", "multiSelect": True}


async def test_answers_of_the_room_reach_the_model(agent: ClaudeCode, model: Model, spec: RunSpec) -> None:
    ask = script("ask me", Step(tool="AskUserQuestion", input={"questions": [DRINK, EXTRAS]}), Step(text="Thanks."))
    async with served(agent, spec) as run:
        events = run.turn(prompt(ask))
        question = (await until(events, ApprovalAsked))[-1]
        assert isinstance(question, ApprovalAsked)
        choices = choices_in(question.input)
        answers = [answer_of(choices[0], Picked(text="rather coffee")), answer_of(choices[1], Picked((1, 2)))]
        used = answered(question.input, list(zip(choices, answers, strict=True)))
        await run.answer(question.request, allow=True, used=used)
        ended = await rest(events)

    assert text_of(ended) == "Thanks."
    result = asked(model, spec)[-1].raw
    assert all(said in result for said in ("Which drink?", "rather coffee", "With what?", "Tea, Milk"))


async def test_a_plan_is_asked_about_with_its_text_and_edits_pass_until_the_turn_ends(
    agent: ClaudeCode, model: Model, spec: RunSpec
) -> None:
    spec = replace(spec, permission_mode="plan")
    async with served(agent, spec) as run:
        await turn(run, script("hello", Step(text="Hello.")))
        told = re.search(r"(/[^\s\"\\\\]*/plans/[^\s\"\\\\]*\.md)", asked(model, spec)[-1].raw)
        assert told is not None, "in plan mode the model is told where its plan goes"
        steps = (
            Step(tool="Write", input={"file_path": told[1], "content": "# Make tea"}),
            Step(tool="ExitPlanMode", input={}),
            Step(tool="Write", input={"file_path": f"{spec.workspace}/tea", "content": "tea"}),
            Step(text="Done."),
        )
        events = run.turn(prompt(script("plan it", *steps)))
        question = (await until(events, ApprovalAsked))[-1]
        assert isinstance(question, ApprovalAsked)
        await run.answer(question.request, allow=True, accept_edits=True)
        ended = await rest(events)
        write_more = Step(tool="Write", input={"file_path": f"{spec.workspace}/milk", "content": "milk"})
        after = await turn(run, script("and milk", write_more, Step(text="No.")), allow=False)

    assert (question.tool, question.input["plan"]) == (LEAVE_PLAN, "# Make tea")
    assert not any(isinstance(event, ApprovalAsked) for event in ended)
    assert _there(spec, "tea")
    assert any(isinstance(event, ApprovalAsked) for event in after)
    assert not _there(spec, "milk")


def _there(spec: RunSpec, name: str) -> bool:
    return Path(spec.workspace, name).exists()
