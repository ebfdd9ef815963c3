"""What the wiring itself decides."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.app.build import _is_heard
from aiagentchat.config.settings import PowerNeeded
from aiagentchat.core.ids import RoomId, UserId
from tests.fakes.front import Front, open_front
from tests.fakes.members import powers
from tests.fakes.people import ADA, ANNA, EVE, KITCHEN, ROOM, VERA, settings


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.mark.parametrize(
    ("room", "user", "heard"),
    [
        pytest.param(ROOM, VERA, True, id="a viewer"),
        pytest.param(ROOM, ANNA, True, id="a user"),
        pytest.param(ROOM, EVE, False, id="a stranger"),
        pytest.param(RoomId("!strange:hs"), ADA, False, id="in a room that is none of ours"),
    ],
)
async def test_whose_words_mean_something_has_a_role_in_the_room(
    front: Front, room: RoomId, user: UserId, heard: bool
) -> None:
    assert await _is_heard(front.settings, front.doors, room, user) is heard


async def test_where_power_counts_nobody_is_heard_whose_power_is_not_known_or_too_low(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, power=PowerNeeded(viewer=0, user=10)))
    assert not await _is_heard(front.settings, front.doors, ROOM, ANNA)

    front.members.states[ROOM] = powers({"users": {ANNA: -1}})
    assert not await _is_heard(front.settings, front.doors, ROOM, ANNA)
    front.members.states[ROOM] = powers({"users": {ANNA: 0}})
    assert await _is_heard(front.settings, front.doors, ROOM, ANNA)
