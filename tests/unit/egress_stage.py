"""A stage for a gate: the run at one end, a model's API and other hosts at the other, real sockets between."""

import asyncio
import base64
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h11
from aiohttp import web

from aiagentchat.config.secrets import Secret
from aiagentchat.core.isolation import Network
from aiagentchat.egress.gate import Gate
from aiagentchat.egress.limits import Limits
from aiagentchat.egress.upstream import Upstream
from tests.fakes.outside import FakeOutside

PATIENCE = 20.0
TOKEN = "the-placeholder-of-this-run"
KEY = "sk-ant-api03-the-real-one"
PROXY = ("proxy-authorization", "Basic " + base64.b64encode(f"run:{TOKEN}".encode()).decode())
Header = tuple[str, str]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Heard:
    """What reached the upstream."""

    method: str
    path: str
    headers: list[Header]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each.lower() == name]


@dataclass(slots=True)
class Api:
    """A model's API that remembers."""

    url: str = ""
    port: int = 0
    heard: list[Heard] = field(default_factory=list)


async def note(api: Api, request: web.Request) -> Heard:
    """Read a request to its end, and remember it."""
    headers = [(name.decode(), value.decode()) for name, value in request.raw_headers]
    heard = Heard(request.method, request.path_qs, headers, await request.read())
    api.heard.append(heard)
    return heard


@asynccontextmanager
async def api_server(handler: Handler | None = None) -> AsyncIterator[Api]:
    """A web server on loopback; without a handler it notes what it hears and answers `{}`."""
    api = Api()

    async def noting(request: web.Request) -> web.StreamResponse:
        await note(api, request)
        return web.json_response({})

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{anything:.*}", handler or noting)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api.port = runner.addresses[0][1]
        api.url = f"http://127.0.0.1:{api.port}"
        yield api
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Stage:
    """A gate that serves."""

    gate: Gate
    path: Path
    outside: FakeOutside
    blocked: list[str]


@asynccontextmanager
async def stage(
    url: str = "http://127.0.0.1:9",
    *,
    network: Network = Network.API,
    hosts: Sequence[str] = (),
    outside: FakeOutside | None = None,
    limits: Limits | None = None,
    upstream: Callable[[], Upstream | None] | None = None,
    room: Callable[[bytes], Awaitable[bytes | None]] | None = None,
) -> AsyncIterator[Stage]:
    """A gate in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="aiagentchat-") as folder:
        blocked: list[str] = []
        there = outside or FakeOutside()
        path = Path(folder) / "way-out.sock"
        gate = Gate(
            socket=path,
            token=TOKEN,
            upstream=upstream or (lambda: Upstream(base_url=url, api_key=Secret(KEY))),
            network=network,
            hosts=tuple(hosts),
            on_blocked=blocked.append,
            outside=there,
            limits=limits,
            room=room,
        )
        async with gate.serving():
            yield Stage(gate, path, there, blocked)


@dataclass(slots=True)
class Answer:
    """What the run was told."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


class Run:
    """The one who asks: a client of HTTP that can also say what no client should."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._http = h11.Connection(h11.CLIENT)

    async def ask(
        self,
        method: str,
        target: str,
        *headers: Header,
        body: bytes = b"",
        chunks: Sequence[bytes] = (),
    ) -> Answer:
        """One request, and the answer to it."""
        await self.say(method, target, *headers, body=body, chunks=chunks)
        return await self.hear()

    async def say(
        self, method: str, target: str, *headers: Header, body: bytes = b"", chunks: Sequence[bytes] = ()
    ) -> None:
        """One request."""
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        length = [("transfer-encoding", "chunked")] if chunks else [("content-length", str(len(body)))]
        has_body = bool(chunks or body or method == "POST")
        said = [("host", "here"), *headers, *(length if has_body else [])]
        head = [(name.encode(), value.encode()) for name, value in said]
        self._send(h11.Request(method=method, target=target, headers=head))
        for part in [*chunks, *([body] if body else [])]:
            self._send(h11.Data(data=part))
            await self.writer.drain()
        self._send(h11.EndOfMessage())

    async def hear(self) -> Answer:
        """One answer, to its end."""
        answer = await self.hear_head()
        while (part := await self.hear_part()) is not None:
            answer.body += part
        return answer

    async def hear_head(self) -> Answer:
        event = await self._event()
        while isinstance(event, h11.InformationalResponse):
            event = await self._event()
        assert isinstance(event, h11.Response), event
        return Answer(event.status_code, {name.decode(): value.decode() for name, value in event.headers})

    async def hear_part(self) -> bytes | None:
        """Some of the body; None at its end."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    def _send(self, event: h11.Event) -> None:
        self.writer.write(self._http.send(event) or b"")

    async def _event(self) -> object:
        async with asyncio.timeout(PATIENCE):
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self.reader.read(65_536))
        return event

    async def hear_raw_head(self) -> bytes:
        """The head of the next answer, as it came."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def exchange(self, raw: bytes) -> bytes:
        """These very bytes, and whatever comes until the other side hangs up."""
        self.writer.write(raw)
        return await self.rest()

    async def rest(self) -> bytes:
        """Whatever comes until the other side hangs up, or breaks off."""
        heard = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while part := await self.reader.read(65_536):
                    heard += part
            except ConnectionError:
                pass
        return heard


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[Run]:
    """A connection of the run, however long the path is."""
    folder = os.open(path.parent, os.O_PATH)
    try:
        reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    try:
        yield Run(reader, writer)
    finally:
        writer.transport.abort()


async def ask(path: Path, method: str, target: str, *headers: Header, body: bytes = b"") -> Answer:
    """One request on a connection of its own."""
    async with connected(path) as run:
        return await run.ask(method, target, *headers, body=body)


async def ask_model(path: Path, *headers: Header, body: bytes = b"{}") -> Answer:
    """As the CLI does it."""
    return await ask(path, "POST", "/v1/messages?beta=true", ("x-api-key", TOKEN), *headers, body=body)
