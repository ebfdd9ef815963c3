"""Parcels that the homeserver does not take: they come in another form, and hold nobody up."""

from dataclasses import replace

import pytest

from aiagentchat.core.effects import EnterRoom, LeaveRoom
from aiagentchat.core.errors import Refused, Unreachable
from aiagentchat.core.ids import EventId, TxnId
from aiagentchat.core.parcels import REACTION, Parcel
from aiagentchat.render import words
from aiagentchat.render.message import message, reaction
from aiagentchat.send.variants import BEGINNING_CHARACTERS, LAST
from aiagentchat.send.verdict import FORBIDDEN_SECONDS, FORBIDDEN_TRIES
from tests.fakes.log import FakeLog
from tests.fakes.outbound import NOWHERE
from tests.fakes.people import ANNA, OTHER, ROOM
from tests.unit.postman_stage import Post, parcel, settle


@pytest.mark.parametrize("error", [Unreachable("500", status=500, errcode="M_UNKNOWN"), Unreachable("502", status=502)])
async def test_a_room_with_which_the_homeserver_fails_stops_no_other(post: Post, error: Unreachable) -> None:
    post.outbound.fail(error, times=1000, room=ROOM)
    texts = [str(number) for number in range(5)]
    await post.put(parcel("poison"), parcel("behind it"), *(parcel(text, OTHER) for text in texts))

    async with post.working():
        await post.bell.until_quiet()
        for _ in range(3):
            await post.later(60)
        assert post.outbound.texts() == texts
        post.outbound.forgive()
        await post.later(60)
        await post.outbound.until(lambda: len(post.outbound.texts(ROOM)) == 2)
    assert post.outbound.texts(ROOM)[1] == "behind it"


async def test_half_a_character_is_mended_and_holds_nobody_up(post: Post, postman_log: FakeLog) -> None:
    poison = replace(parcel("poison"), content={**message("x", notice=True), "body": "half \ud83d of it"})
    await post.put(poison, parcel("behind it"))

    async with post.working():
        for wait in (0.5, 1.0, 0.0):
            await post.bell.until_quiet()
            await post.later(wait)
        await post.until_said(["half \ufffd of it", "behind it"])
    assert [(line["faults"], line["variant"]) for line in postman_log.of("outbox.failed")] == [(1, 0), (2, 0), (0, 1)]


async def test_what_is_too_large_comes_as_a_file(post: Post) -> None:
    text = "long " * 20_000
    await post.put(replace(parcel("long"), content={"msgtype": "m.text", "body": text}), parcel("next"))

    async with post.working():
        await post.until_said([words.AS_A_FILE, "next"])
    [address] = post.outbound.files
    assert post.outbound.files[address].decode() == text
    assert post.contents()[0]["url"] == address


async def test_an_edit_that_is_too_large_comes_as_a_file_of_its_own(post: Post) -> None:
    async with post.working():
        await post.put(parcel("short"))
        await post.until_said(["short"])
        text = "long " * 20_000
        await post.put(replace(parcel("", edits="short"), content={"msgtype": "m.text", "body": text}))
        await post.until_said(["short", words.AS_A_FILE])
    assert "m.relates_to" not in post.contents()[1]


async def test_where_not_even_a_file_is_taken_the_room_reads_how_it_begins(post: Post) -> None:
    post.outbound.fail(Refused("403", status=403, errcode="M_FORBIDDEN"), times=1000, room=NOWHERE)
    await post.put(replace(parcel("long"), content={"msgtype": "m.text", "body": "begins " * 20_000}), parcel("next"))

    async with post.working():
        await post.outbound.until(lambda: len(post.outbound.texts()) == 2)
    assert post.outbound.texts() == [words.beginning_only(("begins " * 100)[:BEGINNING_CHARACTERS]), "next"]


async def test_what_is_refused_in_every_way_is_given_up_and_the_next_goes(post: Post, postman_log: FakeLog) -> None:
    post.outbound.fail(Refused("400", status=400, errcode="M_UNKNOWN"), times=LAST + 1, room=ROOM)
    await post.put(parcel("refused"), parcel("next"))

    async with post.working():
        await post.until_said(["next"])
    assert await post.ledger.outbox.unsent() == 0
    assert postman_log.of("outbox.refused") == [{"error": "400", "room": ROOM, "txn": "refused", "command": None}]


async def test_what_we_refuse_ourselves_is_given_up_at_once(post: Post) -> None:
    post.outbound.room(ROOM, encrypted=True)
    await post.put(parcel("secret"))

    async with post.working():
        await post.bell.until_quiet()
        assert await post.ledger.outbox.unsent() == 0
    assert post.outbound.asked == [("send", ROOM)]


async def test_what_waits_when_we_are_put_out_is_there_when_we_are_back(post: Post) -> None:
    post.outbound.room(ROOM, joined=False)
    await post.put(parcel("one"), parcel("two"))

    async with post.working():
        await post.outbound.until_asked(1)
        await settle(post, LeaveRoom(ROOM, ANNA), event="$left")
        for _ in range(10):
            await post.later(FORBIDDEN_SECONDS)
        assert len(post.outbound.asked) == 1
        post.outbound.room(ROOM)
        await settle(post, EnterRoom(ROOM), event="$back")
        await post.until_said(["one", "two"])


async def test_a_room_that_forbids_it_for_good_is_given_up(post: Post) -> None:
    post.outbound.room(ROOM, joined=False)
    await post.put(parcel("one"), parcel("elsewhere", OTHER))

    async with post.working():
        for _ in range(FORBIDDEN_TRIES):
            await post.bell.until_quiet()
            await post.later(FORBIDDEN_SECONDS)
        assert await post.ledger.outbox.unsent() == 0
    assert post.outbound.asked.count(("send", ROOM)) == FORBIDDEN_TRIES
    assert post.outbound.texts() == ["elsewhere"]


async def test_a_reaction_that_is_there_already_is_no_trouble(post: Post, postman_log: FakeLog) -> None:
    content = reaction(EventId("$asked"), "✅")
    twice = [Parcel(txn=TxnId(txn), room=ROOM, type=REACTION, content=content) for txn in ("a", "b")]
    await post.put(*twice, parcel("next"))

    async with post.working():
        await post.until_said(["next"])
    assert len(post.outbound.said) == 2
    assert await post.ledger.outbox.unsent() == 0
    assert postman_log.lines == []
