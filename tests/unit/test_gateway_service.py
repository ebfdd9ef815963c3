"""The gateway on real sockets."""

import asyncio
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.config.schema import Gateway as Section
from aiagentchat.core.health import GatewayHealth, GatewayState
from aiagentchat.core.isolation import Isolation
from aiagentchat.gateway import feed as feeding
from aiagentchat.gateway import service
from aiagentchat.gateway import serving as uvicorn_serving
from aiagentchat.gateway.service import SOCKET, is_wanted, load
from aiagentchat.gateway.tokens import FOLDER
from tests.contract.store_fixtures import ROOM
from tests.unit.execute_house import make_settings
from tests.unit.gateway_server import PATIENCE, free_port, gateway_on, serving


@pytest.mark.parametrize(
    ("said", "isolation", "is_there"),
    [
        (None, Isolation.STRICT, True),
        (None, Isolation.USERS, True),
        (None, Isolation.LANDLOCK, False),
        (None, Isolation.NONE, False),
        (True, Isolation.NONE, True),
        (False, Isolation.STRICT, False),
    ],
)
def test_where_runs_are_not_kept_apart_from_it_there_is_none_unless_asked_for(
    tmp_path: Path, said: bool | None, isolation: Isolation, is_there: bool
) -> None:
    settings = replace(make_settings(tmp_path), gateway=Section(enabled=said))

    assert is_wanted(settings, isolation) is is_there


@pytest.mark.parametrize(
    ("said", "isolation", "is_loaded"),
    [(None, "auto", True), (None, "none", False), (True, "none", True), (False, "strict", False)],
)
async def test_what_serves_is_loaded_where_there_may_be_a_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bool | None, isolation: str, is_loaded: bool
) -> None:
    loads: list[bool] = []
    monkeypatch.setattr(service, "_loaded", lambda: loads.append(True))

    await load(replace(make_settings(tmp_path), gateway=Section(enabled=said), isolation=isolation))

    assert bool(loads) is is_loaded


def test_the_daemon_knows_no_http_before_it_serves_and_no_mcp_before_it_is_asked() -> None:
    heavy = "sorted({'fastapi', 'mcp', 'httpx'} & set(sys.modules))"
    look = (
        f"import sys, aiagentchat.app.daemon as _; print({heavy}); import aiagentchat.gateway.opening; print({heavy})"
    )
    looked = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True, timeout=60)

    assert looked.stdout.split("\n")[:2] == ["[]", "['fastapi']"]


async def test_it_answers_at_the_socket_and_at_the_port(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        wish = {"room": "a", "body": "Hello."}
        answers = [await served.ask("POST", "/send", wish, at_socket=at_socket) for at_socket in (True, False)]

    assert [(status, said["caller"]) for status, said in answers] == [(202, "operator"), (202, "port")]


async def test_nothing_is_left_of_it_and_its_places_are_free_for_the_next_life(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        path, port = served.folder / SOCKET, served.port
        assert path.stat().st_mode & 0o777 == 0o600

    assert not path.exists()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


async def test_without_a_port_it_is_at_the_socket_alone(tmp_path: Path) -> None:
    async with serving(tmp_path, port=0) as served:
        status, _ = await served.ask("GET", "/health", at_socket=True)

    assert status == 200
    assert served.gateway.port is None
    assert served.gateway.health() == GatewayHealth(state=GatewayState.OPEN)


async def test_a_port_that_is_taken_is_done_without(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        async with serving(tmp_path, port=(taken := other.getsockname()[1])) as served:
            status, _ = await served.ask("GET", "/who", at_socket=True)

    assert status == 200
    assert served.gateway.health() == GatewayHealth(state=GatewayState.OPEN, lacks=taken)


async def test_a_gateway_that_cannot_be_opened_leaves_the_daemon_alone(tmp_path: Path) -> None:
    made = gateway_on(tmp_path, free_port())
    (tmp_path / "data" / FOLDER).write_text("", encoding="ascii")
    assert made.gateway.health().state is GatewayState.OPENING

    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.gateway.run())
        done, _ = await asyncio.wait({task}, timeout=0.5)
        task.cancel()

    assert done == set()
    assert not made.gateway.opened.is_set()
    assert made.gateway.health() == GatewayHealth(state=GatewayState.NOT_OPEN)


async def test_a_socket_that_something_else_stands_in_the_place_of_is_not_taken(tmp_path: Path) -> None:
    made = gateway_on(tmp_path, free_port())
    (tmp_path / "data" / FOLDER).mkdir(mode=0o700)
    (tmp_path / "data" / FOLDER / SOCKET).write_text("mine", encoding="ascii")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.gateway.run())
        done, _ = await asyncio.wait({task}, timeout=0.5)
        task.cancel()

    assert done == set()
    assert (tmp_path / "data" / FOLDER / SOCKET).read_text(encoding="ascii") == "mine"


async def test_streams_end_at_once_with_the_daemon(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path) as served:
        session = served.session()
        stream = await session.get("/events")
        first = await stream.content.readline()
        served.exchange.say(ROOM, "news")
        served.feed.ring()
        lines = [await stream.content.readline() for _ in range(5)]
        began = loop.time()
    took = loop.time() - began
    rest = await stream.content.read()
    await session.close()

    assert first == b"retry: 1000\n"
    assert lines[:4] == [b"id: 0\n", b"\n", b"id: 1\n", b"event: message\n"]
    assert rest in (b"", b"\n")
    assert took < uvicorn_serving.CLOSING_SECONDS + PATIENCE / 4


async def test_what_is_no_http_gets_no_answer_of_ours(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        answer = await reader.read()
        writer.close()

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"GET http://evil.example/who HTTP/1.1\r\nHost: %(host)s\r\n%(token)s\r\n\r\n", id="an address"),
        pytest.param(b"CONNECT evil.example:443 HTTP/1.1\r\nHost: %(host)s\r\n%(token)s\r\n\r\n", id="a proxy"),
        pytest.param(b"GET /who HTTP/1.0\r\n%(token)s\r\n\r\n", id="without a host"),
        pytest.param(b"GET /who HTTP/1.1\r\nHost: evil.example\r\n%(token)s\r\n\r\n", id="another name"),
        pytest.param(b"GET //evil.example/who HTTP/1.1\r\nHost: %(host)s\r\n%(token)s\r\n\r\n", id="two slashes"),
        pytest.param(b"GET /who/../send HTTP/1.1\r\nHost: %(host)s\r\n%(token)s\r\n\r\n", id="a way up"),
        pytest.param(
            b"POST /send HTTP/1.1\r\nHost: %(host)s\r\n%(token)s\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            id="two lengths",
        ),
        pytest.param(b"GET /who HTTP/1.1\r\nHost: %(host)s\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", id="long headers"),
    ],
)
async def test_strange_requests_are_refused(tmp_path: Path, request_: bytes) -> None:
    async with serving(tmp_path) as served:
        values = {
            b"host": f"127.0.0.1:{served.port}".encode(),
            b"token": f"Authorization: Bearer {served.token()}".encode(),
        }
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request_ % values)
        status = (await reader.readline()).split()
        writer.close()

    assert status == [] or 400 <= int(status[1]) < 500
    assert served.exchange.asked == []


async def test_who_connects_and_says_nothing_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_serving, "HEADER_SECONDS", 0.05)
    async with serving(tmp_path) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET /who HT")
        said = await reader.read()
        writer.close()

    assert said == b""


_WHO = b"GET /who HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
_LATE = b"POST /send HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param(_WHO, b"G", id="a byte"),
        pytest.param(_WHO, b"GET /who HTTP/1.1\r\nHost: x\r\nX: ", id="a half"),
        pytest.param(_WHO, _WHO[:-2], id="nearly all"),
        pytest.param(_LATE, b"{", id="a part of a body that nobody waits for any more"),
        pytest.param(_LATE, b"x" * 9 + b"P", id="the rest of that, and a byte of the next"),
    ],
)
async def test_who_begins_another_request_and_does_not_go_on_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bytes, then: bytes
) -> None:
    async with serving(tmp_path) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(first % served.port)
        head = await reader.readuntil(b"\r\n\r\n")
        monkeypatch.setattr(uvicorn_serving, "HEADER_SECONDS", 0.05)
        writer.write(then.replace(b"%d", b"1"))
        await until_gone(reader)
        writer.close()

    assert head.startswith(b"HTTP/1.1 401")


async def test_who_says_it_byte_by_byte_has_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "HEARTBEAT_SECONDS", 0.02)
    async with (
        serving(tmp_path) as served,
        served.session() as session,
        session.get("/events") as stream,
        asyncio.TaskGroup() as group,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(_WHO % served.port)
        await reader.readuntil(b"\r\n\r\n")
        monkeypatch.setattr(uvicorn_serving, "HEADER_SECONDS", 0.1)
        gone = group.create_task(until_gone(reader))
        while not gone.done():
            await stream.content.readline()
            writer.write(b"G")
        writer.close()


async def test_who_is_quiet_between_two_requests_is_kept_and_so_is_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(uvicorn_serving, "HEADER_SECONDS", 0.2)
    async with serving(tmp_path) as served, served.session() as session, session.get("/events") as stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        answers = []
        for _ in range(2):
            writer.write(_WHO % served.port)
            answers.append(await reader.readuntil(b"}"))
            for _ in range(12):
                await stream.content.readline()
        writer.close()

    assert [answer.startswith(b"HTTP/1.1 401") for answer in answers] == [True, True]


async def until_gone(reader: asyncio.StreamReader) -> None:
    """Returns when the other side has closed the connection, in whichever way."""
    with suppress(ConnectionError):
        await reader.read()


async def test_connections_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_serving, "MOST_CONNECTIONS", 2)
    async with serving(tmp_path) as served:
        kept = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(2)]
        for _, writer in kept:
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        first = [await reader.readline() for reader, _ in kept]
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        for each in (writer, *(writer for _, writer in kept)):
            each.close()

    assert all(line.startswith(b"HTTP/1.1 421") for line in first)


async def test_every_token_of_it_is_told_to_be_hidden(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        _, login = await served.ask("GET", "/login/auto", at_socket=True)
        token = login["access_token"]
        hidden = {value for _, value in served.told}

    assert {served.token(), served.token("operator.token"), token} == hidden
