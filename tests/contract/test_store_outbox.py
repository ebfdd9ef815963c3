"""The outbox: in order, once, one at a time for each room; superseded edits are never sent."""

from pathlib import Path

from aiagentchat.core.ids import ApprovalId, EventId, TxnId
from aiagentchat.core.parcels import REACTION, Parcel, Urgency
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import DEVICE, NOW, OTHER_ROOM, ROOM, OpenLedger, parcel, waiting_texts

P1, P2, E1 = TxnId("p1"), TxnId("p2"), TxnId("e1")
SENT = EventId("$sent")
LATER = NOW + 5000
FULL = Parcel(
    txn=TxnId("full"),
    room=ROOM,
    type=REACTION,
    content={"key": "✅\ud83d", "nested": {"list": [1, True, None]}},
    edits=TxnId("unknown"),
    command=EventId("$c"),
    approval=ApprovalId("a"),
    urgency=Urgency.PROGRESS,
)


async def offered(ledger: Ledger, now: int = NOW, least: Urgency = Urgency.SPARE) -> Parcel | None:
    """What the outbox offers next, which is claimed with that."""
    attempt = await ledger.outbox.claim(now, device=DEVICE, least=least)
    return None if attempt is None else attempt.parcel


async def test_a_parcel_comes_out_as_it_was_put(ledger: Ledger) -> None:
    await ledger.outbox.put([FULL], NOW)

    assert await offered(ledger) == FULL


async def test_an_empty_outbox_offers_nothing(ledger: Ledger) -> None:
    assert await offered(ledger) is None
    assert await ledger.outbox.next_due() is None
    assert await ledger.outbox.unsent() == 0


async def test_parcels_of_a_room_leave_in_the_order_they_came(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1", "one"), parcel("p2", "two")], NOW)
    await ledger.outbox.put([parcel("p3", "three")], NOW - 99)

    assert await waiting_texts(ledger) == ["one", "two", "three"]


async def test_a_known_txn_changes_nothing_in_any_state(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1", "one")], NOW)
    await ledger.outbox.put([parcel("p1", "again")], NOW)
    assert await waiting_texts(ledger) == ["one"]

    await ledger.outbox.put([parcel("p1", "again")], NOW)
    assert await waiting_texts(ledger) == []


async def test_a_room_is_offered_nothing_while_one_is_on_its_way(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1"), parcel("p2")], NOW)
    assert await offered(ledger) == parcel("p1")
    assert await offered(ledger) is None

    await ledger.outbox.sent(P1, SENT, NOW)
    assert await offered(ledger) == parcel("p2")


async def test_rooms_take_turns_by_the_age_of_their_oldest_parcel(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1"), parcel("p2"), parcel("q1", room=OTHER_ROOM)], NOW)

    assert await offered(ledger) == parcel("p1")
    assert await offered(ledger) == parcel("q1", room=OTHER_ROOM)
    assert await offered(ledger) is None


async def test_a_postponed_parcel_is_offered_again_in_its_time_and_before_the_next(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1"), parcel("p2")], NOW)
    await offered(ledger)
    await ledger.outbox.postpone(P1, LATER)

    assert await offered(ledger, LATER - 1) is None
    assert await ledger.outbox.next_due() == LATER
    assert await offered(ledger, LATER) == parcel("p1")
    assert await ledger.outbox.next_due() is None


async def test_a_postponed_room_does_not_hold_up_another(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1"), parcel("q1", room=OTHER_ROOM)], NOW)
    await offered(ledger)
    await ledger.outbox.postpone(P1, LATER)

    assert await offered(ledger) == parcel("q1", room=OTHER_ROOM)


async def test_what_was_sent_is_not_offered_again(ledger: Ledger) -> None:
    await _send(ledger, "p1")
    await ledger.outbox.postpone(P1, NOW)
    await ledger.outbox.release_claims()

    assert await offered(ledger) is None


async def test_what_was_given_up_stays_given_up(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1")], NOW)
    await ledger.outbox.give_up(P1, "no", NOW)
    await ledger.outbox.sent(P1, SENT, NOW)
    await ledger.outbox.postpone(P1, NOW)

    assert await offered(ledger) is None
    assert await ledger.outbox.event_of(P1) is None


async def test_what_waits_and_was_not_postponed_is_not_due_later(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1")], NOW)

    assert await ledger.outbox.next_due() is None


async def test_a_parcel_that_is_given_up_makes_way(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1"), parcel("p2")], NOW)
    await offered(ledger)
    await ledger.outbox.give_up(P1, "too large", NOW)

    assert await offered(ledger) == parcel("p2")
    assert await ledger.outbox.event_of(P1) is None


async def test_the_event_and_its_parcel_find_each_other(ledger: Ledger) -> None:
    await ledger.outbox.put([FULL], NOW)
    assert await ledger.outbox.event_of(FULL.txn) is None
    await ledger.outbox.sent(FULL.txn, SENT, NOW)

    assert await ledger.outbox.event_of(FULL.txn) == SENT
    assert await ledger.outbox.parcel_of(SENT) == FULL
    assert await ledger.outbox.parcel_of(EventId("$other")) is None
    assert await ledger.outbox.event_of(TxnId("other")) is None


async def test_parcels_on_their_way_count_as_unsent(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1"), parcel("p2"), parcel("q1", room=OTHER_ROOM)], NOW)
    await offered(ledger)
    await ledger.outbox.give_up(TxnId("q1"), "no", NOW)

    assert await ledger.outbox.unsent() == 2


async def test_what_an_earlier_life_claimed_is_offered_again(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await first.outbox.put([parcel("p1"), parcel("p2")], NOW)
        await offered(first)

    async with backend(tmp_path / "ledger.db") as second:
        assert await offered(second) is None
        await second.outbox.release_claims()
        assert await offered(second) == parcel("p1")


async def test_an_edit_of_a_message_that_nobody_has_tried_to_send_goes_into_the_message(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1", "one"), parcel("p2", "two")], NOW)
    await ledger.outbox.put([parcel("e1", "one, better", edits="p1")], NOW)
    await ledger.outbox.put([parcel("e2", "one, best", edits="p1")], NOW)

    assert await offered(ledger) == parcel("p1", "one, best")
    await ledger.outbox.sent(P1, SENT, NOW)
    assert await waiting_texts(ledger) == ["two"]


async def test_an_edit_that_went_into_its_message_is_known_when_it_comes_again(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1", "one")], NOW)
    await ledger.outbox.put([parcel("e1", "older", edits="p1"), parcel("e2", "newer", edits="p1")], NOW)
    await ledger.outbox.put([parcel("e1", "older", edits="p1")], NOW)

    assert await waiting_texts(ledger) == ["newer"]


async def test_an_edit_of_a_message_that_may_be_in_the_room_already_stays_an_edit(ledger: Ledger) -> None:
    # The homeserver answers the message's txn with what it took first: a changed content would never be seen.
    await ledger.outbox.put([parcel("p1", "one")], NOW)
    await offered(ledger)
    await ledger.outbox.postpone(P1, NOW)
    await ledger.outbox.put([parcel("e1", "better", edits="p1")], NOW)

    assert await waiting_texts(ledger) == ["one", "better"]


async def test_an_edit_waits_behind_its_message_while_that_is_on_its_way(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1", "one")], NOW)
    await offered(ledger)
    await ledger.outbox.put([parcel("e1", "better", edits="p1")], NOW)

    assert await offered(ledger) is None
    await ledger.outbox.sent(P1, SENT, NOW)
    assert await waiting_texts(ledger) == ["better"]


async def test_a_newer_edit_takes_the_place_of_a_waiting_one_at_the_end_of_the_room(ledger: Ledger) -> None:
    await _send(ledger, "p1")
    await ledger.outbox.put([parcel("e1", "first", edits="p1"), parcel("p2", "two")], NOW)
    await ledger.outbox.put([parcel("e2", "second", edits="p1"), parcel("other", "other", edits="p0")], NOW)

    assert await waiting_texts(ledger) == ["two", "second", "other"]


async def test_a_superseded_edit_is_known_when_it_comes_again(ledger: Ledger) -> None:
    await _send(ledger, "p1")
    await ledger.outbox.put([parcel("e1", "older", edits="p1"), parcel("e2", "newer", edits="p1")], NOW)
    await ledger.outbox.put([parcel("e1", "older", edits="p1")], NOW)

    assert await waiting_texts(ledger) == ["newer"]


async def test_an_edit_on_its_way_is_not_taken_back(ledger: Ledger) -> None:
    await _send(ledger, "p1")
    await ledger.outbox.put([parcel("e1", "first", edits="p1")], NOW)
    assert await offered(ledger) == parcel("e1", "first", edits="p1")
    await ledger.outbox.put([parcel("e2", "second", edits="p1")], NOW)
    await ledger.outbox.sent(E1, SENT, NOW)

    assert await ledger.outbox.event_of(E1) == SENT
    assert await waiting_texts(ledger) == ["second"]


async def test_a_newer_edit_waits_as_long_as_the_postponed_one_whose_place_it_takes(ledger: Ledger) -> None:
    await _send(ledger, "p1")
    await ledger.outbox.put([parcel("e1", "first", edits="p1")], NOW)
    await offered(ledger)
    await ledger.outbox.postpone(E1, LATER)
    await ledger.outbox.put([parcel("e2", "second", edits="p1")], NOW)

    assert await offered(ledger) is None
    assert await ledger.outbox.next_due() == LATER
    assert await offered(ledger, LATER) == parcel("e2", "second", edits="p1")
    assert await ledger.outbox.unsent() == 1


async def test_an_edit_that_was_overtaken_on_its_way_is_not_offered_again(ledger: Ledger) -> None:
    await _send(ledger, "p1")
    await ledger.outbox.put([parcel("e1", "first", edits="p1")], NOW)
    await offered(ledger)
    await ledger.outbox.put([parcel("e2", "second", edits="p1")], NOW)
    await ledger.outbox.postpone(E1, LATER)

    assert await offered(ledger) is None
    assert await offered(ledger, LATER) == parcel("e2", "second", edits="p1")
    assert await ledger.outbox.unsent() == 1


async def test_an_edit_that_was_overtaken_is_not_released_into_the_next_life(ledger: Ledger) -> None:
    await _send(ledger, "p1")
    await ledger.outbox.put([parcel("e1", "first", edits="p1")], NOW)
    await offered(ledger)
    await ledger.outbox.put([parcel("e2", "second", edits="p1")], NOW)
    await ledger.outbox.release_claims()

    assert await waiting_texts(ledger) == ["second"]


async def test_the_edit_of_a_message_that_was_given_up_is_offered_all_the_same(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1", "one")], NOW)
    await ledger.outbox.give_up(P1, "refused", NOW)
    await ledger.outbox.put([parcel("e1", "better", edits="p1")], NOW)

    assert await offered(ledger) == parcel("e1", "better", edits="p1")
    assert await ledger.outbox.event_of(P1) is None


async def test_whatever_may_free_a_parcel_rings(ledger: Ledger) -> None:
    bell = ledger.outbox.bell
    await ledger.outbox.put([parcel("p1"), parcel("p2")], NOW)
    assert await bell.wait(0)
    await offered(ledger)
    assert not await bell.wait(0)

    await ledger.outbox.postpone(P1, LATER)
    assert await bell.wait(0)
    await ledger.outbox.sent(P1, SENT, NOW)
    assert await bell.wait(0)
    await ledger.outbox.give_up(P2, "no", NOW)
    assert await bell.wait(0)
    await ledger.outbox.release_claims()
    assert await bell.wait(0)


async def _send(ledger: Ledger, txn: str) -> None:
    await ledger.outbox.put([parcel(txn)], NOW)
    await offered(ledger)
    await ledger.outbox.sent(TxnId(txn), EventId(f"$of-{txn}"), NOW)
