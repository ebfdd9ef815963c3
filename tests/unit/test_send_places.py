"""Whoever takes long makes place for another, up to a limit."""

import asyncio

import pytest

from aiagentchat.send.places import MAX_IN_FLIGHT, SLOW_SECONDS, Place, Places
from tests.fakes.clock import FakeClock


async def taken(places: Places, number: int) -> None:
    async with asyncio.timeout(1):
        for _ in range(number):
            await places.take()


async def is_full(places: Places) -> bool:
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(places.take())
        await asyncio.sleep(0)
        full = not taking.done()
        taking.cancel()
    return full


async def wait_long(places: Places, clock: FakeClock, place: Place) -> None:
    """Whoever has this place takes long."""
    async with asyncio.TaskGroup() as group:
        group.create_task(places.lend(place))
        await clock.until_asleep()
        clock.advance(SLOW_SECONDS)


async def test_a_place_that_is_given_back_is_free() -> None:
    places = Places(FakeClock())
    await taken(places, MAX_IN_FLIGHT)
    assert await is_full(places)

    places.give_back(Place())

    await taken(places, 1)


async def test_a_slow_one_makes_place_once_and_gives_back_none() -> None:
    clock = FakeClock()
    places, place = Places(clock), Place()
    await taken(places, MAX_IN_FLIGHT)
    await wait_long(places, clock, place)

    await taken(places, 1)
    places.give_back(place)

    assert await is_full(places)


async def test_only_so_many_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiagentchat.send.places.MAX_SLOW", 1)
    clock = FakeClock()
    places, slow, slower = Places(clock), Place(), Place()
    await taken(places, MAX_IN_FLIGHT)
    for place in (slow, slower):
        await wait_long(places, clock, place)

    assert (slow.is_lent, slower.is_lent) == (True, False)
    await taken(places, 1)
    assert await is_full(places)
