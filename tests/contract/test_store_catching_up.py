"""What the inbox knows about what came late: gaps that are filled, events that are asked for by name."""

from dataclasses import replace

import pytest

from aiagentchat.core.effects import AcceptCommand, EditCommand, EraseText, PutParcel
from aiagentchat.core.ids import EventId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import ANNA, BERT, NOW, OTHER_ROOM, ROOM, command, incoming, parcel, settle

A, B = EventId("$a"), EventId("$b")
LATER = NOW + 1000


def late(event: str, by: int = 5000) -> Incoming:
    return replace(incoming(event), late_ms=by)


async def test_events_without_a_token_leave_the_token_where_it_is(ledger: Ledger) -> None:
    await ledger.inbox.take_in("t1", [], NOW)

    assert await ledger.inbox.take_in(None, [incoming(A)], NOW) == 1
    assert await ledger.inbox.token() == "t1"
    assert await ledger.inbox.unrouted(10) == [incoming(A)]


async def test_events_without_a_token_ring_and_nothing_at_all_does_not(ledger: Ledger) -> None:
    assert await ledger.inbox.take_in(None, [], NOW) == 0
    assert not await ledger.inbox.bell.wait(0)
    assert await ledger.inbox.token() is None

    await ledger.inbox.take_in(None, [incoming(A)], NOW)
    assert await ledger.inbox.bell.wait(0)


async def test_a_gap_that_is_filled_twice_counts_once(ledger: Ledger) -> None:
    await ledger.inbox.take_in(None, [late(A)], NOW)

    assert await ledger.inbox.take_in(None, [late(A, 9), incoming(B)], LATER) == 1
    assert await ledger.inbox.get(A) == late(A)
    assert await ledger.inbox.taken_at(A) == NOW
    assert await ledger.inbox.taken_at(B) == LATER


async def test_an_event_is_found_by_its_id_settled_or_not(ledger: Ledger) -> None:
    unread = replace(late(A), kind=Kind.MALFORMED, raw='{"content":{}}')
    await ledger.inbox.take_in("t1", [unread, incoming(B)], NOW)
    await ledger.inbox.settle(B, [], NOW)

    assert await ledger.inbox.get(A) == unread
    assert await ledger.inbox.get(B) == incoming(B)


async def test_an_unknown_event_is_none_and_came_at_no_time(ledger: Ledger) -> None:
    assert await ledger.inbox.get(EventId("$never")) is None
    assert await ledger.inbox.taken_at(EventId("$never")) is None


async def test_late_events_are_those_of_one_room_that_came_together_and_wait(ledger: Ledger) -> None:
    elsewhere = replace(late("$elsewhere"), room=OTHER_ROOM)
    await ledger.inbox.take_in(None, [late("$2"), late("$1"), incoming("$fresh"), elsewhere, late("$settled")], NOW)
    await ledger.inbox.take_in(None, [late("$later")], LATER)
    await ledger.inbox.settle(EventId("$settled"), [PutParcel(parcel("p"))], LATER)

    assert [each.event for each in await ledger.inbox.late(ROOM, NOW)] == ["$2", "$1"]
    assert await ledger.inbox.late(OTHER_ROOM, NOW) == [elsewhere]
    assert await ledger.inbox.late(ROOM, NOW - 1) == []


async def test_a_message_that_was_taken_back_says_nothing_any_more(ledger: Ledger) -> None:
    said = replace(incoming(A, "a secret"), raw="a secret")
    await ledger.inbox.take_in("t1", [said, replace(said, event=B)], NOW)
    await settle(ledger, EraseText(A, ROOM), EraseText(B, OTHER_ROOM))

    assert await ledger.inbox.get(A) == incoming(A, "")
    assert await ledger.inbox.get(B) == replace(said, event=B)


async def test_a_message_that_was_offered_is_changed_by_who_wrote_it_unless_it_runs(ledger: Ledger) -> None:
    for event in (A, B):
        await settle(ledger, event=event)
    await settle(ledger, AcceptCommand(command(B)), event="$yes")
    changes = [EditCommand(event, "make coffee", ANNA) for event in (A, B)]
    await settle(ledger, *changes, EditCommand(A, "drop everything", BERT), event="$edit")

    assert await ledger.inbox.get(A) == incoming(A, "make coffee")
    assert await ledger.inbox.get(B) == incoming(B)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.SEALED])
async def test_every_kind_of_event_comes_back(ledger: Ledger, kind: Kind) -> None:
    event = replace(incoming(A), kind=kind)
    await settle(ledger, event="$other")
    await ledger.inbox.take_in("t1", [event], NOW)

    assert await ledger.inbox.unrouted(10) == [event]
