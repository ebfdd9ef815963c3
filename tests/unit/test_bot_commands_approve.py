"""/approve and /deny answer the oldest open question of the room."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.approvals import Approval, ApprovalState
from aiagentchat.core.ids import ApprovalId, EventId, TxnId
from aiagentchat.core.parcels import Parcel
from aiagentchat.render import away, words
from aiagentchat.render.message import message
from tests.fakes.clock import START_MS
from tests.fakes.front import Front, open_front
from tests.fakes.people import ADA, ANNA, EVE, OTHER, ROOM, VERA, typed


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def test_approve_allows_and_says_who_did(front: Front) -> None:
    await front.asked("a")

    assert await front.told(typed("/approve", sender=ADA)) == [words.approval_allowed(ADA)]
    answer = await front.answer("a")
    assert (answer.state, answer.decided_by) == (ApprovalState.ALLOWED, ADA)


async def test_deny_denies_and_keeps_the_reason(front: Front) -> None:
    await front.asked("a")

    assert await front.told(typed("/deny not on\nSundays")) == [words.approval_denied(ANNA, "not on\nSundays")]
    answer = await front.answer("a")
    assert (answer.state, answer.decided_by, answer.reason) == (ApprovalState.DENIED, ANNA, "not on\nSundays")


async def test_deny_needs_no_reason(front: Front) -> None:
    await front.asked("a")

    assert await front.told(typed("!deny")) == [words.approval_denied(ANNA, "")]
    assert (await front.answer("a")).state is ApprovalState.DENIED


@pytest.mark.parametrize("body", ["/approve", "/deny"])
async def test_without_a_question_there_is_nothing_to_answer(front: Front, body: str) -> None:
    assert await front.told(typed(body)) == [words.NO_APPROVAL_OPEN]


async def test_the_oldest_question_is_answered_first(front: Front) -> None:
    await front.asked("a")
    await front.asked("b")

    await front.hear(typed("/approve"))

    assert not await front.is_open("a")
    assert await front.is_open("b")


async def test_a_second_answer_goes_to_the_next_question_or_to_none(front: Front) -> None:
    await front.asked("a")

    assert await front.told(typed("/deny"), typed("/approve")) == [
        words.approval_denied(ANNA, ""),
        words.NO_APPROVAL_OPEN,
    ]
    assert (await front.answer("a")).state is ApprovalState.DENIED


async def test_the_question_of_another_room_is_not_meant(front: Front) -> None:
    await front.asked("a", OTHER)

    assert await front.told(typed("/approve")) == [words.NO_APPROVAL_OPEN]
    assert await front.is_open("a")


async def test_a_stranger_answers_nothing(front: Front) -> None:
    await front.asked("a")

    assert await front.told(typed("/approve", sender=EVE)) == [words.refused(EVE, "kitchen")]
    assert await front.is_open("a")


async def test_words_that_were_written_before_the_question_could_be_read_do_not_answer_it(front: Front) -> None:
    said = typed("/approve")
    await front.take_in(said)
    front.clock.advance(1)
    await front.asked("a")
    await front.route()

    assert [parcel.content["body"] for parcel in await front.deliver()] == [away.ANSWER_UNSEEN]
    assert await front.is_open("a")


async def test_a_question_that_is_not_in_the_room_yet_is_not_answered(front: Front) -> None:
    question = Approval(id=ApprovalId("a"), room=ROOM, command=EventId("$c"), tool="Bash", expires_at=START_MS + 1_000)
    await front.ledger.approvals.ask(question, [], front.clock.now_ms())

    assert await front.told(typed("/approve")) == [away.ANSWER_UNSEEN]
    assert await front.is_open("a")


# ── whose question it is ──


async def test_the_question_of_another_users_turn_is_not_answered(front: Front) -> None:
    await front.asked("a", asker=ADA)

    assert await front.told(typed("/approve")) == [words.not_yours_to_answer(ADA)]
    assert await front.told(typed("/deny no")) == [words.not_yours_to_answer(ADA)]
    assert await front.is_open("a")


async def test_an_admin_answers_the_question_of_any_turn(front: Front) -> None:
    await front.asked("a", asker=ANNA)

    assert await front.told(typed("/approve", sender=ADA)) == [words.approval_allowed(ADA)]
    assert (await front.answer("a")).decided_by == ADA


async def test_the_oldest_question_of_ones_own_is_meant(front: Front) -> None:
    await front.asked("a", asker=ADA)
    await front.asked("b")
    await front.asked("c")

    assert await front.told(typed("/approve")) == [words.approval_allowed(ANNA)]
    assert [await front.is_open(name) for name in "abc"] == [True, False, True]


async def test_of_several_questions_of_others_the_oldest_is_named(front: Front) -> None:
    await front.asked("a", asker=ADA)
    await front.asked("b", asker=VERA)

    assert await front.told(typed("/approve")) == [words.not_yours_to_answer(ADA)]


async def test_a_question_that_nobody_is_known_to_have_asked_for_is_for_admins(front: Front) -> None:
    question = Approval(id=ApprovalId("a"), room=ROOM, command=EventId("$c"), tool="Bash", expires_at=START_MS + 1_000)
    shown = Parcel(txn=TxnId("q"), room=ROOM, content=message("May it?", notice=False), approval=question.id)
    await front.ledger.approvals.ask(question, [shown], front.clock.now_ms())
    await front.deliver()

    assert await front.told(typed("/approve")) == [words.not_yours_to_answer(None)]
    assert await front.told(typed("/approve", sender=ADA)) == [words.approval_allowed(ADA)]
