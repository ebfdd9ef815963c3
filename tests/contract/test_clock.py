"""Time: the same promises from the real clock and from the one that tests move."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from aiagentchat.app.clock import SystemClock
from aiagentchat.core.ports.clock import Clock
from tests.fakes.clock import FakeClock

NAP = 0.02


@dataclass(frozen=True, slots=True)
class Time:
    """A clock, and what makes its time pass."""

    clock: Clock
    go_by: Callable[[], Awaitable[object]]

    async def sleep(self, seconds: float) -> None:
        """Sleep on the clock for as long as it takes."""
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(self.clock.sleep(seconds))
            await self.go_by()


async def _by_itself() -> None:
    """Real time needs nobody."""


def _real() -> Time:
    return Time(SystemClock(), _by_itself)


def _fake() -> Time:
    clock = FakeClock()
    return Time(clock, clock.pass_nap)


@pytest.fixture(params=[pytest.param(_real, id="real"), pytest.param(_fake, id="fake")])
def time(request: pytest.FixtureRequest) -> Time:
    made: Time = request.param()
    return made


async def test_a_sleep_takes_its_time(time: Time) -> None:
    before = time.clock.monotonic()
    await time.sleep(NAP)

    assert time.clock.monotonic() - before >= NAP * 0.99


async def test_both_times_go_on_together(time: Time) -> None:
    wall, monotonic = time.clock.now_ms(), time.clock.monotonic()
    await time.sleep(NAP)

    assert time.clock.now_ms() - wall == pytest.approx((time.clock.monotonic() - monotonic) * 1000, abs=10)


async def test_a_sleep_of_no_time_ends(time: Time) -> None:
    async with asyncio.timeout(5):
        await time.clock.sleep(0)


async def test_a_sleep_can_be_cut_short(time: Time) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await time.clock.sleep(3600)
