"""The way into a room: the same promises from a real homeserver and from the one in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.app.clock import SystemClock
from aiagentchat.core.errors import LoginFailed, Refused, Unreachable
from aiagentchat.core.ids import EventId, RoomId, TxnId, UserId
from aiagentchat.core.messages import MAIN
from aiagentchat.core.parcels import MESSAGE, REACTION, TXN_KEY, Attachment, Parcel
from aiagentchat.core.ports.matrix import Outbound
from aiagentchat.matrix import outbound as outbound_module
from aiagentchat.render import file_words, words
from aiagentchat.render.message import edit, message, reaction
from aiagentchat.send.postman import Postman
from aiagentchat.store.ledger import Ledger
from tests.contract.outbound_worlds import REAL, RealWorld, World, fake_world
from tests.fakes.ledgers import fresh_ledger

HELLO = message("hello", notice=False)
TXN = TxnId("t1")
OTHER_TXN = TxnId("t2")
PICTURE = b"\x89PNG and so on"
SMALL = b"\xff\xd8 and so on"


@pytest.fixture(params=[pytest.param(fake_world, id="fake"), REAL])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with request.param(request, tmp_path) as made:
        yield made


@pytest.fixture(params=[REAL])
async def real_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RealWorld]:
    async with request.param(request, tmp_path) as made:
        yield made


async def test_a_message_arrives_as_it_was_sent(world: World) -> None:
    room = await world.room()

    event = await world.outbound.send(room, MESSAGE, HELLO, TXN)

    assert event
    assert await world.seen(room) == [(MESSAGE, HELLO)]


async def test_the_same_transaction_again_is_answered_with_the_first_event(world: World) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)

    again = await world.outbound.send(room, MESSAGE, message("other words", notice=False), TXN)

    assert again == first
    assert await world.seen(room) == [(MESSAGE, HELLO)]


async def test_a_transaction_is_known_in_its_own_room_only(world: World) -> None:
    room, other = await world.room(), await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)

    assert await world.outbound.send(other, MESSAGE, HELLO, TXN) != first
    assert await world.seen(other) == [(MESSAGE, HELLO)]


async def test_an_edit_arrives_behind_its_message(world: World) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)
    second = edit(message("hello again", notice=True), first)

    await world.outbound.send(room, MESSAGE, second, OTHER_TXN)

    assert await world.seen(room) == [(MESSAGE, HELLO), (MESSAGE, second)]


async def test_a_reaction_arrives(world: World) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)

    await world.outbound.send(room, REACTION, reaction(first, "✅"), OTHER_TXN)

    assert await world.seen(room) == [(MESSAGE, HELLO), (REACTION, reaction(first, "✅"))]


async def test_the_same_reaction_twice_is_refused(world: World) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)
    await world.outbound.send(room, REACTION, reaction(first, "✅"), OTHER_TXN)

    with pytest.raises(Refused) as refused:
        await world.outbound.send(room, REACTION, {**reaction(first, "✅"), TXN_KEY: "t3"}, TxnId("t3"))
    assert refused.value.errcode == "M_DUPLICATE_ANNOTATION"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({**HELLO, "body": "x" * 65_600}, id="an event that is too large"),
        pytest.param({**HELLO, "cost": 0.5}, id="a float"),
        pytest.param({**HELLO, "cost": [{"usd": 1.5}]}, id="a float far inside"),
    ],
)
async def test_what_no_room_can_hold_is_refused(world: World, content: dict[str, Any]) -> None:
    room = await world.room()

    with pytest.raises(Refused):
        await world.outbound.send(room, MESSAGE, content, TXN)
    assert await world.seen(room) == []


@pytest.mark.parametrize(
    ("content", "status", "errcode"),
    [
        pytest.param({**HELLO, "body": "x" * 65_600}, 413, "M_TOO_LARGE", id="too large"),
        pytest.param({**HELLO, "cost": 0.5}, 400, "M_BAD_JSON", id="a float"),
    ],
)
async def test_a_refusal_says_what_it_is(world: World, content: dict[str, Any], status: int, errcode: str) -> None:
    room = await world.room()

    with pytest.raises(Refused) as refused:
        await world.outbound.send(room, MESSAGE, content, TXN)
    assert (refused.value.status, refused.value.errcode, refused.value.ours) == (status, errcode, False)


async def test_a_homeserver_stumbles_over_half_a_character(world: World) -> None:
    room = await world.room()

    with pytest.raises(Unreachable) as stumbled:
        await world.outbound.send(room, MESSAGE, {**HELLO, "body": "half \ud83d of it"}, TXN)
    assert (stumbled.value.status, stumbled.value.errcode) == (500, "M_UNKNOWN")
    assert await world.seen(room) == []
    assert await world.outbound.send(room, MESSAGE, HELLO, TXN)


async def test_a_refused_transaction_can_be_used_again(world: World) -> None:
    room = await world.room()
    with pytest.raises(Refused):
        await world.outbound.send(room, MESSAGE, {**HELLO, "cost": 0.5}, TXN)

    await world.outbound.send(room, MESSAGE, HELLO, TXN)

    assert await world.seen(room) == [(MESSAGE, HELLO)]


async def test_a_room_that_nobody_knows_is_refused(world: World) -> None:
    with pytest.raises(Refused):
        await world.outbound.send(RoomId("!nowhere:localhost"), MESSAGE, HELLO, TXN)


@pytest.mark.parametrize("invited", [True, False])
async def test_a_room_that_we_are_not_in_is_refused(world: World, invited: bool) -> None:
    room = await world.room(joined=False, invited=invited)

    with pytest.raises(Refused) as refused:
        await world.outbound.send(room, MESSAGE, HELLO, TXN)
    assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")


async def test_nothing_is_said_in_an_encrypted_room(world: World) -> None:
    room = await world.room(encrypted=True)

    with pytest.raises(Refused, match="encrypted") as refused:
        await world.outbound.send(room, MESSAGE, HELLO, TXN)
    assert refused.value.ours
    assert await world.seen(room) == []


async def test_we_enter_a_room_that_we_are_invited_to(world: World) -> None:
    room = await world.room(joined=False, invited=True)

    await world.outbound.join(room)

    await world.outbound.send(room, MESSAGE, HELLO, TXN)
    assert await world.seen(room) == [(MESSAGE, HELLO)]


async def test_entering_a_room_that_we_are_in_changes_nothing(world: World) -> None:
    room = await world.room()

    await world.outbound.join(room)

    assert await world.seen(room) == []


async def test_we_cannot_enter_where_nobody_invited_us(world: World) -> None:
    room = await world.room(joined=False)

    with pytest.raises(Refused):
        await world.outbound.join(room)


async def test_an_invite_is_declined(world: World) -> None:
    room = await world.room(joined=False, invited=True)

    await world.outbound.leave(room)

    with pytest.raises(Refused):
        await world.outbound.join(room)


async def test_a_room_is_left(world: World) -> None:
    room = await world.room()

    await world.outbound.leave(room)

    with pytest.raises(Refused):
        await world.outbound.send(room, MESSAGE, HELLO, TXN)


async def test_where_we_are_not_we_cannot_leave(world: World) -> None:
    with pytest.raises(Refused):
        await world.outbound.leave(RoomId("!nowhere:localhost"))


async def test_typing_shows_and_goes_away(world: World) -> None:
    room = await world.room()

    await world.outbound.typing(room, True)
    await world.typing(room, True)

    await world.outbound.typing(room, False)
    await world.typing(room, False)


async def test_what_we_read_shows_as_read(world: World) -> None:
    room = await world.room()
    event, read_up_to = await world.read(room)

    await world.outbound.read_receipt(room, event)

    await world.until(lambda: read_up_to("") == event)
    assert read_up_to(MAIN) == ""


async def test_what_we_read_in_a_thread_shows_as_read_there_only(world: World) -> None:
    room = await world.room()
    root, read_up_to = await world.read(room)
    event, _ = await world.read(room, root)

    await world.outbound.read_receipt(room, root, MAIN)
    await world.outbound.read_receipt(room, event, root)

    await world.until(lambda: read_up_to(root) == event)
    await world.until(lambda: read_up_to(MAIN) == root)
    assert read_up_to("") == ""


@pytest.mark.parametrize("variant", ["message", "edit"])
async def test_what_was_said_is_taken_out_of_the_room(world: World, variant: str) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)
    second = await world.outbound.send(room, MESSAGE, edit(message("a secret", notice=True), first), OTHER_TXN)
    target = first if variant == "message" else second

    event = await world.outbound.redact(room, target, "deleted on request", TxnId("t3"))

    assert event not in (first, second)
    assert [content for type_, content in await world.seen(room) if type_ == MESSAGE][variant == "edit"] == {}


async def test_deleting_a_message_leaves_its_edits_so_each_is_deleted_on_its_own(world: World) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)
    second = await world.outbound.send(room, MESSAGE, edit(message("a secret", notice=True), first), OTHER_TXN)
    await world.outbound.redact(room, first, "", TxnId("t3"))
    assert "a secret" in str(await world.seen(room))

    await world.outbound.redact(room, second, "", TxnId("t4"))

    assert "a secret" not in str(await world.seen(room))


async def test_the_same_deletion_again_is_answered_with_the_first(world: World) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)
    deleted = await world.outbound.redact(room, first, "", OTHER_TXN)

    assert await world.outbound.redact(room, first, "", OTHER_TXN) == deleted
    assert await world.outbound.redact(room, first, "", TxnId("another transaction"))


async def test_what_is_not_in_the_room_cannot_be_deleted(world: World) -> None:
    room = await world.room()

    with pytest.raises(Refused):
        await world.outbound.redact(room, EventId("$nothing"), "", TXN)


async def test_nothing_is_deleted_in_a_room_that_we_are_not_in(world: World) -> None:
    room = await world.room(joined=False)

    with pytest.raises(Refused) as refused:
        await world.outbound.redact(room, EventId("$nothing"), "", TXN)
    assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")


# What was sent is found again where its transaction id is of no use any more.


@pytest.mark.parametrize("variant", ["message", "edit", "reaction"])
async def test_what_was_sent_is_found_by_its_mark(world: World, variant: str) -> None:
    room = await world.room()
    first = await world.outbound.send(room, MESSAGE, HELLO, TXN)
    content = {"message": HELLO, "edit": edit(HELLO, first), "reaction": reaction(first, "✅")}[variant]
    type_ = REACTION if variant == "reaction" else MESSAGE
    # Under another transaction id than the mark says: the homeserver has forgotten the one that it was sent with.
    event = await world.outbound.send(room, type_, {**content, TXN_KEY: "wanted"}, OTHER_TXN)

    assert await world.outbound.find(room, TxnId("wanted"), since=0) == event


async def test_what_was_not_sent_is_not_found(world: World) -> None:
    room, other = await world.room(), await world.room()
    await world.outbound.send(other, MESSAGE, {**HELLO, TXN_KEY: "wanted"}, TXN)
    assert await world.outbound.find(room, TxnId("wanted"), since=0) is None

    await world.outbound.send(room, MESSAGE, {**HELLO, TXN_KEY: "another"}, OTHER_TXN)
    assert await world.outbound.find(room, TxnId("wanted"), since=0) is None


async def test_the_search_ends_where_it_is_told_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_module, "FIND_PAGE", 1)
    room = await world.room()
    for txn in ("wanted", "newer"):
        await world.outbound.send(room, MESSAGE, {**HELLO, TXN_KEY: txn}, TxnId(txn))
    tomorrow = time.time_ns() // 1_000_000 + 86_400_000

    assert await world.outbound.find(room, TxnId("wanted"), since=tomorrow) is None


async def test_a_room_that_we_are_not_in_cannot_be_searched(world: World) -> None:
    room = await world.room(joined=False)

    with pytest.raises(Refused):
        await world.outbound.find(room, TXN, since=0)


async def test_a_file_is_kept(world: World) -> None:
    room = await world.room()

    file = await world.outbound.upload(room, "é\n".encode() * 10_000, name="a b.txt", mime="text/plain")

    [address] = file.values()
    assert address.startswith("mxc://")
    assert await world.file(address) == "é\n".encode() * 10_000


async def test_a_file_that_is_larger_than_the_homeserver_takes_is_refused(world: World) -> None:
    room = await world.room()
    limit = await world.upload_limit()

    with pytest.raises(Refused) as refused:
        await world.outbound.upload(room, bytes(limit + 1), name="a.bin", mime="application/octet-stream")
    assert (refused.value.status, refused.value.errcode, refused.value.ours) == (413, "M_TOO_LARGE", False)
    assert await world.outbound.upload(room, bytes(10), name="a.bin", mime="application/octet-stream")


async def test_a_parcel_arrives_with_its_file_and_thumbnail(world: World, tmp_path: Path) -> None:
    room = await world.room()
    async with fresh_ledger(tmp_path / "ledger.db") as ledger, asyncio.TaskGroup() as group:
        await ledger.outbox.put([picture(room), _after(room)], 0)
        work = group.create_task(_postman(ledger, world.outbound).run())
        await world.until_said(room, "hello")
        work.cancel()

    [(_, content), (_, last)] = await world.seen(room)
    info = content["info"]
    assert {**content, "info": info} == {
        **picture(room).content,
        "url": content["url"],
        "info": {**picture(room).content["info"], "thumbnail_url": info["thumbnail_url"]},
        TXN_KEY: "p1",
    }
    assert await world.file(content["url"]) == PICTURE
    assert await world.file(info["thumbnail_url"]) == SMALL
    assert last["body"] == "hello"


async def test_in_the_place_of_a_file_that_is_too_large_stands_a_sentence(world: World, tmp_path: Path) -> None:
    room = await world.room()
    large = replace(picture(room), attachment=Attachment(bytes(await world.upload_limit() + 1)))
    async with fresh_ledger(tmp_path / "ledger.db") as ledger, asyncio.TaskGroup() as group:
        await ledger.outbox.put([large, _after(room)], 0)
        work = group.create_task(_postman(ledger, world.outbound).run())
        await world.until_said(room, "hello")
        work.cancel()

    [(_, content), _] = await world.seen(room)
    assert content["body"] == file_words.not_taken("a b.png", "Look at *this*!")
    assert "url" not in content


def picture(room: RoomId) -> Parcel:
    """A parcel with a picture, or what passes for one here."""
    content = {
        "msgtype": "m.image",
        "body": "Look at *this*!",
        "filename": "a b.png",
        "info": {
            "mimetype": "image/png",
            "size": len(PICTURE),
            "w": 2,
            "h": 1,
            "thumbnail_info": {"mimetype": "image/jpeg", "w": 1, "h": 1, "size": len(SMALL)},
        },
        "m.mentions": {},
    }
    return Parcel(txn=TxnId("p1"), room=room, content=content, attachment=Attachment(PICTURE, SMALL))


def _after(room: RoomId) -> Parcel:
    return Parcel(txn=TxnId("p2"), room=room, content=HELLO)


def _postman(ledger: Ledger, outbound: Outbound) -> Postman:
    return Postman(
        outbox=ledger.outbox,
        outbound=outbound,
        owing=ledger.commands.owing,
        user=UserId("@claude:localhost"),
        device="HERE",
        clock=SystemClock(),
        random=lambda: 0.0,
    )


ASK: dict[str, Callable[[Outbound, RoomId], Any]] = {
    "send": lambda outbound, room: outbound.send(room, MESSAGE, HELLO, TXN),
    "redact": lambda outbound, room: outbound.redact(room, EventId("$event"), "", TXN),
    "typing": lambda outbound, room: outbound.typing(room, True),
    "read_receipt": lambda outbound, room: outbound.read_receipt(room, EventId("$event")),
    "join": lambda outbound, room: outbound.join(room),
    "leave": lambda outbound, room: outbound.leave(room),
    "find": lambda outbound, room: outbound.find(room, TXN, since=0),
    "upload": lambda outbound, room: outbound.upload(room, b"hello", name="a.txt", mime="text/plain"),
}


@pytest.mark.parametrize("what", sorted(ASK))
async def test_somebody_who_is_not_logged_in_is_told_so(world: World, what: str) -> None:
    room = await world.room()

    async with asyncio.timeout(30), world.without_login() as outbound:
        with pytest.raises(LoginFailed):
            await ASK[what](outbound, room)
    assert await world.seen(room) == []


@pytest.mark.parametrize("what", sorted(ASK))
async def test_a_homeserver_that_is_down_is_unreachable(world: World, what: str) -> None:
    room = await world.room()

    async with asyncio.timeout(30), world.without_homeserver() as outbound:
        with pytest.raises(Unreachable):
            await ASK[what](outbound, room)
    assert await world.seen(room) == []


async def test_typing_in_a_room_that_we_are_not_in_is_refused(world: World) -> None:
    room = await world.room(joined=False)

    with pytest.raises(Refused):
        await world.outbound.typing(room, True)


# What only a real client can get wrong: it knows of rooms from its sync.


async def test_an_encrypted_room_is_refused_once_the_sync_has_told_of_it(real_world: RealWorld) -> None:
    room = await real_world.room(encrypted=True)
    await real_world.sync()

    with pytest.raises(Refused, match="encrypted"):
        await real_world.outbound.send(room, MESSAGE, HELLO, TXN)
    assert await real_world.seen(room) == []


async def test_a_message_arrives_once_the_sync_has_told_of_its_room(real_world: RealWorld) -> None:
    room = await real_world.room()
    await real_world.sync()

    await real_world.outbound.send(room, MESSAGE, HELLO, TXN)

    assert await real_world.seen(room) == [(MESSAGE, HELLO)]


# What only a real timeline holds: what others say, pages, and what the homeserver itself remembers.


async def test_what_somebody_else_marks_is_not_ours(real_world: RealWorld) -> None:
    room = await real_world.room()
    await real_world.anna.send(room, {**HELLO, TXN_KEY: TXN})

    assert await real_world.outbound.find(room, TXN, since=0) is None


async def test_a_mark_is_found_behind_many_events(real_world: RealWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_module, "FIND_PAGE", 2)
    room = await real_world.room()
    event = await real_world.outbound.send(room, MESSAGE, {**HELLO, TXN_KEY: "wanted"}, TXN)
    for number in range(5):
        await real_world.outbound.send(room, MESSAGE, HELLO, TxnId(f"later {number}"))
        await real_world.anna.send(room, "between")

    assert await real_world.outbound.find(room, TxnId("wanted"), since=0) == event
    monkeypatch.setattr(outbound_module, "FIND_PAGES", 2)
    assert await real_world.outbound.find(room, TxnId("wanted"), since=0) is None


async def test_what_was_sent_before_there_were_marks_is_found_by_its_transaction(real_world: RealWorld) -> None:
    room = await real_world.room()
    event = await real_world.outbound.send(room, MESSAGE, HELLO, TXN)

    assert await real_world.outbound.find(room, TXN, since=0) == event


async def test_parcels_that_the_homeserver_does_not_take_arrive_in_another_form_and_hold_nobody_up(
    real_world: RealWorld, tmp_path: Path
) -> None:
    room = await real_world.room()
    contents: list[dict[str, Any]] = [
        {**HELLO, "body": "half \ud83d of it"},
        {**HELLO, "body": "long " * 20_000},
        {**HELLO, "body": "expensive", "cost": 0.5},
        {**HELLO, "body": "last"},
    ]
    async with fresh_ledger(tmp_path / "ledger.db") as ledger, asyncio.TaskGroup() as group:
        await ledger.outbox.put(
            [Parcel(txn=TxnId(f"p{number}"), room=room, content=content) for number, content in enumerate(contents)], 0
        )
        work = group.create_task(_postman(ledger, real_world.outbound).run())
        await real_world.anna.until_message(room, "last")
        work.cancel()

    messages = [message for message in real_world.anna.view(room) if message.sender != real_world.anna.id]
    assert [message.body for message in messages] == ["half \ufffd of it", words.AS_A_FILE, "expensive", "last"]
    assert await real_world.file(messages[1].content["url"]) == b"long " * 20_000
