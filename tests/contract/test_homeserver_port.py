"""The way out of the rooms: the same promises from a real homeserver and from the one in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from aiagentchat.core.errors import LoginFailed, MatrixError, Refused, Unreachable
from aiagentchat.core.heard import said_in
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import MAIN, Incoming, Kind, Receipt
from aiagentchat.core.ports.matrix import Asked, Before, Gap, Homeserver, Missed, SyncBatch
from aiagentchat.core.rooms import DIRECT
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.sync import TIMELINE_LIMIT, MatrixHomeserver
from rig import homeserver as rig
from rig.matrix_client import MatrixUser
from rig.people import People, people
from tests.fakes.homeserver import FakeHomeserver

QUICK = 0.2
"""Seconds that a sync may wait when nothing is expected."""
LONG = 20.0


class World(Protocol):
    """Anna in her rooms, and what we hear of it."""

    @property
    def homeserver(self) -> Homeserver:
        """The way out."""
        ...

    @property
    def anna(self) -> UserId:
        """Who speaks."""
        ...

    async def room(self, *, joined: bool = True) -> RoomId:
        """A fresh room, with us in it or not."""
        ...

    async def say(self, room: RoomId, body: str, *, kind: Kind = Kind.TEXT, answers: EventId | None = None) -> EventId:
        """Anna says something."""
        ...

    async def react(self, room: RoomId, target: EventId, key: str) -> EventId:
        """Anna reacts."""
        ...

    async def edit(self, room: RoomId, target: EventId, body: str) -> EventId:
        """Anna changes what she said."""
        ...

    async def redact(self, room: RoomId, target: EventId) -> EventId:
        """Anna takes it back."""
        ...

    async def mention(self, room: RoomId, body: str) -> tuple[EventId, UserId]:
        """Anna speaks to us on purpose; the event, and who we are."""
        ...

    async def whisper(self, room: RoomId) -> None:
        """Anna says something that is encrypted."""
        ...

    async def invite(self, room: RoomId, *, direct: bool = False) -> None:
        """Anna invites us, perhaps into a direct chat."""
        ...

    async def accept(self, room: RoomId) -> None:
        """We accept."""
        ...

    async def put_out(self, room: RoomId, how: str = "kick") -> None:
        """Anna puts us out (a kick, a ban), or we leave."""
        ...

    async def replace_room(self, room: RoomId) -> RoomId:
        """Anna puts another room in the place of this one."""
        ...

    async def own(self, installation: str) -> None:
        """The account data names its owner."""
        ...

    async def read(self, room: RoomId, event: EventId, thread: str | None = None) -> None:
        """Anna has read so far, in the room or in a thread of it."""
        ...

    async def read_by_us(self, room: RoomId, event: EventId) -> None:
        """We have."""
        ...

    def again(self) -> Homeserver:
        """The way out in a later life of ours."""
        ...

    async def break_(self, error: type[MatrixError]) -> Homeserver:
        """The way out, in trouble."""
        ...


class FakeWorld:
    """In memory."""

    anna = UserId("@anna:fake")
    _me = UserId("@claude:fake")

    def __init__(self) -> None:
        self.homeserver = FakeHomeserver(self._me)
        self.homeserver.now = 1
        self._count = 0

    async def room(self, *, joined: bool = True) -> RoomId:
        room = RoomId(f"!room{self._next()}")
        if joined:
            self.homeserver.enter(room)
        return room

    async def say(self, room: RoomId, body: str, *, kind: Kind = Kind.TEXT, answers: EventId | None = None) -> EventId:
        return self._happen(room, kind, body, answers)

    async def react(self, room: RoomId, target: EventId, key: str) -> EventId:
        return self._happen(room, Kind.REACTION, key, target)

    async def edit(self, room: RoomId, target: EventId, body: str) -> EventId:
        return self._happen(room, Kind.EDIT, body, target)

    async def redact(self, room: RoomId, target: EventId) -> EventId:
        return self._happen(room, Kind.REDACTION, "", target)

    async def mention(self, room: RoomId, body: str) -> tuple[EventId, UserId]:
        return self._happen(room, Kind.TEXT, body, mentions=frozenset({self._me})), self._me

    async def whisper(self, room: RoomId) -> None:
        """Nothing that we could read."""

    async def invite(self, room: RoomId, *, direct: bool = False) -> None:
        self._happen(room, Kind.INVITE, DIRECT if direct else "")

    async def accept(self, room: RoomId) -> None:
        self.homeserver.accept(room)

    async def put_out(self, room: RoomId, how: str = "kick") -> None:
        self.homeserver.leave(room, how, self.anna)

    async def replace_room(self, room: RoomId) -> RoomId:
        self._happen(room, Kind.TOMBSTONE, "!new:fake")
        return RoomId("!new:fake")

    async def own(self, installation: str) -> None:
        self.homeserver.owner = installation

    async def read(self, room: RoomId, event: EventId, thread: str | None = None) -> None:
        self.homeserver.read(Receipt(room=room, event=event, user=self.anna, thread=thread, at=self._next()))

    async def read_by_us(self, room: RoomId, event: EventId) -> None:  # noqa: ARG002 - nobody is told of what
        self.homeserver.stir()

    def again(self) -> Homeserver:
        return self.homeserver

    async def break_(self, error: type[MatrixError]) -> Homeserver:
        self.homeserver.fail(error("trouble"))
        return self.homeserver

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _happen(
        self,
        room: RoomId,
        kind: Kind,
        body: str = "",
        target: EventId | None = None,
        mentions: frozenset[UserId] = frozenset(),
    ) -> EventId:
        event = EventId(f"$event{self._next()}")
        self.homeserver.happen(
            Incoming(
                event=event,
                room=room,
                sender=self.anna,
                sent_at=self._count,
                kind=kind,
                body=body,
                target=target,
                mentions=mentions,
            )
        )
        return event


MSGTYPES = {Kind.TEXT: "m.text", Kind.NOTICE: "m.notice", Kind.FILE: "m.file"}


class RealWorld:
    """A real homeserver."""

    def __init__(self, present: People, anna: MatrixUser, account: rig.Account, client: Client, folder: Path) -> None:
        self.homeserver = MatrixHomeserver(client, UserId(account.user_id))
        self.anna = UserId(anna.id)
        self._present = present
        self._person = anna
        self._account = account
        self._client = client
        self._down = rig.Homeserver(folder / "never started")

    async def room(self, *, joined: bool = True) -> RoomId:
        room = RoomId(await self._person.create_room(*([self._account.user_id] * joined)))
        if joined:
            await self.accept(room)
        return room

    async def say(self, room: RoomId, body: str, *, kind: Kind = Kind.TEXT, answers: EventId | None = None) -> EventId:
        said = {"msgtype": MSGTYPES[kind], "body": body}
        return EventId(await self._person.send(room, said, reply_to=answers or ""))

    async def react(self, room: RoomId, target: EventId, key: str) -> EventId:
        return EventId(await self._person.react(room, target, key))

    async def edit(self, room: RoomId, target: EventId, body: str) -> EventId:
        return EventId(await self._person.edit(room, target, body))

    async def redact(self, room: RoomId, target: EventId) -> EventId:
        return EventId(await self._person.redact(room, target))

    async def mention(self, room: RoomId, body: str) -> tuple[EventId, UserId]:
        said = {"msgtype": "m.text", "body": body, "m.mentions": {"user_ids": [self._account.user_id]}}
        return EventId(await self._person.send(room, said)), UserId(self._account.user_id)

    async def whisper(self, room: RoomId) -> None:
        sealed = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgA", "session_id": "s", "device_id": "D"}
        await self._person.send(room, {**sealed, "sender_key": "k"}, kind="m.room.encrypted")

    async def invite(self, room: RoomId, *, direct: bool = False) -> None:
        # As clients do it when they make the chat; the endpoint that invites cannot say it.
        member = {"membership": "invite", "is_direct": direct}
        await self._person.request("PUT", f"/rooms/{room}/state/m.room.member/{self._account.user_id}", member)

    async def accept(self, room: RoomId) -> None:
        await self._act("POST", f"/join/{room}", {})

    async def put_out(self, room: RoomId, how: str = "kick") -> None:
        if how == "leave":
            await self._act("POST", f"/rooms/{room}/leave", {})
        else:
            await self._person.request("POST", f"/rooms/{room}/{how}", {"user_id": self._account.user_id})

    async def replace_room(self, room: RoomId) -> RoomId:
        answer = await self._person.request("POST", f"/rooms/{room}/upgrade", {"new_version": "11"})
        return RoomId(answer["replacement_room"])

    async def read(self, room: RoomId, event: EventId, thread: str | None = None) -> None:
        said = {} if thread is None else {"thread_id": thread}
        await self._person.request("POST", f"/rooms/{room}/receipt/m.read/{event}", said)

    async def read_by_us(self, room: RoomId, event: EventId) -> None:
        await self._act("POST", f"/rooms/{room}/receipt/m.read/{event}", {})

    async def own(self, installation: str) -> None:
        path = f"/user/{self._account.user_id}/account_data/com.aiagentchat.owner"
        await self._act("PUT", path, {"installation": installation})

    def again(self) -> Homeserver:
        return MatrixHomeserver(self._client, UserId(self._account.user_id))

    async def break_(self, error: type[MatrixError]) -> Homeserver:
        url = {LoginFailed: self._present.homeserver.url, Unreachable: self._down.url}[error]
        self._client.nio.homeserver = url
        self._client.nio.access_token = "revoked"
        return self.homeserver

    async def _act(self, method: str, path: str, body: dict[str, object]) -> None:
        path, token = f"/_matrix/client/v3{path}", self._account.access_token
        await asyncio.to_thread(self._present.homeserver.request, method, path, body, token=token)

    def close(self) -> None:
        self._down.close()


class _NoAccounts:
    async def login(self, user: UserId) -> None:
        raise AssertionError(user)

    async def save_login(self, login: object) -> None:
        raise AssertionError(login)


@asynccontextmanager
async def _fake_world(_: pytest.FixtureRequest, __: Path) -> AsyncIterator[World]:
    yield FakeWorld()


@asynccontextmanager
async def _real_world(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[World]:
    async with people(request.getfixturevalue("homeserver")) as present:
        account = present.account()
        anna = await present.person()
        user, url = UserId(account.user_id), present.homeserver.url
        client = Client(Account(homeserver=url, user=user, device_name="test"), _NoAccounts())
        client.nio.restore_login(account.user_id, account.device_id, account.access_token)
        world = RealWorld(present, anna, account, client, folder)
        try:
            yield world
        finally:
            world.close()
            await client.close()


@pytest.fixture(
    params=[
        pytest.param(_fake_world, id="fake"),
        pytest.param(_real_world, id="real", marks=pytest.mark.real),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with request.param(request, tmp_path) as made:
        yield made


async def test_how_far_others_have_read_is_told_with_the_thread(world: World) -> None:
    room = await world.room()
    first = await world.say(room, "one")
    since = await now(world)

    for thread in (MAIN, None):
        await world.read(room, first, thread)
        batch = await news(world, since)
        since = batch.token
        [receipt] = batch.receipts
        assert (receipt.room, receipt.event, receipt.user, receipt.thread) == (room, first, world.anna, thread)
        assert receipt.at > 0


async def test_of_two_on_one_event_the_one_for_the_whole_room_is_told(world: World) -> None:
    room = await world.room()
    first = await world.say(room, "one")
    since = await now(world)

    await world.read(room, first, None)
    await world.read(room, first, MAIN)

    told: list[Receipt] = []
    while not told or told[-1].thread is not None:
        batch = await news(world, since)
        told, since = [*told, *batch.receipts], batch.token
    assert [receipt.thread for receipt in told] == [None]


async def test_a_batch_is_quiet_that_brings_only_back_how_far_we_have_read(world: World) -> None:
    room = await world.room()
    first = await world.say(room, "one")
    since = await now(world)

    await world.read_by_us(room, first)
    ours = await world.homeserver.sync(since, timeout=30)
    await world.read(room, first)
    theirs = await news(world, ours.token)
    await world.say(room, "two")
    said = await news(world, theirs.token)

    assert [batch.is_quiet for batch in (ours, theirs, said)] == [True, False, False]


async def test_how_far_we_have_read_is_no_news(world: World) -> None:
    room = await world.room()
    first = await world.say(room, "one")
    since = await now(world)

    await world.read_by_us(room, first)
    await world.say(room, "two")

    receipts: list[Receipt] = []
    said: list[str] = []
    while "two" not in said:
        batch = await news(world, since)
        since = batch.token
        said += texts(batch, room)
        receipts += batch.receipts
    assert receipts == []


async def now(world: World) -> str:
    """The token of this moment."""
    return (await world.homeserver.sync(None, timeout=QUICK)).token


async def news(world: World, since: str) -> SyncBatch:
    """What happened since `since`, all of it."""
    async with asyncio.timeout(LONG):
        return await world.homeserver.sync(since, timeout=LONG)


def short(batch: SyncBatch | Missed) -> list[tuple[Kind, str]]:
    return [(event.kind, event.body) for event in batch.events]


def texts(batch: SyncBatch | Missed, room: RoomId) -> list[str]:
    return [event.body for event in batch.events if event.room == room and event.kind is Kind.TEXT]


async def say_all(world: World, room: RoomId, count: int) -> list[str]:
    """Anna says so many things; which."""
    for number in range(count):
        await world.say(room, str(number))
    return [str(number) for number in range(count)]


async def test_the_first_sync_tells_where_we_are_and_what_was_said(world: World) -> None:
    room, other = await world.room(), await world.room(joined=False)
    await world.say(room, "hello")

    batch = await world.homeserver.sync(None, timeout=QUICK)

    assert room in batch.joined
    assert other not in batch.joined
    assert short(batch) == [(Kind.JOINED, ""), (Kind.TEXT, "hello")]


async def test_a_message_comes_with_all_that_we_ask_for(world: World) -> None:
    room = await world.room()
    since = await now(world)
    event = await world.say(room, "hello")

    [told] = (await news(world, since)).events

    assert (told.event, told.room, told.sender, told.kind) == (event, room, world.anna, Kind.TEXT)
    assert (told.body, told.target, told.mentions) == ("hello", None, frozenset())
    assert told.sent_at > 0


async def test_everything_that_is_done_in_a_room_comes_in_order(world: World) -> None:
    room = await world.room()
    since = await now(world)
    first = await world.say(room, "hello")
    await world.say(room, "to you", answers=first)
    await world.say(room, "by the way", kind=Kind.NOTICE)
    await world.say(room, "", kind=Kind.FILE)
    await world.react(room, first, "✅")
    await world.edit(room, first, "hello you")

    batch = await news(world, since)

    assert [(event.kind, event.body, event.target) for event in batch.events] == [
        (Kind.TEXT, "hello", None),
        (Kind.TEXT, "to you", first),
        (Kind.NOTICE, "by the way", None),
        (Kind.FILE, "", None),
        (Kind.REACTION, "✅", first),
        (Kind.EDIT, "hello you", first),
    ]


async def test_what_was_taken_back_is_told_as_that(world: World) -> None:
    room = await world.room()
    slip = await world.say(room, "a slip of the tongue")
    since = await now(world)
    await world.redact(room, slip)

    [told] = (await news(world, since)).events

    assert (told.kind, told.target) == (Kind.REDACTION, slip)


async def test_what_we_cannot_read_is_not_told_and_hides_nothing(world: World) -> None:
    room = await world.room()
    since = await now(world)
    await world.say(room, "before")
    await world.whisper(room)
    await world.say(room, "after")

    assert short(await news(world, since)) == [(Kind.TEXT, "before"), (Kind.TEXT, "after")]


async def test_a_mention_tells_who_was_meant(world: World) -> None:
    room = await world.room()
    since = await now(world)
    _, me = await world.mention(room, "you there")

    [told] = (await news(world, since)).events

    assert told.mentions == {me}


async def test_an_invite_tells_who_invited_us_and_where(world: World) -> None:
    room = await world.room(joined=False)
    since = await now(world)
    await world.invite(room)

    batch = await news(world, since)

    assert [(event.kind, event.room, event.sender) for event in batch.events] == [(Kind.INVITE, room, world.anna)]
    assert room not in batch.joined


@pytest.mark.parametrize("direct", [True, False])
async def test_an_invite_tells_whether_it_is_into_a_direct_chat(world: World, direct: bool) -> None:
    room = await world.room(joined=False)
    since = await now(world)
    await world.invite(room, direct=direct)

    batch = await news(world, since)

    assert [event.body for event in batch.events] == [DIRECT if direct else ""]


async def test_an_old_invite_is_told_by_the_first_sync(world: World) -> None:
    room = await world.room(joined=False)
    await world.invite(room)

    batch = await world.homeserver.sync(None, timeout=QUICK)

    assert [(event.kind, event.room) for event in batch.events] == [(Kind.INVITE, room)]


async def test_two_invites_are_two_events(world: World) -> None:
    since = await now(world)
    for _ in range(2):
        await world.invite(await world.room(joined=False))

    batch = await news(world, since)

    assert len({event.event for event in batch.events}) == 2


async def test_what_was_said_before_we_were_invited_was_not_said_to_us(world: World) -> None:
    room = await world.room(joined=False)
    since = await now(world)
    behind = await world.say(room, "behind our back")
    await world.invite(room)
    await world.say(room, "welcome")
    await world.accept(room)
    await world.say(room, "sit down")

    batch = await news(world, since)

    before, *since_then = short(batch)
    assert before == (Kind.BEFORE, behind)
    assert since_then == [(Kind.TEXT, "welcome"), (Kind.JOINED, ""), (Kind.TEXT, "sit down")]


async def test_a_token_that_is_used_again_tells_the_same_again(world: World) -> None:
    room = await world.room()
    since = await now(world)
    for body in ("one", "two"):
        await world.say(room, body)

    first = await news(world, since)
    again = await news(world, since)

    assert first.events
    assert again.events == first.events


async def test_the_next_token_goes_on_where_the_last_batch_ended(world: World) -> None:
    room = await world.room()
    since = await now(world)
    await world.say(room, "one")
    batch = await news(world, since)
    await world.say(room, "two")

    assert short(await news(world, batch.token)) == [(Kind.TEXT, "two")]


async def test_a_long_poll_ends_when_something_happens(world: World) -> None:
    room = await world.room()
    since = await now(world)

    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        polling = group.create_task(world.homeserver.sync(since, timeout=LONG))
        await world.say(room, "hello")
    assert short(polling.result()) == [(Kind.TEXT, "hello")]


async def test_a_long_poll_ends_when_nothing_happens(world: World) -> None:
    await world.room()
    since = await now(world)

    async with asyncio.timeout(LONG):
        batch = await world.homeserver.sync(since, timeout=QUICK)
    assert batch.events == ()
    assert batch.gaps == ()


# ── gaps ──


async def gap_of(world: World, room: RoomId, since: str) -> tuple[Gap, SyncBatch]:
    """The only gap that there is."""
    batch = await news(world, since)
    [gap] = batch.gaps
    assert gap.room == room
    return gap, batch


@pytest.mark.parametrize("missing", [1, 57, pytest.param(257, marks=pytest.mark.long)])
async def test_a_gap_holds_what_the_batch_does_not_in_order(world: World, missing: int) -> None:
    room, quiet = await world.room(), await world.room()
    since = await now(world)
    await world.say(quiet, "psst")
    said = await say_all(world, room, missing + TIMELINE_LIMIT)

    gap, batch = await gap_of(world, room, since)
    missed = await world.homeserver.missed(gap, since=since, oldest=0, most=1000)

    assert texts(missed, room) == said[:missing]
    assert texts(batch, room) == said[missing:]
    assert texts(batch, quiet) == ["psst"]
    assert (missed.whole, missed.aged) == (True, False)


async def test_of_a_gap_that_is_too_large_the_newest_are_told(world: World) -> None:
    room = await world.room()
    since = await now(world)
    said = await say_all(world, room, 7 + TIMELINE_LIMIT)
    gap, _ = await gap_of(world, room, since)

    for most, whole in ((7, True), (6, False), (1, False)):
        missed = await world.homeserver.missed(gap, since=since, oldest=0, most=most)
        assert (texts(missed, room), missed.whole) == (said[7 - most : 7], whole)


async def test_of_a_gap_what_is_too_old_is_not_told(world: World) -> None:
    room = await world.room()
    since = await now(world)
    await say_all(world, room, 7 + TIMELINE_LIMIT)
    gap, _ = await gap_of(world, room, since)
    whole = await world.homeserver.missed(gap, since=since, oldest=0, most=100)

    young = await world.homeserver.missed(gap, since=since, oldest=whole.events[4].sent_at, most=100)
    none = await world.homeserver.missed(gap, since=since, oldest=whole.events[-1].sent_at + 1, most=100)

    assert (texts(young, room), young.whole, young.aged) == (["4", "5", "6"], True, True)
    assert (none.events, none.whole, none.aged) == ((), True, True)


async def test_a_gap_that_was_read_up_to_later_than_it_begins_is_empty(world: World) -> None:
    room = await world.room()
    since = await now(world)
    await say_all(world, room, 7 + TIMELINE_LIMIT)
    gap, batch = await gap_of(world, room, since)

    missed = await world.homeserver.missed(gap, since=batch.token, oldest=0, most=100)

    assert missed == Missed(events=(), whole=True)


async def test_without_a_token_a_gap_goes_back_as_far_as_it_may(world: World) -> None:
    room = await world.room()
    await say_all(world, room, 3)
    since = await now(world)
    await say_all(world, room, 2 + TIMELINE_LIMIT)
    gap, _ = await gap_of(world, room, since)

    missed = await world.homeserver.missed(gap, since=None, oldest=0, most=100)

    assert texts(missed, room) == ["0", "1", "2", "0", "1"]
    assert missed.whole


async def test_without_a_token_a_gap_goes_back_to_our_invite(world: World) -> None:
    room = await world.room(joined=False)
    await world.say(room, "behind our back")
    await world.invite(room)
    said = await say_all(world, room, 5 + TIMELINE_LIMIT)
    since = await now(world)
    await world.accept(room)

    gap, batch = await gap_of(world, room, since)
    missed = await world.homeserver.missed(gap, since=None, oldest=0, most=1000)

    assert [*texts(missed, room), *texts(batch, room)] == said
    assert missed.whole


async def test_what_was_said_in_a_gap_before_we_came_was_not_said_to_us(world: World) -> None:
    room = await world.room(joined=False)
    since = await now(world)
    behind = await world.say(room, "behind our back")
    await world.invite(room)
    await world.say(room, "welcome")
    await world.accept(room)
    said = await say_all(world, room, TIMELINE_LIMIT)

    gap, batch = await gap_of(world, room, since)
    missed = await world.homeserver.missed(gap, since=since, oldest=0, most=100)

    assert short(missed) == [(Kind.BEFORE, behind), (Kind.TEXT, "welcome"), (Kind.JOINED, "")]
    assert texts(batch, room) == said
    assert missed.whole


async def test_a_room_that_we_have_just_come_into_has_no_gap(world: World) -> None:
    room = await world.room(joined=False)
    await say_all(world, room, TIMELINE_LIMIT)
    since = await now(world)
    await world.invite(room)
    await world.accept(room)
    await world.say(room, "sit down")

    batch = await news(world, since)

    [before, *about_us] = short(batch)
    assert (batch.gaps, before[0], about_us) == ((), Kind.BEFORE, [(Kind.JOINED, ""), (Kind.TEXT, "sit down")])


# ── coming and going ──


@pytest.mark.parametrize("how", ["kick", "ban", "leave"])
async def test_a_room_that_we_are_out_of_is_left(world: World, how: str) -> None:
    room = await world.room()
    since = await now(world)
    await world.say(room, "one more thing")
    await world.put_out(room, how)

    batch = await news(world, since)

    assert short(batch) == [(Kind.TEXT, "one more thing"), (Kind.LEFT, how)]
    assert {event.room for event in batch.events} == {room}
    assert (batch.events[1].sender == world.anna) == (how != "leave")
    assert batch.events[1].event.startswith("$")
    assert room not in batch.joined


async def test_a_room_that_we_left_is_told_once(world: World) -> None:
    room = await world.room()
    since = await now(world)
    await world.put_out(room)
    batch = await news(world, since)

    later = await world.homeserver.sync(batch.token, timeout=QUICK)

    assert later.events == ()


async def test_a_later_life_hears_what_happened_before_it(world: World) -> None:
    quiet, loud, gone = await world.room(), await world.room(), await world.room()
    since = await now(world)
    said = await say_all(world, loud, 1 + TIMELINE_LIMIT)
    await world.put_out(gone)
    await world.say(quiet, "psst")

    batch = await world.again().sync(since, timeout=LONG)

    assert texts(batch, loud) == said[1:]
    assert [gap.room for gap in batch.gaps] == [loud]
    assert [(event.room, event.body) for event in batch.events if event.kind is Kind.LEFT] == [(gone, "kick")]
    assert {quiet, loud} <= batch.joined


async def test_who_was_put_out_and_came_back_hears_both_and_not_what_was_said_between(world: World) -> None:
    room = await world.room()
    since = await now(world)
    await world.say(room, "before")
    await world.put_out(room)
    behind = await world.say(room, "behind our back")
    await world.invite(room)
    await world.say(room, "welcome")
    await world.accept(room)
    await world.say(room, "after")

    batch = await news(world, since)

    assert short(batch)[-6:] == [
        (Kind.TEXT, "before"),
        (Kind.LEFT, "kick"),
        (Kind.BEFORE, behind),
        (Kind.TEXT, "welcome"),
        (Kind.JOINED, ""),
        (Kind.TEXT, "after"),
    ]
    assert room in batch.joined


async def test_an_event_about_us_has_the_same_id_whenever_it_is_told(world: World) -> None:
    room = await world.room()
    since = await now(world)
    await world.put_out(room)

    first, again = await news(world, since), await news(world, since)

    assert [event.event for event in first.events] == [event.event for event in again.events]


async def test_a_room_that_was_replaced_tells_by_which(world: World) -> None:
    room = await world.room()
    since = await now(world)
    new = await world.replace_room(room)

    batch = await news(world, since)

    assert [(event.body, event.sender) for event in batch.events if event.kind is Kind.TOMBSTONE] == [(new, world.anna)]


# ── the account ──


async def test_a_sync_tells_what_time_it_is(world: World) -> None:
    batch = await world.homeserver.sync(None, timeout=QUICK)

    assert batch.now is not None


async def test_a_sync_tells_who_owns_the_account_when_that_changes(world: World) -> None:
    room = await world.room()
    before = await world.homeserver.sync(None, timeout=QUICK)
    await world.own("first")
    await world.say(room, "hello")

    batch = await news(world, before.token)

    assert (before.owner, batch.owner) == (None, "first")


@pytest.mark.parametrize("error", [LoginFailed, Unreachable])
async def test_trouble_is_told_by_its_name(world: World, error: type[MatrixError]) -> None:
    homeserver = await world.break_(error)

    async with asyncio.timeout(LONG):
        with pytest.raises(error):
            await homeserver.sync(None, timeout=QUICK)


async def test_a_token_that_nobody_gave_is_refused(world: World) -> None:
    with pytest.raises(Refused):
        await world.homeserver.sync("no such token", timeout=QUICK)


# ── what was said before ──


async def back(world: World, room: RoomId, asked: Asked, most: int) -> list[list[str]]:
    """What is told, page by page, back to the beginning."""
    pages = list[list[str]]()
    while not pages or asked is not None:
        found = await world.homeserver.older(room, asked, most=most)
        pages.append([said.body for said in said_in(found.events)])
        asked = found.before
    return [page for page in pages if page]


async def test_what_was_said_is_told_page_by_page(world: World) -> None:
    room = await world.room()
    await now(world)
    said = await say_all(world, room, 7)

    pages = await back(world, room, None, 3)
    assert [text for page in reversed(pages) for text in page] == said
    assert max(map(len, pages)) <= 3


async def test_what_was_said_before_an_event_is_told_without_it(world: World) -> None:
    room = await world.room()
    await now(world)
    await say_all(world, room, 3)
    last = await world.say(room, "the last that we know")
    await world.say(room, "later")

    assert await back(world, room, Before(last), 10) == [["0", "1", "2"]]


async def test_what_was_edited_or_deleted_reads_as_it_does_now(world: World) -> None:
    room = await world.room()
    await now(world)
    first, second = await world.say(room, "one"), await world.say(room, "two")
    for number in range(3):
        await world.say(room, f"number {number}")
    await world.edit(room, first, "1")
    await world.redact(room, second)
    await world.react(room, first, "👍")

    pages = await back(world, room, None, 2)
    assert [text for page in reversed(pages) for text in page] == ["1", "number 0", "number 1", "number 2"]


async def test_of_a_room_that_we_are_not_in_nothing_is_told(world: World) -> None:
    room = await world.room(joined=False)

    with pytest.raises(Refused):
        await world.homeserver.older(room, None, most=5)
