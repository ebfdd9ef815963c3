"""Parcels with a file: it is uploaded when they are sent, as often as needed, and they arrive once."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.errors import RateLimited, Refused, Unreachable
from aiagentchat.core.ids import EventId, RoomId, TxnId
from aiagentchat.core.parcels import Attachment, Parcel
from aiagentchat.core.ports.matrix import NOT_SEALED
from aiagentchat.render import file_words
from aiagentchat.render.message import message
from tests.fakes.outbound import NOWHERE
from tests.fakes.people import ROOM
from tests.pictures import png
from tests.unit.postman_stage import Post, parcel

CONTENT: dict[str, Any] = {
    "msgtype": "m.image",
    "body": "Look!",
    "filename": "a.png",
    "info": {"mimetype": "image/png", "size": 7, "w": 3, "h": 2, "thumbnail_info": {"mimetype": "image/jpeg"}},
    "m.mentions": {},
    "m.relates_to": {"m.in_reply_to": {"event_id": "$asked"}},
}
FILE = Attachment(b"picture", b"small")
PICTURE: Parcel = replace(parcel("p1"), content=CONTENT, attachment=FILE)
BARE: Parcel = replace(
    PICTURE, content={"msgtype": "m.file", "body": "a.bin", "filename": "a.bin"}, attachment=Attachment(b"x")
)


async def test_the_file_and_its_thumbnail_are_uploaded_and_named(post: Post) -> None:
    await post.put(PICTURE, parcel("next"))

    async with post.working():
        await post.until_said(["Look!", "next"])
    where, small = post.outbound.files
    assert post.contents()[0] == {**CONTENT, "url": where, "info": {**CONTENT["info"], "thumbnail_url": small}}
    assert post.outbound.files == {where: b"picture", small: b"small"}
    assert post.outbound.uploads == [("a.png", "image/png"), ("a.png", "image/jpeg")]
    assert await post.ledger.outbox.attachment(PICTURE.txn) is None


async def test_a_file_of_which_nothing_is_known_is_bytes_without_thumbnail(post: Post) -> None:
    await post.put(BARE)

    async with post.working():
        await post.until_said(["a.bin"])
    assert post.outbound.uploads == [("a.bin", "application/octet-stream")]
    assert post.contents()[0] == {**BARE.content, "url": "mxc://hs/0", "info": {}}


async def test_after_a_crash_it_is_uploaded_again_and_sent_once(post: Post) -> None:
    await post.put(PICTURE)
    release = post.outbound.hold(ROOM)
    async with post.working():
        await post.outbound.until(lambda: ("send", ROOM) in post.outbound.asked)
    release()

    async with post.working():
        await post.until_said(["Look!"])
    assert len(post.outbound.files) == 4
    assert len(post.outbound.said) == 1


async def test_when_the_event_must_wait_the_file_is_not_uploaded_again(post: Post) -> None:
    await post.put(PICTURE)
    post.outbound.fail(RateLimited("429", retry_after=5), room=ROOM)

    async with post.working():
        await post.outbound.until(lambda: ("send", ROOM) in post.outbound.asked)
        await post.bell.until_quiet()
        await post.later(60)
        await post.until_said(["Look!"])
    assert len(post.outbound.files) == 2


async def test_what_failed_is_uploaded_again(post: Post) -> None:
    await post.put(PICTURE)
    post.outbound.fail(Unreachable("500", status=500, errcode="M_UNKNOWN"), room=ROOM)

    async with post.working():
        await post.outbound.until(lambda: ("send", ROOM) in post.outbound.asked)
        await post.bell.until_quiet()
        await post.later(60)
        await post.until_said(["Look!"])
    assert len(post.outbound.files) == 4


async def test_a_file_whose_room_becomes_encrypted_before_its_turn_comes_is_uploaded_anew(post: Post) -> None:
    await post.put(PICTURE)
    post.outbound.fail(RateLimited("429", retry_after=5), room=ROOM)
    post.outbound.fail(Refused("the file is not encrypted", errcode=NOT_SEALED, ours=True), room=ROOM)

    async with post.working():
        await post.outbound.until(lambda: ("send", ROOM) in post.outbound.asked)
        await post.bell.until_quiet()
        await post.later(60)
        await post.until_said(["Look!"])
    assert len(post.outbound.files) == 4
    assert post.contents()[0]["url"] == "mxc://hs/2"


async def test_in_the_place_of_a_file_that_is_not_taken_the_room_reads_that_with_its_caption(post: Post) -> None:
    post.outbound.fail(Refused("403", status=403, errcode="M_FORBIDDEN"), times=1000, room=NOWHERE)
    await post.put(PICTURE, parcel("next"))

    async with post.working():
        await post.outbound.until(lambda: len(post.outbound.texts()) == 2)
        await post.bell.until_quiet()
    said = file_words.not_taken("a.png", "Look!")
    assert post.contents()[0] == message(said, notice=False, reply_to=EventId("$asked"))
    assert await post.ledger.outbox.attachment(PICTURE.txn) is None


async def test_a_file_without_caption_is_named_alone(post: Post) -> None:
    post.outbound.upload_limit = 0
    await post.put(BARE)

    async with post.working():
        await post.until_said([file_words.not_taken("a.bin", "")])


async def test_a_file_that_is_not_there_any_more_is_missed(post: Post, tmp_path: Path) -> None:
    await post.put(BARE)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("DELETE FROM attachments")

    async with post.working():
        await post.until_said([file_words.not_taken("a.bin", "")])


BY_NOBODY: Parcel = replace(
    PICTURE, content={**CONTENT, "info": {"mimetype": "image/png", "w": 900, "h": 9}}, attachment=Attachment(b"large")
)
"""What `/get` or a program sends: no turn was there to make a thumbnail."""


class Maker:
    """Makes the same thumbnail of everything, or none."""

    def __init__(self, made: bytes | None) -> None:
        self.asked: list[tuple[RoomId, bytes]] = []
        self._made = made

    async def small(self, room: RoomId, data: bytes) -> bytes | None:
        self.asked.append((room, data))
        return self._made


async def test_a_picture_that_no_turn_has_sent_gets_its_thumbnail_when_it_leaves(post: Post) -> None:
    maker = Maker(png(4, 3))
    post.small = maker.small
    await post.put(BY_NOBODY)

    async with post.working():
        await post.until_said(["Look!"])
    assert maker.asked == [(ROOM, b"large")]
    where, small = post.outbound.files
    assert post.outbound.files[small] == png(4, 3)
    assert post.outbound.uploads == [("a.png", "image/png"), ("a.png", "image/png")]
    info = post.contents()[0]["info"]
    assert (post.contents()[0]["url"], info["thumbnail_url"], info["w"]) == (where, small, 900)
    assert info["thumbnail_info"] == {"mimetype": "image/png", "size": len(png(4, 3)), "w": 4, "h": 3}


@pytest.mark.parametrize("made", [None, b"no picture"])
async def test_a_picture_of_which_no_thumbnail_can_be_made_goes_without(post: Post, made: bytes | None) -> None:
    post.small = Maker(made).small
    await post.put(BY_NOBODY)

    async with post.working():
        await post.until_said(["Look!"])
    assert "thumbnail_info" not in post.contents()[0]["info"]


async def test_no_thumbnail_is_made_of_what_has_one_or_could_have_had_one_or_is_no_picture(post: Post) -> None:
    maker = Maker(png())
    post.small = maker.small
    of_a_turn = replace(BY_NOBODY, txn=TxnId("p2"), command=EventId("$asked"))
    await post.put(PICTURE, of_a_turn, replace(BARE, txn=TxnId("p3")))

    async with post.working():
        await post.until_said(["Look!", "Look!", "a.bin"])
    assert maker.asked == []
