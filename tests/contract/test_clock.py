"""Time: the same promises from the real clock and from the one that tests move."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from aiagentchat.app.clock import SystemClock
from aiagentchat.core.ports import Clock
from tests.fakes.clock import FakeClock

NAP = 0.02


async def _move(clock: FakeClock) -> None:
    while True:
        await clock.pass_nap()


@pytest.fixture
async def system_clock() -> Clock:
    return SystemClock()


@pytest.fixture
async def fake_clock() -> AsyncIterator[Clock]:
    clock = FakeClock()
    async with asyncio.TaskGroup() as group:
        moving = group.create_task(_move(clock))
        yield clock
        moving.cancel()


@pytest.fixture(params=["system_clock", "fake_clock"])
def clock(request: pytest.FixtureRequest, system_clock: Clock, fake_clock: Clock) -> Clock:
    return {"system_clock": system_clock, "fake_clock": fake_clock}[request.param]


async def test_a_sleep_takes_its_time(clock: Clock) -> None:
    before = clock.monotonic()

    async with asyncio.timeout(5):
        await clock.sleep(NAP)
    assert clock.monotonic() - before >= NAP * 0.99


async def test_both_times_go_on_together(clock: Clock) -> None:
    wall, monotonic = clock.now_ms(), clock.monotonic()

    async with asyncio.timeout(5):
        await clock.sleep(NAP)
    assert clock.now_ms() - wall == pytest.approx((clock.monotonic() - monotonic) * 1000, abs=10)


async def test_a_sleep_of_no_time_ends(clock: Clock) -> None:
    async with asyncio.timeout(5):
        await clock.sleep(0)


async def test_a_sleep_can_be_cut_short(clock: Clock) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await clock.sleep(3600)
