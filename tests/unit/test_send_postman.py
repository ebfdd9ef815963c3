"""Parcels arrive: in the order of their room, once, and whatever the homeserver answers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aiagentchat.core.errors import LoginFailed, RateLimited, Refused, Unreachable
from aiagentchat.core.ids import EventId, RoomId, TxnId
from aiagentchat.core.parcels import Parcel
from aiagentchat.render.message import edit, message
from aiagentchat.send.postman import LONGEST_NAP, MAX_IN_FLIGHT, Postman
from aiagentchat.store.ledger import Ledger, open_ledger
from tests.fakes.bell import WatchedBell
from tests.fakes.changes import PATIENCE
from tests.fakes.clock import FakeClock
from tests.fakes.outbound import FakeOutbound
from tests.fakes.people import OTHER, ROOM

ROOMS = [RoomId(f"!room{number}:hs") for number in range(MAX_IN_FLIGHT + 1)]


def parcel(text: str, room: RoomId = ROOM, *, edits: str = "", number: int = 0) -> Parcel:
    """A message whose transaction is its text, or an edit of one."""
    txn = TxnId(f"{edits}+{number}" if edits else text)
    return Parcel(txn=txn, room=room, content=message(text, notice=True), edits=TxnId(edits) if edits else None)


class Post:
    """A postman with everything around it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.clock = FakeClock()
        self.outbound = FakeOutbound()
        self.bell = WatchedBell(ledger.outbox.bell)
        for room in (ROOM, OTHER, *ROOMS):
            self.outbound.room(room)

    async def put(self, *parcels: Parcel) -> None:
        """The parcels are in the outbox."""
        await self.ledger.outbox.put(parcels, self.clock.now_ms())

    async def later(self, seconds: float) -> None:
        """Time passes, and the postman has looked at it."""
        self.clock.advance(seconds)
        self.ledger.outbox.bell.ring()
        await self.bell.until_quiet()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A postman works inside; at the end it dies where it stands."""
        postman = Postman(outbox=self.ledger.outbox, outbound=self.outbound, clock=self.clock, random=lambda: 1.0)
        async with asyncio.timeout(3 * PATIENCE), asyncio.TaskGroup() as group:
            work = group.create_task(postman.run())
            yield
            work.cancel()

    async def until_said(self, texts: Sequence[str]) -> None:
        """Wait until exactly these arrived, in this order, and the outbox knows it."""
        await self.outbound.until(lambda: len(self.outbound.texts()) >= len(texts))
        await self.bell.until_quiet()
        assert self.outbound.texts() == list(texts)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with open_ledger(tmp_path / "ledger.db") as ledger:
        yield Post(ledger)


# ── order ──


async def test_the_parcels_of_a_room_arrive_in_order(post: Post) -> None:
    texts = [str(number) for number in range(10)]
    await post.put(*map(parcel, texts))

    async with post.working():
        await post.until_said(texts)
    assert await post.ledger.outbox.unsent() == 0


async def test_a_parcel_that_comes_while_the_postman_sleeps_is_sent_at_once(post: Post) -> None:
    async with post.working():
        await post.bell.until_quiet()
        await post.put(parcel("news"))

        await post.until_said(["news"])
    assert post.bell.naps[0] == LONGEST_NAP


async def test_a_sent_parcel_can_be_found_by_its_event(post: Post) -> None:
    await post.put(parcel("hello"))

    async with post.working():
        await post.until_said(["hello"])
    found = await post.ledger.outbox.parcel_of(post.outbound.said[0].event)
    assert found is not None
    assert found.txn == "hello"


async def test_a_room_that_does_not_answer_stops_no_other(post: Post) -> None:
    release = post.outbound.hold(ROOM)
    await post.put(parcel("stuck"), parcel("behind it"), *(parcel(str(n), OTHER) for n in range(5)))

    async with post.working():
        await post.outbound.until(lambda: len(post.outbound.texts(OTHER)) == 5)
        assert post.outbound.texts(ROOM) == []
        release()
        await post.outbound.until(lambda: len(post.outbound.texts(ROOM)) == 2)
    assert post.outbound.texts(ROOM) == ["stuck", "behind it"]


async def test_only_so_many_rooms_are_written_to_at_once(post: Post) -> None:
    releases = [post.outbound.hold(room) for room in ROOMS]
    await post.put(*(parcel(f"into {room}", room) for room in ROOMS))

    async with post.working():
        await post.outbound.until_asked(MAX_IN_FLIGHT)
        for _ in range(5):
            await post.ledger.outbox.unsent()  # whatever else the postman would ask the ledger is answered by now
        assert len(post.outbound.asked) == MAX_IN_FLIGHT
        releases[0]()
        await post.outbound.until_asked(MAX_IN_FLIGHT + 1)
        assert post.outbound.texts() == [f"into {ROOMS[0]}"]


async def test_a_room_never_has_two_parcels_on_the_way(post: Post) -> None:
    release = post.outbound.hold(ROOM)
    await post.put(parcel("one"), parcel("two"), parcel("elsewhere", OTHER))

    async with post.working():
        await post.outbound.until(lambda: post.outbound.texts(OTHER))
        await post.bell.until_quiet()
        assert post.outbound.asked.count(("send", ROOM)) == 1
        release()
        await post.outbound.until(lambda: len(post.outbound.texts(ROOM)) == 2)


# ── edits ──


async def test_an_edit_names_the_message_it_replaces(post: Post) -> None:
    async with post.working():
        await post.put(parcel("Hel"))
        await post.until_said(["Hel"])
        await post.put(parcel("Hello", edits="Hel"))
        await post.until_said(["Hel", "* Hello"])

    first, second = post.outbound.said
    assert second.content == edit(message("Hello", notice=True), first.event)


async def test_an_edit_of_a_message_that_never_arrived_is_a_message_of_its_own(post: Post) -> None:
    post.outbound.fail(Refused("too large"))

    async with post.working():
        await post.put(parcel("Hel"))
        await post.outbound.until_asked(1)
        await post.bell.until_quiet()
        await post.put(parcel("Hello", edits="Hel"))
        await post.until_said(["Hello"])
    assert post.outbound.said[0].content == message("Hello", notice=True)


async def test_the_next_edits_of_a_message_that_never_arrived_say_nothing_twice(post: Post) -> None:
    post.outbound.fail(Refused("too large"))

    async with post.working():
        await post.put(parcel("H"))
        await post.outbound.until_asked(1)
        await post.bell.until_quiet()
        for number, text in enumerate(["He", "Hel", "Hell"]):
            await post.put(parcel(text, edits="H", number=number))
            await post.outbound.until_asked(number + 2)
            await post.bell.until_quiet()

    first, *others = post.outbound.said
    assert first.content == message("He", notice=True)
    assert [said.content["m.relates_to"]["event_id"] for said in others] == [first.event] * 2


async def test_an_edit_that_was_overtaken_while_it_waited_is_not_sent(post: Post) -> None:
    async with post.working():
        await post.put(parcel("H"))
        await post.until_said(["H"])
        post.outbound.fail(RateLimited("429", retry_after=60))
        await post.put(parcel("He", edits="H", number=1))
        await post.outbound.until_asked(2)
        await post.bell.until_quiet()
        await post.put(parcel("Hel", edits="H", number=2), parcel("Hell", edits="H", number=3))
        await post.later(60)
        await post.until_said(["H", "* Hell"])


# ── what a homeserver answers ──


async def test_a_rate_limit_holds_the_whole_account_and_then_everything_arrives_in_order(post: Post) -> None:
    post.outbound.fail(RateLimited("429", retry_after=5))
    await post.put(parcel("one"))

    async with post.working():
        await post.outbound.until_asked(1)
        await post.bell.until_quiet()
        await post.put(parcel("two"), parcel("elsewhere", OTHER))
        await post.bell.until_quiet()
        assert post.bell.naps[-1] == pytest.approx(5)

        await post.later(4.9)
        assert len(post.outbound.asked) == 1
        assert post.bell.naps[-1] == pytest.approx(0.1)

        await post.later(0.1)
        await post.outbound.until(lambda: len(post.outbound.texts()) == 3)
    assert post.outbound.texts(ROOM) == ["one", "two"]
    assert post.outbound.texts(OTHER) == ["elsewhere"]


async def test_a_limit_that_comes_again_is_obeyed_again(post: Post) -> None:
    post.outbound.fail(RateLimited("429", retry_after=5), times=3)
    await post.put(parcel("one"))

    async with post.working():
        for asked in (1, 2, 3):
            await post.outbound.until_asked(asked)
            await post.bell.until_quiet()
            await post.later(4.999)
            assert len(post.outbound.asked) == asked
            await post.later(0.001)
        await post.until_said(["one"])


async def test_a_homeserver_that_is_away_is_asked_less_and_less(post: Post) -> None:
    post.outbound.fail(Unreachable("nobody answers"), times=3)
    await post.put(parcel("one"))
    waits = []

    async with post.working():
        for asked in (1, 2, 3):
            await post.outbound.until_asked(asked)
            await post.bell.until_quiet()
            waits.append(post.bell.naps[-1])
            await post.later(waits[-1])
        await post.until_said(["one"])
    assert waits == pytest.approx([0.5, 1, 2])


async def test_after_an_answer_the_waits_start_again(post: Post) -> None:
    async with post.working():
        for text in ("one", "two"):
            post.outbound.fail(Unreachable("nobody answers"))
            before = len(post.outbound.asked)
            await post.put(parcel(text))
            await post.outbound.until_asked(before + 1)
            await post.bell.until_quiet()
            assert post.bell.naps[-1] == pytest.approx(0.5)
            await post.later(0.5)
        await post.until_said(["one", "two"])


async def test_a_room_with_which_the_homeserver_fails_stops_no_other(post: Post) -> None:
    post.outbound.fail(Unreachable("500"), times=1000, room=ROOM)
    await post.put(parcel("poison"), *(parcel(str(number), OTHER) for number in range(5)))

    async with post.working():
        await post.bell.until_quiet()
        for _ in range(10):
            await post.later(60)
        assert post.outbound.texts() == ["0", "1", "2", "3", "4"]
        post.outbound.forgive()
        await post.later(60)
        await post.outbound.until(lambda: post.outbound.texts(ROOM))


async def test_what_is_refused_is_given_up_and_the_next_goes(post: Post) -> None:
    post.outbound.fail(Refused("event too large"), room=ROOM)
    await post.put(parcel("too large"), parcel("next"))

    async with post.working():
        await post.until_said(["next"])
    assert await post.ledger.outbox.unsent() == 0


async def test_a_login_that_is_gone_ends_the_service_and_loses_nothing(post: Post) -> None:
    post.outbound.fail(LoginFailed("M_UNKNOWN_TOKEN"))
    await post.put(parcel("one"), parcel("two"))

    with pytest.raises(ExceptionGroup) as ended:
        async with post.working():
            await asyncio.Event().wait()

    assert ended.group_contains(LoginFailed)
    assert await post.ledger.outbox.unsent() == 2
    async with post.working():
        await post.until_said(["one", "two"])


# ── crashes ──


async def test_a_parcel_that_was_on_its_way_at_a_crash_is_sent_by_the_next_life(post: Post) -> None:
    release = post.outbound.hold(ROOM)
    await post.put(parcel("one"), parcel("two"))
    async with post.working():
        await post.outbound.until_asked(1)

    release()
    async with post.working():
        await post.until_said(["one", "two"])


async def test_a_parcel_that_arrived_just_before_a_crash_arrives_once(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = asyncio.Event()

    async def die(txn: TxnId, event: EventId, now: int) -> None:  # noqa: ARG001
        reached.set()
        await asyncio.Event().wait()

    await post.put(parcel("one"), parcel("two"))
    with monkeypatch.context() as patched:
        patched.setattr(post.ledger.outbox, "sent", die)
        async with post.working():
            await reached.wait()
    assert post.outbound.texts() == ["one"]

    async with post.working():
        await post.until_said(["one", "two"])
    assert len(post.outbound.asked) == 3
    assert await post.ledger.outbox.event_of(TxnId("one")) == post.outbound.said[0].event
