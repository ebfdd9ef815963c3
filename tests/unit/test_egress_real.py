"""Real programs behind the gate: the CLI with a placeholder for its key, and clients that read the proxy variables."""

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.config.secrets import Secret
from aiagentchat.core.isolation import Network
from aiagentchat.egress.upstream import Upstream
from rig.claude import cli_env
from rig.model import Model
from rig.script import Step, numbered, script
from rig.unprivileged import as_unprivileged, clean_env
from tests.fakes.outside import FakeOutside
from tests.unit.egress_stage import KEY, TOKEN, Stage, api_server, stage

PATIENCE = 60.0
OAUTH = "sk-ant-oat01-the-real-one"
PUBLIC = "93.184.215.14"


@asynccontextmanager
async def relay(path: Path) -> AsyncIterator[int]:
    """A port of loopback that leads to the gate, as there is one in each sandbox."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65_536):
                writer.write(part)
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_unix_connection(path)
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, here))
            group.create_task(pump(there, writer))
        here.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def answer_of(cli: Path, port: int, home: Path, prompt: str, credentials: Mapping[str, str]) -> Mapping[str, Any]:
    """The last line of a CLI that was asked once, and holds nothing but these credentials."""
    env = cli_env(home, f"http://127.0.0.1:{port}", CLAUDE_CODE_MAX_RETRIES="1")
    del env["ANTHROPIC_API_KEY"]
    flags = ("-p", "--input-format", "text", "--output-format", "stream-json", "--verbose", "--setting-sources", "")
    process = await asyncio.create_subprocess_exec(
        *as_unprivileged(),
        str(cli),
        *flags,
        cwd=home,
        env={**env, **credentials},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**24,
    )
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate(prompt.encode())
    last: dict[str, Any] = json.loads(output.decode().splitlines()[-1])
    return last


@asynccontextmanager
async def way_to(model: Model, upstream: Upstream) -> AsyncIterator[tuple[Stage, int]]:
    """A gate to the model and a relay to the gate."""
    async with stage(model.url, upstream=lambda: upstream) as at, relay(at.path) as port:
        yield at, port


async def test_the_cli_answers_with_a_placeholder_for_its_key(cli: Path, model: Model, workplace: Path) -> None:
    mark = uuid.uuid4().hex
    prompt = script(f"go on {mark}", Step(big=300_000))
    async with way_to(model, Upstream(base_url=model.url, api_key=Secret(KEY))) as (at, port):
        result = await answer_of(cli, port, workplace, prompt, {"ANTHROPIC_API_KEY": TOKEN})

    requests = model.requests(mark)
    assert (result["is_error"], result["result"]) == (False, numbered(300_000))
    assert {request.headers["x-api-key"] for request in requests} == {KEY}
    assert not [request for request in requests if TOKEN in str(request.headers)]
    assert at.gate.traffic.bytes_in > 300_000


async def test_the_cli_answers_with_a_placeholder_for_a_subscription(cli: Path, model: Model, workplace: Path) -> None:
    mark = uuid.uuid4().hex
    prompt = script(f"hello {mark}", Step(text="from behind the gate"))
    async with way_to(model, Upstream(base_url=model.url, bearer=Secret(OAUTH))) as (_, port):
        result = await answer_of(cli, port, workplace, prompt, {"CLAUDE_CODE_OAUTH_TOKEN": TOKEN})

    requests = model.requests(mark)
    assert (result["is_error"], result["result"]) == (False, "from behind the gate")
    assert {request.headers["authorization"] for request in requests} == {f"Bearer {OAUTH}"}
    assert all("oauth-" in request.headers["anthropic-beta"] for request in requests)
    assert not [request for request in requests if "x-api-key" in request.headers or TOKEN in str(request.headers)]


async def test_the_cli_says_so_when_its_token_is_not_the_one_of_the_run(
    cli: Path, model: Model, workplace: Path
) -> None:
    mark = uuid.uuid4().hex
    async with way_to(model, Upstream(base_url=model.url, api_key=Secret(KEY))) as (_, port):
        result = await answer_of(cli, port, workplace, f"hello {mark}", {"ANTHROPIC_API_KEY": "sk-ant-another"})

    assert result["is_error"] is True
    assert model.requests(mark) == []


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("import urllib.request as u; print(u.urlopen('http://open.example/x').status)", id="plain"),
        pytest.param(
            "import http.client, os, urllib.parse as p, base64\n"
            "proxy = p.urlsplit(os.environ['HTTPS_PROXY'])\n"
            "basic = base64.b64encode(f'{proxy.username}:{proxy.password}'.encode()).decode()\n"
            "c = http.client.HTTPConnection(proxy.hostname, proxy.port)\n"
            "c.set_tunnel('open.example', 80, headers={'Proxy-Authorization': f'Basic {basic}'})\n"
            "c.request('GET', '/x')\n"
            "print(c.getresponse().status)",
            id="tunnel",
        ),
    ],
)
async def test_a_program_finds_its_way_by_the_proxy_variables(program: str) -> None:
    async with api_server() as web:
        outside = FakeOutside({"open.example": [PUBLIC]}, {(PUBLIC, 80): web.port})
        async with stage(network=Network.FULL, outside=outside) as at, relay(at.path) as port:
            proxy = f"http://run:{TOKEN}@127.0.0.1:{port}"
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                program,
                env=clean_env(HTTP_PROXY=proxy, HTTPS_PROXY=proxy),
                stdout=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(PATIENCE):
                output, _ = await process.communicate()

    assert output == b"200\n"
    assert [heard.path for heard in web.heard] == ["/x"]
    assert TOKEN not in str(web.heard)
