"""The Members port: who is in a room, and with what power, on a real homeserver and in the fake."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

from aiagentchat.app.clock import SystemClock
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.ports.access import Members
from aiagentchat.core.power import ABOVE_ALL
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.roster import Roster
from aiagentchat.matrix.sync import MatrixHomeserver
from rig.matrix_client import MatrixUser
from rig.people import People
from rig.people import people as invite_people
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.members import FakeMembers, powers

VERSIONS = ("11", "12")


class World(Protocol):
    """Anna's room, in which we are, and Bob, too."""

    members: Members
    anna: UserId
    bob: UserId
    room: RoomId

    async def kick_bob(self) -> None: ...

    async def let_bob_speak(self) -> None: ...

    async def empower_bob(self, level: int) -> None: ...

    async def hear(self) -> None: ...

    def forget(self) -> Members: ...


class FakeWorld:
    """As the fake has it."""

    def __init__(self, version: str) -> None:
        self.anna, self.bob, self.room = UserId("@anna:hs"), UserId("@bob:hs"), RoomId("!r:hs")
        self.members: Members
        self._fake = FakeMembers()
        self.members = self._fake
        self._version = version
        self._level = 0

    async def kick_bob(self) -> None:
        self._fake.gone.add((self.room, self.bob))

    async def let_bob_speak(self) -> None:
        pass

    async def empower_bob(self, level: int) -> None:
        self._level = level

    async def hear(self) -> None:
        listed = {self.bob: self._level} | ({self.anna: 100} if self._version == "11" else {})
        self._fake.states[self.room] = powers({"users": listed}, version=self._version, maker=self.anna)

    def forget(self) -> Members:
        fresh = FakeMembers()
        fresh.gone = self._fake.gone
        return fresh


class RealWorld:
    """As the roster has it, on a real homeserver."""

    def __init__(self, anna: MatrixUser, bob: MatrixUser, room: str, client: Client, me: UserId) -> None:
        self.anna, self.bob, self.room = UserId(anna.id), UserId(bob.id), RoomId(room)
        roster = Roster(client, SystemClock())
        self.members: Members = roster
        self._homeserver = MatrixHomeserver(client, me, hears=roster.hear)
        self._anna, self._bob, self._client = anna, bob, client
        self._since: str | None = None

    async def kick_bob(self) -> None:
        await self._anna.request("POST", f"/rooms/{self.room}/kick", {"user_id": self.bob})

    async def let_bob_speak(self) -> None:
        await self._bob.send(self.room, "hello")

    async def empower_bob(self, level: int) -> None:
        path = f"/rooms/{self.room}/state/m.room.power_levels/"
        content = await self._anna.request("GET", path)
        content["users"][self.bob] = level
        await self._anna.request("PUT", path, content)

    async def hear(self) -> None:
        self._since = (await self._homeserver.sync(self._since, timeout=1)).token

    def forget(self) -> Members:
        return Roster(self._client, SystemClock())


@asynccontextmanager
async def _fake_world(_: pytest.FixtureRequest, version: str) -> AsyncIterator[World]:
    yield FakeWorld(version)


@asynccontextmanager
async def _real_world(request: pytest.FixtureRequest, version: str) -> AsyncIterator[World]:
    async with invite_people(request.getfixturevalue("homeserver")) as present:
        account = present.account()
        anna, bob = await present.person(), await present.person("bob")
        room = await _room(present, anna, bob, account.user_id, version)
        url, me = present.homeserver.url, UserId(account.user_id)
        client = Client(Account(homeserver=url, user=me, device_name="test"), MemoryAccounts())
        client.nio.restore_login(account.user_id, account.device_id, account.access_token)
        try:
            await client.nio.join(room)
            yield RealWorld(anna, bob, room, client, me)
        finally:
            await client.close()


async def _room(present: People, anna: MatrixUser, bob: MatrixUser, me: str, version: str) -> str:
    room = await present.room(anna, bob, version=version)
    await anna.invite(room, me)
    return room


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(
    params=[
        pytest.param(_fake_world, id="fake"),
        pytest.param(_real_world, id="real", marks=pytest.mark.real),
    ]
)
async def world(request: pytest.FixtureRequest, version: str) -> AsyncIterator[World]:
    async with request.param(request, version) as made:
        yield made


async def test_whoever_is_in_the_room_is_known_by_a_sync_or_by_asking(world: World) -> None:
    assert await world.members.is_in(world.room, world.bob)

    await world.let_bob_speak()
    await world.hear()
    assert await world.members.is_in(world.room, world.bob)


async def test_whoever_was_kicked_is_out_by_a_sync_or_by_asking(world: World) -> None:
    await world.let_bob_speak()
    await world.hear()
    await world.kick_bob()
    await world.hear()

    assert not await world.members.is_in(world.room, world.bob)
    assert not await world.forget().is_in(world.room, world.bob)
    assert await world.members.is_in(world.room, world.anna)


async def test_power_is_not_known_before_the_first_sync(world: World) -> None:
    assert world.members.powers(world.room) is None


async def test_whoever_made_the_room_has_the_power_of_its_version(world: World, version: str) -> None:
    await world.hear()

    found = world.members.powers(world.room)
    assert found is not None
    assert found.of(world.anna) == (ABOVE_ALL if version == "12" else 100)
    assert found.of(world.bob) == 0


async def test_power_changes_with_the_next_sync(world: World) -> None:
    await world.hear()
    await world.empower_bob(42)
    await world.hear()
    higher = world.members.powers(world.room)
    await world.empower_bob(7)
    await world.hear()
    lower = world.members.powers(world.room)

    assert higher is not None
    assert lower is not None
    assert (higher.of(world.bob), lower.of(world.bob)) == (42, 7)
