"""For which of the daemon's events a person's telephone rings, by the push rules that Element applies."""

from pathlib import Path

import pytest

from rig.js_people import JsPeople
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.clients.secret_house import secret_house, until_told

ROOMS = pytest.mark.parametrize("encrypted", [pytest.param(False, id="open"), pytest.param(True, id="encrypted")])


@ROOMS
async def test_it_rings_for_the_first_words_and_not_for_what_follows(
    people: People, elements: JsPeople, model: Model, workplace: Path, encrypted: bool
) -> None:
    async with secret_house(people, elements, model, workplace, encrypted=encrypted) as (house, anna):
        slow = Step(text="".join(f"word{n} " for n in range(40)), chunk=6, delay=0.1)
        asked = await house.ask(script("speak slowly", slow))

        assert await house.ended(asked) == "✅"
        answer = await until_told(house, anna, "word39")
        rung = anna.rings(house.room, house.account.user_id)
        assert answer.edits > 0
        assert rung == [answer.id]
