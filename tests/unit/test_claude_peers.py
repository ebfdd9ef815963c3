"""The tools by which agents speak with each other, called by the real CLI from inside of a run."""

import asyncio
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.agents.claude_code.driver import ClaudeCode
from aiagentchat.agents.claude_code.speaking import SEND_ELSEWHERE, Peers, caller_of
from aiagentchat.core.agent_events import AgentEvent, ApprovalAsked, ApprovalWithdrawn, FileOffered, room_tool
from aiagentchat.core.ids import EventId, InstanceName, MessageId, RoomId, UserId
from aiagentchat.core.instances import Instance, InstanceKind
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.meta import Address, Meta
from aiagentchat.core.ports.agent import AgentRun
from aiagentchat.exchange.tool_words import DATA
from aiagentchat.exchange.tools import ELSEWHERE, Audience, offered
from rig.model import Model, Request
from rig.script import Step, script
from tests.fakes.exchange import FakeExchange
from tests.unit.claude_stage import KEY, PATIENCE, claude, make_spec, prompt, served

pytestmark = pytest.mark.real

CELLAR, SECRET = RoomId("!cellar:example.org"), RoomId("!secret:example.org")
THEM = Address(UserId("@other:example.org"), InstanceName("there"))
SWORDFISH = "the word is swordfish"


class Stage:
    """A run in a kitchen that reaches the cellar, beside a room that it must not know of."""

    def __init__(self, cli: Path, model: Model, folder: Path, isolation: Isolation = Isolation.NONE) -> None:
        self.model = model
        self.spec = replace(make_spec(folder), speaks=True, reaches=(CELLAR,))
        self.exchange = FakeExchange()
        for room, name in ((self.spec.room, "kitchen"), (CELLAR, "cellar"), (SECRET, "secret")):
            self.exchange.room(room, name)
            self.exchange.say(room, SWORDFISH if room == SECRET else f"Hello from the {name}.")
        self.exchange.instances = [
            Instance(
                user=THEM.user,
                name=InstanceName("there"),
                kind=InstanceKind.DAEMON,
                host="there",
                seen_at=self.exchange.now_ms(),
            )
        ]
        self.agent: ClaudeCode = claude(cli, model.url, isolation=isolation, peers=Peers(self.exchange, lambda: 0))
        self.allow = True

    async def play(self, run: AgentRun, *steps: Step, cause: Meta | None = None) -> list[AgentEvent]:
        """A turn that uses these tools, in which every file is sent and every question answered alike."""
        asked = prompt(script("speak", *steps, Step(text="That was it.")))
        events: list[AgentEvent] = []
        async with asyncio.timeout(PATIENCE):
            async for event in run.turn(replace(asked, cause=cause, thread=EventId("$thread"))):
                events.append(event)
                if isinstance(event, FileOffered):
                    await run.reply(event.request, "The file is on its way.")
                if isinstance(event, ApprovalAsked):
                    await run.answer(event.request, allow=self.allow, reason="" if self.allow else "Leave them alone.")
        return events

    def last_request(self) -> Request:
        """With all that the model has been told."""
        mine = [each for each in self.model.requests() if each.session == self.spec.session and each.body.get("tools")]
        return mine[-1]

    def results(self) -> list[str]:
        """What the model reads of its tools, in their order."""
        contents = [message["content"] for message in self.last_request().body["messages"]]
        blocks: list[Mapping[str, Any]] = [block for each in contents if isinstance(each, list) for block in each]
        return [_text(block["content"]) for block in blocks if block["type"] == "tool_result"]


def _text(content: str | Sequence[Mapping[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(each.get("text", "") for each in content)


def use(name: str, **given: Any) -> Step:
    return Step(tool=room_tool(name), input=given)


@pytest.fixture
def stage(cli: Path, model: Model, tmp_path: Path) -> Stage:
    return Stage(cli, model, tmp_path)


def asked_in(events: Sequence[AgentEvent]) -> list[ApprovalAsked]:
    return [event for event in events if isinstance(event, ApprovalAsked)]


@pytest.mark.parametrize(
    "isolation",
    [
        Isolation.NONE,
        pytest.param(
            Isolation.STRICT, marks=pytest.mark.skipif(shutil.which("bwrap") is None, reason="there is no bubblewrap")
        ),
    ],
)
async def test_every_tool_is_listed_and_called_and_tells_nothing_of_other_rooms(
    cli: Path, model: Model, tmp_path: Path, isolation: Isolation
) -> None:
    stage = Stage(cli, model, tmp_path, isolation)
    somebody = caller_of(stage.spec, prompt("cook"))
    given = await stage.exchange.assign_task(somebody, stage.spec.room, THEM, "Cook.")
    steps = {
        "send": use("send", text="Hello.", to=str(THEM)),
        "ask": use("ask", text="Anybody?", to=str(THEM), seconds=1),
        "read": use("read", limit=5),
        "history": use("history", words="hello"),
        "who": use("who"),
        "rooms": use("rooms"),
        "tasks": use("tasks"),
        "assign_task": use("assign_task", to=str(THEM), text="Wash up."),
        "update_task": use("update_task", task=given.id, state="cancelled", note="Eaten."),
        ELSEWHERE: use(ELSEWHERE, room="cellar", text="Bring wine.", to=str(THEM)),
        "send_file": use("send_file", path="a.png"),
    }
    cause = Meta(id=MessageId("m1"), hop=1)
    async with served(stage.agent, stage.spec) as run:
        events = await stage.play(run, *steps.values(), cause=cause)

    # Each is listed, and has answered.
    names = {tool["name"] for tool in stage.last_request().body["tools"]}
    assert {room_tool(name) for name in steps} <= names
    assert set(steps) == {*offered(Audience(is_run=True)), "send_file"}
    told = dict(zip(steps, stage.results(), strict=True))
    assert told["send"].startswith("Sent to kitchen: id=m")
    assert "no answer within 1 s" in told["ask"]
    assert told["read"].startswith(DATA)
    assert "| Hello from the kitchen." in told["read"]
    assert "in cellar\n| Hello from the cellar." in told["history"]
    assert f"{THEM} (daemon, online)" in told["who"]
    assert told["rooms"].startswith(f"kitchen ({stage.spec.room}): read, send; yours")
    assert f"{given.id} assigned" in told["tasks"]
    assert "| Wash up." in told["assign_task"]
    assert f"{given.id} cancelled" in told["update_task"]
    assert told[ELSEWHERE].startswith("Sent to cellar: id=m")
    assert told["send_file"] == "The file is on its way."

    # What was said follows from what was asked, and one question was put to the room: about the other room.
    assert {message.meta.hop for message in stage.exchange.messages.values()} == {2}
    assert [(each.tool, each.input["room"]) for each in asked_in(events)] == [(SEND_ELSEWHERE, "cellar")]
    # Nothing of a room that it may not know of, and no key, is in anything that it was told.
    for request in stage.model.requests():
        if request.session == stage.spec.session:
            assert SWORDFISH not in request.raw
            assert SECRET not in request.raw
            assert KEY not in request.raw


async def test_what_the_room_denies_is_not_sent(stage: Stage) -> None:
    stage.allow = False
    async with served(stage.agent, stage.spec) as run:
        await stage.play(run, use(ELSEWHERE, room="cellar", text="Bring wine."))

    assert stage.exchange.messages == {}
    assert "It was not allowed. Leave them alone." in stage.results()[0]


async def test_a_question_that_nobody_answers_ends_with_its_turn(stage: Stage) -> None:
    asked = prompt(script("speak", use(ELSEWHERE, room="cellar", text="Bring wine."), Step(text="That was it.")))
    async with served(stage.agent, stage.spec) as run, asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        async for event in run.turn(asked):
            if isinstance(event, ApprovalAsked):
                group.create_task(run.stop())
    assert stage.exchange.messages == {}


async def test_a_tool_beside_the_agents_own_program_waits_for_the_room_too(stage: Stage) -> None:
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": ELSEWHERE, "arguments": {"room": "cellar", "text": "Bring wine."}},
    }
    program = (
        "import os, urllib.request as r; print(r.build_opener(r.ProxyHandler({})).open(r.Request("
        f"os.environ['AIAGENTCHAT_ROOM'], data={json.dumps(call).encode()!r}, headers={{'Authorization': "
        "'Bearer ' + os.environ['AIAGENTCHAT_ROOM_TOKEN']})).read().decode())"
    )
    (Path(stage.spec.workspace) / "around.py").write_text(program, encoding="utf-8")
    stage.allow = False
    spec = replace(stage.spec, allow=("Bash(python3:*)",))
    async with served(stage.agent, spec) as run:
        events = await stage.play(run, Step(tool="Bash", input={"command": "python3 around.py"}))

    assert [each.tool for each in asked_in(events)] == [SEND_ELSEWHERE]
    assert "not allowed" in stage.results()[0]
    assert stage.exchange.messages == {}
    assert not [event for event in events if isinstance(event, ApprovalWithdrawn)]


async def test_a_rule_of_the_operator_takes_a_tool_away(stage: Stage) -> None:
    async with served(stage.agent, replace(stage.spec, deny=(room_tool("send"),))) as run:
        await stage.play(run, use("send", text="Hello."))

    assert stage.exchange.messages == {}
