"""/stop and /new_session: what ends, what goes on, and in which conversation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.commands import CommandState, TurnTime
from aiagentchat.render import session_words, words
from tests.fakes.front import Front, open_front
from tests.fakes.people import ADA, ANNA, OTHER, ROOM, command, typed


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def test_stop_says_when_there_is_nothing_to_stop(front: Front) -> None:
    await front.running(command(room=OTHER))

    assert await front.told(typed("/stop")) == [words.NOTHING_TO_STOP]


async def test_stop_ends_what_runs_and_leaves_what_waits(front: Front) -> None:
    running, waiting = command(), command()
    await front.running(running)
    await front.accepted(waiting)

    front.clock.advance(65.0)
    front.times[ROOM] = TurnTime(limit=300, elapsed=65.0, doing="▸ Bash: `make tea`")

    [told] = await front.told(typed("/stop", sender=ADA))

    assert told == (
        "Stopping `make tea` of `@anna:hs`, which has run for 1 min 05 s; last: ▸ Bash: `make tea`. "
        "1 message still waits and runs next; `/stop` again ends that too."
    )
    assert await front.ledger.commands.stop_requested(running.event) == ADA
    assert await front.state(waiting.event) is CommandState.QUEUED


async def test_stop_between_two_turns_means_the_next_one(front: Front) -> None:
    first, second = command(), command()
    await front.accepted(first, second)

    assert await front.told(typed("/stop")) == ["Nothing ran yet: `make tea` of `@anna:hs` was next, and is not run."]
    assert await front.state(first.event) is CommandState.CANCELLED
    assert await front.state(second.event) is CommandState.QUEUED


async def test_stop_twice_keeps_who_was_first(front: Front) -> None:
    running = command()
    await front.running(running)

    told = await front.told(typed("/stop"), typed("!stop", sender=ADA))

    assert told == ["Stopping `make tea` of `@anna:hs`, which has run for 0.0 s."] * 2
    assert await front.ledger.commands.stop_requested(running.event) == ANNA


async def test_a_new_session_is_for_what_comes_later(front: Front) -> None:
    before, after = typed("before"), typed("after")
    await front.hear(before)
    await front.deliver()

    assert await front.told(typed("/new_session")) == [session_words.new_session("before", is_asked=False)]
    await front.hear(after)

    old, new = await front.ledger.commands.queue(ROOM)
    assert (old.event, new.event) == (before.event, after.event)
    assert old.session != new.session == await front.ledger.sessions.current(ROOM)


async def test_a_new_session_is_for_its_own_room(front: Front) -> None:
    await front.hear(typed("here"), typed("there", room=OTHER))
    there = await front.ledger.sessions.current(OTHER)

    await front.hear(typed("/new_session"))

    assert await front.ledger.sessions.current(OTHER) == there
