"""Parcels arrive: in the order of their room, once, and whatever the homeserver answers."""

import asyncio

import pytest

from aiagentchat.core.errors import LoginFailed, RateLimited, Refused, Unreachable
from aiagentchat.core.ids import EventId, TxnId
from aiagentchat.render.message import edit, message
from aiagentchat.send.line import PROBE_SECONDS
from aiagentchat.send.pacer import MARGIN_SECONDS
from aiagentchat.send.places import MAX_IN_FLIGHT, SLOW_SECONDS
from aiagentchat.send.postman import LONGEST_NAP, NEXT_PROBE_SECONDS
from tests.fakes.people import OTHER, ROOM
from tests.unit.postman_stage import ROOMS, Post, parcel

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

    first = post.outbound.said[0].event
    assert post.contents()[1] == edit(message("Hello", notice=True), first)


async def test_an_edit_of_a_message_that_never_arrived_is_a_message_of_its_own(post: Post) -> None:
    post.outbound.fail(Refused("not here", ours=True))

    async with post.working():
        await post.put(parcel("Hel"))
        await post.outbound.until_asked(1)
        await post.bell.until_quiet()
        await post.put(parcel("Hello", edits="Hel"))
        await post.until_said(["Hello"])
    assert post.contents() == [message("Hello", notice=True)]


async def test_the_next_edits_of_a_message_that_never_arrived_say_nothing_twice(post: Post) -> None:
    post.outbound.fail(Refused("not here", ours=True))

    async with post.working():
        await post.put(parcel("H"))
        await post.outbound.until_asked(1)
        await post.bell.until_quiet()
        for number, text in enumerate(["He", "Hel", "Hell"]):
            await post.put(parcel(text, edits="H", number=number))
            await post.outbound.until_asked(number + 2)
            await post.bell.until_quiet()

    first, *others = post.contents()
    assert first == message("He", notice=True)
    assert [content["m.relates_to"]["event_id"] for content in others] == [post.outbound.said[0].event] * 2


async def test_an_edit_that_was_overtaken_while_it_waited_is_not_sent(post: Post) -> None:
    async with post.working():
        await post.put(parcel("H"))
        await post.until_said(["H"])
        post.outbound.fail(RateLimited("429", retry_after=60))
        await post.put(parcel("He", edits="H", number=1))
        await post.outbound.until_asked(2)
        await post.bell.until_quiet()
        await post.put(parcel("Hel", edits="H", number=2), parcel("Hell", edits="H", number=3))
        await post.later(60 + MARGIN_SECONDS)
        await post.until_said(["H", "* Hell"])


# ── a homeserver that does not answer ──


async def test_a_homeserver_that_is_away_is_asked_less_and_less(post: Post) -> None:
    post.outbound.fail(Unreachable("nobody answers"), times=3)
    await post.put(parcel("one"))

    async with post.working():
        for asked, wait in enumerate((0.5, 1, 2), start=1):
            await post.outbound.until_asked(asked)
            await post.bell.until_nap(wait)
            await post.later(wait)
            assert len(post.outbound.asked) == asked
            await post.later(NEXT_PROBE_SECONDS)
        await post.until_said(["one"])


async def test_while_nobody_answers_one_room_after_the_other_asks(post: Post) -> None:
    post.outbound.fail(Unreachable("nobody answers"), times=5)
    await post.put(parcel("one"))

    async with post.working():
        await post.outbound.until_asked(1)
        await post.bell.until_quiet()
        await post.put(parcel("two", OTHER), parcel("three", ROOMS[0]), parcel("four", ROOMS[1]))
        for wait in (0.5, 1, 2, 4, 8):
            await post.bell.until_nap(wait)
            await post.later(wait)
        assert [room for _, room in post.outbound.asked[:5]] == [ROOM, OTHER, ROOMS[0], ROOMS[1], ROOM]
        await post.later(NEXT_PROBE_SECONDS)
        await post.outbound.until(lambda: len(post.outbound.texts()) == 4)


async def test_while_one_asks_the_others_wait_for_what_it_finds(post: Post) -> None:
    post.outbound.fail(Unreachable("nobody answers"))
    await post.put(parcel("one"))
    async with post.working():
        await post.outbound.until_asked(1)
        await post.bell.until_quiet()
        release = post.outbound.hold(OTHER)
        await post.put(parcel("probe", OTHER), parcel("waits", ROOMS[0]))
        await post.later(0.5)
        await post.later(PROBE_SECONDS - 1)
        assert [room for _, room in post.outbound.asked] == [ROOM, OTHER]
        release()
        await post.outbound.until(lambda: len(post.outbound.texts()) == 3)


async def test_a_room_that_hangs_while_it_asks_for_all_holds_nobody_up_for_long(post: Post) -> None:
    post.outbound.fail(Unreachable("nobody answers"))
    await post.put(parcel("one"))
    async with post.working():
        await post.outbound.until_asked(1)
        await post.bell.until_quiet()
        post.outbound.hold(OTHER)
        await post.put(parcel("hangs", OTHER), parcel("waits", ROOMS[0]))
        await post.later(0.5)
        await post.later(PROBE_SECONDS)
        await post.outbound.until(lambda: len(post.outbound.texts()) == 2)
    assert sorted(post.outbound.texts()) == ["one", "waits"]


async def test_many_rooms_that_hang_stop_no_other(post: Post) -> None:
    for room in ROOMS[:MAX_IN_FLIGHT]:
        post.outbound.hold(room)
    await post.put(*(parcel(f"into {room}", room) for room in ROOMS[:MAX_IN_FLIGHT]))

    async with post.working():
        await post.outbound.until_asked(MAX_IN_FLIGHT)
        await post.put(parcel("one", OTHER))
        await post.later(SLOW_SECONDS)
        await post.outbound.until(lambda: post.outbound.texts() == ["one"])


async def test_after_an_answer_the_waits_start_again(post: Post) -> None:
    async with post.working():
        for text in ("one", "two"):
            post.outbound.fail(Unreachable("nobody answers"))
            before = len(post.outbound.asked)
            await post.put(parcel(text))
            await post.outbound.until_asked(before + 1)
            await post.bell.until_quiet()
            await post.bell.until_nap(0.5)
            await post.later(0.5 + NEXT_PROBE_SECONDS)
        await post.until_said(["one", "two"])


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
