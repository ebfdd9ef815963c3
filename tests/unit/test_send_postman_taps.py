"""Reactions on a message of ours that had not arrived when they were written."""

from dataclasses import replace

from aiagentchat.core.ids import ApprovalId
from aiagentchat.core.parcels import REACTION
from aiagentchat.render.marks import taps
from aiagentchat.render.message import reaction
from tests.unit.postman_stage import Post, parcel

QUESTION = replace(parcel("May it?"), approval=ApprovalId("a"))


async def test_the_answers_stand_on_the_question_for_whoever_taps(post: Post) -> None:
    await post.put(QUESTION, *taps(QUESTION, ["✅", "1️⃣"]))
    async with post.working():
        await post.outbound.until(lambda: len(post.outbound.said) == 3)

    asked, *tapped = post.outbound.said
    assert [each.type for each in tapped] == [REACTION, REACTION]
    assert post.contents()[1:] == [reaction(asked.event, "✅"), reaction(asked.event, "1️⃣")]


async def test_they_are_on_nothing_where_the_question_never_arrived(post: Post) -> None:
    await post.put(*taps(QUESTION, ["✅"]), parcel("behind it"))
    async with post.working():
        await post.outbound.until(post.outbound.texts)
        await post.bell.until_quiet()

    assert post.outbound.texts() == ["behind it"]
    assert len(post.outbound.said) == 1
    assert await post.ledger.outbox.unsent() == 0


async def test_a_question_is_shown_when_it_is_and_not_when_it_can_be_tapped(post: Post) -> None:
    await post.put(QUESTION)
    async with post.working():
        await post.bell.until_quiet()
        shown = await post.ledger.outbox.shown_at(ApprovalId("a"))
        post.clock.advance(60)
        await post.put(*taps(QUESTION, ["✅"]))
        await post.outbound.until(lambda: len(post.outbound.said) == 2)
        await post.bell.until_quiet()

        assert await post.ledger.outbox.shown_at(ApprovalId("a")) == shown
