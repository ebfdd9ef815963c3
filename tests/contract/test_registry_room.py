"""The registry room: the same promises from a real homeserver and from the one in memory, in rooms of both kinds.

With delayed events and without: Synapse has them where `max_event_delay_duration` says so, and by default it does not.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

from aiagentchat.core.errors import Refused
from aiagentchat.core.ids import DelayId, InstanceName, RoomId, UserId
from aiagentchat.core.instances import INSTANCE, Heard, Instance, InstanceKind, state_key, written
from aiagentchat.core.ports.registry import RegistryRoom
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.instances import MatrixRegistryRoom
from aiagentchat.matrix.sync import MatrixHomeserver
from rig.homeserver import Homeserver
from rig.matrix_client import MatrixUser
from rig.people import People, people
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.clock import FakeClock
from tests.fakes.registry_room import FakeRegistryRoom

SOON = 0.4
"""Seconds after which something happens by itself that a test waits for."""
LATE = 3600.0
"""So late that no test sees it."""
TRIES = 60


class World(Protocol):
    """A registry room of Anna's, into which we are invited and where we may write."""

    me: UserId
    anna: UserId
    room: RegistryRoom
    offers_delays: bool

    async def hear(self) -> Heard:
        """What has come since we last asked."""
        ...

    async def say(self, key: str, content: dict[str, object]) -> None:
        """Anna puts something there."""
        ...

    async def pass_(self, seconds: float) -> None:
        """Time passes, if it does not pass by itself."""
        ...

    async def close_door(self) -> None:
        """We are put out, and may not come back."""
        ...

    async def take_power(self) -> None:
        """We may not write there any more."""
        ...


class FakeWorld:
    """In memory."""

    me, anna = UserId("@claude:hs"), UserId("@anna:hs")
    room: RegistryRoom

    def __init__(self, *, delays: bool) -> None:
        self._clock = FakeClock()
        self._fake = FakeRegistryRoom(self.me, self._clock)
        self._fake.people.add(self.anna)
        self._fake.offers_delays = self.offers_delays = delays
        self.room = self._fake

    async def hear(self) -> Heard:
        return self._fake.news()

    async def say(self, key: str, content: dict[str, object]) -> None:
        self._fake.say(self.anna, key, content)

    async def pass_(self, seconds: float) -> None:
        self._clock.advance(seconds)

    async def close_door(self) -> None:
        self._fake.people.discard(self.me)
        self._fake.is_open = False

    async def take_power(self) -> None:
        self._fake.may_write = False


class RealWorld:
    """A real homeserver."""

    room: RegistryRoom

    def __init__(self, anna: MatrixUser, client: Client, room: str, *, delays: bool) -> None:
        self.me, self.anna = UserId(str(client.nio.user_id)), UserId(anna.id)
        self.offers_delays = delays
        self.room = MatrixRegistryRoom(client, RoomId(room))
        self._played = anna
        self._id = room
        self._since: str | None = None
        self._sync = MatrixHomeserver(client, self.me, registry=RoomId(room))

    async def hear(self) -> Heard:
        batch = await self._sync.sync(self._since, timeout=0.2)
        self._since = batch.token
        return batch.instances

    async def say(self, key: str, content: dict[str, object]) -> None:
        await self._played.request("PUT", f"/rooms/{self._id}/state/{INSTANCE}/{key.replace('/', '%2F')}", content)

    async def pass_(self, seconds: float) -> None:
        """It does by itself."""

    async def close_door(self) -> None:
        await self._played.request("POST", f"/rooms/{self._id}/ban", {"user_id": self.me})

    async def take_power(self) -> None:
        levels = await self._played.request("GET", f"/rooms/{self._id}/state/m.room.power_levels")
        levels["events"][INSTANCE] = 50
        await self._played.request("PUT", f"/rooms/{self._id}/state/m.room.power_levels", levels)


@asynccontextmanager
async def real_world(server: Homeserver, version: str, *, delays: bool) -> AsyncIterator[RealWorld]:
    """A room of Anna's in which everybody may register."""
    async with people(server) as present:
        anna, account = await present.person(), present.account()
        levels = {"events": {INSTANCE: 0}}
        room = await anna.create_room(account.user_id, version=version, power_level_content_override=levels)
        client = logged_in(present, account.user_id, account.access_token)
        try:
            yield RealWorld(anna, client, room, delays=delays)
        finally:
            await client.close()


def logged_in(present: People, user: str, token: str) -> Client:
    """A client of the account."""
    known = Account(homeserver=present.homeserver.url, user=UserId(user), device_name="test")
    client = Client(known, MemoryAccounts())
    client.nio.restore_login(user, "DEVICE", token)
    return client


REAL, LONG = pytest.mark.real, pytest.mark.long
DELAYED = [
    pytest.param(("fake", "", True), id="fake, delayed"),
    pytest.param(("real", "12", True), id="v12, delayed", marks=REAL),
    pytest.param(("real", "11", True), id="v11, delayed", marks=[REAL, LONG]),
]
NOT_DELAYED = [
    pytest.param(("fake", "", False), id="fake"),
    pytest.param(("real", "11", False), id="v11", marks=REAL),
    pytest.param(("real", "12", False), id="v12", marks=[REAL, LONG]),
]


@pytest.fixture(params=[*DELAYED, *NOT_DELAYED])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    kind, version, delays = request.param
    if kind == "fake":
        yield FakeWorld(delays=delays)
        return
    server: Homeserver = request.getfixturevalue("patient" if delays else "homeserver")
    async with real_world(server, version, delays=delays) as made:
        yield made


def entry(world: World, name: str = "here", status: str = "online") -> Instance:
    return Instance(
        user=world.me, name=InstanceName(name), kind=InstanceKind.DAEMON, host="h", rooms=("!r",), status=status
    )


def key_of(entry: Instance) -> str:
    return state_key(entry.user, entry.name)


async def heard(world: World, key: str) -> list[tuple[UserId, str | None]]:
    """Who has said what at `key`, once something has come: the status, or nothing."""
    for _ in range(TRIES):
        news = await world.hear()
        if said := [(told.by, told.entry.status if told.entry else None) for told in news.told if told.key == key]:
            return said
        await world.pass_(SOON)
    raise AssertionError(f"nothing came to {key}")


async def test_an_entry_is_heard_by_its_sender_and_time_and_the_same_again_is_no_event(world: World) -> None:
    here = entry(world)
    await world.room.join()
    await world.hear()
    await world.room.put(key_of(here), written(here))
    [told] = (await world.hear()).told
    await world.room.put(key_of(here), written(here))
    again = await world.hear()

    assert (told.by, told.why, told.is_forged) == (world.me, "", False)
    assert told.entry is not None
    assert told.entry.seen_at > 1_600_000_000_000
    assert (told.entry.rooms, told.entry.timed) == (("!r",), True)
    assert again.told == ()


async def test_an_account_has_as_many_entries_as_it_has_instances_and_takes_each_back(world: World) -> None:
    one, two = entry(world), entry(world, "two")
    await world.room.join()
    await world.room.put(key_of(one), written(one))
    await world.room.put(key_of(two), written(two))
    both = {told.key: told.entry is not None for told in (await world.hear()).told}
    await world.room.put(key_of(one), {})

    assert both == {key_of(one): True, key_of(two): True}
    assert await heard(world, key_of(one)) == [(world.me, None)]


async def test_what_somebody_else_writes_over_an_entry_is_seen_to_be_theirs(world: World) -> None:
    here = entry(world)
    await world.room.join()
    await world.room.put(key_of(here), written(here))
    await world.hear()
    await world.say(key_of(here), written(entry(world, status="offline")))

    [told] = (await world.hear()).told
    assert (told.by, told.entry, told.why) == (world.anna, None, "not_its_sender")


async def test_who_is_in_the_room_is_told(world: World) -> None:
    await world.room.join()

    assert await world.room.members() == {world.me, world.anna}


async def test_who_may_not_come_in_is_refused(world: World) -> None:
    await world.room.join()
    await world.close_door()

    with pytest.raises(Refused):
        await world.room.join()
    with pytest.raises(Refused):
        await world.room.put(key_of(entry(world)), {})


async def test_who_may_not_write_is_refused(world: World) -> None:
    await world.room.join()
    await world.take_power()

    with pytest.raises(Refused):
        await world.room.put(key_of(entry(world)), written(entry(world)))


async def test_a_homeserver_says_whether_it_says_things_later(world: World) -> None:
    await world.room.join()

    assert await world.room.may_delay(LATE) is world.offers_delays
    assert (await world.room.put_later("_x", {}, seconds=LATE) is not None) is world.offers_delays
    assert (await world.hear()).told == ()


async def test_there_is_nothing_to_put_off_that_was_never_laid_there(world: World) -> None:
    await world.room.join()

    assert await world.room.postpone(DelayId("nothing")) is False
    await world.room.cancel(DelayId("nothing"))


# ── with delayed events ───────────────────────────────────────────────────────────────────────────────────────────


with_delays = pytest.mark.parametrize("world", DELAYED, indirect=True)


@with_delays
async def test_what_lies_ready_happens_by_itself_and_then_there_is_no_more_of_it(world: World) -> None:
    here = entry(world)
    await world.room.join()
    await world.room.put(key_of(here), written(here))
    await world.hear()
    gone = written(entry(world, status="offline"))
    delay = await world.room.put_later(key_of(here), gone, seconds=SOON)

    assert delay is not None
    assert await heard(world, key_of(here)) == [(world.me, "offline")]
    assert await world.room.postpone(delay) is False
    assert await world.room.pending(key_of(here)) == []


@with_delays
async def test_what_is_put_off_or_taken_away_does_not_happen(world: World) -> None:
    here = entry(world)
    await world.room.join()
    delay = await world.room.put_later(key_of(here), {}, seconds=LATE)
    other = await world.room.put_later("_other", {}, seconds=LATE)
    assert delay is not None
    assert other is not None

    assert await world.room.postpone(delay) is True
    assert await world.room.pending(key_of(here)) == [delay]
    await world.room.cancel(delay)
    assert await world.room.pending(key_of(here)) == []
    assert await world.room.pending("_other") == [other]


@with_delays
async def test_what_somebody_else_writes_takes_what_lies_there_away(world: World) -> None:
    here = entry(world)
    await world.room.join()
    delay = await world.room.put_later(key_of(here), {}, seconds=LATE)
    assert delay is not None
    await world.say(key_of(here), {"version": 1})

    for _ in range(TRIES):  # it is noticed a moment later
        if not await world.room.postpone(delay):
            break
        await world.hear()
    assert await world.room.postpone(delay) is False
