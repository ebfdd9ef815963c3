"""Rooms that burden the machine turn after turn wait, each time longer."""

import pytest

from aiagentchat.execute.rests import FIRST_SECONDS, FORGOTTEN_SECONDS, MOST_SECONDS, Rests
from tests.contract.store_fixtures import NOW, OTHER_ROOM, ROOM
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


def test_one_accident_costs_nothing_and_a_row_ever_more(clock: FakeClock) -> None:
    rests = Rests(clock)

    assert [rests.note(ROOM, "processes") for _ in range(7)] == [0.0, 5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert rests.left(ROOM) == MOST_SECONDS
    assert rests.left(OTHER_ROOM) == 0.0


@pytest.mark.parametrize("limit", ["", "workspace_size", "file_size"])
def test_a_turn_that_ends_otherwise_ends_the_row(clock: FakeClock, limit: str) -> None:
    rests = Rests(clock)
    rests.note(ROOM, "memory")
    rests.note(ROOM, "memory")

    assert rests.note(ROOM, limit) == 0.0
    assert rests.left(ROOM) == 0.0
    assert rests.note(ROOM, "memory") == 0.0


def test_a_rest_ends_and_what_is_long_ago_is_forgotten(clock: FakeClock) -> None:
    rests = Rests(clock)
    rests.note(ROOM, "memory")
    rests.note(ROOM, "processes")
    clock.advance(FIRST_SECONDS - 1)
    before = rests.left(ROOM)
    clock.advance(1)

    assert (before, rests.left(ROOM)) == (1.0, 0.0)
    clock.advance(FORGOTTEN_SECONDS)
    assert rests.note(ROOM, "memory") == 0.0


def test_a_room_that_is_held_waits_and_its_row_is_what_it_was(clock: FakeClock) -> None:
    rests = Rests(clock)
    rests.hold(ROOM, 10.0)
    assert (rests.left(ROOM), rests.left(OTHER_ROOM)) == (10.0, 0.0)
    assert rests.note(ROOM, "memory") == 0.0

    assert rests.note(ROOM, "memory") == FIRST_SECONDS
    rests.hold(ROOM, 1.0)
    assert rests.left(ROOM) == FIRST_SECONDS
    rests.hold(ROOM, 30.0)
    assert rests.left(ROOM) == 30.0
