"""Encrypted rooms over the lives of both sides: nothing stays unreadable, nothing is lost, nothing runs twice."""

from pathlib import Path

import pytest

from rig.js_people import JsPeople
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.clients.secret_house import (
    all_can_be_read,
    nothing_is_in_clear,
    secret_house,
    until_told,
    words_of_the_daemon,
)

VERSIONS = pytest.mark.parametrize("version", ["11", "12"])


def _say(text: str) -> str:
    return script(f"say {text}", Step(text=f"{text}."))


@VERSIONS
async def test_both_understand_each_other_after_a_restart_of_either(
    people: People, elements: JsPeople, model: Model, workplace: Path, version: str
) -> None:
    async with secret_house(people, elements, model, workplace, version=version) as (house, anna):
        assert await house.ended(await house.ask(_say("First"))) == "✅"
        await house.daemon.stop()
        await house.daemon.start(until="sync.resumed")
        assert await house.ended(await house.ask(_say("Second"))) == "✅"
        await anna.restart()
        assert await house.ended(await house.ask(_say("Third"))) == "✅"
        await house.daemon.kill()
        await house.daemon.start(until="sync.resumed")
        assert await house.ended(await house.ask(_say("Fourth"))) == "✅"

        assert words_of_the_daemon(house, anna) == ["First.", "Second.", "Third.", "Fourth."]
        all_can_be_read(house, anna)
        await nothing_is_in_clear(house, anna)


async def test_what_was_typed_while_the_daemon_was_down_is_answered_once(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        assert await house.ended(await house.ask(_say("Before"))) == "✅"
        await house.daemon.kill()
        with_old_key = await house.ask(_say("Old key"))
        await anna.rotate(house.room)
        with_new_key = await house.ask(_say("New key"))
        await house.daemon.start(until="sync.resumed")

        assert [await house.ended(each) for each in (with_old_key, with_new_key)] == ["✅", "✅"]
        assert words_of_the_daemon(house, anna) == ["Before.", "Old key.", "New key."]
        all_can_be_read(house, anna)


async def test_more_than_one_answer_to_sync_holds_is_read_after_a_time_away(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace, max_queue=50) as (house, anna):
        await house.daemon.kill()
        asked = []
        for number in range(30):
            if number % 7 == 0:
                await anna.rotate(house.room)
            asked.append(await house.ask(_say(f"Number {number}")))
        await house.daemon.start(until="sync.resumed")

        assert [await house.ended(each, timeout=120) for each in asked] == ["✅"] * len(asked)
        said = [text for text in words_of_the_daemon(house, anna) if text.startswith("Number")]
        assert said == [f"Number {number}." for number in range(30)]


async def test_a_kill_at_any_moment_after_a_new_key_leaves_nothing_unreadable(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        for number in range(8):
            await anna.rotate(house.room)
            asked = await house.ask(_say(f"Life {number}"))
            await house.daemon.kill()
            await house.daemon.start(until="sync.resumed")
            assert await house.ended(asked) in ("✅", "⚠️")  # it ran to its end, or was interrupted: never unread

        answered = [text for text in words_of_the_daemon(house, anna) if text.startswith("Life")]
        assert len(set(answered)) == len(answered)
        all_can_be_read(house, anna)
        await nothing_is_in_clear(house, anna)


@pytest.mark.parametrize("way", ["recovery key", "emoji"])
async def test_a_new_device_of_the_person_is_answered_and_reads(
    people: People, elements: JsPeople, model: Model, workplace: Path, way: str
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        assert await house.ended(await house.ask(_say("Before"))) == "✅"
        phone = await elements.device(anna)
        if way == "emoji":
            await phone.verify_with(anna)
        else:
            await phone.recover(anna.recovery_key)
        asked = await phone.send(house.room, _say("From the phone"))

        assert await house.ended(asked) == "✅"
        told = await until_told(house, phone, "From the phone.")
        await anna.until_readable(house.room, told.id)
        await phone.until_readable(house.room, told.id)
        assert (phone.sight(told.id).shield, anna.sight(told.id).shield) == ("none", "none")
        await nothing_is_in_clear(house, anna)


async def test_a_new_device_that_nobody_has_signed_is_answered(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        tablet = await elements.device(anna, strict=False)
        asked = await tablet.send(house.room, _say("From the tablet"))

        assert (await until_told(house, tablet, "From the tablet.")).reply_to == asked
        assert tablet.unreadable(house.room) == []
        assert anna.unreadable(house.room) == [asked]  # her own client does not believe it: Element is as strict


async def test_where_only_signed_devices_are_believed_a_new_one_is_answered_when_it_is_verified(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace, room={"encrypt_to": "cross-signed"}) as (house, anna):
        assert await house.ended(await house.ask(_say("From the desk"))) == "✅"
        tablet = await elements.device(anna, strict=False)
        asked = await tablet.send(house.room, _say("From the tablet"))
        await house.daemon.until_line("event.sealed")
        await tablet.recover(anna.recovery_key)

        assert (await until_told(house, tablet, "From the tablet.")).reply_to == asked


async def test_old_messages_open_with_the_recovery_key(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        assert await house.ended(await house.ask(_say("Long ago"))) == "✅"
        told = await until_told(house, anna, "Long ago.")
        await anna.until_backed_up(2)  # hers and the daemon's
        phone = await elements.device(anna)
        await phone.recover(anna.recovery_key)

        await phone.until_readable(house.room, told.id)
        assert (await until_told(house, phone, "Long ago.")).id == told.id


async def test_the_daemons_identity_stays_the_same_over_its_lives(
    people: People, elements: JsPeople, model: Model, workplace: Path
) -> None:
    async with secret_house(people, elements, model, workplace) as (house, anna):
        first = await anna.identity(house.account.user_id)
        devices = await anna.devices(house.account.user_id)
        await house.daemon.kill()
        await house.daemon.start(until="sync.resumed")
        assert await house.ended(await house.ask(_say("Again"))) == "✅"

        assert (first.exists, first.changed) == (True, False)
        assert devices == {house.account.device_id: True}
        assert await anna.identity(house.account.user_id) == first
        assert await anna.devices(house.account.user_id) == devices
