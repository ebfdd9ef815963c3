"""A gateway that has the tools of agents, and the stream by which a session is one; nothing else."""

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import EVERYTHING, Caller
from aiagentchat.core.ids import CallerName, InstanceName, RoomId
from aiagentchat.exchange.tools import Given, PutFile, Told
from aiagentchat.gateway.mcp import INSTANCE_HEADER, mount
from tests.fakes.exchange import FakeExchange

TOKEN = "the-token-of-this-test"
KITCHEN, SECRET = RoomId("!kitchen:example.org"), RoomId("!secret:example.org")
CALLER = Caller(name=CallerName("script"), scopes={KITCHEN: EVERYTHING})


class FakeGateway:
    """An app, and what it was asked."""

    def __init__(self, *, takes_files: bool = True) -> None:
        self.exchange = FakeExchange()
        self.exchange.room(KITCHEN, "kitchen")
        self.exchange.room(SECRET, "secret")
        self.files: list[tuple[RoomId, Given]] = []
        self.problem: tuple[int, bytes] | None = None
        """How a session is refused; None: it is not."""
        self.sessions: list[str] = []
        """Who is here."""
        self.changed = asyncio.Condition()
        """Told when somebody comes or leaves."""
        self.app = FastAPI(exception_handlers={ExchangeRefused: self._refused})
        self.app.router.add_route("/events", self._events)
        put: PutFile | None = self._put if takes_files else None
        mount(self.app, self.exchange, self._caller, now_ms=self.exchange.now_ms, put_file=put)

    async def until(self, sessions: int) -> None:
        """So many sessions are here."""
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(lambda: len(self.sessions) == sessions)

    async def _put(self, _: Caller, room: RoomId, given: Given) -> Told:
        self.files.append((room, given))
        return Told("The file is on its way.")

    def _caller(self, request: Request) -> Caller:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            raise ExchangeRefused("not_allowed", "The token is not good here.")
        name = request.headers.get(INSTANCE_HEADER)
        if name is None:
            return CALLER
        if name not in self.sessions:
            raise ExchangeRefused("not_allowed", "There is no such session.")
        return replace(CALLER, instance=InstanceName(name))

    async def _refused(self, _: Request, error: Exception) -> Response:
        return JSONResponse({"code": "not_allowed", "detail": str(error)}, status_code=403)

    async def _events(self, request: Request) -> Response:
        self._caller(request)
        if self.problem is not None:
            return Response(status_code=self.problem[0], content=self.problem[1])
        return StreamingResponse(self._stay(request.query_params["instance"]), media_type="text/event-stream")

    async def _stay(self, name: str) -> AsyncIterator[bytes]:
        await self._change(name, is_here=True)
        try:
            yield b"retry: 1000\n\n"
            await asyncio.Event().wait()
        finally:
            await self._change(name, is_here=False)

    async def _change(self, name: str, *, is_here: bool) -> None:
        self.sessions = [*self.sessions, name] if is_here else [each for each in self.sessions if each != name]
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def listening(gateway: FakeGateway, socket: Path) -> AsyncIterator[Path]:
    """It serves at a socket."""
    config = uvicorn.Config(gateway.app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, ws="none")
    server = uvicorn.Server(config)
    with sockets.socket(sockets.AF_UNIX) as listener:
        listener.bind(str(socket))
        listener.listen()  # who connects from now on is served
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([listener]))
            try:
                yield socket
            finally:
                server.should_exit = True
