"""The way into a room: the same promises from a real homeserver and from the one in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from aiagentchat.core.errors import LoginFailed, Refused, Unreachable
from aiagentchat.core.ids import EventId, RoomId, TxnId, UserId
from aiagentchat.core.parcels import MESSAGE, REACTION
from aiagentchat.core.ports import Outbound
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.outbound import MatrixOutbound
from aiagentchat.matrix.sync import MatrixHomeserver
from aiagentchat.render.message import edit, message, reaction
from rig import homeserver as rig
from rig.matrix_client import MatrixUser
from rig.people import People, people
from tests.fakes.outbound import FakeOutbound

HELLO = message("hello", notice=False)
TXN = TxnId("t1")
OTHER_TXN = TxnId("t2")


class World(Protocol):
    """Rooms, the way into them, and what one sees there."""

    @property
    def outbound(self) -> Outbound:
        """The way in."""
        ...

    async def room(self, *, joined: bool = True, invited: bool = False, encrypted: bool = False) -> RoomId:
        """A fresh room."""
        ...

    async def seen(self, room: RoomId) -> list[tuple[str, Mapping[str, Any]]]:
        """Type and content of everything of ours in the room."""
        ...

    async def typing(self, room: RoomId, on: bool) -> None:
        """Wait until the room shows that we type, or do not."""
        ...

    async def read(self, room: RoomId) -> tuple[EventId, Callable[[], object]]:
        """Somebody says something; the event, and where one sees up to which event we have read."""
        ...

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for what one sees."""
        ...

    def without_login(self) -> AbstractAsyncContextManager[Outbound]:
        """The way in of somebody whom the homeserver does not know (any more)."""
        ...

    def without_homeserver(self) -> AbstractAsyncContextManager[Outbound]:
        """The way in while the homeserver is down."""
        ...


class FakeWorld:
    """In memory."""

    def __init__(self) -> None:
        self.outbound = FakeOutbound()

    async def room(self, *, joined: bool = True, invited: bool = False, encrypted: bool = False) -> RoomId:
        name = RoomId(f"!room{len(self.outbound.rooms)}")
        return self.outbound.room(name, joined=joined, invited=invited, encrypted=encrypted)

    async def seen(self, room: RoomId) -> list[tuple[str, Mapping[str, Any]]]:
        return [(said.type, said.content) for said in self.outbound.said if said.room == room]

    async def typing(self, room: RoomId, on: bool) -> None:
        assert self.outbound.rooms[room].typing is on

    async def read(self, room: RoomId) -> tuple[EventId, Callable[[], object]]:
        return EventId("$theirs"), lambda: self.outbound.rooms[room].read

    async def until(self, condition: Callable[[], object]) -> None:
        await self.outbound.until(condition)

    @asynccontextmanager
    async def without_login(self) -> AsyncIterator[Outbound]:
        self.outbound.fail(LoginFailed("who?"))
        yield self.outbound

    @asynccontextmanager
    async def without_homeserver(self) -> AsyncIterator[Outbound]:
        self.outbound.fail(Unreachable("nobody answers"))
        yield self.outbound


class RealWorld:
    """A real homeserver, with one person."""

    def __init__(self, present: People, anna: MatrixUser, account: rig.Account, client: Client, folder: Path) -> None:
        self.outbound = MatrixOutbound(client)
        self._present = present
        self._anna = anna
        self._account = account
        self._client = client
        self._folder = folder

    async def room(self, *, joined: bool = True, invited: bool = False, encrypted: bool = False) -> RoomId:
        state = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
        guests = [self._account.user_id] * (joined or invited)
        room = RoomId(await self._anna.create_room(*guests, initial_state=[state] * encrypted))
        path = f"/_matrix/client/v3/join/{room}"
        if joined:
            server, token = self._present.homeserver, self._account.access_token
            await asyncio.to_thread(server.request, "POST", path, {}, token=token)
        return room

    async def seen(self, room: RoomId) -> list[tuple[str, Mapping[str, Any]]]:
        ours = [event for event in await self._anna.history(room) if event["sender"] == self._account.user_id]
        return [(event["type"], event["content"]) for event in ours if event["type"] != "m.room.member"]

    async def typing(self, room: RoomId, on: bool) -> None:
        await self._anna.until(lambda: (self._account.user_id in self._anna.typing(room)) is on)

    async def read(self, room: RoomId) -> tuple[EventId, Callable[[], object]]:
        event = EventId(await self._anna.send(room, "read me"))
        return event, lambda: self._anna.read_up_to(room, self._account.user_id)

    async def until(self, condition: Callable[[], object]) -> None:
        await self._anna.until(condition)

    async def sync(self) -> None:
        """Tell our client which rooms there are."""
        await MatrixHomeserver(self._client, UserId(self._account.user_id)).sync(None, timeout=1)

    @asynccontextmanager
    async def without_login(self) -> AsyncIterator[Outbound]:
        stranger = replace(self._account, access_token="revoked")
        async with _client(self._present.homeserver.url, stranger) as client:
            yield MatrixOutbound(client)

    @asynccontextmanager
    async def without_homeserver(self) -> AsyncIterator[Outbound]:
        down = rig.Homeserver(self._folder / "never started")
        async with _client(down.url, self._account) as client:
            yield MatrixOutbound(client)
        down.close()


@asynccontextmanager
async def _client(url: str, account: rig.Account) -> AsyncIterator[Client]:
    """A client that believes in the account's login."""
    client = Client(Account(homeserver=url, user=UserId(account.user_id), device_name="test"), _NoAccounts())
    client.nio.restore_login(account.user_id, account.device_id, account.access_token)
    try:
        yield client
    finally:
        await client.close()


class _NoAccounts:
    """Nothing is logged in here."""

    async def login(self, user: UserId) -> None:
        raise AssertionError(user)

    async def save_login(self, login: object) -> None:
        raise AssertionError(login)


@asynccontextmanager
async def _fake_world(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[World]:  # noqa: ARG001
    yield FakeWorld()


@asynccontextmanager
async def _real_world(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[RealWorld]:
    async with people(request.getfixturevalue("homeserver")) as present:
        account = present.account()
        anna = await present.person()
        async with _client(present.homeserver.url, account) as client:
            yield RealWorld(present, anna, account, client, folder)


REAL = pytest.param(_real_world, id="real", marks=pytest.mark.real)


@pytest.fixture(params=[pytest.param(_fake_world, id="fake"), REAL])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with request.param(request, tmp_path) as made:
        yield made


@pytest.fixture(params=[REAL])
async def real_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RealWorld]:
    async with request.param(request, tmp_path) as made:
        yield made


async def test_a_message_arrives_as_it_was_sent(world: World) -> None:
    room = await world.room()

    event = await world.outbound.send(room, MESSAGE, HELLO, TXN)

    assert event
    assert await world.seen(room) == [(MESSAGE, HELLO)]


async def test_the_same_transaction_again_is_answered_with_the_first_event(world: World) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)

    again = await world.outbound.send(room, MESSAGE, message("other words", notice=False), TXN)

    assert again == first
    assert await world.seen(room) == [(MESSAGE, HELLO)]


async def test_a_transaction_is_known_in_its_own_room_only(world: World) -> None:
    room, other = await world.room(), await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)

    assert await world.outbound.send(other, MESSAGE, HELLO, TXN) != first
    assert await world.seen(other) == [(MESSAGE, HELLO)]


async def test_an_edit_arrives_behind_its_message(world: World) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)
    second = edit(message("hello again", notice=True), first)

    await world.outbound.send(room, MESSAGE, second, OTHER_TXN)

    assert await world.seen(room) == [(MESSAGE, HELLO), (MESSAGE, second)]


async def test_a_reaction_arrives(world: World) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)

    await world.outbound.send(room, REACTION, reaction(first, "✅"), OTHER_TXN)

    assert await world.seen(room) == [(MESSAGE, HELLO), (REACTION, reaction(first, "✅"))]


async def test_the_same_reaction_twice_is_refused(world: World) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)
    await world.outbound.send(room, REACTION, reaction(first, "✅"), OTHER_TXN)

    with pytest.raises(Refused):
        await world.outbound.send(room, REACTION, reaction(first, "✅"), TxnId("t3"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({**HELLO, "body": "x" * 65_600}, id="an event that is too large"),
        pytest.param({**HELLO, "cost": 0.5}, id="a float"),
        pytest.param({**HELLO, "cost": [{"usd": 1.5}]}, id="a float far inside"),
    ],
)
async def test_what_no_room_can_hold_is_refused(world: World, content: dict[str, Any]) -> None:
    room = await world.room()

    with pytest.raises(Refused):
        await world.outbound.send(room, MESSAGE, content, TXN)
    assert await world.seen(room) == []


async def test_a_refused_transaction_can_be_used_again(world: World) -> None:
    room = await world.room()
    with pytest.raises(Refused):
        await world.outbound.send(room, MESSAGE, {**HELLO, "cost": 0.5}, TXN)

    await world.outbound.send(room, MESSAGE, HELLO, TXN)

    assert await world.seen(room) == [(MESSAGE, HELLO)]


async def test_a_room_that_nobody_knows_is_refused(world: World) -> None:
    with pytest.raises(Refused):
        await world.outbound.send(RoomId("!nowhere:localhost"), MESSAGE, HELLO, TXN)


@pytest.mark.parametrize("invited", [True, False])
async def test_a_room_that_we_are_not_in_is_refused(world: World, invited: bool) -> None:
    room = await world.room(joined=False, invited=invited)

    with pytest.raises(Refused):
        await world.outbound.send(room, MESSAGE, HELLO, TXN)


async def test_nothing_is_said_in_an_encrypted_room(world: World) -> None:
    room = await world.room(encrypted=True)

    with pytest.raises(Refused, match="encrypted"):
        await world.outbound.send(room, MESSAGE, HELLO, TXN)
    assert await world.seen(room) == []


async def test_we_enter_a_room_that_we_are_invited_to(world: World) -> None:
    room = await world.room(joined=False, invited=True)

    await world.outbound.join(room)

    await world.outbound.send(room, MESSAGE, HELLO, TXN)
    assert await world.seen(room) == [(MESSAGE, HELLO)]


async def test_entering_a_room_that_we_are_in_changes_nothing(world: World) -> None:
    room = await world.room()

    await world.outbound.join(room)

    assert await world.seen(room) == []


async def test_we_cannot_enter_where_nobody_invited_us(world: World) -> None:
    room = await world.room(joined=False)

    with pytest.raises(Refused):
        await world.outbound.join(room)


async def test_typing_shows_and_goes_away(world: World) -> None:
    room = await world.room()

    await world.outbound.typing(room, True)
    await world.typing(room, True)

    await world.outbound.typing(room, False)
    await world.typing(room, False)


async def test_what_we_read_shows_as_read(world: World) -> None:
    room = await world.room()
    event, read_up_to = await world.read(room)

    await world.outbound.read_receipt(room, event)

    await world.until(lambda: read_up_to() == event)


ASK: dict[str, Callable[[Outbound, RoomId], Any]] = {
    "send": lambda outbound, room: outbound.send(room, MESSAGE, HELLO, TXN),
    "typing": lambda outbound, room: outbound.typing(room, True),
    "read_receipt": lambda outbound, room: outbound.read_receipt(room, EventId("$event")),
    "join": lambda outbound, room: outbound.join(room),
}


@pytest.mark.parametrize("what", sorted(ASK))
async def test_somebody_who_is_not_logged_in_is_told_so(world: World, what: str) -> None:
    room = await world.room()

    async with asyncio.timeout(30), world.without_login() as outbound:
        with pytest.raises(LoginFailed):
            await ASK[what](outbound, room)
    assert await world.seen(room) == []


@pytest.mark.parametrize("what", sorted(ASK))
async def test_a_homeserver_that_is_down_is_unreachable(world: World, what: str) -> None:
    room = await world.room()

    async with asyncio.timeout(30), world.without_homeserver() as outbound:
        with pytest.raises(Unreachable):
            await ASK[what](outbound, room)
    assert await world.seen(room) == []


async def test_typing_in_a_room_that_we_are_not_in_is_refused(world: World) -> None:
    room = await world.room(joined=False)

    with pytest.raises(Refused):
        await world.outbound.typing(room, True)


# What only a real client can get wrong: it knows of rooms from its sync.


async def test_an_encrypted_room_is_refused_once_the_sync_has_told_of_it(real_world: RealWorld) -> None:
    room = await real_world.room(encrypted=True)
    await real_world.sync()

    with pytest.raises(Refused, match="encrypted"):
        await real_world.outbound.send(room, MESSAGE, HELLO, TXN)
    assert await real_world.seen(room) == []


async def test_a_message_arrives_once_the_sync_has_told_of_its_room(real_world: RealWorld) -> None:
    room = await real_world.room()
    await real_world.sync()

    await real_world.outbound.send(room, MESSAGE, HELLO, TXN)

    assert await real_world.seen(room) == [(MESSAGE, HELLO)]
