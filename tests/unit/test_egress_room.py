"""The gate in front of the room's own tools: for who holds the run's token, and nobody else."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from aiagentchat.config.secrets import Secret
from aiagentchat.egress import answers
from aiagentchat.egress.limits import Limits
from aiagentchat.egress.upstream import Upstream
from tests.unit.egress_stage import TOKEN, Header, Stage, ask, connected, stage

MINE = ("authorization", f"Bearer {TOKEN}")
HEARD: list[bytes] = []


async def room(body: bytes) -> bytes | None:
    HEARD.append(body)
    return None if b"notification" in body else b'{"heard": true}'


@pytest.fixture
async def at() -> AsyncIterator[Stage]:
    HEARD.clear()
    async with stage(room=room) as running:
        yield running


async def test_what_is_asked_is_answered_by_the_room(at: Stage) -> None:
    async with connected(at.path) as run:
        answer = await run.ask("POST", "/room/mcp", MINE, body=b"a question")
        nothing = await run.ask("POST", "/room/mcp", MINE, chunks=[b"a ", b"notification"])
        again = await run.ask("POST", "/room/mcp", ("x-api-key", TOKEN), body=b"more")

    assert (answer.status, json.loads(answer.body)) == (200, {"heard": True})
    assert answer.headers["content-type"] == "application/json"
    assert (nothing.status, nothing.body) == (202, b"")
    assert again.status == 200
    assert HEARD == [b"a question", b"a notification", b"more"]


@pytest.mark.parametrize("shown", [("x", "y"), ("authorization", "Bearer other"), ("authorization", TOKEN)])
async def test_without_the_token_nothing_is_heard(at: Stage, shown: Header) -> None:
    answer = await ask(at.path, "POST", "/room/mcp", shown, body=b"a question")

    assert answer.status == 401
    assert HEARD == []


async def test_the_token_of_a_subscription_says_nothing_about_the_room() -> None:
    HEARD.clear()
    shown = "sk-ant-oat01-the-subscription"
    upstream = Upstream(base_url="http://127.0.0.1:9", bearer=Secret(shown), passthrough=True)
    async with stage(room=room, upstream=lambda: upstream) as at:
        answer = await ask(at.path, "POST", "/room/mcp", ("authorization", f"Bearer {shown}"), body=b"a question")

    assert answer.status == 401
    assert HEARD == []


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_nothing_else_is_done_there(at: Stage, method: str) -> None:
    assert (await ask(at.path, method, "/room/mcp", MINE)).status == 405


@pytest.mark.parametrize("target", ["/room/mcp?x", "/room/mcp/", "/room//mcp", "/room", "/room/%6dcp", "/ROOM/mcp"])
async def test_no_other_spelling_leads_there(at: Stage, target: str) -> None:
    assert (await ask(at.path, "POST", target, MINE, body=b"a question")).status == 403
    assert HEARD == []


async def test_too_much_is_not_heard() -> None:
    HEARD.clear()
    async with stage(room=room, limits=Limits(room_bytes=10)) as at:
        answer = await ask(at.path, "POST", "/room/mcp", MINE, body=b"a question that is longer")

    assert answer.status == 413
    assert HEARD == []


async def test_a_tool_may_wait_for_longer_than_anything_else_may_be_still() -> None:
    still = asyncio.Event()

    async def patient(_: bytes) -> bytes:
        await still.wait()
        return b"{}"

    async with (
        stage(room=patient, limits=Limits(idle_seconds=0.2)) as at,
        connected(at.path) as run,
        connected(at.path) as other,
        asyncio.TaskGroup() as group,
    ):
        asking = group.create_task(run.ask("POST", "/room/mcp", MINE, body=b"a question"))
        assert await other.rest() == b""  # which was cut for being still
        assert not asking.done()
        still.set()

    assert asking.result().status == 200


async def test_a_question_that_does_not_end_is_not_waited_for() -> None:
    HEARD.clear()
    async with stage(room=room, limits=Limits(header_seconds=0.1)) as at, connected(at.path) as run:
        head = b"POST /room/mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 9\r\n\r\nhalf"
        said = await run.exchange(head % TOKEN.encode())

    assert said.startswith(b"HTTP/1.1 408")
    assert HEARD == []


async def test_a_run_without_a_room_is_told_so() -> None:
    async with stage() as at:
        answer = await ask(at.path, "POST", "/room/mcp", MINE, body=b"a question")

    assert answer.status == 404
    assert answers.NO_ROOM.sentence in answer.body.decode()


async def test_http_1_0_is_too_old(at: Stage) -> None:
    async with connected(at.path) as run:
        said = f"POST /room/mcp HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 0\r\n\r\n"
        answer = await run.exchange(said.encode())

    assert answer.startswith(b"HTTP/1.1 505")
