"""What callers ask, wired as the daemon wires it: one who reads, one directory, a gateway in front of both."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiagentchat.app import exchange as exchanging
from aiagentchat.app.clock import SystemClock
from aiagentchat.app.live import Live
from aiagentchat.app.metrics import Gauged
from aiagentchat.app.registry import own_instance
from aiagentchat.config.schema import Gateway as Section
from aiagentchat.core.heard import heard
from aiagentchat.core.ids import InstanceName, RoomId
from aiagentchat.core.instances import TAKEN_BACK, state_key
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.messages import Incoming
from aiagentchat.gateway.service import SOCKET
from aiagentchat.gateway.tokens import FOLDER, OPERATOR
from aiagentchat.matrix.client import Account, Client
from aiagentchat.observability.metrics import Meters
from aiagentchat.registry import presence as presence_module
from aiagentchat.registry.book import Book
from aiagentchat.registry.presence import Presence
from aiagentchat.route.bot_commands.spec import Health
from aiagentchat.store.bell import EventBell
from aiagentchat.store.ledger import Ledger
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.changes import Changes
from tests.fakes.homeserver import FakeHomeserver
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.people import typed
from tests.fakes.registry_room import FakeRegistryRoom
from tests.unit.test_app_connect import ME, live_in

PATIENCE = 30.0
ROOM = RoomId("!a:hs")
SECRET = "swordfish-of-this-test"
RINGS_NOBODY = "@\u2060bob:example.org"


class WatchedRoom(FakeRegistryRoom):
    """A registry room that tells when something was put there."""

    def __init__(self) -> None:
        super().__init__(ME, SystemClock())
        self._changes = Changes()

    async def put(self, key: str, content: Mapping[str, Any]) -> None:
        """As the port."""
        await super().put(key, content)
        self._changes.tell()

    async def until(self, key: str, *, is_there: bool) -> None:
        """Wait until the room says of `key` that it is there, or that it has gone."""
        await self._changes.until(lambda: key in self.state and (self.state[key][1] != TAKEN_BACK) == is_there)


class Office:
    """The gateway of a daemon that hears and sends nothing."""

    def __init__(self, live: Live, ledger: Ledger, client: Client) -> None:
        clock, bell = SystemClock(), EventBell()
        own = own_instance(live, ME)
        self.ledger = ledger
        self.room = WatchedRoom()
        self.book = Book(own, clock, bell)
        self.presence = Presence(self.room, self.book, own, clock=clock, bell=bell, random=lambda: 0.5)
        self.folder = live.settings.data_dir / FOLDER
        gauged = Gauged(
            meters=Meters(),
            settings=live.current,
            ledger=ledger,
            directory=self.book,
            warm=lambda: 0,
            isolation=Isolation.STRICT,
            clock=clock,
        )
        around = exchanging.Around(
            live=live,
            ledger=ledger,
            client=client,
            homeserver=FakeHomeserver(ME),
            directory=self.book,
            health=_health,
            gauged=gauged,
            agents=_agents,
            clock=clock,
        )
        _, made = exchanging.exchange(around, Isolation.STRICT)
        assert made is not None
        self.gateway = made

    async def hear(self, *events: Incoming) -> None:
        """A sync tells this."""
        await self.ledger.inbox.take_in("t", [], 1, heard(events, lambda *_: True))

    def http(self) -> aiohttp.ClientSession:
        """The operator, at the socket."""
        token = (self.folder / OPERATOR).read_text(encoding="ascii").strip()
        return aiohttp.ClientSession(
            "http://gateway",
            connector=aiohttp.UnixConnector(str(self.folder / SOCKET)),
            headers={"Authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
        )


async def _health() -> Health:
    return Health()


async def _agents() -> dict[str, bool]:
    return {}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as made:
        yield made


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Office]:
    live = live_in(folder, {"ANTHROPIC_API_KEY": SECRET})
    live.settings = replace(live.settings, gateway=Section(port=0))
    live.settings.data_dir.mkdir(exist_ok=True)
    client = Client(Account(homeserver="http://127.0.0.1:1", user=ME, device_name="test"), MemoryAccounts())
    try:
        async with fresh_ledger(folder / "ledger.db") as ledger:
            made = Office(live, ledger, client)
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                serving = [group.create_task(made.gateway.run()), group.create_task(made.presence.run())]
                await made.gateway.opened.wait()
                try:
                    yield made
                finally:
                    for task in serving:
                        task.cancel()
    finally:
        await client.close()


async def events_of(answer: aiohttp.ClientResponse, most: int) -> list[dict[str, Any]]:
    """What the next events of a stream tell."""
    found: list[dict[str, Any]] = []
    while len(found) < most:
        line = (await answer.content.readline()).decode()
        assert line
        if line.startswith("data: "):
            found.append(json.loads(line.removeprefix("data: ")))
    return found


async def test_what_streams_and_what_is_read_is_the_same_and_shows_no_secret(office: Office) -> None:
    await office.hear(
        typed(f"the key is {SECRET}", room=ROOM),
        typed("another is sk-ant-api03-" + "a1B2" * 20, room=ROOM),
        typed(f"ask {RINGS_NOBODY}", room=ROOM, by_agent=True),
    )
    async with office.http() as http:
        async with http.get(f"/read?room={ROOM}") as answer:
            read = (await answer.json())["messages"]
        async with http.get("/events", headers={"Last-Event-ID": "0"}) as stream:
            streamed = await events_of(stream, 3)

    assert streamed == read
    bodies = [said["body"] for said in streamed]
    assert bodies[0] == "the key is [redacted: ANTHROPIC_API_KEY]"
    assert "a1B2" not in bodies[1]
    assert bodies[2] == "ask @bob:example.org"


async def test_a_session_of_the_gateway_is_in_the_registry_for_as_long_as_its_stream_is_open(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_module, "SESSION_SECONDS", 0.0)
    name = InstanceName("annas-laptop")
    key = state_key(ME, name)
    async with office.http() as http:
        async with http.get("/events", params={"instance": name}) as stream:
            assert stream.status == 200
            await office.room.until(key, is_there=True)
            async with http.get("/who") as answer:
                here = {each["name"]: each["kind"] for each in (await answer.json())["instances"]}
            said = {"room": ROOM, "body": "Hello.", "instance": name}
            async with http.post("/send", json=said) as answer:
                sent = await answer.json()
        await office.room.until(key, is_there=False)

    assert here[name] == "session"
    assert sent["instance"] == name
    assert name not in {entry.name for entry, _ in office.book.entries()}
