"""What whoever watches the daemon wants to know of the ledger."""

from dataclasses import replace

from aiagentchat.core.audit import HOUR_MS, MOST_REFUSALS, AuditKind, Deed
from aiagentchat.core.commands import TurnRecord
from aiagentchat.core.effects import LeaveRoom
from aiagentchat.core.ids import EventId, TxnId
from aiagentchat.core.messages import Kind
from aiagentchat.store.ledger import Ledger
from aiagentchat.store.numbers import Counted, Queue
from tests.contract.store_fixtures import ANNA, DEVICE, NOW, OTHER_ROOM, ROOM, accept, command, incoming, parcel, settle


async def test_of_a_new_ledger_there_is_nothing_to_tell(ledger: Ledger) -> None:
    assert await ledger.numbers.counted(NOW) == Counted({}, None, {}, {"more": 0}, 0)


async def test_what_waits_is_counted_by_room_with_the_age_of_the_oldest(ledger: Ledger) -> None:
    later = replace(command("$2"), queued_at=NOW + 5)
    await accept(ledger, command("$1"), later, command("$3", OTHER_ROOM))
    await ledger.commands.start(EventId("$3"), NOW)

    assert (await ledger.numbers.counted(NOW)).queues == {ROOM: Queue(2, NOW)}


async def test_the_oldest_parcel_is_the_oldest_that_is_not_sent(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("first")], NOW)
    await ledger.outbox.put([parcel("second")], NOW + 7)
    before = (await ledger.numbers.counted(NOW)).oldest_parcel
    assert await ledger.outbox.claim(NOW + 8, device=DEVICE) is not None
    claimed = (await ledger.numbers.counted(NOW)).oldest_parcel
    await ledger.outbox.sent(TxnId("first"), EventId("$first"), NOW + 9)

    assert (before, claimed) == (NOW, NOW)
    assert (await ledger.numbers.counted(NOW)).oldest_parcel == NOW + 7


async def test_a_room_that_we_have_left_does_not_count(ledger: Ledger) -> None:
    await accept(ledger, command("$1"))
    await ledger.outbox.put([parcel("first")], NOW)
    await settle(ledger, LeaveRoom(ROOM, ANNA), event="$left")
    counted = await ledger.numbers.counted(NOW)

    assert (counted.queues, counted.oldest_parcel) == ({}, None)


async def test_a_turn_that_was_cut_short_is_told_with_its_moment(ledger: Ledger) -> None:
    for number, moment in enumerate((NOW + 2, NOW + 9)):
        event = EventId(f"${number}")
        await accept(ledger, command(event))
        await ledger.commands.start(event, NOW)
        await ledger.commands.interrupt(event, None, TurnRecord(), [], moment)

    assert (await ledger.numbers.counted(NOW)).interrupted == {ROOM: NOW + 9}


async def test_refusals_of_the_last_hour_are_counted_by_what_was_tried(ledger: Ledger) -> None:
    message = Deed(kind=AuditKind.REFUSED, room=ROOM, actor=ANNA, detail={"what": "message"})
    invite = Deed(kind=AuditKind.INVITE_REFUSED, actor=ANNA)
    asked = Deed(kind=AuditKind.ASKED, room=ROOM, actor=ANNA)
    await ledger.audit.write(message, NOW - HOUR_MS - 1)
    for deed in (message, message, invite, asked):
        await ledger.audit.write(deed, NOW)

    assert (await ledger.numbers.counted(NOW)).refused == {"message": 2, "invite_refused": 1, "more": 0}


async def test_what_the_audit_holds_back_counts_too(ledger: Ledger) -> None:
    message = Deed(kind=AuditKind.REFUSED, room=ROOM, actor=ANNA, detail={"what": "message"})
    for _ in range(MOST_REFUSALS + 3):
        await ledger.audit.write(message, NOW)

    assert (await ledger.numbers.counted(NOW)).refused == {"message": MOST_REFUSALS, "more": 3}


async def test_what_cannot_be_read_counts_for_a_day(ledger: Ledger) -> None:
    sealed = [replace(incoming(event, "s1"), kind=Kind.SEALED, raw="{}") for event in ("$1", "$2", "$3")]
    await ledger.inbox.take_in("t1", sealed[:1], NOW)
    await ledger.inbox.take_in("t2", [*sealed[1:], incoming("$4")], NOW + HOUR_MS)

    assert [(await ledger.numbers.counted(NOW + hours * HOUR_MS)).sealed for hours in (1, 24, 25, 26)] == [3, 3, 2, 0]
    assert await ledger.seals.count() == 3
