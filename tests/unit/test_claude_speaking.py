"""How a run speaks with others: as whom, where, how often, and never when no turn runs."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.agents.claude_code.speaking import (
    AT_ONCE,
    MOST_ASKED,
    MOST_WRITTEN,
    SEND_ELSEWHERE,
    Peers,
    Speaking,
    allowed_tools,
    caller_of,
)
from aiagentchat.core.agent_events import SEND_FILE
from aiagentchat.core.exchange import EVERYTHING, Scope
from aiagentchat.core.ids import EventId, MessageId, RoomId
from aiagentchat.core.meta import Meta
from aiagentchat.core.ports.agent import RunSpec
from aiagentchat.core.redact import Redactor
from aiagentchat.exchange.tool_words import NO_TURN
from aiagentchat.exchange.tools import ELSEWHERE
from tests.fakes.exchange import FakeExchange
from tests.unit.claude_stage import make_spec, prompt

CELLAR, SECRET = RoomId("!cellar:example.org"), RoomId("!secret:example.org")
THEM = "@other:example.org/there"


class Stage:
    """A run in a kitchen that reaches the cellar, and a room that says yes."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.exchange = FakeExchange()
        for room, name in ((spec.room, "kitchen"), (CELLAR, "cellar"), (SECRET, "secret")):
            self.exchange.room(room, name)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.answer = (True, "")
        self.answered = asyncio.Event()
        self.answered.set()
        self.speaking = Speaking(Peers(self.exchange, lambda: 0), spec, self._permit)

    async def _permit(self, tool: str, used: Mapping[str, Any]) -> tuple[bool, str]:
        self.asked.append((tool, used))
        await self.answered.wait()
        return self.answer

    async def say(self, name: str = "send", /, **given: Any) -> tuple[str, bool]:
        told = await self.speaking.call(name, {"text": "Hello.", **given})
        return told.text, told.failed


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    return replace(make_spec(tmp_path), speaks=True, reaches=(CELLAR,))


@pytest.fixture
def stage(spec: RunSpec) -> Stage:
    return Stage(spec)


def test_a_run_never_begins_a_turn_in_its_own_room(spec: RunSpec) -> None:
    caller = caller_of(spec, prompt("hello"))

    assert caller.scopes == {spec.room: {Scope.READ, Scope.SEND}, CELLAR: EVERYTHING}
    assert (caller.home, caller.in_turn, caller.cause, caller.everywhere) == (spec.room, True, None, frozenset())
    assert not caller.may(Scope.READ, SECRET)


def test_not_even_where_its_own_room_is_listed_as_another(spec: RunSpec) -> None:
    caller = caller_of(replace(spec, reaches=(spec.room,)), prompt("hello"))

    assert not caller.may(Scope.RUN, spec.room)


async def test_what_it_says_follows_from_what_it_was_asked(stage: Stage) -> None:
    cause = Meta(id=MessageId("m1"), hop=1, budget=4)
    stage.speaking.begin(replace(prompt("hello"), cause=cause, thread=EventId("$t")))
    assert await stage.say() == (f"Sent to kitchen: id={next(iter(stage.exchange.messages))}, accepted.", False)

    [message] = stage.exchange.messages.values()
    assert (message.meta.hop, message.meta.budget, message.caller) == (2, 3, f"run:{stage.spec.room}")
    [said] = stage.exchange.known[stage.spec.room].said
    assert said.thread == "$t"


async def test_between_turns_it_says_nothing(stage: Stage) -> None:
    assert await stage.say() == (NO_TURN, True)
    stage.speaking.begin(prompt("hello"))
    stage.speaking.end()

    assert await stage.say() == (NO_TURN, True)
    assert stage.exchange.asked == []


async def test_it_has_none_of_the_tools_where_the_room_says_so(spec: RunSpec) -> None:
    for peers, quiet in ((None, spec), (Peers(FakeExchange(), lambda: 0), replace(spec, speaks=False))):
        tools = Speaking(peers, quiet, Stage(spec)._permit)
        tools.begin(prompt("hello"))
        assert tools.listed() == []
        assert not tools.knows("send")


async def test_a_rule_takes_a_tool_away_from_whoever_calls_it(spec: RunSpec) -> None:
    stage = Stage(replace(spec, deny=("mcp__room__assign_task", SEND_ELSEWHERE)))
    stage.speaking.begin(prompt("hello"))

    names = {tool["name"] for tool in stage.speaking.listed()}
    assert "send" in names
    assert not names & {"assign_task", ELSEWHERE}
    assert [stage.speaking.knows(name) for name in ("send", "assign_task", ELSEWHERE)] == [True, False, False]


def test_the_cli_asks_nobody_because_we_do(spec: RunSpec) -> None:
    allowed = allowed_tools(spec)

    assert {SEND_FILE, "mcp__room__send", "mcp__room__ask", SEND_ELSEWHERE} <= set(allowed)
    assert SEND_ELSEWHERE not in allowed_tools(replace(spec, reaches=()))
    assert allowed_tools(replace(spec, speaks=False)) == [SEND_FILE]


async def test_what_goes_elsewhere_waits_for_the_room(stage: Stage) -> None:
    stage.speaking.begin(prompt("hello"))
    assert not (await stage.say(ELSEWHERE, room="cellar", to=THEM))[1]
    stage.answer = (False, "Leave them alone.")
    told, failed = await stage.say(ELSEWHERE, room="cellar")

    assert failed
    assert "It was not allowed. Leave them alone." in told
    assert stage.asked == [
        (SEND_ELSEWHERE, {"room": "cellar", "kind": "message", "to": THEM, "text": "Hello."}),
        (SEND_ELSEWHERE, {"room": "cellar", "kind": "message", "text": "Hello."}),
    ]
    assert [message.room for message in stage.exchange.messages.values()] == [CELLAR]


async def test_nobody_is_asked_where_the_operator_has_allowed_it(stage: Stage) -> None:
    free = Stage(replace(stage.spec, allow=(SEND_ELSEWHERE,)))
    free.speaking.begin(prompt("hello"))

    assert not (await free.say(ELSEWHERE, room="cellar"))[1]
    assert free.asked == []


async def test_the_room_is_asked_one_thing_at_a_time_and_not_for_ever(stage: Stage) -> None:
    stage.speaking.begin(prompt("hello"))
    stage.answered.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(stage.say(ELSEWHERE, room="cellar"))
        second = group.create_task(stage.say(ELSEWHERE, room="cellar"))
        await second
        stage.answered.set()
    assert (first.result()[1], second.result()) == (False, ("Nothing was done. One after the other.", True))

    for _ in range(MOST_ASKED - 1):
        await stage.say(ELSEWHERE, room="cellar")
    assert "often enough" in (await stage.say(ELSEWHERE, room="cellar"))[0]
    assert len(stage.asked) == MOST_ASKED


async def test_an_answer_that_comes_in_another_turn_allows_nothing(stage: Stage) -> None:
    stage.speaking.begin(prompt("hello"))
    stage.answered.clear()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(stage.say(ELSEWHERE, room="cellar"))
        await asyncio.sleep(0)
        stage.speaking.begin(prompt("something else"))
        stage.answered.set()

    assert "not allowed" in asking.result()[0]
    assert stage.exchange.messages == {}


async def test_a_turn_says_only_so_much(stage: Stage) -> None:
    stage.speaking.begin(prompt("hello"))
    for _ in range(MOST_WRITTEN):
        assert not (await stage.say())[1]
    told, failed = await stage.say()
    read = await stage.speaking.call("read", {})

    assert failed
    assert f"at most {MOST_WRITTEN} messages" in told
    assert not read.failed
    stage.speaking.begin(prompt("hello again"))
    assert not (await stage.say())[1]


async def test_no_secret_that_somebody_wrote_is_read(stage: Stage) -> None:
    hides = Peers(stage.exchange, lambda: 0, lambda: Redactor([("the token", "swordfish-swordfish")]))
    stage.exchange.say(stage.spec.room, "It is swordfish-swordfish, do not tell.")
    tools = Speaking(hides, stage.spec, stage._permit)
    tools.begin(prompt("hello"))
    told = await tools.call("read", {})

    assert "do not tell" in told.text
    assert "swordfish" not in told.text


async def test_only_so_many_wait_at_the_same_time(stage: Stage) -> None:
    stage.speaking.begin(prompt("hello"))
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(stage.say("ask", to=THEM)) for _ in range(AT_ONCE)]
        await stage.exchange.accepted.wait()
        told, failed = await stage.say()
        for task in waiting:
            task.cancel()

    assert failed
    assert f"at most {AT_ONCE}" in told
    assert not (await stage.say())[1]
