"""Who is there, on a real homeserver: one who says it and one who hears it, with delayed events and without.

Times are short here; what they are in the daemon is in `core.instances.Pace`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.app.clock import SystemClock
from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import InstanceName, RoomId, UserId
from aiagentchat.core.instances import INSTANCE, Instance, InstanceKind, Pace, state_key, written
from aiagentchat.core.meta import Address
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.instances import MatrixRegistryRoom
from aiagentchat.matrix.sync import MatrixHomeserver
from aiagentchat.registry.book import Book
from aiagentchat.registry.presence import Presence
from aiagentchat.store.bell import EventBell
from rig.homeserver import Homeserver
from rig.matrix_client import MatrixUser
from rig.people import People, people
from tests.contract.test_registry_room import logged_in

pytestmark = [pytest.mark.real, pytest.mark.long]

PACE = Pace(heartbeat=0.2, ttl=3.0, delay=1.5)
"""The date of an answer is whole seconds: a shorter TTL would be too short."""
WITHIN = 20.0
MANY = 100


LONG = pytest.mark.long
WAYS = ["12, delayed", "11", pytest.param("11, delayed", marks=LONG), pytest.param("12", marks=LONG)]


@pytest.fixture(params=WAYS)
async def square(request: pytest.FixtureRequest) -> AsyncIterator["Square"]:
    """A registry room in each of the ways."""
    version, _, delays = request.param.partition(", ")
    server: Homeserver = request.getfixturevalue("patient" if delays else "homeserver")
    async with people(server) as present:
        anna = await present.person()
        levels = {"events": {INSTANCE: 0}}
        room = await anna.create_room(version=version, power_level_content_override=levels)
        made = Square(present, anna, room, delays=bool(delays))
        try:
            yield made
        finally:
            await made.close()


class Square:
    """The room, and those who are in it."""

    def __init__(self, present: People, anna: MatrixUser, room: str, *, delays: bool) -> None:
        self.anna = anna
        self.room = room
        self.delays = delays
        self._present = present
        self._clients: list[Client] = []

    async def daemon(self, name: str, pace: Pace = PACE) -> "Party":
        """Somebody of an account of their own."""
        account = self._present.account()
        await self.anna.invite(self.room, account.user_id)
        client = logged_in(self._present, account.user_id, account.access_token)
        self._clients.append(client)
        return Party(client, RoomId(self.room), name, pace)

    async def events(self) -> int:
        """How many entries have come to the room so far."""
        return sum(event["type"] == INSTANCE for event in await self.anna.history(self.room))

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


class Party:
    """One daemon, as far as the registry goes."""

    def __init__(self, client: Client, room: RoomId, name: str, pace: Pace) -> None:
        self.me = UserId(str(client.nio.user_id))
        own = Instance(user=self.me, name=InstanceName(name), kind=InstanceKind.DAEMON, host="h", life=f"of-{name}")
        clock, bell = SystemClock(), EventBell()
        self.room = MatrixRegistryRoom(client, room)
        self.book = Book(lambda: own, clock, bell, pace)
        self.presence = Presence(
            self.room, self.book, lambda: own, clock=clock, bell=bell, random=lambda: 0.5, pace=pace
        )
        self.own = own
        self.told: list[str] = []
        """Every status that was heard, of whomever."""
        self._sync = MatrixHomeserver(client, self.me, registry=room)
        self._since: str | None = None

    @asynccontextmanager
    async def running(self, *, killed: bool = False) -> AsyncIterator[None]:
        """Says that it is there; at the end that it is not, unless it is killed."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.presence.run())
            try:
                yield
            finally:
                if killed:
                    self.presence._leave = _nothing  # type: ignore[method-assign]
                task.cancel()

    async def hear(self) -> None:
        """One sync."""
        try:
            batch = await self._sync.sync(self._since, timeout=0.2)
        except Unreachable:
            return  # it is away
        self._since = batch.token
        self.told += [told.entry.status for told in batch.instances.told if told.entry is not None]
        self.presence.hear(batch.instances, batch.now)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Hear until it is true."""
        async with asyncio.timeout(WITHIN):
            while not condition():
                await self.hear()

    def sees(self, other: "Party", session: str = "") -> bool:
        """Whether the other one is there."""
        found = self.book.find(Address(other.me, InstanceName(session) if session else other.own.name))
        return found is not None and found[1]


async def _nothing() -> None:
    pass


async def test_one_is_seen_and_at_a_clean_end_gone_at_once(square: Square) -> None:
    one, two = await square.daemon("one"), await square.daemon("two")
    await two.room.join()
    async with one.running():
        await two.until(lambda: two.sees(one))
        found = two.book.find(Address(one.me))
    await two.hear()
    await two.hear()

    assert found is not None
    assert found[0].timed is not square.delays
    assert not two.sees(one)


async def test_one_that_is_killed_is_seen_to_be_gone_with_its_sessions(square: Square) -> None:
    one, two = await square.daemon("one"), await square.daemon("two")
    await two.room.join()
    async with one.running(killed=True):
        one.book.register_session(InstanceName("term"))
        await two.until(lambda: two.sees(one) and two.sees(one, "term"))
    await two.until(lambda: not two.sees(one))

    assert not two.sees(one, "term")


async def test_a_quiet_time_adds_no_event_where_the_homeserver_offers_delayed_events(square: Square) -> None:
    one, two = await square.daemon("one"), await square.daemon("two")
    await two.room.join()
    async with one.running():
        one.book.register_session(InstanceName("term"))
        await two.until(lambda: two.sees(one, "term"))
        before = await square.events()
        with suppress(TimeoutError):
            async with asyncio.timeout(2.5):  # longer than the delay, and ten heartbeats
                while True:
                    await two.hear()
        after = await square.events()

        assert two.sees(one)
        assert two.sees(one, "term")
        assert (after - before == 0) is square.delays


@LONG
async def test_a_homeserver_that_was_away_for_too_long_says_that_one_is_gone_and_is_told_otherwise(
    tmp_path: Path,
) -> None:
    with Homeserver(tmp_path / "patient", config={"max_event_delay_duration": "24h"}) as server:
        async with people(server) as present:
            anna = await present.person()
            room = await anna.create_room(power_level_content_override={"events": {INSTANCE: 0}})
            square = Square(present, anna, room, delays=True)
            try:
                one = await square.daemon("one", replace(PACE, delay=0.6))
                async with one.running():
                    await one.until(lambda: bool(one.told))
                    await asyncio.to_thread(server.restart)  # which takes longer than that delay
                    await one.until(lambda: one.told[-2:] == ["offline", "online"])
            finally:
                await square.close()


@pytest.mark.parametrize("square", ["11", pytest.param("12, delayed", marks=LONG)], indirect=True)
async def test_a_hundred_instances_are_known_with_one_sync(square: Square) -> None:
    one, two = await square.daemon("one"), await square.daemon("two")
    await two.room.join()
    await one.room.join()
    for number in range(MANY):
        name = InstanceName(f"i{number}")
        entry = Instance(user=one.me, name=name, kind=InstanceKind.DAEMON, host="h", timed=False)
        await one.room.put(state_key(one.me, name), written(entry))
    await two.hear()

    assert sum(is_there for _, is_there in two.book.entries()) == MANY + 1
