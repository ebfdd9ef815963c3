"""/retry runs once more what did not come to a good end, as a command of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.commands import Command, CommandState, TurnRecord
from aiagentchat.core.ids import EventId, MessageId
from aiagentchat.core.meta import Meta
from aiagentchat.render import away, words
from aiagentchat.render.away import Said
from tests.fakes.front import Front, open_front
from tests.fakes.people import ADA, ANNA, OTHER, ROOM, command, settings, typed


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def ended(front: Front, text: str, state: CommandState, **more: object) -> Command:
    """A command that has ended so."""
    made = command(text, **more)
    await front.running(made)
    assert await front.ledger.commands.finish(made.event, state, TurnRecord(), [], front.clock.now_ms())
    return made


def said(made: Command) -> Said:
    return Said(at=made.queued_at, by=made.sender, text=made.text)


@pytest.mark.parametrize(
    "state", [CommandState.INTERRUPTED, CommandState.FAILED, CommandState.TIMED_OUT, CommandState.CANCELLED]
)
async def test_it_runs_under_its_own_id_and_names_the_old(front: Front, state: CommandState) -> None:
    before = await ended(front, "make tea", state)
    retry = typed("/retry", sender=ADA)

    assert await front.told(retry) == [away.retrying(said(before), state)]

    [again] = await front.ledger.commands.queue(ROOM)
    assert (again.event, again.text, again.sender, again.origin) == (retry.event, "make tea", ADA, before.event)
    assert again.session == before.session


async def test_it_still_answers_the_agent_that_has_asked(front: Front) -> None:
    before = await ended(front, "make tea", CommandState.FAILED, meta=Meta(id=MessageId("m1")))

    await front.hear(typed("/retry"))

    [again] = await front.ledger.commands.queue(ROOM)
    assert again.meta == before.meta


async def test_what_came_to_a_good_end_is_not_run_again(front: Front) -> None:
    await ended(front, "make tea", CommandState.DONE)

    assert await front.told(typed("/retry")) == [away.NOTHING_TO_RETRY]
    assert await front.ledger.commands.queue(ROOM) == []


async def test_the_last_one_is_meant_also_when_others_were_answered_since(front: Front) -> None:
    await ended(front, "one", CommandState.FAILED)
    await ended(front, "two", CommandState.FAILED)
    await ended(front, "three", CommandState.DONE)

    await front.hear(typed("/retry"))

    assert [each.text for each in await front.ledger.commands.queue(ROOM)] == ["two"]


async def test_what_is_run_again_is_not_run_a_third_time_by_a_second_retry(front: Front) -> None:
    await ended(front, "one", CommandState.FAILED)

    await front.hear(typed("/retry"))
    await front.deliver()

    assert await front.told(typed("/retry")) == [away.NOTHING_TO_RETRY]


async def test_a_retry_that_failed_can_be_retried(front: Front) -> None:
    await ended(front, "one", CommandState.FAILED)
    first, second = typed("/retry"), typed("/retry")
    await front.hear(first)
    assert await front.ledger.commands.start(first.event, front.clock.now_ms())
    await front.ledger.commands.finish(first.event, CommandState.TIMED_OUT, TurnRecord(), [], front.clock.now_ms())

    await front.hear(second)

    [again] = await front.ledger.commands.queue(ROOM)
    assert (again.text, again.origin) == ("one", first.event)


async def test_what_another_room_lost_is_not_meant(front: Front) -> None:
    await ended(front, "one", CommandState.FAILED, room=OTHER)

    assert await front.told(typed("/retry")) == [away.NOTHING_TO_RETRY]


async def test_text_that_is_no_longer_kept_cannot_be_run(front: Front) -> None:
    await ended(front, "", CommandState.FAILED)

    assert await front.told(typed("/retry")) == [away.RETRY_ERASED]


async def test_what_was_never_begun_is_run_too(front: Front) -> None:
    made = command("make tea")
    await front.accepted(made)
    await front.ledger.commands.turn_away(made.event, [], front.clock.now_ms(), what="budget")

    assert await front.told(typed("/retry")) == [away.retrying(said(made), CommandState.CANCELLED, was_begun=False)]
    assert [each.text for each in await front.ledger.commands.queue(ROOM)] == ["make tea"]


# ── whose it was ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_user_runs_their_own_again_also_if_others_failed_since(front: Front) -> None:
    await ended(front, "mine", CommandState.FAILED)
    await ended(front, "of ada", CommandState.FAILED, sender=ADA)

    await front.hear(typed("/retry"))

    assert [each.text for each in await front.ledger.commands.queue(ROOM)] == ["mine"]


async def test_what_others_asked_for_is_run_again_by_admins_alone(front: Front) -> None:
    await ended(front, "of ada", CommandState.FAILED, sender=ADA)
    await ended(front, "of anna", CommandState.FAILED, sender=ANNA)
    await front.told(typed("/retry"))

    assert await front.told(typed("/retry")) == [away.NOT_YOURS_TO_RETRY]

    await front.ledger.commands.finish(
        (await front.ledger.commands.queue(ROOM))[0].event, CommandState.DONE, TurnRecord(), [], front.clock.now_ms()
    )
    await front.told(typed("/retry", sender=ADA))
    assert [each.text for each in await front.ledger.commands.queue(ROOM)] == ["of anna", "of ada"]


# ── which one ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_number_means_an_older_one(front: Front) -> None:
    for text in ("one", "two", "three"):
        await ended(front, text, CommandState.FAILED)

    await front.hear(typed("/retry 3"))

    assert [each.text for each in await front.ledger.commands.queue(ROOM)] == ["one"]


@pytest.mark.parametrize("typed_", ["4", "0", "6", "-1", "last", "²", "001"])
async def test_what_is_the_number_of_none_is_answered_with_those_there_are(front: Front, typed_: str) -> None:
    made = [await ended(front, text, CommandState.FAILED) for text in ("one", "two", "three")]

    assert await front.told(typed(f"/retry {typed_}")) == [away.which_to_retry([said(each) for each in made[::-1]])]
    assert await front.ledger.commands.queue(ROOM) == []


async def test_only_the_last_five_have_a_number(front: Front) -> None:
    for number in range(7):
        await ended(front, f"number {number}", CommandState.FAILED)

    [told] = await front.told(typed("/retry 6"))

    assert "5. " in told
    assert "6. " not in told


async def test_a_reply_means_what_it_replies_to(front: Front) -> None:
    first = await ended(front, "one", CommandState.FAILED)
    await ended(front, "two", CommandState.FAILED)

    await front.hear(typed("/retry", target=first.event))

    assert [each.text for each in await front.ledger.commands.queue(ROOM)] == ["one"]


@pytest.mark.parametrize("target", ["done", "unknown"])
async def test_a_reply_to_what_can_not_be_run_again_runs_nothing(front: Front, target: str) -> None:
    await ended(front, "one", CommandState.FAILED)
    done = await ended(front, "two", CommandState.DONE)
    meant = done.event if target == "done" else EventId("$nobody knows it")

    assert await front.told(typed("/retry", target=meant)) == [away.NOT_TO_RETRY]
    assert await front.ledger.commands.queue(ROOM) == []


async def test_a_reply_to_what_another_asked_for_is_for_admins(front: Front) -> None:
    theirs = await ended(front, "of ada", CommandState.FAILED, sender=ADA)
    await ended(front, "mine", CommandState.FAILED)

    assert await front.told(typed("/retry", target=theirs.event)) == [away.NOT_YOURS_TO_RETRY]


async def test_a_full_queue_takes_no_retry(front: Front) -> None:
    front.settings = settings(max_queue=1)
    await ended(front, "one", CommandState.FAILED)
    await front.accepted(command())

    assert await front.told(typed("/retry")) == [words.queue_full(1)]
