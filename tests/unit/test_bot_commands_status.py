"""/status tells what the room is doing, from the ledger and the clock."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.isolation import Held, Isolation
from aiagentchat.route.bot_commands.catalog import catalog
from tests.fakes.front import Front, open_front
from tests.fakes.people import KITCHEN, OTHER, ROOM, command, settings, typed


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def status(front: Front) -> str:
    [told] = await front.told(typed("/status"))
    return told


async def test_a_room_that_never_ran_anything_says_so(front: Front) -> None:
    told = await status(front)

    assert "Room: `kitchen`, workspace `kitchen`" in told
    assert "Agent: `claude`\n" in told
    assert "Session: none yet" in told
    assert "Running: nothing; 0 messages queued" in told
    assert "starts with the next message" in told
    assert "aiagentchat 1.2.3, up for 1 min 00 s" in told


async def test_a_running_turn_is_shown_with_its_time(front: Front) -> None:
    running = command()
    await front.running(running)
    await front.accepted(command(), command(), command(room=OTHER))
    front.warm.add(ROOM)
    front.clock.advance(12.3)

    told = await status(front)

    assert "Running: a turn, for 12.3 s; 2 messages queued" in told
    assert "Session: `make-tea`" in told
    assert "process: warm" in told


async def test_what_waits_between_two_turns_is_not_running(front: Front) -> None:
    await front.accepted(command())

    assert "Running: nothing; 1 message queued" in await status(front)


async def test_a_room_that_rests_says_until_when(front: Front) -> None:
    front.rest = 12.0

    assert "queued; the next turn waits 12.0 s: the last ones" in await status(front)


async def test_the_model_of_the_room_is_named(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, model="opus"))

    assert "Agent: `claude`, model `opus`" in await status(front)


async def test_a_folder_of_its_own_is_named(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, workspace=Path("/srv/projects/soup")))

    assert "workspace `soup`" in await status(front)


async def test_the_folder_stays_when_the_name_changes(front: Front) -> None:
    await status(front)
    front.settings = settings(replace(KITCHEN, name="scullery"))

    assert "Room: `scullery`, workspace `kitchen`" in await status(front)


async def test_a_room_without_isolation_is_warned(front: Front) -> None:
    assert "isolation: strict" in await status(front)
    front.use(catalog(replace(front.desk, held=Held(Isolation.NONE))))

    assert "No isolation" in await status(front)


async def test_a_room_that_holds_the_subscription_is_warned(front: Front) -> None:
    assert "subscription" not in await status(front)
    front.use(catalog(replace(front.desk, subscription_in_room=lambda: True)))

    assert "whoever works here can copy it" in await status(front)
