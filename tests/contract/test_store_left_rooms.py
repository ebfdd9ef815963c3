"""A room that we have left keeps everything and gets nothing; when we are back, it goes on."""

from pathlib import Path

from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.effects import EnterRoom, LeaveRoom, PutParcel
from aiagentchat.core.ids import EventId
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    BERT,
    DEVICE,
    NOW,
    OTHER_ROOM,
    ROOM,
    OpenLedger,
    accept,
    command,
    command_in,
    parcel,
    settle,
    state_of,
    waiting_texts,
)

A, B = EventId("$a"), EventId("$b")


async def leave(ledger: Ledger, event: str = "$left") -> None:
    assert await settle(ledger, LeaveRoom(ROOM, BERT), event=event)


async def enter(ledger: Ledger, event: str = "$joined") -> None:
    assert await settle(ledger, EnterRoom(ROOM), event=event)


async def test_what_is_queued_in_a_room_that_we_have_left_is_not_offered(ledger: Ledger) -> None:
    await accept(ledger, command(A), command(B, OTHER_ROOM))
    await leave(ledger)

    assert await ledger.commands.rooms_with_work() == [OTHER_ROOM]
    assert await ledger.commands.next_queued(ROOM) is None
    assert await ledger.commands.next_queued(OTHER_ROOM) == command(B, OTHER_ROOM)


async def test_what_is_queued_stays_and_is_offered_when_we_are_back(ledger: Ledger) -> None:
    await accept(ledger, command(A), command(B))
    await leave(ledger)
    assert [each.event for each in await ledger.commands.queue(ROOM)] == [A, B]
    assert await ledger.commands.open() == 0
    await enter(ledger)

    assert await ledger.commands.open() == 2
    assert await ledger.commands.rooms_with_work() == [ROOM]
    assert await ledger.commands.next_queued(ROOM) == command(A)


async def test_what_is_accepted_after_we_have_left_waits_too(ledger: Ledger) -> None:
    await leave(ledger)
    await accept(ledger, command(A))
    assert await ledger.commands.rooms_with_work() == []
    await enter(ledger)

    assert await ledger.commands.next_queued(ROOM) == command(A)


async def test_the_turn_of_a_room_that_we_have_left_is_asked_to_end(ledger: Ledger) -> None:
    running = await command_in(ledger, CommandState.RUNNING)
    await accept(ledger, command(A))
    await ledger.commands.bell.wait(0)
    await leave(ledger)

    assert await ledger.commands.bell.wait(0)
    assert await ledger.commands.stop_requested(running) == BERT
    assert await ledger.commands.stop_requested(A) is None
    assert await state_of(ledger, running) is CommandState.RUNNING


async def test_who_asked_for_the_end_before_is_remembered(ledger: Ledger) -> None:
    running = await command_in(ledger, CommandState.RUNNING)
    await settle(ledger, LeaveRoom(ROOM, ANNA), LeaveRoom(ROOM, BERT))

    assert await ledger.commands.stop_requested(running) == ANNA


async def test_nothing_is_sent_to_a_room_that_we_have_left_until_we_are_back(ledger: Ledger) -> None:
    await settle(ledger, PutParcel(parcel("p", "before")))
    await leave(ledger)
    running = await command_in(ledger, CommandState.RUNNING)
    assert await ledger.commands.finish(running, CommandState.CANCELLED, TurnRecord(), [parcel("q", "after")], NOW)
    assert await ledger.outbox.claim(NOW, device=DEVICE) is None
    assert await ledger.outbox.unsent() == 2
    await ledger.outbox.bell.wait(0)
    await enter(ledger)

    assert await ledger.outbox.bell.wait(0)
    assert await ledger.commands.bell.wait(0)
    assert await waiting_texts(ledger) == ["before", "after"]


async def test_a_left_room_is_left_in_the_next_life_too(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await accept(first, command(A))
        await leave(first)

    async with backend(tmp_path / "ledger.db") as second:
        assert await second.commands.rooms_with_work() == []
        await enter(second)
        assert await second.commands.rooms_with_work() == [ROOM]


async def test_a_room_that_was_never_left_may_be_entered(ledger: Ledger) -> None:
    await enter(ledger)
    await accept(ledger, command(A))
    await enter(ledger, "$again")

    assert await ledger.commands.next_queued(ROOM) == command(A)


async def test_a_full_sync_that_has_the_room_lets_it_go_on(ledger: Ledger) -> None:
    await accept(ledger, command(A), command(B, OTHER_ROOM))
    await leave(ledger)
    await ledger.inbox.entered([OTHER_ROOM])
    assert await ledger.commands.rooms_with_work() == [OTHER_ROOM]

    await ledger.inbox.entered([ROOM, OTHER_ROOM])

    assert await ledger.commands.rooms_with_work() == [ROOM, OTHER_ROOM]
