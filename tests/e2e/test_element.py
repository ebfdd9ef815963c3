"""A few of the stories of tests/clients, so that every change is held to them: Element's engine, and it is strict."""

from pathlib import Path

import pytest

from rig.js_people import JsPeople
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.clients.rings import OUTPUTS, long_turn, only_first_and_last_ring
from tests.clients.secret_house import (
    all_can_be_read,
    nothing_is_in_clear,
    secret_house,
    until_told,
    words_of_the_daemon,
)


def _say(text: str) -> str:
    return script(f"say {text}", Step(text=f"{text}."))


@pytest.mark.parametrize("version", [pytest.param("11", marks=pytest.mark.long), "12"])
async def test_a_conversation_in_an_encrypted_room_goes_on_after_a_restart_of_either_side(
    people: People, elements: JsPeople, model: Model, workplace: Path, version: str
) -> None:
    async with secret_house(people, elements, model, workplace, version=version) as (house, anna):
        assert await house.ended(await house.ask(_say("First"))) == "✅"
        await house.daemon.kill()
        away = await house.ask(_say("Typed while it was away"))
        await house.daemon.start(until="sync.resumed")
        assert await house.ended(away) == "✅"
        await anna.restart()
        assert await house.ended(await house.ask(_say("Last"))) == "✅"

        assert words_of_the_daemon(house, anna) == ["First.", "Typed while it was away.", "Last."]
        all_can_be_read(house, anna)
        await nothing_is_in_clear(house, anna)


@pytest.mark.long
async def test_a_new_device_of_a_person_is_answered(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        phone = await elements.device(anna)
        await phone.recover(anna.recovery_key)
        asked = await phone.send(house.room, _say("From the phone"))

        assert await house.ended(asked) == "✅"
        told = await until_told(house, phone, "From the phone.")
        await anna.until_readable(house.room, told.id)
        assert (phone.sight(told.id).shield, anna.sight(told.id).shield) == ("none", "none")


@pytest.mark.long
async def test_of_a_turn_that_takes_longer_than_notify_after_the_first_message_and_the_last_ring(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    # Forty seconds and the usual half minute are in tests/clients.
    room = {"allow": ["Bash"], "notify_after": 1}
    async with secret_house(
        people, elements, model, workplace, encrypted=False, rooms=len(OUTPUTS), start=False, room=room
    ) as (house, anna):
        for each, output in zip(house.daemon.settings["rooms"], OUTPUTS, strict=True):
            each["output"] = output
        async with house.daemon:
            await house.settle_in()
            asked = [await house.ask(long_turn(6), room=each) for each in house.rooms]
            for each, command in zip(house.rooms, asked, strict=True):
                await only_first_and_last_ring(house, anna, each, command, timeout=60)
