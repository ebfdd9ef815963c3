"""A turn of forty seconds, as long as it is: in both ways in which an answer grows, in the open and encrypted."""

from pathlib import Path

import pytest

from rig.js_people import JsPeople
from rig.model import Model
from rig.people import People
from tests.clients.rings import OUTPUTS, long_turn, only_first_and_last_ring
from tests.clients.secret_house import secret_house

SECONDS = 40.0


@pytest.mark.parametrize("encrypted", [False, True], ids=["open", "encrypted"])
async def test_of_a_long_turn_the_first_message_and_the_last_ring(
    people: People, elements: JsPeople, model: Model, workplace: Path, encrypted: bool
) -> None:
    async with secret_house(
        people,
        elements,
        model,
        workplace,
        encrypted=encrypted,
        rooms=len(OUTPUTS),
        start=False,
        room={"allow": ["Bash"]},
    ) as (house, anna):
        for room, output in zip(house.daemon.settings["rooms"], OUTPUTS, strict=True):
            room["output"] = output
        async with house.daemon:
            await house.settle_in()
            asked = [await house.ask(long_turn(SECONDS), room=room) for room in house.rooms]
            for room, command in zip(house.rooms, asked, strict=True):
                await only_first_and_last_ring(house, anna, room, command, timeout=3 * SECONDS)
