"""Files and the real CLI: what the model sees of those that came, and the tool that sends some."""

import asyncio
import base64
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.agents.claude_code.driver import ClaudeCode
from aiagentchat.core.agent_events import SEND_FILE, AgentEvent, ApprovalAsked, FileOffered, TurnEnded
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.ports.agent import AgentRun, Block, Prompt, RunSpec
from aiagentchat.render import file_words
from rig.model import Model, Request
from rig.script import Step, script
from tests.pictures import pdf, png
from tests.unit.claude_stage import PATIENCE, claude, make_spec, prompt, served, text_of

pytestmark = pytest.mark.real
SEND = script(
    "send", Step(text="Here it is.", tool=SEND_FILE, input={"path": "a.png", "caption": "look"}), Step(text="Sent.")
)


@pytest.fixture
def agent(cli: Path, model: Model) -> ClaudeCode:
    return claude(cli, model.url)


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    return make_spec(tmp_path)


async def played(run: AgentRun, asked: Prompt, told: str = "so it went", *, failed: bool = False) -> list[AgentEvent]:
    """A turn in which every file that is offered comes to this."""
    events: list[AgentEvent] = []
    async with asyncio.timeout(PATIENCE):
        async for event in run.turn(asked):
            events.append(event)
            if isinstance(event, FileOffered):
                await run.reply(event.request, told, failed=failed)
    return events


def last_request(model: Model, spec: RunSpec) -> Request:
    return [each for each in model.requests() if each.session == spec.session and each.body.get("tools")][-1]


def blocks(request: Request) -> list[Mapping[str, Any]]:
    """Everything that the messages of a request hold."""
    contents = [message["content"] for message in request.body["messages"]]
    return [block for content in contents if isinstance(content, list) for block in content]


async def test_the_model_sees_pictures_and_documents_before_the_text(
    agent: ClaudeCode, spec: RunSpec, model: Model
) -> None:
    asked = replace(
        prompt(script("see", Step(text="Seen."))),
        blocks=(Block("image/png", png()), Block("application/pdf", pdf())),
    )
    async with served(agent, spec) as run:
        assert text_of(await played(run, asked)) == "Seen."

    seen = [block for block in blocks(last_request(model, spec)) if block["type"] in ("image", "document")]
    assert [(block["type"], block["source"]["media_type"]) for block in seen] == [
        ("image", "image/png"),
        ("document", "application/pdf"),
    ]
    assert [base64.b64decode(block["source"]["data"]) for block in seen] == [png(), pdf()]


async def test_large_pictures_pass(agent: ClaudeCode, spec: RunSpec) -> None:
    large = png() + b"\0" * 3_800_000
    asked = replace(prompt(script("see", Step(text="Seen."))), blocks=(Block("image/png", large),) * 2)
    async with served(agent, spec) as run:
        assert text_of(await played(run, asked)) == "Seen."


@pytest.mark.parametrize(
    "isolation",
    [
        Isolation.NONE,
        pytest.param(
            Isolation.STRICT, marks=pytest.mark.skipif(shutil.which("bwrap") is None, reason="there is no bubblewrap")
        ),
        Isolation.LANDLOCK,
    ],
)
async def test_the_agent_offers_a_file_without_being_asked_whether_it_may(
    cli: Path, model: Model, spec: RunSpec, isolation: Isolation
) -> None:
    agent = claude(cli, model.url, isolation=isolation)
    async with served(agent, spec) as run:
        events = await played(run, prompt(SEND))

    [offered] = [event for event in events if isinstance(event, FileOffered)]
    assert (offered.path, offered.caption) == ("a.png", "look")
    assert [event for event in events if isinstance(event, ApprovalAsked)] == []
    assert text_of(events) == "Here it is.Sent."
    assert "so it went" in json.dumps(blocks(last_request(model, spec)))
    assert file_words.ABOUT_TOOL[:40] in last_request(model, spec).raw


async def test_the_agent_reads_that_a_file_was_not_sent(agent: ClaudeCode, spec: RunSpec, model: Model) -> None:
    async with served(agent, spec) as run:
        await played(run, prompt(SEND), "there is no such file", failed=True)

    [result] = [block for block in blocks(last_request(model, spec)) if block["type"] == "tool_result"]
    assert "there is no such file" in json.dumps(result)
    assert result["is_error"] is True


async def test_a_warm_run_offers_files_in_each_of_its_turns(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, spec) as run:
        for _ in range(2):
            events = await played(run, prompt(SEND))
            assert [event.path for event in events if isinstance(event, FileOffered)] == ["a.png"]
            assert isinstance(events[-1], TurnEnded)


async def test_a_rule_of_the_operator_takes_the_tool_away(agent: ClaudeCode, spec: RunSpec) -> None:
    async with served(agent, replace(spec, deny=(SEND_FILE,))) as run:
        events = await played(run, prompt(SEND))

    assert [event for event in events if isinstance(event, FileOffered)] == []
