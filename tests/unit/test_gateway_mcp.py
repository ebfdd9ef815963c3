"""`/mcp` at the gateway, asked by the client of the official library and by whoever sends anything."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent

from aiagentchat.core.ids import InstanceName, UserId
from aiagentchat.exchange.tool_words import DATA
from aiagentchat.gateway.mcp import INSTANCE_HEADER
from tests.unit.mcp_stage import KITCHEN, SECRET, TOKEN, FakeGateway

HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "who", "arguments": {}}}


def client(gateway: FakeGateway, token: str = TOKEN) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(gateway.app),
        base_url="http://127.0.0.1:8870",
        headers={"Authorization": f"Bearer {token}"},
    )


@asynccontextmanager
async def session(gateway: FakeGateway) -> AsyncIterator[ClientSession]:
    async with (
        client(gateway) as http,
        streamable_http_client("http://127.0.0.1:8870/mcp", http_client=http) as (reading, writing, _),
        ClientSession(reading, writing, read_timeout_seconds=timedelta(seconds=30)) as talking,
    ):
        await talking.initialize()
        yield talking


async def used(talking: ClientSession, name: str, /, **given: Any) -> tuple[str, bool]:
    result = await talking.call_tool(name, given)
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text, result.isError


async def test_every_tool_is_listed_and_can_be_called() -> None:
    gateway = FakeGateway()
    gateway.exchange.say(KITCHEN, "Hello.", sender=UserId("@alice:example.org"))
    async with session(gateway) as talking:
        listed = {tool.name for tool in (await talking.list_tools()).tools}
        called = {
            "send": await used(talking, "send", text="Hello."),
            "ask": await used(talking, "ask", text="Anybody?", to="@other:example.org", seconds=1),
            "read": await used(talking, "read"),
            "history": await used(talking, "history", words="hello"),
            "who": await used(talking, "who"),
            "rooms": await used(talking, "rooms"),
            "tasks": await used(talking, "tasks"),
            "assign_task": await used(talking, "assign_task", to="@other:example.org", text="Do it."),
            "send_file": await used(talking, "send_file", name="a.txt", content="aGVsbG8=", caption="look"),
        }
        [task] = gateway.exchange.given.values()
        called["update_task"] = await used(talking, "update_task", task=task.id, state="cancelled")

    assert listed == set(called)
    assert [name for name, (_, failed) in called.items() if failed] == []
    assert called["read"][0].startswith(DATA)
    assert gateway.files == [(KITCHEN, {"name": "a.txt", "content": "aGVsbG8=", "caption": "look"})]


async def test_where_nobody_takes_files_there_is_no_tool_for_them() -> None:
    async with session(FakeGateway(takes_files=False)) as talking:
        listed = {tool.name for tool in (await talking.list_tools()).tools}

    assert "send_file" not in listed


async def test_what_makes_no_sense_is_a_sentence_and_no_error_of_the_protocol() -> None:
    gateway = FakeGateway()
    async with session(gateway) as talking:
        for name, given, told in (
            ("send", {"text": 3}, "`text` must be a text"),
            ("send", {"text": "x", "room": SECRET}, "There is no room"),
            ("rm", {}, "There is no tool"),
        ):
            text, failed = await used(talking, name, **given)
            assert failed
            assert told in text

    assert gateway.exchange.messages == {}


async def test_a_session_speaks_as_itself() -> None:
    gateway = FakeGateway()
    gateway.sessions = ["here-1"]
    async with client(gateway) as http:
        body = {**CALL, "params": {"name": "send", "arguments": {"text": "Hello."}}}
        answer = await http.post("/mcp", json=body, headers={**HEADERS, INSTANCE_HEADER: "here-1"})
        strange = await http.post("/mcp", json=body, headers={**HEADERS, INSTANCE_HEADER: "somebody"})

    assert (answer.status_code, strange.status_code) == (200, 403)
    [message] = gateway.exchange.messages.values()
    assert message.meta.instance == InstanceName("here-1")


async def test_without_the_token_nothing_is_answered() -> None:
    gateway = FakeGateway()
    async with client(gateway, "wrong") as http:
        answer = await http.post("/mcp", json=CALL, headers=HEADERS)

    assert answer.status_code == 403
    assert gateway.exchange.asked == []


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS"])
async def test_there_is_nothing_to_wait_for(method: str) -> None:
    async with client(FakeGateway()) as http:
        answer = await http.request(method, "/mcp", headers=HEADERS)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 50_000,
        b"\xff",
        json.dumps({**CALL, "params": {"name": ["swordfish"]}}).encode(),
        json.dumps({**CALL, "method": "swordfish"}).encode(),
        json.dumps({**CALL, "id": {"swordfish": 1}}).encode(),
        json.dumps({**CALL, "params": {"name": "who", "arguments": ["swordfish"]}}).encode(),
    ],
    ids=[
        "empty",
        "cut",
        "list",
        "deep",
        "no text",
        "strange name",
        "strange method",
        "strange id",
        "strange arguments",
    ],
)
async def test_whatever_is_sent_is_answered_and_not_logged(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    gateway = FakeGateway()
    with caplog.at_level(logging.DEBUG):
        async with client(gateway) as http:
            answer = await http.post("/mcp", content=body, headers=HEADERS)

    assert answer.status_code in (200, 202, 400)
    assert "swordfish" not in caplog.text
    assert gateway.exchange.asked == []


async def test_a_request_that_is_too_large_is_refused() -> None:
    gateway = FakeGateway()
    async with client(gateway) as http:
        answer = await http.post("/mcp", content=b"x" * 5_000_000, headers=HEADERS)

    assert answer.status_code == 413
