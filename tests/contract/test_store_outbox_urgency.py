"""What goes first when not everything can go, and what the outbox remembers of earlier attempts."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.effects import EnterRoom, LeaveRoom
from aiagentchat.core.ids import EventId, RoomId, TxnId
from aiagentchat.core.parcels import Attempt, Parcel, Urgency
from aiagentchat.store.ledger import Ledger
from aiagentchat.store.outbox import LONGEST_MS
from tests.contract.store_fixtures import (
    ANNA,
    DEVICE,
    NOW,
    OTHER_ROOM,
    ROOM,
    OpenLedger,
    command_in,
    parcel,
    settle,
)

SPARE, PROGRESS, NEEDED = Urgency.SPARE, Urgency.PROGRESS, Urgency.NEEDED
THIRD_ROOM = RoomId("!attic:example.org")
OTHER_DEVICE = "OTHER"
MANY, ROOMS = 5000, 100
QUICK_SECONDS = 0.03
"""What one look into a full outbox may take; it took ten times less when this was written."""


def urgent(txn: str, urgency: Urgency, room: RoomId = ROOM, *, edits: str | None = None, text: str = "") -> Parcel:
    return replace(parcel(txn, text or txn, room, edits=edits), urgency=urgency)


async def claimed(ledger: Ledger, least: Urgency = SPARE, *, now: int = NOW, device: str = DEVICE) -> Attempt | None:
    return await ledger.outbox.claim(now, device=device, least=least)


async def offered(ledger: Ledger, least: Urgency = SPARE) -> str | None:
    """What is claimed next."""
    attempt = await claimed(ledger, least)
    return None if attempt is None else attempt.parcel.txn


async def all_offered(ledger: Ledger, least: Urgency = SPARE) -> list[str]:
    """What leaves one after the other, each sent before the next is claimed."""
    txns = []
    while (txn := await offered(ledger, least)) is not None:
        await ledger.outbox.sent(TxnId(txn), EventId(f"$of-{txn}"), NOW)
        txns.append(txn)
    return txns


# ── what goes first ──


async def test_the_most_urgent_room_goes_first(ledger: Ledger) -> None:
    await ledger.outbox.put([urgent("spare", SPARE), urgent("progress", PROGRESS, OTHER_ROOM)], NOW)
    await ledger.outbox.put([urgent("needed", NEEDED, THIRD_ROOM)], NOW)

    assert await all_offered(ledger) == ["needed", "progress", "spare"]


async def test_what_was_postponed_waits_since_then_and_not_for_ever(ledger: Ledger) -> None:
    await ledger.outbox.put([urgent("fails", NEEDED)], NOW)
    assert await claimed(ledger) is not None
    await ledger.outbox.postpone(TxnId("fails"), NOW + 10)
    await ledger.outbox.put([urgent("before", NEEDED, OTHER_ROOM)], NOW + 9)
    await ledger.outbox.put([urgent("after", NEEDED, RoomId("!third:example.org"))], NOW + 11)

    order = [await claimed(ledger, now=NOW + 20) for _ in range(3)]

    assert [each.parcel.txn for each in order if each] == ["before", "fails", "after"]


@pytest.mark.parametrize(
    ("least", "expected"),
    [(SPARE, ["needed", "progress", "spare"]), (PROGRESS, ["needed", "progress"]), (NEEDED, ["needed"])],
)
async def test_what_is_less_urgent_than_asked_for_is_not_offered(
    ledger: Ledger, least: Urgency, expected: list[str]
) -> None:
    await ledger.outbox.put([urgent("spare", SPARE), urgent("progress", PROGRESS, OTHER_ROOM)], NOW)
    await ledger.outbox.put([urgent("needed", NEEDED, THIRD_ROOM)], NOW)

    assert await all_offered(ledger, least) == expected


async def test_what_stands_before_something_needed_is_as_urgent_as_that(ledger: Ledger) -> None:
    await ledger.outbox.put([urgent("progress", PROGRESS, OTHER_ROOM)], NOW)
    await ledger.outbox.put([urgent("page", PROGRESS), urgent("end", NEEDED)], NOW)

    assert await all_offered(ledger, NEEDED) == ["page", "end"]


async def test_what_is_spare_lets_the_others_of_its_room_pass(ledger: Ledger) -> None:
    await ledger.outbox.put([urgent("seen", SPARE), urgent("answer", NEEDED), urgent("mark", SPARE)], NOW)

    assert await all_offered(ledger, NEEDED) == ["answer"]
    assert await all_offered(ledger) == ["seen", "mark"]


async def test_what_is_spare_waits_for_what_stands_before_it(ledger: Ledger) -> None:
    await ledger.outbox.put([urgent("answer", NEEDED), urgent("mark", SPARE)], NOW)
    assert await offered(ledger) == "answer"

    assert await offered(ledger) is None


async def test_what_is_spare_goes_one_by_one(ledger: Ledger) -> None:
    await ledger.outbox.put([urgent("seen", SPARE), urgent("mark", SPARE)], NOW)
    assert await offered(ledger) == "seen"

    assert await offered(ledger) is None


async def test_what_is_spare_and_on_its_way_stops_nobody(ledger: Ledger) -> None:
    await ledger.outbox.put([urgent("seen", SPARE), urgent("answer", NEEDED)], NOW)
    assert await offered(ledger, PROGRESS) == "answer"
    await ledger.outbox.sent(TxnId("answer"), EventId("$answer"), NOW)
    assert await offered(ledger) == "seen"
    await ledger.outbox.put([urgent("next", NEEDED), urgent("behind", NEEDED)], NOW)

    assert await offered(ledger) == "next"
    assert await offered(ledger) is None


async def test_an_end_that_goes_into_its_message_makes_it_needed(ledger: Ledger) -> None:
    await ledger.outbox.put([urgent("begin", PROGRESS)], NOW)
    assert await offered(ledger, NEEDED) is None
    await ledger.outbox.put([urgent("end", NEEDED, edits="begin")], NOW)

    assert await all_offered(ledger, NEEDED) == ["begin"]


async def test_an_edit_that_overtakes_is_as_urgent_as_what_it_overtook(ledger: Ledger) -> None:
    await ledger.outbox.put([urgent("begin", NEEDED)], NOW)
    assert await all_offered(ledger) == ["begin"]
    await ledger.outbox.put([urgent("e1", NEEDED, edits="begin"), urgent("e2", PROGRESS, edits="begin")], NOW)

    assert await all_offered(ledger, NEEDED) == ["e2"]


async def test_rooms_that_are_owed_something_are_counted(ledger: Ledger) -> None:
    await ledger.outbox.put([urgent("a", NEEDED), urgent("b", NEEDED), urgent("c", PROGRESS, OTHER_ROOM)], NOW)
    await ledger.outbox.put([urgent("d", NEEDED, THIRD_ROOM)], NOW)
    assert await ledger.outbox.owed() == 2

    await offered(ledger)
    assert await ledger.outbox.owed() == 2
    await all_offered(ledger)
    assert await ledger.outbox.owed() == 1
    await ledger.outbox.give_up(TxnId("a"), "no", NOW)
    await all_offered(ledger)
    assert await ledger.outbox.owed() == 0


async def test_a_room_that_we_have_left_is_owed_nothing_until_we_are_back(ledger: Ledger) -> None:
    await ledger.outbox.put([urgent("a", NEEDED), urgent("seen", SPARE, OTHER_ROOM)], NOW)
    await settle(ledger, LeaveRoom(ROOM, ANNA), event="$left")
    assert await ledger.outbox.owed() == 0
    assert await all_offered(ledger) == ["seen"]

    await settle(ledger, EnterRoom(ROOM), event="$back")
    assert await ledger.outbox.owed() == 1
    assert await all_offered(ledger) == ["a"]


async def test_what_was_nice_to_know_is_dropped_with_the_end_of_its_command(ledger: Ledger) -> None:
    event = await command_in(ledger, CommandState.RUNNING)
    seen, place = (replace(urgent(name, SPARE), command=event) for name in ("seen", "place"))
    await ledger.outbox.put([seen, place, replace(urgent("words", PROGRESS), command=event)], NOW)
    assert await offered(ledger, PROGRESS) == "words"
    mark = replace(urgent("mark", SPARE), command=event)
    assert await ledger.commands.finish(event, CommandState.DONE, TurnRecord(), [mark], NOW)
    await ledger.outbox.sent(TxnId("words"), EventId("$words"), NOW)

    assert await all_offered(ledger) == ["mark"]


# ── what is known of earlier attempts ──


@pytest.mark.parametrize("how", ["waits", "is on its way", "is found on its way by the next life"])
async def test_what_was_nice_to_know_is_not_sent_again_after_the_end(ledger: Ledger, how: str) -> None:
    event = await command_in(ledger, CommandState.RUNNING)
    place = replace(urgent("place", SPARE), command=event)
    await ledger.outbox.put([place], NOW)
    assert await claimed(ledger) is not None
    if how == "waits":
        await ledger.outbox.postpone(place.txn, 0)
    mark = replace(urgent("mark", SPARE), command=event)
    assert await ledger.commands.finish(event, CommandState.DONE, TurnRecord(), [mark], NOW + 1)
    if how == "is on its way":
        await ledger.outbox.postpone(place.txn, 0)
    await ledger.outbox.release_claims()

    assert await all_offered(ledger) == ["mark"]


async def test_a_mark_that_was_on_its_way_is_sent_again(ledger: Ledger) -> None:
    event = await command_in(ledger, CommandState.RUNNING)
    mark = replace(urgent("mark", SPARE), command=event)
    assert await ledger.commands.finish(event, CommandState.DONE, TurnRecord(), [mark], NOW + 1)
    assert await claimed(ledger) is not None
    await ledger.outbox.release_claims()
    assert await claimed(ledger) is not None
    await ledger.outbox.postpone(mark.txn, 0)

    assert await all_offered(ledger) == ["mark"]


async def test_what_was_never_tried_has_no_attempt_behind_it(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1")], NOW)

    assert await claimed(ledger) == Attempt(parcel=parcel("p1"))


async def test_the_first_of_the_earlier_attempts_is_known(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1")], NOW)
    for later in (0, 10, 20):
        await claimed(ledger, now=NOW + later)
        await ledger.outbox.postpone(TxnId("p1"), NOW)

    assert await claimed(ledger, now=NOW + 30) == Attempt(parcel=parcel("p1"), tried_at=NOW, tried_as=DEVICE)


@pytest.mark.parametrize("devices", [(DEVICE, OTHER_DEVICE), (DEVICE, OTHER_DEVICE, DEVICE, DEVICE)])
async def test_an_attempt_for_several_devices_was_for_none_that_there_is(
    ledger: Ledger, devices: tuple[str, ...]
) -> None:
    await ledger.outbox.put([parcel("p1")], NOW)
    for device in devices:
        await claimed(ledger, device=device)
        await ledger.outbox.postpone(TxnId("p1"), NOW)

    attempt = await claimed(ledger)
    assert attempt is not None
    assert attempt.tried_as not in (None, *devices)


async def test_an_attempt_of_an_earlier_life_counts(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await first.outbox.put([parcel("p1")], NOW)
        await claimed(first)

    async with backend(tmp_path / "ledger.db") as second:
        await second.outbox.release_claims()
        attempt = await claimed(second, now=NOW + 5, device=OTHER_DEVICE)
        assert attempt == Attempt(parcel=parcel("p1"), tried_at=NOW, tried_as=DEVICE)


async def test_faults_and_the_way_it_is_said_are_kept(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1")], NOW)
    await claimed(ledger)
    await ledger.outbox.postpone(TxnId("p1"), NOW, faults=2, variant=1)
    await claimed(ledger)
    await ledger.outbox.postpone(TxnId("p1"), NOW)

    attempt = await claimed(ledger)
    assert attempt is not None
    assert (attempt.faults, attempt.variant) == (2, 1)


async def test_an_attempt_that_the_homeserver_did_not_take_is_none(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1")], NOW)
    await claimed(ledger)
    await ledger.outbox.postpone(TxnId("p1"), NOW, untaken=True)

    assert await claimed(ledger, now=NOW + 9) == Attempt(parcel=parcel("p1"))


async def test_an_attempt_that_was_not_taken_does_not_undo_an_earlier_one(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1", "one")], NOW)
    await claimed(ledger)
    await ledger.outbox.postpone(TxnId("p1"), NOW)
    await claimed(ledger, now=NOW + 9)
    await ledger.outbox.postpone(TxnId("p1"), NOW, untaken=True)
    await ledger.outbox.put([parcel("e1", "better", edits="p1")], NOW)

    attempt = await claimed(ledger, now=NOW + 99)
    assert attempt == Attempt(parcel=parcel("p1", "one"), tried_at=NOW, tried_as=DEVICE)


@pytest.mark.parametrize("is_early", [True, False])
async def test_a_message_that_was_not_taken_says_the_newest_text_the_next_time(ledger: Ledger, is_early: bool) -> None:
    newer = [urgent("e1", PROGRESS, edits="p1", text="two"), urgent("e2", NEEDED, edits="p1", text="three")]
    await ledger.outbox.put([urgent("p1", PROGRESS, text="one")], NOW)
    await claimed(ledger)
    await ledger.outbox.put(newer * is_early, NOW)
    await ledger.outbox.postpone(TxnId("p1"), NOW, untaken=True)
    await ledger.outbox.put(newer * (not is_early), NOW)

    assert await claimed(ledger, NEEDED) == Attempt(parcel=urgent("p1", NEEDED, text="three"))
    await ledger.outbox.sent(TxnId("p1"), EventId("$p1"), NOW)
    assert await all_offered(ledger) == []


# ── time ──


async def test_what_was_sent_lately_is_counted(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel(f"p{number}") for number in range(4)], NOW)
    for number in range(3):
        await claimed(ledger)
        await ledger.outbox.sent(TxnId(f"p{number}"), EventId(f"$p{number}"), NOW + number)
    await ledger.outbox.give_up(TxnId("p3"), "no", NOW + 3)

    assert await ledger.outbox.sent_since(NOW + 1) == 2
    assert await ledger.outbox.sent_since(NOW + 9) == 0


async def test_a_clock_that_was_turned_back_holds_nothing_for_long(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1")], NOW)
    await claimed(ledger)
    await ledger.outbox.postpone(TxnId("p1"), NOW + LONGEST_MS)

    assert await claimed(ledger, now=NOW) is None
    assert await claimed(ledger, now=NOW - 1) is not None


# ── size ──


async def test_a_full_outbox_is_looked_through_quickly(ledger: Ledger) -> None:
    long = "x" * 8000
    urgencies = [SPARE, SPARE, PROGRESS, NEEDED]
    await ledger.outbox.put(
        [
            urgent(f"p{number}", urgencies[number // ROOMS % 4], RoomId(f"!room{number % ROOMS}:hs"), text=long)
            for number in range(MANY)
        ],
        NOW,
    )
    assert await ledger.outbox.unsent() == MANY
    begun = time.perf_counter()
    for _ in range(ROOMS):
        assert await claimed(ledger) is not None
        assert await ledger.outbox.owed() == ROOMS
        assert await ledger.outbox.next_due() is None

    assert (time.perf_counter() - begun) / ROOMS < 3 * QUICK_SECONDS
