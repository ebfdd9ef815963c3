"""`cchat mcp`: the tools of the gateway on stdin and stdout, as an instance that is there for as long as it runs."""

import asyncio
import base64
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import TextContent

from aiagentchat.cli.exchange import mcp
from aiagentchat.cli.exchange.exits import Exit
from aiagentchat.cli.exchange.mcp import AUDIENCE, Bridge, Gateway, at_gateway, name_here, serve
from aiagentchat.cli.exchange.places import AtGateway, Way, find
from aiagentchat.core.meta import is_instance_name
from aiagentchat.exchange.filing import MOST_FILE
from aiagentchat.exchange.tools import offered
from rig.unprivileged import clean_env
from tests.unit.mcp_stage import KITCHEN, TOKEN, FakeGateway, listening


@asynccontextmanager
async def bridged(gateway: Gateway, folder: Path, name: str = "here-1") -> AsyncIterator[Bridge]:
    connector = None if gateway.socket is None else aiohttp.UnixConnector(str(gateway.socket))
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Bridge(gateway, name=name, folder=folder, http=http)


@asynccontextmanager
async def staying(bridge: Bridge) -> AsyncIterator[None]:
    """It is an instance meanwhile, or tries to be."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bridge.stay())
        yield
        task.cancel()


async def used(bridge: Bridge, name: str, /, **given: Any) -> tuple[str, bool]:
    result = await bridge.call(name, given)
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text, result.isError


@asynccontextmanager
async def answering(status: int, body: bytes) -> AsyncIterator[Gateway]:
    """A gateway that says the same to everything."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    try:
        yield Gateway(url=f"http://{host}:{port}", token=TOKEN)
    finally:
        await runner.cleanup()


async def test_it_is_an_instance_for_as_long_as_it_runs(tmp_path: Path) -> None:
    fake = FakeGateway()
    token = tmp_path / "operator.token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    (tmp_path / "project").mkdir()
    program = StdioServerParameters(
        command=sys.executable,
        args=["-m", "aiagentchat.cli.cchat", "mcp", "--gateway", str(tmp_path / "g.sock")],
        env=clean_env(HOME=str(tmp_path), PYTHONPATH=str(Path(__file__).parents[2])),
        cwd=tmp_path / "project",
    )
    async with listening(fake, tmp_path / "g.sock"):
        async with (
            stdio_client(program) as (reading, writing),
            ClientSession(reading, writing, read_timeout_seconds=timedelta(seconds=30)) as talking,
        ):
            await talking.initialize()
            assert {tool.name for tool in (await talking.list_tools()).tools} == set(offered(AUDIENCE))
            await fake.until(1)
            [name] = fake.sessions
            result = await talking.call_tool("send", {"text": "Hello."})
            assert not result.isError
        await fake.until(0)

    [message] = fake.exchange.messages.values()
    assert (message.body, message.meta.instance) == ("Hello.", name)
    assert name.startswith("project-")


async def test_a_file_is_read_where_it_was_started_and_from_nowhere_else(tmp_path: Path) -> None:
    fake, folder = FakeGateway(), tmp_path / "project"
    (folder / "out").mkdir(parents=True)
    (folder / "out" / "plot.png").write_bytes(b"a plot")
    (folder / "large").write_bytes(bytes(MOST_FILE + 1))
    (tmp_path / "secret").write_text("swordfish")
    (folder / "link").symlink_to(tmp_path / "secret")
    async with (
        listening(fake, tmp_path / "g.sock") as path,
        bridged(Gateway(socket=path, token=TOKEN), folder) as bridge,
        staying(bridge),
    ):
        assert await used(bridge, "send_file", path="out/plot.png", caption="look") == (
            "The file is on its way.",
            False,
        )
        assert not (await used(bridge, "send_file", path=str(folder / "out/plot.png"), room="kitchen"))[1]
        for outside in ("../secret", "link", str(tmp_path / "secret"), "large", "out", "nothing", ""):
            told, failed = await used(bridge, "send_file", path=outside)
            assert failed
            assert "swordfish" not in told

    content = base64.b64encode(b"a plot").decode()
    assert fake.files == [
        (KITCHEN, {"name": "plot.png", "content": content, "caption": "look"}),
        (KITCHEN, {"name": "plot.png", "content": content}),
    ]


async def test_what_speaks_before_it_is_registered_is_sent_as_soon_as_it_is(tmp_path: Path) -> None:
    fake = FakeGateway()
    async with (
        listening(fake, tmp_path / "g.sock") as path,
        bridged(Gateway(socket=path, token=TOKEN), tmp_path) as bridge,
        asyncio.TaskGroup() as group,
    ):
        sending = group.create_task(used(bridge, "send", text="Hello."))
        task = group.create_task(bridge.stay())
        _, failed = await sending
        task.cancel()

    [message] = fake.exchange.messages.values()
    assert not failed
    assert message.meta.instance == "here-1"


async def test_one_that_the_gateway_does_not_take_in_reads_and_says_nothing(tmp_path: Path) -> None:
    fake = FakeGateway()
    fake.problem = (503, b'{"code": "busy", "detail": "50 sessions are here."}')
    said = {
        "send": {"text": "Hello."},
        "ask": {"text": "Well?", "to": "@bob:example.org"},
        "assign_task": {"text": "Mend it.", "to": "@bob:example.org"},
        "update_task": {"task": "t1", "step": "done"},
        "send_file": {"path": "plot.png"},
    }
    (tmp_path / "plot.png").write_bytes(b"a plot")
    async with (
        listening(fake, tmp_path / "g.sock") as path,
        bridged(Gateway(socket=path, token=TOKEN), tmp_path) as bridge,
        staying(bridge),
    ):
        told = {name: await used(bridge, name, **given) for name, given in said.items()}
        _, failed_to_read = await used(bridge, "who")
        fake.problem = None
        again, failed = await used(bridge, "send", text="Hello again.")

    for text, is_refused in told.values():
        assert is_refused
        assert "Nothing was sent" in text
        assert "50 sessions are here." in text
    assert not failed_to_read
    assert (failed, [message.body for message in fake.exchange.messages.values()]) == (False, ["Hello again."]), again
    assert fake.files == []


async def test_without_a_gateway_that_is_said_and_nothing_is_done(tmp_path: Path) -> None:
    async with bridged(Gateway(socket=tmp_path / "nobody.sock", token=TOKEN), tmp_path) as bridge:
        told, failed = await used(bridge, "who")

    assert failed
    assert "nothing was done" in told


async def test_a_connection_that_breaks_leaves_a_doubt_that_is_said(tmp_path: Path) -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, bridged(Gateway(url=f"http://127.0.0.1:{port}", token=TOKEN), tmp_path) as bridge:
        told, failed = await used(bridge, "who")

    assert failed
    assert "may have been done" in told


async def test_without_a_gateway_nothing_is_sent_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp, "REGISTER_SECONDS", 0.01)
    async with bridged(Gateway(socket=tmp_path / "nobody.sock", token=TOKEN), tmp_path) as bridge:
        early, _ = await used(bridge, "send", text="Hello.")
        async with staying(bridge):
            late, failed = await used(bridge, "send", text="Hello.")

    assert failed
    assert "It has not answered yet." in early
    assert "does the daemon run" in late


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, b'{"code": "unauthenticated", "detail": "No token."}', "Refused by the gateway (401). No token."),
        (200, b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "No method."}}', "No method."),
        (200, b"[]", "no result"),
        (200, b"<html>", "no result"),
        (200, b'{"result": {"content": 3}}', "no result"),
        (502, b"", "no result"),
    ],
)
async def test_what_is_no_result_is_said(tmp_path: Path, status: int, body: bytes, told: str) -> None:
    async with answering(status, body) as gateway, bridged(gateway, tmp_path) as bridge:
        text, failed = await used(bridge, "who")

    assert failed
    assert told in text


async def test_a_gateway_that_knows_no_sessions_is_asked_all_the_same(tmp_path: Path) -> None:
    async with answering(404, b"{}") as gateway, bridged(gateway, tmp_path) as bridge, staying(bridge):
        text, failed = await used(bridge, "who")

    assert failed
    assert "(404)" in text


@pytest.mark.parametrize("name", ["project", "Mein Projekt", "…", "x" * 300])
def test_it_is_called_by_its_folder(name: str) -> None:
    called = name_here(Path("/home/anna") / name)

    assert is_instance_name(called)
    assert called != name_here(Path("/home/anna/other"))


def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(Gateway(token=TOKEN))


def test_it_finds_the_gateway_as_every_other_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)

    found = find(Way(gateway="http://127.0.0.1:8870", token_file=str(token)), {}, tmp_path)
    assert isinstance(found, AtGateway)
    assert at_gateway(found) == Gateway(url="http://127.0.0.1:8870", token=TOKEN)
    assert serve(Way(gateway="http://example.org", token_file=str(token))) == Exit.USAGE
    assert "use https" in capsys.readouterr().err
