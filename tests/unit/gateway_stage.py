"""The gateway's app behind its doors, on fakes, asked without a network."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message

from aiagentchat.config.schema import Gateway, GatewayCaller
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import ExchangeRefused, MatrixError, Refused
from aiagentchat.core.exchange import Happened
from aiagentchat.core.ids import InstanceName, RoomId, UserId
from aiagentchat.core.instances import Instance, InstanceKind
from aiagentchat.core.meta import Address
from aiagentchat.core.ports.clock import Bell
from aiagentchat.core.ports.gateway import GivenToken
from aiagentchat.core.rooms import RoomWish
from aiagentchat.gateway.app import create_app
from aiagentchat.gateway.callers import Callers
from aiagentchat.gateway.door import Door, Place, Traffic
from aiagentchat.gateway.feed import Sessions, Streams
from aiagentchat.gateway.front import Front
from aiagentchat.gateway.tokens import OPERATOR, PORT, Tokens, caller_file
from aiagentchat.gateway.vitals import Vitals
from aiagentchat.observability.metrics import Levels, Meters
from aiagentchat.store.bell import EventBell
from tests.contract.store_fixtures import OTHER_ROOM, ROOM
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.exchange import US, FakeExchange
from tests.unit.execute_house import make_settings

NUMBER = 8870
HOST = f"127.0.0.1:{NUMBER}"
USER = 1000
JSON = "application/json"


class FakeLogins:
    """The GatewayTokens port in memory."""

    def __init__(self) -> None:
        self.given: list[GivenToken] = []

    async def give(self, token: GivenToken) -> None:
        """Keep it."""
        self.given = [each for each in self.given if each.expires_at > token.created_at] + [token]

    async def valid(self, now: int) -> list[GivenToken]:
        """Those that have not expired."""
        return [each for each in self.given if each.expires_at > now]


class FakeDirectory:
    """The Directory port: this daemon, and the sessions that were registered."""

    def __init__(self, own: Address = US) -> None:
        self.own = own
        self.sessions: dict[InstanceName, Instance] = {}

    def now(self) -> int:
        """By the homeserver's clock."""
        return START_MS

    def entries(self) -> Sequence[tuple[Instance, bool]]:
        """All that are here."""
        own = Instance(
            user=self.own.user, name=self.own.instance or InstanceName("x"), kind=InstanceKind.DAEMON, host="h"
        )
        return [(own, True), *((each, True) for each in self.sessions.values())]

    def find(self, address: Address) -> tuple[Instance, bool] | None:
        """Who has the address."""
        return next(
            (
                each
                for each in self.entries()
                if each[0].user == address.user and address.instance in (None, each[0].name)
            ),
            None,
        )

    def register_session(
        self, name: InstanceName, *, rooms: Sequence[str] = (), skills: Sequence[str] = ()
    ) -> Instance:
        """Somebody speaks as `name`."""
        if name in self.sessions:
            raise ExchangeRefused("conflict", "There is one of this name.")
        entry = Instance(
            user=self.own.user,
            name=name,
            kind=InstanceKind.SESSION,
            host="h",
            rooms=tuple(rooms),
            skills=tuple(skills),
        )
        self.sessions[name] = entry
        return entry

    def remove_session(self, name: InstanceName) -> None:
        """They have gone."""
        self.sessions.pop(name, None)


class _Bell(EventBell):
    def __init__(self, feed: "FakeFeed") -> None:
        super().__init__()
        self._feed = feed

    async def wait(self, timeout: float) -> bool:
        self._feed.on_quiet()
        return await super().wait(timeout)


class FakeFeed:
    """The history of a fake exchange."""

    def __init__(self, exchange: FakeExchange) -> None:
        self._exchange = exchange
        self._edits: dict[int, int] = {}
        self.bells: list[EventBell] = []
        self.on_quiet: Callable[[], None] = lambda: None
        """Called when somebody begins to wait for news."""

    def listen(self) -> Bell:
        """A bell."""
        self.bells.append(_Bell(self))
        return self.bells[-1]

    async def newest(self) -> int:
        """The last place."""
        said = (each.position for room in self._exchange.known.values() for each in room.said)
        return max([*said, *self._edits.values()], default=0)

    async def after(self, place: int, rooms: Collection[RoomId], limit: int) -> Sequence[Happened]:
        """What stands behind it."""
        said = {each.position: each for room in rooms for each in self._exchange.known[room].said}
        places = [(position, position) for position in said]
        places += [(edit, position) for position, edit in self._edits.items() if position in said]
        return [Happened(place=at, said=said[position]) for at, position in sorted(places) if at > place][:limit]

    async def edit(self, room: RoomId, position: int, body: str) -> None:
        """What was said there reads so now."""
        said = self._exchange.known[room].said
        [index] = [index for index, each in enumerate(said) if each.position == position]
        said[index] = replace(said[index], body=body)
        self._edits[position] = await self.newest() + 1

    def ring(self) -> None:
        """Something was said."""
        for bell in self.bells:
            bell.ring()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """As JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a problem."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return str(self.json["code"])


@dataclass(slots=True)
class Stage:
    """The gateway."""

    folder: Path
    settings: Settings
    exchange: FakeExchange
    feed: FakeFeed
    directory: FakeDirectory
    logins: FakeLogins
    clock: FakeClock
    traffic: Traffic
    callers: Callers
    front: Front
    port: ASGIApp
    socket: ASGIApp
    vitals: Vitals = field(
        default_factory=lambda: Vitals(version="1", user=US.user, instance=US.instance, sync_age=1.0)
    )
    agents_hang: bool = False
    """Whether their programs do not answer."""
    wished: list[RoomWish] = field(default_factory=list)
    no_room: MatrixError | None = None
    aliases: dict[str, RoomId] = field(default_factory=dict)
    """Those that the homeserver knows."""
    no_alias: MatrixError | None = None
    alias_hangs: bool = False
    """Whether it does not answer."""
    looked_up: list[str] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    def token(self, name: str) -> str:
        """What is in a file."""
        return (self.folder / name).read_text(encoding="ascii").strip()

    async def ask(
        self,
        method: str,
        target: str,
        said: object = None,
        *,
        token: str | None = PORT,
        at_socket: bool = False,
        headers: Sequence[tuple[str, str]] = (),
        peer: int | None = USER,
        body: bytes | None = None,
    ) -> Answer:
        """One request. `token`: a file, or what it has. `headers` replace those of their names."""
        path, _, query = target.partition("?")
        data = body if body is not None else (b"" if said is None else json.dumps(said).encode())
        given = [("host", HOST)]
        if data:
            given += [("content-type", JSON), ("content-length", str(len(data)))]
        if token is not None:
            is_file = (self.folder / token).is_file()
            given.append(("authorization", f"Bearer {self.token(token) if is_file else token}"))
        names = {name for name, _ in headers}
        given = [pair for pair in given if pair[0] not in names] + [pair for pair in headers if pair[1] != ""]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given],
            "client": None,
            "server": None,
            "state": {"peer": peer if at_socket else None},
        }
        return await call(self.socket if at_socket else self.port, scope, data)


async def call(app: ASGIApp, scope: dict[str, Any], data: bytes) -> Answer:
    """Ask the app, and wait for all of its answer."""
    sent: list[Message] = []
    given = [{"type": "http.request", "body": data, "more_body": False}]

    async def receive() -> Message:
        if not given:
            await asyncio.Event().wait()  # whoever asks stays until the end
        return given.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    return Answer(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]),
    )


Change = Callable[[Settings], Settings]


async def make_stage(folder: Path, *, change: Change = lambda same: same) -> Stage:
    """A gateway with two rooms, `a` and `b`, and the callers `reader`, of the first, and `bot`, of both."""
    callers_said = {
        "reader": GatewayCaller.model_validate({"read": ["a"]}),
        "bot": GatewayCaller.model_validate({"read": ["*"], "send": ["*"], "run": ["b"]}),
    }
    settings = change(replace(make_settings(folder, ROOM, OTHER_ROOM), gateway=Gateway(callers=callers_said)))
    exchange, clock, traffic, logins = FakeExchange(), FakeClock(), Traffic(), FakeLogins()
    exchange.now_ms = clock.now_ms
    exchange.room(ROOM, "a")
    exchange.room(OTHER_ROOM, "b")
    feed, directory = FakeFeed(exchange), FakeDirectory()
    told: list[tuple[str, str]] = []
    tokens = Tokens(
        folder / "gateway",
        [OPERATOR, PORT, *map(caller_file, callers_said)],
        told=lambda name, value: told.append((name, value)),
    )
    tokens.prepare()
    callers = Callers(
        tokens=tokens,
        logins=logins,
        settings=lambda: stage.settings,
        told=lambda name, value: told.append((name, value)),
        clock=clock,
    )
    await callers.prepare()

    async def vitals() -> Vitals:
        return replace(stage.vitals, agents={})

    async def agents() -> Mapping[str, bool]:
        if stage.agents_hang:
            await asyncio.Event().wait()
        return stage.vitals.agents

    async def levels(_: Vitals) -> Levels:
        return {"parcels_waiting": 7}

    async def make_room(wish: RoomWish) -> RoomId:
        if stage.no_room is not None:
            raise stage.no_room
        stage.wished.append(wish)
        return RoomId("!made:example.org")

    async def by_alias(alias: str) -> RoomId:
        stage.looked_up.append(alias)
        if stage.alias_hangs:
            await asyncio.Event().wait()
        if stage.no_alias is not None:
            raise stage.no_alias
        if alias not in stage.aliases:
            raise Refused(alias, status=404, errcode="M_NOT_FOUND")
        return stage.aliases[alias]

    front = Front(
        exchange=exchange,
        callers=callers,
        streams=Streams(feed),
        sessions=Sessions(directory),
        vitals=vitals,
        agents=agents,
        levels=levels,
        meters=Meters(),
        make_room=make_room,
        by_alias=by_alias,
        clock=clock,
        traffic=traffic,
    )
    app = create_app(front)
    stage = Stage(
        folder=folder / "gateway",
        settings=settings,
        exchange=exchange,
        feed=feed,
        directory=directory,
        logins=logins,
        clock=clock,
        traffic=traffic,
        callers=callers,
        front=front,
        port=Door(app, place=Place(port=NUMBER), callers=callers, traffic=traffic),
        socket=Door(app, place=Place(user=USER), callers=callers, traffic=traffic),
        told=told,
    )
    return stage


Asked = Callable[..., Awaitable[Answer]]
ALICE = UserId("@alice:example.org")
