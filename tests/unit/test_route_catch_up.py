"""What was typed while nobody listened: announced, run if it is not too old, else offered."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.ids import EventId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import KEY
from aiagentchat.render import away, words
from aiagentchat.render.away import Said
from tests.fakes.clock import START_MS
from tests.fakes.front import Front, event_of, open_front
from tests.fakes.people import ADA, ANNA, KITCHEN, OTHER, ROOM, VERA, command, event, settings, typed

MINUTE = 60_000
HOUR = 60 * MINUTE


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


def late(body: str, ago: int, **more: object) -> Incoming:
    """Typed `ago` milliseconds before it came in."""
    return typed(body, late_ms=ago, sent_at=START_MS - ago, **more)


def said(message: Incoming) -> Said:
    return Said(at=message.sent_at, by=message.sender, text=message.body)


async def queued(front: Front) -> list[str]:
    return [each.text for each in await front.ledger.commands.queue(ROOM)]


async def offered(front: Front) -> EventId:
    """The event of the only offer that was put into the room."""
    said = [parcel for parcel in await front.deliver() if "body" in parcel.content]
    [question] = [parcel for parcel in said if parcel.approval is not None]
    return event_of(question.txn)


async def test_what_was_typed_during_an_outage_is_announced_once_and_run_in_order(front: Front) -> None:
    first, second, third = late("one", 30 * MINUTE), late("two", 20 * MINUTE), late("three", 2 * MINUTE)

    told = await front.told(first, second, third)

    assert told == [away.caught_up(3, first.sent_at, third.sent_at)]
    assert await queued(front) == ["one", "two", "three"]


async def test_a_short_outage_is_not_worth_a_word(front: Front) -> None:
    assert await front.told(late("one", 9 * MINUTE)) == []
    assert await queued(front) == ["one"]


async def test_only_what_is_for_the_agent_is_counted(front: Front) -> None:
    asked = late("one", 20 * MINUTE)

    told = await front.told(asked, late("/version", 19 * MINUTE), late("hello", 18 * MINUTE, sender=VERA))

    assert told[0] == away.caught_up(1, asked.sent_at, asked.sent_at)
    assert sorted(told[1:]) == sorted([words.version("1.2.3"), words.VIEWER_MAY_NOT_RUN])


async def test_each_outage_is_announced(front: Front) -> None:
    for _ in range(2):
        asked = late("one", 20 * MINUTE)
        assert await front.told(asked) == [away.caught_up(1, asked.sent_at, asked.sent_at)]
        front.clock.advance(1)


async def test_rooms_are_announced_each_for_itself(front: Front) -> None:
    here, there = late("one", 20 * MINUTE), late("two", 15 * MINUTE, room=OTHER)

    assert await front.told(here, there) == [
        away.caught_up(1, here.sent_at, here.sent_at),
        away.caught_up(1, there.sent_at, there.sent_at),
    ]


async def test_what_is_too_old_is_offered_and_not_run(front: Front) -> None:
    old, older, fresh = late("old", 61 * MINUTE), late("older", 2 * HOUR), late("fresh", 30 * MINUTE)

    told = await front.told(older, old, fresh)

    assert told == [away.offer([said(older), said(old)], 2), away.caught_up(1, fresh.sent_at, fresh.sent_at)]
    assert await queued(front) == ["fresh"]
    assert await front.state(old.event) is None


async def test_an_offer_quotes_the_first_and_counts_the_others(front: Front) -> None:
    many = [late(f"number {number}", 2 * HOUR) for number in range(7)]

    assert await front.told(*many) == [away.offer([said(each) for each in many[:5]], 7)]


async def test_a_yes_runs_what_was_offered_in_its_order_and_once(front: Front) -> None:
    await front.hear(late("one", 3 * HOUR), late("two", 2 * HOUR, sender=ADA))
    question = await offered(front)

    await front.hear(
        event(Kind.REACTION, "✅", target=question), event(Kind.REACTION, "✅", target=question, sender=ADA)
    )

    one, two = await front.ledger.commands.queue(ROOM)
    assert (one.text, one.sender, two.text, two.sender) == ("one", ANNA, "two", ADA)
    assert one.session == two.session == await front.ledger.sessions.current(ROOM)


async def test_a_no_drops_it(front: Front) -> None:
    old = late("one", 3 * HOUR)
    await front.hear(old)
    question = await offered(front)

    assert await front.told(event(Kind.REACTION, "❌", target=question)) == [away.dropped(1)]
    assert await front.told(event(Kind.REACTION, "✅", target=question)) == [words.approval_already_answered(ANNA)]
    assert await queued(front) == []


@pytest.mark.parametrize(("approvals", "keys"), [("reaction", ["✅", "❌"]), ("reply", [])])
async def test_an_offer_can_be_tapped_where_reactions_count(front: Front, approvals: str, keys: list[str]) -> None:
    front.settings = settings(replace(KITCHEN, approvals=approvals))
    await front.hear(late("old", 2 * HOUR))

    assert [parcel.content[KEY] for parcel in await front.deliver() if KEY in parcel.content] == keys


async def test_words_are_about_what_the_agent_asks_and_never_about_an_offer(front: Front) -> None:
    await front.hear(late("one", 3 * HOUR))
    await front.deliver()
    assert await front.told(typed("/approve")) == [words.NO_APPROVAL_OPEN]
    await front.asked("a")

    assert await front.told(typed("/approve")) == [words.approval_allowed(ANNA)]
    assert not await front.is_open("a")
    assert await queued(front) == []


async def test_words_that_were_typed_meanwhile_decide_nothing(front: Front) -> None:
    told = await front.told(late("one", 3 * HOUR), late("/approve", 2 * HOUR))

    assert told[1:] == [away.ANSWER_TOO_LATE]
    assert await queued(front) == []


async def test_an_offer_does_not_last_for_ever(front: Front) -> None:
    await front.hear(late("one", 3 * HOUR))
    question = await offered(front)
    front.clock.advance(24 * 3600)

    assert await front.told(event(Kind.REACTION, "✅", target=question)) == [away.QUESTION_TOO_OLD]
    assert await queued(front) == []


async def test_what_was_taken_back_meanwhile_is_not_run(front: Front) -> None:
    one, two = late("one", 3 * HOUR), late("two", 2 * HOUR)
    await front.hear(one, two)
    question = await offered(front)
    await front.hear(event(Kind.REDACTION, target=one.event))

    assert await front.told(event(Kind.REACTION, "✅", target=question)) == [away.offer_erased(1)]
    assert await queued(front) == ["two"]


async def test_what_was_edited_meanwhile_is_run_as_it_reads_now(front: Front) -> None:
    one = late("one", 3 * HOUR)
    await front.hear(one)
    question = await offered(front)

    await front.hear(event(Kind.EDIT, "uno", target=one.event), event(Kind.EDIT, "x", target=one.event, sender=ADA))
    await front.hear(event(Kind.REACTION, "✅", target=question))

    assert await queued(front) == ["uno"]


async def test_more_than_the_queue_holds_is_offered_in_one_message(front: Front) -> None:
    front.settings = settings(max_queue=2)
    missed = [late(f"number {number}", (20 - number) * MINUTE) for number in range(5)]

    told = await front.told(*missed)

    assert told == [
        away.caught_up(2, missed[0].sent_at, missed[1].sent_at),
        away.offer([said(each) for each in missed[2:]], 3),
    ]
    assert await queued(front) == ["number 0", "number 1"]


async def test_a_yes_to_more_than_the_queue_holds_offers_the_rest_again(front: Front) -> None:
    front.settings = settings(max_queue=2)
    missed = [late(f"number {number}", 2 * HOUR) for number in range(3)]
    await front.hear(*missed)
    question = await offered(front)

    told = await front.told(event(Kind.REACTION, "✅", target=question))

    assert told == [away.offer([said(missed[2])], 1)]
    assert await queued(front) == ["number 0", "number 1"]


async def test_a_message_that_is_lost_in_a_crash_of_ours_is_planned_the_same_again(front: Front) -> None:
    one, two = late("one", 3 * HOUR), late("two", 2 * HOUR)
    await front.hear(one, two)
    await front.deliver()
    await front.take_in(one, two)

    assert await front.told() == []
    assert await front.state(one.event) is None


async def test_a_late_message_into_a_full_queue_is_not_rejected(front: Front) -> None:
    front.settings = settings(max_queue=1)
    await front.accepted(command("busy"))
    missed = late("one", 2 * MINUTE)

    assert await front.told(missed) == [away.offer([said(missed)], 1)]
    assert await front.state(missed.event) is None


async def test_a_late_word_in_reply_to_nothing_of_ours_is_a_message_as_any_other(front: Front) -> None:
    one, word = late("one", 2 * HOUR), late("yes", 2 * HOUR, target=EventId("$nowhere"))

    assert await front.told(one, word) == [away.offer([said(one), said(word)], 2)]


async def test_a_late_word_in_reply_to_a_question_answers_it_and_is_not_offered(front: Front) -> None:
    question = await front.asked("a")
    one, word = late("one", 2 * HOUR), late("yes", 2 * HOUR, target=question)

    assert await front.told(one, word) == [away.offer([said(one)], 1), words.approval_allowed(ANNA)]
    assert not await front.is_open("a")
