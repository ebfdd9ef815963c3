"""/retry runs once more what did not come to a good end, as a command of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.commands import Command, CommandState, TurnRecord
from aiagentchat.render import away, words
from aiagentchat.render.away import Said
from tests.fakes.front import Front, open_front
from tests.fakes.people import ADA, OTHER, ROOM, command, settings, typed


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


@pytest.mark.parametrize("state", [CommandState.INTERRUPTED, CommandState.FAILED, CommandState.TIMED_OUT])
async def test_it_runs_under_its_own_id_and_names_the_old(front: Front, state: CommandState) -> None:
    before = await ended(front, "make tea", state)
    retry = typed("/retry", sender=ADA)

    assert await front.told(retry) == [away.retrying(said(before), state)]

    [again] = await front.ledger.commands.queue(ROOM)
    assert (again.event, again.text, again.sender, again.origin) == (retry.event, "make tea", ADA, before.event)
    assert again.session == before.session


@pytest.mark.parametrize("state", [CommandState.DONE, CommandState.CANCELLED])
async def test_what_came_to_a_good_end_is_not_run_again(front: Front, state: CommandState) -> None:
    await ended(front, "make tea", state)

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


async def test_a_full_queue_takes_no_retry(front: Front) -> None:
    front.settings = settings(max_queue=1)
    await ended(front, "one", CommandState.FAILED)
    await front.accepted(command())

    assert await front.told(typed("/retry")) == [words.queue_full(1)]
