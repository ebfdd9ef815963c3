"""What is deleted: parcels that take out of the room what other parcels have become."""

import pytest

from aiagentchat.core.errors import RateLimited, Refused, Unreachable
from aiagentchat.core.ids import EventId, TxnId
from aiagentchat.core.parcels import PARCEL, REDACTION, Parcel
from aiagentchat.render import words
from aiagentchat.send.verdict import FORBIDDEN_SECONDS
from tests.fakes.people import ROOM
from tests.unit.postman_stage import Post, parcel


def deletion(of: str, *, command: str | None = "$asked", txn: str = "") -> Parcel:
    return Parcel(
        txn=TxnId(txn or f"delete {of}"),
        room=ROOM,
        type=REDACTION,
        content={PARCEL: of},
        command=None if command is None else EventId(command),
    )


async def test_what_was_said_is_taken_out_of_the_room_with_its_edits(post: Post) -> None:
    edit = parcel("hello you", edits="hello")
    await post.put(parcel("hello"))
    async with post.working():
        await post.bell.until_quiet()
        await post.put(edit)
        await post.bell.until_quiet()
        await post.put(deletion("hello"), deletion(edit.txn))
        await post.outbound.until(lambda: len(post.outbound.redacted) == 2)

    said = [each.event for each in post.outbound.said]
    assert post.outbound.redacted == [(event, words.DELETION_REASON) for event in said]
    assert [each.content for each in post.outbound.said] == [{}, {}]


async def test_it_waits_for_what_it_deletes(post: Post) -> None:
    await post.put(parcel("hello"), deletion("hello"))

    async with post.working():
        await post.outbound.until(lambda: post.outbound.redacted)
    assert [what for what, _ in post.outbound.asked] == ["send", "redact"]


async def test_what_never_arrived_needs_no_deletion_and_nobody_is_told(post: Post) -> None:
    await post.put(deletion("never"), parcel("behind it"))

    async with post.working():
        await post.outbound.until(post.outbound.texts)
    assert post.outbound.texts() == ["behind it"]
    assert post.outbound.redacted == []


@pytest.mark.parametrize(
    "trouble", [RateLimited("later", retry_after=3), Unreachable("500", status=500), Unreachable("nobody")]
)
async def test_it_is_tried_again_until_it_is_done(post: Post, trouble: RateLimited | Unreachable) -> None:
    await post.put(parcel("hello"))
    async with post.working():
        await post.bell.until_quiet()
        post.outbound.fail(trouble)
        await post.put(deletion("hello"))
        await post.bell.until_quiet()
        await post.later(120)
        await post.outbound.until(lambda: post.outbound.redacted)

    assert len(post.outbound.redacted) == 1


async def test_where_we_may_not_delete_the_room_is_told_once_for_an_answer(post: Post) -> None:
    await post.put(parcel("one"), parcel("two"))
    post.outbound.rooms[ROOM].may_redact = False
    await post.put(deletion("one"), deletion("two"), deletion("two", txn="again"))

    async with post.working():
        for _ in range(4):
            await post.bell.until_quiet()
            await post.later(FORBIDDEN_SECONDS)
        await post.outbound.until(lambda: words.NOT_DELETED in post.outbound.texts())
        await post.put(parcel("behind it"))
        await post.outbound.until(lambda: "behind it" in post.outbound.texts())
    assert post.outbound.texts() == ["one", "two", words.NOT_DELETED, "behind it"]


async def test_that_we_may_not_is_told_for_a_deletion_of_its_own(post: Post) -> None:
    await post.put(parcel("one"))
    async with post.working():
        await post.bell.until_quiet()
        post.outbound.fail(Refused("unknown", status=404, errcode="M_NOT_FOUND"), room=ROOM)
        await post.put(deletion("one", command=None))
        await post.outbound.until(lambda: words.NOT_DELETED in post.outbound.texts())

    assert post.outbound.redacted == []


async def test_a_deletion_of_an_earlier_life_is_sent_again_and_not_searched_for(post: Post) -> None:
    await post.put(parcel("hello"), deletion("hello"))
    async with post.working():
        await post.outbound.until(post.outbound.texts)
        await post.bell.until_quiet()
    await post.put(deletion("hello", txn="tried"))
    assert await post.ledger.outbox.claim(post.clock.now_ms(), device="ELSEWHERE") is not None

    async with post.working():
        await post.outbound.until(lambda: len(post.outbound.redacted) == 2)
    assert "find" not in [what for what, _ in post.outbound.asked]
