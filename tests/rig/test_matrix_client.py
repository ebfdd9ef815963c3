"""The test client shows what a person would see."""

import asyncio
from pathlib import Path

import pytest

from rig.homeserver import Homeserver
from rig.matrix_client import Refused
from rig.people import People, people


async def test_two_people_talk(people: People) -> None:
    anna, bo = await people.person("anna"), await people.person("bo")
    room = await people.room(anna, bo)

    said = await anna.send(room, "hello bo")
    heard = await bo.until_message(room, "hello", sender=anna.id)
    await bo.send(room, "hello anna", reply_to=heard.id)
    answer = await anna.until_message(room, lambda message: message.reply_to == said)

    assert (heard.id, heard.kind, answer.body) == (said, "m.text", "hello anna")


async def test_edits_reactions_and_redactions_show(people: People) -> None:
    anna, bo = await people.person("anna"), await people.person("bo")
    room = await people.room(anna, bo)
    draft = await anna.send(room, "draft")
    gone = await anna.send(room, "a slip of the tongue")

    await anna.edit(room, draft, "final")
    await bo.edit(room, draft, "forged")
    await bo.react(room, draft, "✅")
    await anna.redact(room, gone)
    await bo.until_message(room, "final")
    await bo.until(lambda: len(bo.view(room)) == 1)

    assert await bo.until_reaction(room, draft, "✅") == {bo.id}
    assert [(message.body, message.edits) for message in bo.view(room)] == [("final", 1)]


async def test_the_same_transaction_sends_once(people: People) -> None:
    anna = await people.person()
    room = await people.room(anna)

    first = await anna.send(room, "once", txn="t1")
    second = await anna.send(room, "once", txn="t1")

    assert first == second


@pytest.mark.long
async def test_what_happened_before_and_in_gaps_is_collected(people: People) -> None:
    anna, late = await people.person("anna"), await people.person("late")
    room = await people.room(anna)
    sent = [await anna.send(room, f"message {number}") for number in range(130)]

    await anna.invite(room, late.id)
    await late.until(lambda: room in late.invites)
    await late.join(room)
    await late.until_message(room, "message 129")

    assert [message.id for message in late.view(room)] == sent
    assert [event["event_id"] for event in await late.history(room)] == [
        event["event_id"] for event in late.events(room)
    ]


async def test_typing_and_read_receipts_show(people: People) -> None:
    anna, bo = await people.person("anna"), await people.person("bo")
    room = await people.room(anna, bo)
    said = await anna.send(room, "are you there?")

    await bo.request("PUT", f"/rooms/{room}/typing/{bo.id}", {"typing": True, "timeout": 10_000})
    await bo.request("POST", f"/rooms/{room}/receipt/m.read/{said}", {})

    await anna.until(lambda: bo.id in anna.typing(room))
    await anna.until(lambda: anna.read_up_to(room, bo.id) == said)


async def test_a_wait_that_fails_tells_what_was_seen(people: People) -> None:
    anna = await people.person()
    room = await people.room(anna)
    await anna.send(room, "something else")
    await anna.until_message(room, "something")

    with pytest.raises(AssertionError, match="something else"):
        await anna.until_message(room, "never said", timeout=0.05)


async def test_a_refusal_carries_its_code(people: People) -> None:
    anna = await people.person()

    with pytest.raises(Refused) as refused:
        await anna.send("!nowhere:localhost", "hello")
    assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")


@pytest.mark.long
async def test_a_client_survives_an_outage(tmp_path: Path) -> None:
    with Homeserver(tmp_path / "server") as server:
        async with people(server) as present:
            anna = await present.person()
            room = await present.room(anna)
            await asyncio.to_thread(server.restart)
            await anna.send(room, "still here")

            await anna.until_message(room, "still here")
