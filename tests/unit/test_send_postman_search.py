"""Long after a crash, or as another device: what arrived is found, and not said twice."""

import asyncio

import pytest

from aiagentchat.core.errors import Refused, Unreachable
from aiagentchat.core.ids import EventId, RoomId, TxnId
from aiagentchat.core.parcels import TXN_KEY, Parcel
from aiagentchat.send.pacer import PROOF
from aiagentchat.send.search import LOOK_UP_AFTER_MS
from tests.fakes.log import FakeLog
from tests.fakes.outbound import Said
from tests.fakes.people import ROOM
from tests.unit.postman_stage import Post, parcel


async def test_a_parcel_that_arrived_long_before_its_mark_arrives_once(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _lose_the_mark(post, monkeypatch)
    post.outbound.forget()
    post.clock.advance(LOOK_UP_AFTER_MS / 1000 + 1)

    async with post.working():
        await post.until_said(["one", "two"])
    assert post.outbound.asked[1:] == [("find", ROOM), ("send", ROOM)]
    assert await post.ledger.outbox.event_of(TxnId("one")) == post.outbound.said[0].event


@pytest.mark.parametrize("change", ["device", "clock"])
async def test_a_parcel_that_arrived_for_another_device_or_in_the_future_arrives_once(
    post: Post, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    await _lose_the_mark(post, monkeypatch)
    post.outbound.forget()
    post.device = "ANOTHER" if change == "device" else post.device
    post.clock._start_ms -= 10_000 if change == "clock" else 0

    async with post.working():
        await post.until_said(["one", "two"])
    assert [asked for asked, _ in post.outbound.asked].count("find") == 1


async def test_an_edit_is_found_as_well(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    async with post.working():
        await post.put(parcel("one"))
        await post.until_said(["one"])
    await _lose_the_mark(post, monkeypatch, parcel("One.", edits="one"))
    post.outbound.forget()
    post.clock.advance(LOOK_UP_AFTER_MS / 1000 + 1)

    async with post.working():
        await post.bell.until_quiet()
    assert post.outbound.texts() == ["one", "* One."]


async def test_a_parcel_that_did_not_arrive_is_sent_after_the_search(post: Post) -> None:
    release = post.outbound.hold(ROOM)
    await post.put(parcel("one"))
    async with post.working():
        await post.outbound.until_asked(1)
    release()
    post.clock.advance(LOOK_UP_AFTER_MS / 1000 + 1)

    async with post.working():
        await post.until_said(["one"])
    assert [asked for asked, _ in post.outbound.asked] == ["send", "find", "send"]


async def test_a_room_that_may_not_be_searched_is_spoken_into(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    await _lose_the_mark(post, monkeypatch)
    post.device = "ANOTHER"
    post.outbound.fail(Refused("403", status=403, errcode="M_FORBIDDEN"))

    async with post.working():
        await post.until_said(["one", "two"])


async def test_a_search_that_fails_is_made_again_before_anything_is_sent(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _lose_the_mark(post, monkeypatch)
    post.outbound.forget()
    post.device = "ANOTHER"
    post.outbound.fail(Unreachable("nobody answers"))

    async with post.working():
        await post.outbound.until_asked(2)
        await post.bell.until_quiet()
        await post.later(1)
        await post.until_said(["one", "two"])
    assert [asked for asked, _ in post.outbound.asked] == ["send", "find", "find", "send"]


async def test_what_was_found_proves_nothing_about_the_limit(post: Post, postman_log: FakeLog) -> None:
    rooms = [RoomId(f"!many{number}:hs") for number in range(PROOF)]
    releases = [post.outbound.hold(post.outbound.room(room)) for room in rooms]
    await post.put(*(parcel(room, room) for room in rooms))
    for room in rooms:
        attempt = await post.ledger.outbox.claim(post.clock.now_ms(), device=post.device)
        assert attempt is not None
        content = {TXN_KEY: attempt.parcel.txn, **attempt.parcel.content}
        post.outbound.said.append(
            Said(event=EventId(f"${room}"), room=room, type="m.room.message", content=content, at=post.clock.now_ms())
        )
    for release in releases:
        release()
    post.device = "ANOTHER"

    async with post.working():
        while await post.ledger.outbox.unsent():
            await post.bell.until_quiet()
    assert len(post.outbound.said) == PROOF
    assert postman_log.of("outbox.searched") == [{"room": room, "txn": room, "found": True} for room in rooms]
    assert postman_log.of("outbox.rate_proven") == []


async def test_a_clock_that_is_turned_back_by_a_day_holds_nothing(post: Post) -> None:
    post.outbound.fail(Unreachable("500", status=500, errcode="M_UNKNOWN"))
    await post.put(parcel("one"))

    async with post.working():
        await post.outbound.until_asked(1)
        await post.bell.until_quiet()
        post.clock._start_ms -= 86_400_000
        await post.later(0)
        await post.until_said(["one"])


async def _lose_the_mark(post: Post, monkeypatch: pytest.MonkeyPatch, *parcels: Parcel) -> None:
    """The first parcel arrives, and the daemon dies before it has written that down."""
    reached = asyncio.Event()

    async def die(txn: TxnId, event: EventId, now: int) -> None:  # noqa: ARG001
        reached.set()
        await asyncio.Event().wait()

    await post.put(*parcels or (parcel("one"), parcel("two")))
    with monkeypatch.context() as patched:
        patched.setattr(post.ledger.outbox, "sent", die)
        async with post.working():
            await reached.wait()
