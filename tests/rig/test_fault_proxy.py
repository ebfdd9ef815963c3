"""The proxy does to a request what its kind says, to that one alone, and the server hears what it is meant to hear."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from rig.faults.proxy import FaultProxy, Kind, Strike, is_send, is_sync

PATIENCE = 10
SEND = "/_matrix/client/v3/rooms/!r/send/m.room.message/t1"


class Stage:
    """A server that counts what it hears, the proxy before it, and a client."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.heard.append(f"{request.method} {request.path} {body}")
        if request.path == "/chunked":
            response = web.StreamResponse()
            response.enable_chunked_encoding()
            await response.prepare(request)
            for piece in (b"one ", b"two"):
                await response.write(piece)
            return response
        return web.json_response({"echo": body, "long": "x" * 1000})

    async def ask(self, method: str = "GET", path: str = "/", body: object = None) -> tuple[int, bytes]:
        """One request over a connection of its own."""
        async with (
            asyncio.timeout(PATIENCE),
            aiohttp.ClientSession() as http,
            http.request(method, self.proxy.url + path, json=body) as answer,
        ):
            return answer.status, await answer.read()

    proxy: FaultProxy


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", stage.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    async with asyncio.timeout(60), FaultProxy(port) as proxy:
        stage.proxy = proxy
        yield stage
    await runner.cleanup()


async def struck(strike: Strike) -> None:
    async with asyncio.timeout(PATIENCE):
        await strike.struck.wait()


async def test_without_a_strike_it_is_transparent(stage: Stage) -> None:
    status, body = await stage.ask("PUT", SEND, {"a": 1})

    assert (status, json.loads(body)["echo"]) == (200, '{"a": 1}')
    assert await stage.ask(path="/chunked") == (200, b"one two")


async def test_a_connection_serves_many_requests(stage: Stage) -> None:
    async with aiohttp.ClientSession() as http:
        for number in range(3):
            async with http.put(f"{stage.proxy.url}/{number}", data=b"x") as answer:
                assert answer.status == 200

    assert len(stage.heard) == 3


@pytest.mark.parametrize(
    ("kind", "heard"),
    [
        pytest.param(Kind.CUT_BEFORE, 0, id="before"),
        pytest.param(Kind.CUT_IN_REQUEST, 0, id="in the request"),
        pytest.param(Kind.CUT_AFTER, 1, id="after"),
        pytest.param(Kind.CUT_IN_ANSWER, 1, id="in the answer"),
    ],
)
async def test_a_cut_ends_the_connection(stage: Stage, kind: Kind, heard: int) -> None:
    strike = stage.proxy.arm(kind)

    with pytest.raises(aiohttp.ClientError):
        await stage.ask("POST", SEND, {"a": 1})  # aiohttp would send a PUT once more by itself
    await struck(strike)
    assert len(stage.heard) == heard
    assert (await stage.ask())[0] == 200


@pytest.mark.parametrize(
    ("kind", "status", "heard"),
    [
        pytest.param(Kind.TOO_MANY, 429, 0, id="429"),
        pytest.param(Kind.TOO_LARGE, 413, 0, id="413"),
        pytest.param(Kind.ERROR_500, 500, 0, id="500"),
        pytest.param(Kind.HTML_502, 502, 0, id="502"),
        pytest.param(Kind.HTML_504, 504, 1, id="504, after the server has done it"),
    ],
)
async def test_an_answer_that_is_not_the_servers(stage: Stage, kind: Kind, status: int, heard: int) -> None:
    stage.proxy.arm(kind, seconds=1.5)

    told, body = await stage.ask("PUT", SEND, {"a": 1})
    assert told == status
    assert len(stage.heard) == heard
    assert (json.loads(body).get("retry_after_ms") == 1500) if kind is Kind.TOO_MANY else body


@pytest.mark.parametrize("kind", [Kind.DELAY, Kind.DRIP])
async def test_what_is_slow_arrives_whole(stage: Stage, kind: Kind) -> None:
    strike = stage.proxy.arm(kind, seconds=0.01)

    status, body = await stage.ask("PUT", SEND, {"a": 1})
    assert strike.struck.is_set()
    assert (status, json.loads(body)["long"]) == (200, "x" * 1000)


async def test_a_held_answer_comes_when_it_is_let_go(stage: Stage) -> None:
    strike = stage.proxy.arm(Kind.HOLD, is_send)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(stage.ask("PUT", SEND, {"a": 1}))
        await struck(strike)
        assert len(stage.heard) == 1
        assert not asking.done()
        stage.proxy.disarm()

    assert asking.result()[0] == 200


async def test_a_strike_waits_for_its_request(stage: Stage) -> None:
    strike = stage.proxy.arm(Kind.ERROR_500, is_sync)

    assert (await stage.ask("PUT", SEND, {"a": 1}))[0] == 200
    assert not strike.struck.is_set()
    assert (await stage.ask(path="/_matrix/client/v3/sync?timeout=0"))[0] == 500
    assert (await stage.ask(path="/_matrix/client/v3/sync?timeout=0"))[0] == 200


async def test_a_strike_may_be_for_several_requests_in_a_row(stage: Stage) -> None:
    stage.proxy.arm(Kind.ERROR_500, times=2)

    assert [(await stage.ask())[0] for _ in range(3)] == [500, 500, 200]


async def test_a_strike_that_was_taken_back_does_not_happen(stage: Stage) -> None:
    strike = stage.proxy.arm(Kind.ERROR_500)
    stage.proxy.disarm(strike)

    assert (await stage.ask())[0] == 200


async def test_without_a_server_the_client_is_cut_off() -> None:
    async with FaultProxy(1) as proxy, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientError):
            await http.get(proxy.url)
