"""Encrypted rooms on a real homeserver, with another program at the other end."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aiagentchat.app.clock import SystemClock
from aiagentchat.core.errors import DeviceKeysLost, Refused
from aiagentchat.core.ids import EventId, RoomId, TxnId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import MESSAGE, REACTION, TXN_KEY, Attachment, Parcel
from aiagentchat.core.ports.matrix import NOT_SEALED
from aiagentchat.core.seals import Forged, Opened, Shut
from aiagentchat.matrix.crypto.start import is_lost
from aiagentchat.render import words
from aiagentchat.render.message import edit, message, reaction
from aiagentchat.send.postman import Postman
from aiagentchat.store.ledger import open_ledger
from rig.homeserver import Homeserver
from rig.sealed_user import SealedUser, sealed_user
from tests.contract.sealed_worlds import PICKLE_KEY, Life, SealedWorld, sealed_world

pytestmark = pytest.mark.real

HELLO = message("hello", notice=False)


@pytest.fixture
async def world(homeserver: Homeserver, tmp_path: Path) -> AsyncIterator[SealedWorld]:
    async with sealed_world(homeserver, tmp_path) as made:
        yield made


def short(events: list[Incoming]) -> list[tuple[Kind, str]]:
    return [(event.kind, event.body) for event in events]


async def timeline(world: SealedWorld, room: RoomId) -> list[dict[str, Any]]:
    """What the homeserver has of the room, oldest first."""
    path = f"/_matrix/client/v3/rooms/{quote(room)}/messages?dir=b&limit=100"
    page = await asyncio.to_thread(world.server.request, "GET", path, None, token=world.account.access_token)
    return list(reversed(page["chunk"]))


async def put_raw(person: SealedUser, room: RoomId, content: Mapping[str, Any]) -> str:
    """An event of the type of encrypted ones, as it is."""
    path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.room.encrypted/{uuid.uuid4().hex}"
    headers = {"Authorization": f"Bearer {person.nio.access_token}"}
    answer = await person.nio.send("PUT", path, json.dumps(content), headers)
    return str((await answer.json())["event_id"])


def _postman(world: SealedWorld, life: Life) -> Postman:
    return Postman(
        outbox=life.ledger.outbox,
        outbound=life.outbound,
        owing=life.ledger.commands.owing,
        user=world.me,
        device=life.client.device,
        clock=SystemClock(),
        random=lambda: 0.0,
    )


# ── both ways ──


async def test_what_is_said_encrypted_is_read_and_answered(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        event = await world.anna.say(room, "hello")
        [said] = await life.until_heard(1, room)
        answer = await life.outbound.send(room, MESSAGE, message("hi **there**", notice=False), TxnId("t1"))

        seen = await world.anna.until_body(room, "hi **there**")
        events = await timeline(world, room)
    assert (said.kind, said.body, said.event, said.encrypted) == (Kind.TEXT, "hello", event, True)
    assert (seen.event_id, seen.decrypted) == (answer, True)
    assert "there" not in json.dumps(events)


async def test_edits_and_answers_are_what_they_are_in_the_clear(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        first = await world.anna.say(room, "first")
        second = await world.anna.edit(room, first, "better")
        relation = {"m.in_reply_to": {"event_id": first}}
        await world.anna.say(room, {"msgtype": "m.text", "body": "and", "m.relates_to": relation})
        heard = await life.until_heard(3, room)

        ours = await life.outbound.send(room, MESSAGE, HELLO, TxnId("t1"))
        await life.outbound.send(room, MESSAGE, edit(message("hello again", notice=False), ours), TxnId("t2"))
        seen = await world.anna.until_body(room, "hello again")
    assert short(heard) == [(Kind.TEXT, "first"), (Kind.EDIT, "better"), (Kind.TEXT, "and")]
    assert [event.target for event in heard] == [None, EventId(first), EventId(first)]
    assert heard[1].event == second
    assert seen.source["content"]["m.relates_to"] == {"rel_type": "m.replace", "event_id": ours}


async def test_a_file_is_of_no_use_to_the_homeserver(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        file = await life.outbound.upload(room, b"top secret", name="a.txt", mime="text/plain")
        content = {"msgtype": "m.file", "body": "a file", **file}
        await life.outbound.send(room, MESSAGE, content, TxnId("t1"))

        seen = await world.anna.until_body(room, "a file")
        stored = await world.anna.nio.download(file["file"]["url"])
        assert await world.anna.file(seen.source["content"]) == b"top secret"
    assert b"secret" not in stored.body
    assert "url" not in seen.source["content"]


async def test_what_is_too_long_for_an_encrypted_message_arrives_as_an_encrypted_file(world: SealedWorld) -> None:
    async with world.life() as life, asyncio.TaskGroup() as group:
        room = await world.enter(life)
        parcel = Parcel(txn=TxnId("p1"), room=room, content={**HELLO, "body": "long " * 20_000})
        await life.ledger.outbox.put([parcel], 0)
        work = group.create_task(_postman(world, life).run())
        seen = await world.anna.until_body(room, words.AS_A_FILE)
        work.cancel()
        assert await world.anna.file(seen.source["content"]) == b"long " * 20_000


async def test_a_parcel_arrives_with_its_file_and_thumbnail_encrypted(world: SealedWorld) -> None:
    async with world.life() as life, asyncio.TaskGroup() as group:
        room = await world.enter(life)
        info = {"mimetype": "image/png", "size": 7, "thumbnail_info": {"mimetype": "image/jpeg", "size": 5}}
        content = {"msgtype": "m.image", "body": "look", "filename": "secret-name.png", "info": info, "m.mentions": {}}
        attachment = Attachment(b"picture", b"small")
        await life.ledger.outbox.put([Parcel(txn=TxnId("p1"), room=room, content=content, attachment=attachment)], 0)
        work = group.create_task(_postman(world, life).run())
        seen = (await world.anna.until_body(room, "look")).source["content"]
        work.cancel()

        assert await world.anna.file(seen) == b"picture"
        assert await world.anna.file({"file": seen["info"]["thumbnail_file"]}) == b"small"
        events = json.dumps(await timeline(world, room))
    assert {"url", "thumbnail_url"} & {*seen, *seen["info"]} == set()
    assert (seen["filename"], seen["info"]["thumbnail_info"]) == ("secret-name.png", info["thumbnail_info"])
    assert "secret-name" not in events


async def test_nothing_goes_in_the_clear_but_reactions_of_ours(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        first = EventId(await world.anna.say(room, "hello"))

        await life.outbound.send(room, REACTION, {**reaction(first, "✅"), TXN_KEY: "t1"}, TxnId("t1"))
        for content in (reaction(first, "you said hello"), {**reaction(first, "👀"), "body": "hello"}):
            with pytest.raises(Refused, match="encrypted") as refused:
                await life.outbound.send(room, REACTION, content, TxnId("t2"))
            assert refused.value.ours
        for content in ({"url": "mxc://a/b"}, {"info": {"thumbnail_url": "mxc://a/b"}}):
            with pytest.raises(Refused, match="the file is not") as refused:
                await life.outbound.send(room, MESSAGE, {"msgtype": "m.image", "body": "a", **content}, TxnId("t3"))
            assert (refused.value.ours, refused.value.errcode) == (True, NOT_SEALED)


async def test_the_same_transaction_is_the_same_event_and_is_found(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        content = {**HELLO, TXN_KEY: "t1"}
        first = await life.outbound.send(room, MESSAGE, content, TxnId("t1"))
    async with world.life(token=life.token) as life:
        again = await life.outbound.send(room, MESSAGE, content, TxnId("t1"))

        assert again == first
        assert await life.outbound.find(room, TxnId("t1"), since=0) == first
        assert await life.outbound.find(room, TxnId("t2"), since=0) is None


# ── lives ──


async def test_after_a_restart_both_understand_each_other(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        await world.anna.say(room, "one")
        await life.until_heard(1, room)
    async with world.life(token=life.token) as life:
        await world.anna.say(room, "two")
        heard = await life.until_heard(1, room)
        await life.outbound.send(room, MESSAGE, HELLO, TxnId("t1"))
        await world.anna.until_body(room, "hello")
    assert short(heard) == [(Kind.TEXT, "two")]


async def test_what_was_said_while_we_were_down_is_read_also_in_a_gap(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
    for number in range(30):
        await world.anna.say(room, f"m{number}")
    async with world.life(token=life.token) as life:
        heard = await life.until_heard(30, room)

        assert life.missed == 1
    assert sorted(short(heard)) == sorted((Kind.TEXT, f"m{number}") for number in range(30))


async def test_a_life_that_ends_before_it_commits_the_token_loses_and_breaks_nothing(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        token = life.token
        await world.anna.say(room, "hello")
        await life.until_heard(1, room)
    for _ in range(2):
        async with world.life(token=token) as life:
            heard = await life.until_heard(1, room)

            assert short(heard) == [(Kind.TEXT, "hello")]
            assert life.machine.olm.wedged_devices == []
    await world.anna.say(room, "more")
    async with world.life(token=life.token) as life:
        assert short(await life.until_heard(1, room)) == [(Kind.TEXT, "more")]


# ── keys that come late ──


async def test_what_came_before_its_key_is_kept_and_opens_when_it_comes_in_another_life(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        world.anna.hold_keys()
        event = await world.anna.say(room, "early")
        [sealed] = await life.until_heard(1, room)
        asked = await world.anna.until(
            lambda: [e for e in world.anna.to_device if e.source["type"] == "m.room_key_request"]
        )

        assert (sealed.kind, sealed.event) == (Kind.SEALED, event)
        assert await life.machine.open(sealed) == Shut("no_key")
        assert asked[0].source["content"]["body"]["session_id"] == sealed.body
    await world.anna.give_keys()
    async with world.life(token=life.token) as life:
        await life.until(lambda: life.machine.olm.copies(room, sealed.body))
        assert await life.machine.bell.wait(5)
        opened = await life.machine.open(sealed)
    assert isinstance(opened, Opened)
    assert opened.event is not None
    assert (opened.event.kind, opened.event.body, opened.event.event) == (Kind.TEXT, "early", event)


async def test_why_a_key_is_not_given_is_remembered(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        world.anna.hold_keys()
        await world.anna.say(room, "not for you")
        [sealed] = await life.until_heard(1, room)
        told = {"room_id": room, "session_id": sealed.body, "code": "m.unverified", "reason": "x", "algorithm": "a"}
        await world.anna.tell_device("m.room_key.withheld", world.me, life.client.device, told)
        while await life.machine.open(sealed) == Shut("no_key"):
            await life.hear()
    async with world.life(token=life.token) as life:
        assert await life.machine.open(sealed) == Shut("m.unverified")


# ── what is not believed ──


async def test_what_is_said_once_more_is_dropped_also_in_another_life(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        event = await world.anna.say(room, "delete everything")
        await life.until_heard(1, room)
        [source] = [each for each in await timeline(world, room) if each["event_id"] == event]
    again = await put_raw(world.anna, room, source["content"])
    async with world.life(token=life.token) as life:
        await world.anna.say(room, "last")
        heard = await life.until_heard(2, room)

        assert short(heard) == [(Kind.FORGED, "it was said before, as another event"), (Kind.TEXT, "last")]
        replayed = Incoming(
            event=EventId(again),
            room=room,
            sender=UserId(world.anna.id),
            sent_at=1,
            kind=Kind.SEALED,
            raw=json.dumps({**source, "event_id": again}),
        )
        assert isinstance(await life.machine.open(replayed), Forged)


async def test_what_another_member_says_with_somebodys_words_is_dropped(world: SealedWorld) -> None:
    async with world.life() as life, world.person() as bert:
        room = await world.enter(life)
        await world.anna.nio.room_invite(room, bert.id)
        await bert.join(room)
        await world.anna.until_member(room, bert.id)
        event = await world.anna.say(room, "delete everything")
        [source] = [each for each in await timeline(world, room) if each["event_id"] == event]
        await put_raw(bert, room, source["content"])
        await world.anna.say(room, "last")
        heard = await life.until_heard(3, room)

        assert [(each.sender, each.body) for each in heard if each.kind is Kind.TEXT] == [
            (world.anna.id, "delete everything"),
            (world.anna.id, "last"),
        ]


async def test_what_changes_a_room_is_not_taken_out_of_an_encrypted_event(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        first = await world.anna.say(room, "mine")
        await world.anna.say(room, {"redacts": first}, "m.room.redaction")
        await world.anna.say(room, {"membership": "leave"}, "m.room.member")
        await world.anna.say(room, "last")

        assert short(await life.until_heard(2, room)) == [(Kind.TEXT, "mine"), (Kind.TEXT, "last")]


# ── who is there ──


async def test_a_room_that_becomes_encrypted_is_followed_and_stays_so_whatever_anybody_says(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life, encrypted=False)
        await life.outbound.send(room, MESSAGE, message("open", notice=False), TxnId("t1"))
        await world.anna.encrypt_room(room)
        await life.until(lambda: life.client.rooms.known(room))
        await life.outbound.send(room, MESSAGE, message("closed", notice=False), TxnId("t2"))
        seen = await world.anna.until_body(room, "closed")
        assert seen.decrypted
    async with world.life(token=life.token) as life:
        life.client.rooms.plain(room)
        life.client.rooms.left(room)

        assert life.client.rooms.known(room) is True
    assert [event["content"]["body"] for event in await timeline(world, room) if event["type"] == MESSAGE] == ["open"]


async def test_who_has_left_gets_no_more_keys(world: SealedWorld) -> None:
    async with world.life() as life, world.person() as bert:
        room = await world.enter(life)
        await world.anna.nio.room_invite(room, bert.id)
        await bert.join(room)
        await life.until(lambda: any(e.sender == bert.id for e in life.heard) or life.machine.rooms.is_new(room))
        await life.outbound.send(room, MESSAGE, message("for all", notice=False), TxnId("t1"))
        await bert.until_body(room, "for all")
        before = life.machine.olm.outbound_group_sessions[room].id

        await world.anna.nio.room_kick(room, bert.id)
        await life.until(lambda: life.machine.rooms.is_new(room))
        await life.outbound.send(room, MESSAGE, message("without him", notice=False), TxnId("t2"))
        await world.anna.until_body(room, "without him")
        session = life.machine.olm.outbound_group_sessions[room]
    assert session.id != before
    assert {user for user, _ in session.users_shared_with} == {world.anna.id}


async def test_who_is_invited_can_read_what_was_said_before_he_came(world: SealedWorld) -> None:
    async with world.life() as life, world.person() as bert:
        room = await world.enter(life)
        await world.anna.nio.room_invite(room, bert.id)
        await life.outbound.send(room, MESSAGE, message("meanwhile", notice=False), TxnId("t1"))
        await bert.join(room)
        await bert.until_body(room, "meanwhile")


async def test_who_is_invited_gets_no_key_of_what_he_will_not_be_shown_nor_does_who_is_banned(
    world: SealedWorld,
) -> None:
    async with world.life() as life, world.person() as bert, world.person("carl") as carl:
        room = await world.enter(life)
        await world.anna.nio.room_put_state(room, "m.room.history_visibility", {"history_visibility": "joined"})
        await world.anna.nio.room_invite(room, bert.id)
        await world.anna.nio.room_ban(room, carl.id)
        await life.outbound.send(room, MESSAGE, message("meanwhile", notice=False), TxnId("t1"))
        session = life.machine.olm.outbound_group_sessions[room]
    assert {user for user, _ in session.users_shared_with} == {world.anna.id}


async def test_a_device_that_is_not_trusted_gets_no_key(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        life.may_read = lambda _device: False
        await life.outbound.send(room, MESSAGE, message("not for you", notice=False), TxnId("t1"))

        await world.anna.until(lambda: world.anna.unreadable(room))
        told = await world.anna.until(
            lambda: [event for event in world.anna.to_device if event.source["type"] == "m.room_key.withheld"]
        )
    assert world.anna.bodies(room) == []
    assert told[0].source["content"]["code"] == "m.unverified"
    assert told[0].source["content"]["session_id"] == world.anna.unreadable(room)[0].session_id


async def test_who_may_read_can_be_changed_from_one_message_to_the_next(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        await life.outbound.send(room, MESSAGE, message("one", notice=False), TxnId("t1"))
        await life.outbound.send(room, MESSAGE, message("two", notice=False), TxnId("t2"))
        await world.anna.until_body(room, "two")
        life.may_read = lambda _device: False
        await life.outbound.send(room, MESSAGE, message("three", notice=False), TxnId("t3"))
        [third] = await world.anna.until(lambda: world.anna.unreadable(room))

        life.may_read = None
        await life.outbound.send(room, MESSAGE, message("four", notice=False), TxnId("t4"))
        await world.anna.until_body(room, "four")
        sessions = [
            event["content"]["session_id"] for event in await timeline(world, room) if "ciphertext" in event["content"]
        ]
    assert world.anna.bodies(room) == ["one", "two", "four"]
    assert sessions[0] == sessions[1] != sessions[2] == third.session_id != sessions[3]


async def test_another_device_of_a_member_can_read_from_then_on(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        await life.outbound.send(room, MESSAGE, message("one", notice=False), TxnId("t1"))
        name = world.anna.id[1:].partition(":")[0]
        async with sealed_user(world.server.url, world.server.login(name)) as phone:
            await life.until(lambda: world.anna.id in life.machine.olm.users_for_key_query or _knows(life, phone))
            await life.outbound.send(room, MESSAGE, message("two", notice=False), TxnId("t2"))

            await phone.until_body(room, "two")


def _knows(life: Life, person: SealedUser) -> bool:
    return person.nio.device_id in life.machine.olm.device_store[person.id]


# ── what strangers send ──


async def test_nonsense_from_device_to_device_stops_nobody(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        mine = life.machine.olm.account.identity_keys["curve25519"]
        olm = {"algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": "x"}
        for ciphertext in (
            None,
            5,
            {},
            {mine: 5},
            {mine: {"type": 0, "body": "x"}},
            {mine: {"type": 1, "body": "AAAA"}},
        ):
            content = {**olm, "ciphertext": ciphertext}
            await world.anna.tell_device("m.room.encrypted", world.me, life.client.device, content)
        for withheld in ({"code": 5}, {"code": "m.unverified", "room_id": 5}, {"code": "other"}):
            await world.anna.tell_device("m.room_key.withheld", world.me, life.client.device, withheld)
        await world.anna.say(room, "hello")

        assert short(await life.until_heard(1, room)) == [(Kind.TEXT, "hello")]


async def test_keys_that_were_used_up_are_made_anew(world: SealedWorld) -> None:
    async with world.life() as life:
        await life.until(lambda: life.machine.olm.uploaded_key_count == 50)
        claim = {"one_time_keys": {world.me: {life.client.device: "signed_curve25519"}}}
        for _ in range(3):
            await life.client.ask("claim", "POST", "/_matrix/client/v3/keys/claim", claim)
        await life.until(lambda: life.machine.olm.uploaded_key_count == 47)

        await life.until(lambda: life.machine.olm.uploaded_key_count == 50)


# ── our device ──


async def test_a_device_whose_keys_are_gone_is_not_used(world: SealedWorld) -> None:
    async with world.life() as life:
        device = life.client.device
    for file in (world.folder / "crypto").iterdir():
        file.unlink()

    with pytest.raises(DeviceKeysLost, match=f"{device}.*not here"):
        async with world.life():
            pass
    assert list((world.folder / "crypto").iterdir()) == []


async def test_a_device_whose_keys_cannot_be_opened_is_not_used(world: SealedWorld) -> None:
    async with world.life():
        pass

    with pytest.raises(DeviceKeysLost, match="cannot be opened"):
        async with world.life(key="other"):
            pass


async def test_a_device_of_another_program_is_not_used(world: SealedWorld, tmp_path: Path) -> None:
    async with world.life() as life:
        await life.until(lambda: life.machine.olm.account.shared)
    world.folder = tmp_path / "elsewhere"
    world.folder.mkdir()

    with pytest.raises(DeviceKeysLost, match="another program"):
        async with world.life():
            pass


async def test_with_a_password_a_device_whose_keys_are_gone_is_given_up_for_a_new_one(world: SealedWorld) -> None:
    async with world.life() as life:
        device = life.client.device
    (world.folder / "crypto").rename(world.folder / "lost")
    async with world.life(password=True) as life:
        room = await world.enter(life)
        await life.outbound.send(room, MESSAGE, HELLO, TxnId("t1"))
        await world.anna.until_body(room, "hello")

        assert life.client.device != device


async def test_whose_keys_are_here_is_not_lost(world: SealedWorld) -> None:
    async with world.life() as life:
        device = life.client.device
    async with open_ledger(world.folder / "ledger.db") as ledger:

        async def lost(name: str = device, key: str = PICKLE_KEY) -> bool:
            return await is_lost(world.me, name, world.keeping(ledger, key))

        assert not await lost()
        assert not await lost("NEVER SEEN")
        assert await lost(key="other")
        (world.folder / "crypto").rename(world.folder / "lost")
        assert await lost()


async def test_the_keys_are_for_nobody_else_to_read(world: SealedWorld) -> None:
    async with world.life():
        files = list((world.folder / "crypto").iterdir())
        assert files
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert (world.folder / "crypto").stat().st_mode & 0o777 == 0o700
