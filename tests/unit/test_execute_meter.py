"""When a room's folders are looked at, and when they are too large. The folders are real, the time is not."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aiagentchat.core.agent_events import LimitReached
from aiagentchat.core.isolation import RunLimits
from aiagentchat.execute.meter import (
    BREATHING_MIB,
    EVERY_SECONDS,
    FIRST_SECONDS,
    PAUSE_SECONDS,
    STEP,
    Meter,
    until_next,
)
from tests.contract.store_fixtures import NOW
from tests.fakes.clock import FakeClock

MIB = 1024 * 1024
LIMITS = RunLimits(workspace_size=2, file_size=0)
PATIENCE = 10.0
FUTURE = 4_000_000_000_000
"""A turn that begins then (milliseconds) finds only files that are older."""
TOO_LARGE = LimitReached("workspace_size", 2)


class Room:
    """The folders of a room."""

    def __init__(self, folder: Path) -> None:
        self.folders = folder / "workspace", folder / "home"
        for each in self.folders:
            each.mkdir(parents=True)

    def fill(self, mib: int, *, folder: int = 0, name: str = "file") -> None:
        """One file of this size takes the place of what it was before."""
        (self.folders[folder] / name).write_bytes(os.urandom(mib * MIB))

    def claim(self, mib: int, name: str = "sparse") -> None:
        """A file that says that it is so large, and takes nothing."""
        with (self.folders[0] / name).open("wb") as file:
            file.truncate(mib * MIB)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@asynccontextmanager
async def turn(meter: Meter, room: Room, limits: RunLimits = LIMITS) -> AsyncIterator[asyncio.Task[LimitReached]]:
    """A turn of the room, as far as the meter is concerned."""
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        task = group.create_task(meter.outgrown(room.folders, limits))
        yield task
        task.cancel()


@pytest.mark.parametrize(("took", "wait"), [(0.0, EVERY_SECONDS), (0.1, EVERY_SECONDS), (1.0, 20.0), (60.0, 1200.0)])
def test_the_longer_a_look_takes_the_rarer_it_is(took: float, wait: float) -> None:
    assert until_next(took) == wait


async def test_a_room_is_looked_at_after_a_while_and_then_every_few_seconds(room: Room, clock: FakeClock) -> None:
    async with turn(Meter(clock), room):
        naps = [await clock.pass_nap() for _ in range(3)]

    assert naps == [FIRST_SECONDS, EVERY_SECONDS, EVERY_SECONDS]


async def test_a_room_that_grows_too_large_is_told(room: Room, clock: FakeClock) -> None:
    async with turn(Meter(clock), room) as task:
        room.fill(1)
        await clock.pass_nap()
        await clock.until_asleep()
        room.fill(3)
        await clock.pass_nap()

        assert await task == TOO_LARGE


async def test_workspace_and_home_count_together(room: Room, clock: FakeClock) -> None:
    room.fill(1, folder=0)
    room.fill(2, folder=1)
    async with turn(Meter(clock), room) as task:
        await clock.pass_nap()

        assert await task == TOO_LARGE


async def test_a_file_that_reached_its_limit_is_told(room: Room, clock: FakeClock) -> None:
    limits = RunLimits(workspace_size=0, file_size=5)
    async with turn(Meter(clock), room, limits) as task:
        room.claim(4)
        await clock.pass_nap()
        await clock.until_asleep()
        room.claim(5)
        await clock.pass_nap()

        assert await task == LimitReached("file_size", 5)


async def test_a_large_file_that_was_there_before_the_turn_is_nobodys_fault(room: Room) -> None:
    clock = FakeClock(FUTURE)
    room.claim(6)
    async with turn(Meter(clock), room, RunLimits(workspace_size=0, file_size=5)) as task:
        await clock.pass_nap()
        await clock.until_asleep()

        assert not task.done()


async def test_without_a_limit_nothing_is_too_large(room: Room, clock: FakeClock) -> None:
    room.fill(3)
    async with turn(Meter(clock), room, RunLimits(workspace_size=0, file_size=0)) as task:
        await clock.pass_nap()
        await clock.until_asleep()

        assert not task.done()


# ── a turn that is over before anybody has looked ─────────────────────────────────────────────────────────────────


async def test_what_a_short_turn_has_reached_is_told_at_its_end(room: Room, clock: FakeClock) -> None:
    meter = Meter(clock)
    nothing = await meter.at_the_end(room.folders, LIMITS, NOW)
    room.claim(5)
    file = await meter.at_the_end(room.folders, RunLimits(file_size=5), NOW)
    old = await meter.at_the_end(room.folders, RunLimits(file_size=5), FUTURE)
    room.fill(3)
    full = await meter.at_the_end(room.folders, LIMITS, NOW)

    assert (nothing, old) == (None, None)
    assert (file, full) == (LimitReached("file_size", 5), TOO_LARGE)


async def test_nobody_waits_for_the_look_at_another_room(room: Room, clock: FakeClock) -> None:
    meter = Meter(clock)
    room.fill(3)
    async with asyncio.timeout(PATIENCE), meter._one_at_a_time:
        assert await meter.at_the_end(room.folders, LIMITS, NOW) is None


# ── a room that is full ───────────────────────────────────────────────────────────────────────────────────────────


BREATHING = 2


@pytest.fixture
async def full(room: Room, clock: FakeClock) -> Meter:
    """A meter that has seen the room outgrow its limit, in a turn that is over."""
    meter = Meter(clock, breathing_mib=BREATHING)
    room.fill(3)
    async with turn(meter, room) as task:
        await clock.pass_nap()
        await task
    return meter


async def test_a_full_room_is_looked_at_at_once_and_may_be_tidied_up(full: Meter, room: Room, clock: FakeClock) -> None:
    room.fill(4)  # what it still wrote while it was being ended
    async with turn(full, room) as task:
        looked_before = await clock.until_asleep() == EVERY_SECONDS
        await clock.pass_nap()
        await clock.until_asleep()

        assert looked_before
        assert not task.done()


async def test_a_full_room_may_not_grow_on(full: Meter, room: Room, clock: FakeClock) -> None:
    async with turn(full, room) as task:
        await clock.until_asleep()
        room.fill(6)
        await clock.pass_nap()

        assert await task == TOO_LARGE


async def test_what_was_tidied_up_may_not_come_back(full: Meter, room: Room, clock: FakeClock) -> None:
    room.fill(9)
    async with turn(full, room):
        await clock.until_asleep()
        room.fill(3)
        await clock.pass_nap()
        await clock.until_asleep()
    room.fill(9)
    async with turn(full, room) as task:
        assert await task == TOO_LARGE


async def test_a_room_that_was_tidied_up_is_as_any_other(full: Meter, room: Room, clock: FakeClock) -> None:
    async with turn(full, room):
        await clock.until_asleep()
        room.fill(1)
        await clock.pass_nap()
        await clock.until_asleep()
    async with turn(full, room) as task:
        first = await clock.until_asleep()
        room.fill(3)
        await clock.pass_nap()

        assert first == FIRST_SECONDS
        assert await task == TOO_LARGE


def test_the_room_to_breathe_is_enough_for_an_agent_that_deletes() -> None:
    # It writes while it does: its conversation grows, and temporary files come and go.
    assert BREATHING_MIB >= 64


# ── many rooms, and large ones ────────────────────────────────────────────────────────────────────────────────────


async def test_a_large_room_is_looked_at_in_steps_with_pauses(room: Room, clock: FakeClock) -> None:
    for number in range(STEP + 1):
        (room.folders[0] / str(number)).touch()
    async with turn(Meter(clock), room):
        naps = [await clock.pass_nap() for _ in range(3)]

    assert naps == pytest.approx([FIRST_SECONDS, PAUSE_SECONDS, EVERY_SECONDS])


async def test_one_room_is_looked_at_at_a_time(tmp_path: Path, clock: FakeClock) -> None:
    large, small = Room(tmp_path / "large"), Room(tmp_path / "small")
    for number in range(STEP + 1):
        (large.folders[0] / str(number)).touch()
    small.fill(3)
    meter = Meter(clock)
    async with turn(meter, large), turn(meter, small) as task:
        await clock.pass_nap()
        await clock.until_asleep()
        waits_for_the_large_one = not task.done()
        await clock.pass_nap()

        assert waits_for_the_large_one
        assert await task == TOO_LARGE


async def test_a_room_that_cannot_be_measured_is_logged_once_a_turn(room: Room, clock: FakeClock) -> None:
    at = os.open(room.folders[0], os.O_RDONLY)
    for _ in range(30):  # deeper than a path may be long
        os.mkdir("x" * 200, dir_fd=at)
        inner = os.open("x" * 200, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    with capture_logs() as lines:
        async with turn(Meter(clock), room) as task:
            for _ in range(3):
                await clock.pass_nap()
            await clock.until_asleep()

            assert not task.done()
    assert [line["event"] for line in lines] == ["workspace.not_measured"]
