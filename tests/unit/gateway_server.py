"""The gateway as it serves, on a socket and a port of its own, with a fake exchange behind it."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from aiagentchat.app.clock import SystemClock
from aiagentchat.config.schema import Gateway as Section
from aiagentchat.core.errors import Refused
from aiagentchat.core.ids import RoomId
from aiagentchat.core.rooms import RoomWish
from aiagentchat.gateway.service import SOCKET, Gateway, Parts
from aiagentchat.gateway.tokens import FOLDER, OPERATOR, PORT
from aiagentchat.gateway.vitals import Vitals
from aiagentchat.observability.metrics import Levels, Meters
from tests.contract.store_fixtures import OTHER_ROOM, ROOM
from tests.fakes.exchange import US, FakeExchange
from tests.unit.execute_house import make_settings
from tests.unit.gateway_stage import FakeDirectory, FakeFeed, FakeLogins

PATIENCE = 20.0


class HurriedClock(SystemClock):
    """Whoever waits for something has waited long enough at once."""

    def monotonic(self) -> float:
        """A minute later each time."""
        self._minutes = getattr(self, "_minutes", 0) + 1
        return self._minutes * 60.0


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway that serves."""

    folder: Path
    port: int
    exchange: FakeExchange
    feed: FakeFeed
    gateway: Gateway
    told: list[tuple[str, str]]

    @property
    def url(self) -> str:
        """Of the port."""
        return f"http://127.0.0.1:{self.port}"

    def token(self, name: str = PORT) -> str:
        """What is in a file."""
        return (self.folder / name).read_text(encoding="ascii").strip()

    def session(self, *, at_socket: bool = False, token: str | None = None) -> aiohttp.ClientSession:
        """Asks at the port, or at the socket."""
        given = token if token is not None else self.token(OPERATOR if at_socket else PORT)
        return aiohttp.ClientSession(
            "http://gateway" if at_socket else self.url,
            connector=aiohttp.UnixConnector(str(self.folder / SOCKET)) if at_socket else None,
            headers={"Authorization": f"Bearer {given}"},
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
        )

    async def ask(
        self, method: str, path: str, said: object = None, *, at_socket: bool = False
    ) -> tuple[int, dict[str, object]]:
        """One request, on a connection of its own: status and JSON."""
        async with (
            self.session(at_socket=at_socket) as session,
            session.request(method, path, json=said) as answer,
        ):
            return answer.status, await answer.json(content_type=None)


def gateway_on(folder: Path, port: int) -> Served:
    """One that does not serve yet."""
    (folder / "data").mkdir()
    settings = replace(make_settings(folder, ROOM, OTHER_ROOM), gateway=Section(port=port))
    exchange = FakeExchange()
    exchange.room(ROOM, "a")
    exchange.room(OTHER_ROOM, "b")
    feed, told = FakeFeed(exchange), list[tuple[str, str]]()

    async def vitals() -> Vitals:
        return Vitals(version="1", user=US.user, instance=US.instance, sync_age=1.0)

    async def agents() -> Mapping[str, bool]:
        return {}

    async def levels(_: Vitals) -> Levels:
        return {}

    async def make_room(_: RoomWish) -> RoomId:
        return RoomId("!made:example.org")

    async def by_alias(alias: str) -> RoomId:
        raise Refused(alias, status=404, errcode="M_NOT_FOUND")

    gateway = Gateway(
        Parts(
            exchange=exchange,
            feed=feed,
            directory=FakeDirectory(),
            logins=FakeLogins(),
            vitals=vitals,
            agents=agents,
            levels=levels,
            meters=Meters(),
            make_room=make_room,
            by_alias=by_alias,
            settings=lambda: settings,
            told=lambda name, value: told.append((name, value)),
            clock=HurriedClock(),
        )
    )
    return Served(settings.data_dir / FOLDER, port, exchange, feed, gateway, told)


@asynccontextmanager
async def serving(folder: Path, *, port: int | None = None) -> AsyncIterator[Served]:
    """One that serves in this loop, and has ended afterwards."""
    made = gateway_on(folder, free_port() if port is None else port)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        task = group.create_task(made.gateway.run())
        await made.gateway.opened.wait()
        try:
            yield made
        finally:
            task.cancel()


@contextmanager
def serving_beside(folder: Path) -> Iterator[Served]:
    """One that serves in a thread of its own, for who asks without a loop."""
    made, ready = gateway_on(folder, free_port()), threading.Event()
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        ends.append((asyncio.get_running_loop(), stop))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(made.gateway.run())
            await made.gateway.opened.wait()
            ready.set()
            await stop.wait()
            task.cancel()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield made
    finally:
        loop, stop = ends[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
