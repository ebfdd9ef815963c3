"""Element's engine as a test client: it reads, refuses and remembers as Element does."""

import asyncio

import pytest

from rig.js_engine import EngineDied, EngineRefused
from rig.js_people import JsPeople
from rig.js_user import JsUser
from rig.people import People

pytestmark = pytest.mark.long

VERSIONS = pytest.mark.parametrize("version", ["11", "12"])


async def _room(anna: JsUser, bo: JsUser, version: str = "") -> str:
    room = await anna.create_room(bo.id, version=version)
    await bo.until(lambda: room in bo.invites, what="the invitation")
    await bo.join(room)
    await anna.until_event(room, lambda event: event.get("state_key") == bo.id and "join" in str(event["content"]))
    return room


@VERSIONS
async def test_two_people_talk_and_the_homeserver_reads_nothing(elements: JsPeople, version: str) -> None:
    anna, bo = await elements.person("anna"), await elements.person("bo")
    room = await _room(anna, bo, version)

    said = await anna.send(room, "hello bo")
    heard = await bo.until_message(room, "hello", sender=anna.id)
    await bo.send(room, "hello anna", reply_to=heard.id)
    answer = await anna.until_message(room, lambda message: message.reply_to == said)
    kinds = {event["type"] for event in await anna.history(room) if event["type"].startswith("m.room.me")}

    assert (heard.id, heard.body, answer.body) == (said, "hello bo", "hello anna")
    assert (bo.sight(said).encrypted, bo.sight(said).shield) == (True, "none")
    assert kinds == {"m.room.member"}


async def test_edits_threads_reactions_and_redactions_show(elements: JsPeople) -> None:
    anna, bo = await elements.person("anna"), await elements.person("bo")
    room = await _room(anna, bo)
    draft = await anna.send(room, "draft")
    gone = await anna.send(room, "a slip of the tongue")
    await bo.until_message(room, "a slip")

    edit = await anna.edit(room, draft, "final")
    aside = await bo.send(room, "an aside", thread=draft)
    await bo.react(room, draft, "✅")
    await anna.redact(room, gone)
    await bo.until_message(room, "final")
    await anna.until_reaction(room, draft, "✅")
    await bo.until(lambda: bo.message(room, gone) is None)
    message = await anna.until_message(room, "an aside")

    assert [(message.body, message.edits) for message in bo.view(room)] == [("final", 1), ("an aside", 0)]
    assert message.first["m.relates_to"]["event_id"] == draft
    assert message.id == aside
    await anna.until_in_thread(room, draft, aside)
    beside = await anna.shown(room, aside)
    assert (beside.thread, beside.answers) == (draft, "")
    shown = await bo.shown(room, draft)
    assert (shown.thread, shown.answers) == ("", "")
    assert (shown.content["body"], shown.edited, shown.redacted) == ("final", edit, False)
    assert (await bo.shown(room, gone)).redacted


async def test_a_file_travels_encrypted(elements: JsPeople) -> None:
    anna, bo = await elements.person("anna"), await elements.person("bo")
    room = await _room(anna, bo)

    sent = await anna.send_file(room, "notes.txt", b"what nobody else reads")
    message = await bo.until_message(room, "notes.txt")

    assert await bo.fetch_file(room, sent) == b"what nobody else reads"
    assert "url" not in message.content
    assert message.content["info"]["size"] == 22


async def test_a_closed_client_keeps_its_keys(elements: JsPeople) -> None:
    anna, bo = await elements.person("anna"), await elements.person("bo")
    room = await _room(anna, bo)
    before = await anna.send(room, "before")
    await bo.until_message(room, "before")

    await bo.stop()
    meanwhile = await anna.send(room, "meanwhile")
    await anna.rotate(room)
    later = await anna.send(room, "with another key")
    await bo.start()
    await bo.until_readable(room, later)

    assert [message.id for message in bo.view(room)] == [before, meanwhile, later]
    assert bo.unreadable(room) == []
    assert await bo.devices(bo.id) == {bo.device: True}


@pytest.mark.parametrize("way", ["recovery key", "emoji"])
async def test_a_new_device_is_signed_and_reads(elements: JsPeople, way: str) -> None:
    anna, bo = await elements.person("anna"), await elements.person("bo")
    room = await _room(anna, bo)
    phone = await elements.device(bo)
    unsigned = await anna.devices(bo.id)
    hidden = await anna.send(room, "not for a device that bo has not signed")
    await phone.until_event(room, lambda event: event["event_id"] == hidden)
    why = phone.sight(hidden).why

    if way == "emoji":
        await phone.verify_with(bo)
    else:
        await phone.recover(bo.recovery_key)
    await anna.until_devices(bo.id, {bo.device: True, phone.device: True})
    new = await anna.send(room, "new")
    await phone.until_readable(room, new)

    assert unsigned == {bo.device: True, phone.device: False}
    assert phone.sight(new).shield == "none"
    assert why == "MEGOLM_KEY_WITHHELD_FOR_UNVERIFIED_DEVICE"


async def test_strict_neither_tells_nor_believes_a_device_without_a_signature(
    people: People, elements: JsPeople
) -> None:
    anna, bo = await elements.person("anna"), await elements.play(people.account("bo"), strict=False)
    room = await _room(anna, bo)

    kept = await anna.send(room, "not for everybody")
    doubted = await bo.send(room, "believe me")
    await bo.until(lambda: kept in bo.unreadable(room), what="a message without its key")
    await anna.until(lambda: doubted in anna.unreadable(room), what="a message that is not believed")
    reasons = (bo.sight(kept).why, anna.sight(doubted).why)
    await bo.create_identity()
    await anna.until_devices(bo.id, {bo.device: True})
    told = await anna.send(room, "now for both")
    believed = await bo.send(room, "it is me")

    assert reasons == ("MEGOLM_KEY_WITHHELD_FOR_UNVERIFIED_DEVICE", "UNSIGNED_SENDER_DEVICE")
    await bo.until_readable(room, told)
    await anna.until_readable(room, believed)
    assert anna.sight(believed).shield == "none"


async def test_who_waits_for_a_client_that_dies_is_told(elements: JsPeople) -> None:
    anna = await elements.person()

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_expect_death(anna))
        await asyncio.sleep(0)  # it waits
        await anna.kill()

    assert "the client ended with -9" in waiting.result()


async def _expect_death(user: JsUser) -> str:
    with pytest.raises(EngineDied) as died:
        await user.until_message("!nowhere", "anything")
    return str(died.value)


async def test_what_the_sdk_refuses_is_an_error_with_its_words(elements: JsPeople) -> None:
    anna = await elements.person()

    with pytest.raises(EngineRefused, match="not in the timeline"):
        await anna.shown("!nowhere", "$nothing")


async def test_push_rules_say_for_what_a_telephone_rings(elements: JsPeople) -> None:
    anna, bo = await elements.person("anna"), await elements.person("bo")
    room = await _room(anna, bo)

    words = await bo.send(room, {"msgtype": "m.text", "body": "words", "m.mentions": {}})
    notice = await bo.send(room, {"msgtype": "m.notice", "body": "anna?", "m.mentions": {"user_ids": [anna.id]}})
    edit = await bo.edit(room, words, "better words")
    mention = await bo.send(room, {"msgtype": "m.text", "body": "anna!", "m.mentions": {"user_ids": [anna.id]}})
    await anna.until_message(room, "anna!")

    said = {words, notice, edit, mention}
    assert [event for event in anna.rings(room, bo.id) if event in said] == [words, mention]
    assert [event for event in said if anna.sight(event).highlights] == [mention]
