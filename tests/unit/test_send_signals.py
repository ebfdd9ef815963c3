"""Typing and read receipts: seen at once, renewed, dropped when too many, and never in the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aiagentchat.core.errors import LoginFailed, MatrixError, RateLimited, Refused, Unreachable
from aiagentchat.core.ids import EventId
from aiagentchat.core.messages import MAIN
from aiagentchat.send import signals as signals_module
from aiagentchat.send.signals import MAX_WAITING, RENEW_SECONDS, TYPING_SECONDS, RoomSignals
from tests.fakes.changes import PATIENCE
from tests.fakes.outbound import FakeOutbound
from tests.fakes.people import OTHER, ROOM

QUICKLY = 0.01


@pytest.fixture
def outbound() -> FakeOutbound:
    made = FakeOutbound()
    made.room(ROOM)
    made.room(OTHER)
    return made


@pytest.fixture
def signals(outbound: FakeOutbound) -> RoomSignals:
    return RoomSignals(outbound)


@asynccontextmanager
async def running(signals: RoomSignals) -> AsyncIterator[None]:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        task = group.create_task(signals.run())
        yield
        task.cancel()


async def test_typing_shows_and_goes_away(signals: RoomSignals, outbound: FakeOutbound) -> None:
    async with running(signals):
        signals.typing(ROOM, True)
        await outbound.until(lambda: outbound.rooms[ROOM].typing)

        signals.typing(ROOM, False)
        await outbound.until(lambda: not outbound.rooms[ROOM].typing)


async def test_a_receipt_shows(signals: RoomSignals, outbound: FakeOutbound) -> None:
    async with running(signals):
        signals.read(ROOM, EventId("$event"))
        await outbound.until(lambda: outbound.rooms[ROOM].read == {MAIN: "$event"})


async def test_there_are_receipts_for_what_is_in_no_thread_for_each_thread_and_for_all_of_the_room(
    signals: RoomSignals, outbound: FakeOutbound
) -> None:
    async with running(signals):
        signals.read(ROOM, EventId("$event"))
        signals.read(ROOM, EventId("$inside"), EventId("$root"))
        signals.begun(ROOM, EventId("$begun"))
        await outbound.until(lambda: outbound.rooms[ROOM].read == {None: "$begun", MAIN: "$event", "$root": "$inside"})


async def test_typing_is_renewed_until_it_is_over(
    signals: RoomSignals, outbound: FakeOutbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals_module, "RENEW_SECONDS", QUICKLY)
    async with running(signals):
        signals.typing(ROOM, True)
        signals.typing(OTHER, True)
        signals.typing(OTHER, False)
        await outbound.until(lambda: outbound.asked.count(("typing", ROOM)) >= 4)

    assert outbound.rooms[ROOM].typing


async def test_a_turn_that_is_over_at_once_shows_no_typing(signals: RoomSignals, outbound: FakeOutbound) -> None:
    async with running(signals):
        signals.typing(OTHER, True)
        signals.typing(OTHER, False)
        signals.typing(ROOM, True)
        await outbound.until(lambda: outbound.rooms[ROOM].typing)

    assert outbound.asked.count(("typing", OTHER)) == 0


async def test_typing_is_renewed_before_the_homeserver_takes_it_away() -> None:
    assert RENEW_SECONDS < TYPING_SECONDS


async def test_what_is_hidden_while_another_room_is_shown_stays_hidden(
    signals: RoomSignals, outbound: FakeOutbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals_module, "TYPING_AFTER", 0.0)
    monkeypatch.setattr(signals_module, "RENEW_SECONDS", QUICKLY)
    release = outbound.hold(ROOM)
    signals.typing(ROOM, True)
    signals.typing(OTHER, True)
    async with running(signals):
        await outbound.until_asked(1)
        signals.typing(OTHER, False)
        release()
        await outbound.until_asked(4)

    assert outbound.asked == [("typing", ROOM)] * len(outbound.asked)


async def test_typing_is_not_renewed_before_its_time(
    signals: RoomSignals, outbound: FakeOutbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals_module, "TYPING_AFTER", 0.0)
    async with running(signals):
        signals.typing(ROOM, True)
        await outbound.until(lambda: outbound.rooms[ROOM].typing)
        for number in range(20):
            event = EventId(f"${number}")
            signals.read(OTHER, event)
            await outbound.until(lambda event=event: outbound.rooms[OTHER].read.get(MAIN) == event)  # type: ignore[misc]

    assert outbound.asked.count(("typing", ROOM)) == 1


async def test_signals_are_renewed_after_trouble(
    signals: RoomSignals, outbound: FakeOutbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals_module, "RENEW_SECONDS", QUICKLY)
    outbound.fail(Unreachable("nobody answers"), times=2)
    async with running(signals):
        signals.typing(ROOM, True)
        await outbound.until(lambda: outbound.rooms[ROOM].typing)


@pytest.mark.parametrize("error", [Refused("no"), LoginFailed("who?")])
async def test_a_receipt_that_is_refused_is_lost_and_stops_no_other(
    signals: RoomSignals, outbound: FakeOutbound, error: MatrixError
) -> None:
    outbound.fail(error)
    signals.read(ROOM, EventId("$lost"))
    signals.read(OTHER, EventId("$shown"))
    async with running(signals):
        await outbound.until(lambda: outbound.rooms[OTHER].read == {MAIN: "$shown"})

    assert outbound.rooms[ROOM].read == {}
    assert outbound.asked == [("read_receipt", ROOM), ("read_receipt", OTHER)]


@pytest.mark.parametrize("error", [Unreachable("gone"), RateLimited("429", retry_after=0.02)])
async def test_a_receipt_that_cannot_be_sent_is_sent_later_behind_the_others(
    signals: RoomSignals, outbound: FakeOutbound, error: MatrixError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals_module, "AGAIN_SECONDS", QUICKLY)
    outbound.fail(error)
    signals.read(ROOM, EventId("$first"))
    signals.read(OTHER, EventId("$event"))
    async with running(signals):
        await outbound.until(lambda: outbound.rooms[ROOM].read == {MAIN: "$first"})

    assert outbound.asked == [("read_receipt", ROOM), ("read_receipt", OTHER), ("read_receipt", ROOM)]


async def test_a_later_receipt_takes_the_place_of_one_that_is_not_sent_yet(
    signals: RoomSignals, outbound: FakeOutbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals_module, "AGAIN_SECONDS", QUICKLY)
    outbound.fail(Unreachable("gone"))
    release = outbound.hold(ROOM)
    async with running(signals):
        signals.read(ROOM, EventId("$first"))
        await outbound.until_asked(1)
        signals.read(ROOM, EventId("$second"))
        release()
        await outbound.until(lambda: outbound.rooms[ROOM].read == {MAIN: "$second"})

    assert outbound.asked == [("read_receipt", ROOM)] * 2


async def test_a_receipt_that_comes_while_one_is_sent_is_sent_after_it(
    signals: RoomSignals, outbound: FakeOutbound
) -> None:
    release = outbound.hold(ROOM)
    async with running(signals):
        signals.read(ROOM, EventId("$first"))
        await outbound.until_asked(1)
        signals.read(ROOM, EventId("$second"))
        release()
        await outbound.until(lambda: outbound.rooms[ROOM].read == {MAIN: "$second"})

    assert outbound.asked == [("read_receipt", ROOM)] * 2


async def test_receipts_of_more_places_than_can_wait_are_dropped_and_the_next_ones_work(
    signals: RoomSignals, outbound: FakeOutbound
) -> None:
    for number in range(MAX_WAITING + 5):
        signals.read(ROOM, EventId(f"${number}"), EventId(f"$thread{number}"))
    signals.read(ROOM, EventId("$newer"), EventId("$thread0"))

    async with running(signals):
        await outbound.until(lambda: len(outbound.rooms[ROOM].read) == MAX_WAITING)
        signals.read(OTHER, EventId("$after"))
        await outbound.until(lambda: outbound.rooms[OTHER].read == {MAIN: "$after"})
    assert outbound.rooms[ROOM].read["$thread0"] == "$newer"
    assert len(outbound.asked) == MAX_WAITING + 1


async def test_a_signal_never_blocks_and_never_raises(signals: RoomSignals) -> None:
    for _ in range(2 * MAX_WAITING):
        signals.typing(ROOM, True)
        signals.read(ROOM, EventId("$event"))
