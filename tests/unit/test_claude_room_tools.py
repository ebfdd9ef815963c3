"""The tools of a room, as the protocol has it, whatever is asked."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.agents.claude_code.room_tools import PROTOCOL, RoomTools, mcp_config, variables
from aiagentchat.agents.claude_code.speaking import Peers, Speaking
from aiagentchat.core.agent_events import SEND_FILE
from aiagentchat.core.ids import RoomId, SessionId
from aiagentchat.core.ports.agent import RunSpec
from aiagentchat.render import file_words
from tests.fakes.exchange import FakeExchange
from tests.unit.claude_stage import prompt

SPEC = RunSpec(
    room=RoomId("!kitchen:example.org"),
    session=SessionId("5e551011-0000-4000-8000-000000000001"),
    resume=False,
    workspace="/w",
    home="/h",
    instructions="",
    speaks=True,
)


class Room:
    """Tools, and what was offered by them."""

    def __init__(
        self,
        told: str = "sent",
        *,
        failed: bool = False,
        peers: Peers | None = None,
    ) -> None:
        self.offers: list[tuple[str, str]] = []
        self.told = (told, failed)
        self.speaking = Speaking(peers, SPEC, self._permit)
        self.tools = RoomTools(self._offer, self.speaking)

    async def _permit(self, tool: str, used: Mapping[str, Any]) -> tuple[bool, str]:
        raise AssertionError((tool, used))

    async def _offer(self, path: str, caption: str) -> tuple[str, bool]:
        self.offers.append((path, caption))
        return self.told

    async def ask(self, method: str, params: object = None, request: object = 1) -> Any:
        said = {"jsonrpc": "2.0", "id": request, "method": method}
        answer = await self.tools.answer(json.dumps(said if params is None else {**said, "params": params}).encode())
        assert answer is not None
        found = json.loads(answer)
        assert (found["jsonrpc"], found["id"]) == ("2.0", request)
        return found.get("result", found.get("error"))


async def test_it_says_who_it_is_in_the_version_that_is_spoken() -> None:
    said = await Room().ask("initialize", {"protocolVersion": "2099-01-01", "capabilities": {}})

    assert (said["protocolVersion"], said["capabilities"]) == ("2099-01-01", {"tools": {}})
    assert (await Room().ask("initialize", {"protocolVersion": 3}))["protocolVersion"] == PROTOCOL
    assert (await Room().ask("initialize"))["protocolVersion"] == PROTOCOL
    assert await Room().ask("ping") == {}


async def test_it_has_one_tool() -> None:
    [tool] = (await Room().ask("tools/list", {}))["tools"]

    assert f"mcp__room__{tool['name']}" == SEND_FILE
    assert tool["inputSchema"]["required"] == ["path"]


async def test_the_tools_to_speak_with_others_stand_beside_it() -> None:
    exchange = FakeExchange()
    exchange.room(SPEC.room, "kitchen")
    room = Room(peers=Peers(exchange, lambda: 0))
    names = [tool["name"] for tool in (await room.ask("tools/list"))["tools"]]
    assert names[0] == "send_file"
    assert {"send", "read", "who", "ask", "tasks", "assign_task", "update_task", "history", "rooms"} == set(names[1:])

    room.speaking.begin(prompt("hello"))
    said = await room.ask("tools/call", {"name": "send", "arguments": {"text": "Hello."}})
    assert (said["isError"], said["content"][0]["type"]) == (False, "text")
    assert (await room.ask("tools/call", {"name": "send"}))["isError"]
    assert (await room.ask("tools/call", {"name": "send_elsewhere"}))["code"] == -32602
    assert [message.body for message in exchange.messages.values()] == ["Hello."]


@pytest.mark.parametrize("failed", [False, True])
async def test_a_file_is_offered_and_the_agent_reads_what_came_of_it(failed: bool) -> None:
    room = Room("so it went", failed=failed)
    said = await room.ask("tools/call", {"name": "send_file", "arguments": {"path": "a.png", "caption": "look"}}, "x")

    assert said == {"content": [{"type": "text", "text": "so it went"}], "isError": failed}
    assert room.offers == [("a.png", "look")]


@pytest.mark.parametrize("given_arguments", [{}, {"path": 3}, {"path": ""}, {"path": "x" * 5000}, None, [1], "a"])
async def test_without_a_path_nothing_is_offered(given_arguments: object) -> None:
    room = Room()
    said = await room.ask("tools/call", {"name": "send_file", "arguments": given_arguments})

    assert said == {"content": [{"type": "text", "text": file_words.NO_PATH}], "isError": True}
    assert room.offers == []


async def test_what_is_no_caption_is_left_away() -> None:
    room = Room()
    await room.ask("tools/call", {"name": "send_file", "arguments": {"path": "a", "caption": ["b"]}})

    assert room.offers == [("a", "")]


async def test_what_there_is_not_is_an_error() -> None:
    assert (await Room().ask("tools/call", {"name": "rm"}))["code"] == -32602
    assert (await Room().ask("resources/list", [1]))["code"] == -32601


@pytest.mark.parametrize(
    ("body", "code"), [(b"{", -32700), (b"\xff", -32700), (b"[" * 100_000, -32700), (b"[]", -32600), (b"3", -32600)]
)
async def test_what_is_no_request_is_an_error(body: bytes, code: int) -> None:
    answer = await Room().tools.answer(body)

    assert answer is not None
    assert json.loads(answer)["error"]["code"] == code


@pytest.mark.parametrize(
    "said", [{"method": "notifications/initialized"}, {"method": "tools/call"}, {"id": 1, "result": {}}]
)
async def test_what_wants_no_answer_gets_none(said: dict[str, Any]) -> None:
    room = Room()

    assert await room.tools.answer(json.dumps({"jsonrpc": "2.0", **said}).encode()) is None
    assert room.offers == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


@given(_JSON | st.fixed_dictionaries({"jsonrpc": st.just("2.0"), "id": _JSON, "method": st.text(), "params": _JSON}))
async def test_no_message_makes_it_fail(said: object) -> None:
    answer = await Room().tools.answer(json.dumps(said).encode())

    assert answer is None or json.loads(answer)["jsonrpc"] == "2.0"


def test_the_command_line_holds_no_secret() -> None:
    given_variables = variables("the-token")

    assert "the-token" not in mcp_config()
    for name in given_variables:
        assert f"${{{name}}}" in mcp_config()
