"""`cchat mcp`: a server of the Model Context Protocol on stdin and stdout, for any Claude Code.

It has the tools of the gateway and passes each call on to it (`/mcp`), with the token of whoever has started it. While
it runs, it is an instance of its own: it holds a stream of the gateway open, and what it sends is sent as that. Where
the gateway does not have it, it sends nothing: it would speak as the daemon, and the budgets of agents would not count
it. Files are read here, from the folder that it was started in, because the gateway may not see them.

Without a gateway it is another server (`mcp_direct.py`), which begins and stays without one.
"""

import asyncio
import base64
import json
import os
import random
import re
import signal
import socket as sockets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from mcp import types
from mcp.server.stdio import stdio_server

from aiagentchat.cli.exchange.console import Console, complain
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.logins import Login
from aiagentchat.cli.exchange.places import AtGateway, ByLogin, Way, find
from aiagentchat.cli.exchange.wire import Cut, NotConnected, Wire
from aiagentchat.core.backoff import delay
from aiagentchat.core.errors import NotOpened
from aiagentchat.core.meta import is_instance_name
from aiagentchat.exchange.filing import MIB, MOST_CAPTION, MOST_FILE
from aiagentchat.exchange.tool_fields import Field, Fields, WrongArgumentError, take
from aiagentchat.exchange.tools import MOST_ASK_SECONDS, Audience, Told, Where, fields_of, offered
from aiagentchat.gateway.mcp import INSTANCE_HEADER, PATH
from aiagentchat.gateway.mcp_protocol import server_of
from aiagentchat.process.beneath import Why, read_beneath
from aiagentchat.render import file_words

BY_PATH: Fields = {
    "path": Field(about="Path of a file in the working directory", required=True, most=4096),
    "caption": Field(about="A short sentence that is shown with it", most=MOST_CAPTION),
}
AUDIENCE = Audience(files=BY_PATH)
_SPEAKS = {name: tool.where is Where.WRITES for name, tool in offered(AUDIENCE).items()}
EVENTS = "/events"
ANSWER_SECONDS = MOST_ASK_SECONDS + 30.0
CONNECT_SECONDS = 10.0
REGISTER_SECONDS = 5.0
"""How long a call that speaks waits for our name to be known."""
SILENCE_SECONDS = 60.0
"""Without a sign of life for so long, the stream is taken for dead. The gateway gives one every 15 s."""
MOST_SHOWN = 500

_GONE = (
    "The gateway cannot be reached, and nothing was done. Does the daemon run (`aiagentchat run`), with its gateway "
    "enabled?"
)
_CUT = "The connection to the gateway ended before its answer: what you asked for may have been done. Look with `read`."
_NO_NAME = (
    "Nothing was sent: this session speaks under a name of its own, and the gateway does not have it. {why} What only "
    "reads works meanwhile; use this again to try again."
)
_AWAY = "It cannot be reached: does the daemon run (`aiagentchat run`), with its gateway enabled?"
_TRYING = "It has not answered yet."
_STRANGE = "The gateway answers with something that is no result."
_HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Where it is."""

    url: str = "http://localhost"
    socket: Path | None = None
    token: str = field(repr=False)


def name_here(folder: Path) -> str:
    """What a session in this folder is called: by the folder, the host, and a number, because there may be several."""
    words = re.sub(r"[^a-z0-9]+", "-", f"{folder.name}-{sockets.gethostname()}".lower()).strip("-")[:48].strip("-")
    return f"{words or 'session'}-{os.getpid()}"


class Bridge:
    """One session, and the way to the gateway."""

    def __init__(self, gateway: Gateway, *, name: str, folder: Path, http: aiohttp.ClientSession) -> None:
        self._gateway = gateway
        self._name = name
        self._folder = folder
        self._http = http
        self._tried = asyncio.Event()
        """Set while we know whether we are registered."""
        self._wanted = asyncio.Event()
        """Set when somebody does not want to wait for the next try."""
        self._is_registered = False
        self._why = _TRYING
        """Why we are not."""

    # --- the session

    async def stay(self) -> None:
        """Be an instance, for as long as this goes on and the gateway is there."""
        failures = 0
        while True:
            self._wanted.clear()
            self._why = _AWAY
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                if await self._listen():
                    failures = 0
            self._is_registered = False
            self._tried.set()
            failures += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(delay(failures, random.random)):
                    await self._wanted.wait()

    async def _listen(self) -> bool:
        """Returns at the end of the stream, and whether there was one."""
        patience = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        asked = self._http.get(
            f"{self._gateway.url}{EVENTS}",
            params={"instance": self._name},
            headers=self._authorization(),
            timeout=patience,
        )
        async with asked as answer:
            if answer.status != 200:
                self._why = _refused(answer.status, await answer.read())
                return False
            self._is_registered = True
            self._tried.set()
            async for _ in answer.content.iter_any():
                pass  # what is said is read with the tools; that the stream is open is all that counts
        return True

    # --- the tools

    async def call(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        """Use a tool. Never raises."""
        if name == "send_file":
            try:
                arguments = await asyncio.to_thread(self._with_content, arguments)
            except WrongArgumentError as error:
                return result(Told(str(error), failed=True))
        if _SPEAKS.get(name, False) and not await self._has_name():
            return result(Told(_NO_NAME.format(why=self._why), failed=True))
        try:
            return await self._pass_on(name, arguments)
        except aiohttp.ClientConnectorError:
            return result(Told(_GONE, failed=True))
        except (aiohttp.ClientError, TimeoutError, OSError):
            return result(Told(_CUT, failed=True))

    async def _has_name(self) -> bool:
        """Whether we are registered, or are so in a moment."""
        if not self._is_registered:
            self._tried.clear()
            self._wanted.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(REGISTER_SECONDS):
                    await self._tried.wait()
        return self._is_registered

    async def _pass_on(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": name, "arguments": dict(arguments)},
        }
        instance = {INSTANCE_HEADER: self._name} if self._is_registered else {}
        asked = self._http.post(
            f"{self._gateway.url}{PATH}",
            data=json.dumps(body).encode("utf-8", "replace"),
            headers={**_HEADERS, **self._authorization(), **instance},
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS),
        )
        async with asked as answer:
            data = await answer.read()
            return _read(answer.status, data)

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._gateway.token}"}

    def _with_content(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The file itself in place of its path. Raises WrongArgumentError."""
        given = take(fields_of(offered(AUDIENCE)["send_file"], AUDIENCE), arguments)
        name, data = read_here(self._folder, given.pop("path"))
        return {**given, "name": name, "content": base64.b64encode(data).decode("ascii")}


def read_here(folder: Path, path: str) -> tuple[str, bytes]:
    """The name of a file beneath the folder, and what is in it. Raises WrongArgumentError."""
    path = path.removeprefix(f"{folder}/").removeprefix("./")
    try:
        return Path(path).name, read_beneath(folder, path, MOST_FILE)
    except NotOpened as error:
        too_large = error.why == Why.SIZE
        told = file_words.too_large_to_send(MOST_FILE // MIB) if too_large else file_words.not_opened(path, error.why)
        raise WrongArgumentError(told) from None


def _read(status: int, data: bytes) -> types.CallToolResult:
    try:
        said = json.loads(data)
        if status == 200 and "result" in said:
            return types.CallToolResult.model_validate(said["result"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return result(Told(f"Refused by the gateway ({status}). {_STRANGE}", failed=True))
    return result(Told(_refused(status, data), failed=True))


def _refused(status: int, data: bytes) -> str:
    try:
        said = json.loads(data)
        why = str(said.get("detail") or said["error"]["message"])[:MOST_SHOWN]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        why = _STRANGE
    return f"Refused by the gateway ({status}). {why}"


def result(told: Told) -> types.CallToolResult:
    """As the protocol has it."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=told.text)], isError=told.failed)


async def bridge(gateway: Gateway, *, name: str, folder: Path) -> None:
    """Serve on stdin and stdout, until stdin ends."""
    if not is_instance_name(name):
        raise ValueError(f"{name} is no name of an instance")
    with _connector(gateway.socket) as connector:
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as group:
            here = Bridge(gateway, name=name, folder=folder, http=http)
            staying = group.create_task(here.stay(), name="session")
            server = server_of(AUDIENCE, here.call)
            async with stdio_server() as (reading, writing):
                await server.run(reading, writing, server.create_initialization_options())
            staying.cancel()


@contextmanager
def _connector(socket: Path | None) -> Iterator[aiohttp.BaseConnector | None]:
    if socket is None:
        yield None
        return
    # The kernel takes no long path for a socket, but one through its folder.
    folder = os.open(socket.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield aiohttp.UnixConnector(f"/proc/self/fd/{folder}/{socket.name}")
    finally:
        os.close(folder)


def serve(way: Way) -> int:
    """The command; its exit code."""
    # Whoever waits for a line of stdin hears of no Ctrl-C. There is nothing to tidy up: let it end the program.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        folder = _folder()
        found = find(way, os.environ, folder)
        login = login_of(found)
        if login is not None:
            from aiagentchat.cli.exchange.mcp_direct import directly

            asyncio.run(directly(login, folder))
        elif isinstance(found, AtGateway):
            asyncio.run(bridge(at_gateway(found), name=name_here(folder), folder=folder))
    except NotDone as error:
        return complain(error, Console())
    finally:
        signal.signal(signal.SIGINT, before)
    return Exit.DONE


def _folder() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise NotDone(
            f"the folder that this was started in cannot be used: {error.strerror}; start it in one that is there",
            Exit.USAGE,
        ) from None


def login_of(found: AtGateway | ByLogin) -> Login | None:
    """As whom this speaks without a gateway: where there is none, or one was only found and nobody listens there."""
    if isinstance(found, ByLogin):
        return found.login
    if found.otherwise is None:
        return None
    try:
        Wire(found.place, found.token).ask("GET", "/health")
    except NotConnected:
        return found.otherwise
    except Cut:
        pass  # somebody is there
    return None


def at_gateway(found: AtGateway) -> Gateway:
    """Where it is."""
    if found.place.url is None:
        return Gateway(socket=found.place.socket, token=found.token)
    return Gateway(url=found.place.url.geturl(), token=found.token)
