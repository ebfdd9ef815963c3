"""The question whether to go on after a restart: a yes is a new turn in the same conversation."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState
from aiagentchat.core.commands import Command, CommandState, TurnRecord
from aiagentchat.core.ids import ApprovalId, EventId, MessageId, TxnId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Meta
from aiagentchat.core.parcels import Parcel
from aiagentchat.render import away, words
from aiagentchat.render.message import message
from tests.fakes.front import Front, event_of, open_front
from tests.fakes.people import ADA, ANNA, EVE, KITCHEN, ROOM, VERA, command, event, settings, typed

QUESTION = Parcel(
    txn=TxnId("question"), room=ROOM, content=message("go on?", notice=False), approval=ApprovalId("resume")
)


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def asked(front: Front, **more: object) -> Command:
    """A turn that was cut short while it waited for an answer, and the question about it."""
    cut = command("make tea", **more)
    await front.running(cut)
    approval = Approval(
        id=ApprovalId("resume"),
        room=ROOM,
        command=cut.event,
        tool="Bash",
        expires_at=front.clock.now_ms() + 3_600_000,
        kind=ApprovalKind.RESUME,
        digest="d1,d2",
        shown="🔐 `Bash`",
    )
    now = front.clock.now_ms()
    assert await front.ledger.commands.interrupt(cut.event, approval, TurnRecord(), [QUESTION], now)
    await front.deliver()
    return cut


def reacted(key: str, **more: object) -> Incoming:
    return event(Kind.REACTION, key, target=event_of(QUESTION.txn), **more)


async def test_a_yes_goes_on_in_the_same_conversation_and_carries_the_permission(front: Front) -> None:
    cut = await asked(front)
    await front.hear(typed("/new_session"))
    yes = reacted("✅", sender=ADA)

    await front.hear(yes)

    [resumed] = await front.ledger.commands.queue(ROOM)
    assert (resumed.event, resumed.sender, resumed.session) == (yes.event, ADA, cut.session)
    assert (resumed.origin, resumed.shown_at, resumed.granted) == (cut.event, cut.event, "d1,d2")
    assert resumed.text == away.resumed_for_agent("Bash", "🔐 `Bash`", "make tea")
    assert (await front.answer("resume")).state is ApprovalState.ALLOWED


async def test_what_goes_on_still_answers_the_agent_that_has_asked(front: Front) -> None:
    cut = await asked(front, meta=Meta(id=MessageId("m1")))

    await front.hear(reacted("✅"))

    [resumed] = await front.ledger.commands.queue(ROOM)
    assert (resumed.meta, resumed.caller) == (cut.meta, None)


async def test_a_second_yes_starts_nothing(front: Front) -> None:
    await asked(front)

    await front.hear(reacted("✅"), reacted("✅", sender=ADA))

    assert len(await front.ledger.commands.queue(ROOM)) == 1


async def test_a_no_drops_it(front: Front) -> None:
    await asked(front)

    assert await front.told(reacted("❌")) == [away.dropped(0)]
    assert await front.told(reacted("✅")) == [words.approval_already_answered(ANNA)]
    assert await front.ledger.commands.queue(ROOM) == []


async def test_words_answer_it_too(front: Front) -> None:
    cut = await asked(front)

    assert await front.told(typed("/approve")) == []
    [resumed] = await front.ledger.commands.queue(ROOM)
    assert resumed.origin == cut.event


async def test_a_viewer_decides_nothing(front: Front) -> None:
    await asked(front)

    await front.hear(reacted("✅", sender=VERA))

    assert await front.is_open("resume")


async def test_another_user_does_not_go_on_with_what_is_not_theirs(front: Front) -> None:
    await asked(front)
    front.settings = settings(replace(KITCHEN, users=frozenset({ANNA, EVE})))

    assert await front.told(reacted("✅", sender=EVE)) == [words.not_yours_to_answer(ANNA)]
    assert await front.told(typed("/deny", sender=EVE)) == [words.not_yours_to_answer(ANNA)]
    assert await front.is_open("resume")


async def test_it_expires(front: Front) -> None:
    await asked(front)
    front.clock.advance(3600)

    assert await front.told(reacted("✅")) == [away.QUESTION_TOO_OLD]
    assert await front.ledger.commands.queue(ROOM) == []


async def test_what_went_on_cannot_be_retried_beside_it(front: Front) -> None:
    await asked(front)

    await front.hear(reacted("✅"))
    await front.deliver()

    assert await front.told(typed("/retry")) == [away.NOTHING_TO_RETRY]


async def test_a_command_that_is_no_longer_kept_goes_on_in_the_rooms_conversation(front: Front) -> None:
    other = command("elsewhere")
    await front.running(other)
    assert await front.ledger.commands.finish(other.event, CommandState.DONE, TurnRecord(), [], front.clock.now_ms())
    lost = Approval(
        id=ApprovalId("resume"),
        room=ROOM,
        command=EventId("$pruned"),
        tool="Bash",
        expires_at=front.clock.now_ms() + 1_000,
        kind=ApprovalKind.RESUME,
    )
    await front.ledger.approvals.ask(lost, [QUESTION], front.clock.now_ms())
    await front.deliver()

    await front.hear(reacted("✅", sender=ADA))

    [resumed] = await front.ledger.commands.queue(ROOM)
    assert resumed.session == other.session
    assert resumed.text == away.resumed_for_agent("Bash", "", "")


async def test_what_was_retried_meanwhile_does_not_go_on_beside_it(front: Front) -> None:
    await asked(front)
    await front.hear(typed("/retry"))
    await front.deliver()

    assert await front.told(reacted("✅")) == [away.RUN_AGAIN_ALREADY]
    assert len(await front.ledger.commands.queue(ROOM)) == 1
    assert not await front.is_open("resume")


async def test_what_the_agent_asks_now_goes_before_what_it_was_interrupted_in(front: Front) -> None:
    await asked(front)
    await front.asked("now")

    await front.hear(typed("/approve"))

    assert not await front.is_open("now")
    assert await front.is_open("resume")


async def test_words_about_a_question_that_has_expired_are_about_nothing(front: Front) -> None:
    await asked(front)
    front.clock.advance(3600)

    assert await front.told(typed("/approve")) == [words.NO_APPROVAL_OPEN]


async def test_what_was_taken_back_does_not_go_on_and_is_not_retried(front: Front) -> None:
    cut = await asked(front)
    await front.hear(event(Kind.REDACTION, target=cut.event))

    assert not await front.is_open("resume")
    assert await front.told(reacted("✅")) == [words.approval_already_answered(None)]
    assert await front.told(typed("/retry")) == [away.RETRY_ERASED]
