"""What people read and can do when what they typed was not heard for long. Only the homeserver's clock is made up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.shifted_clock import ShiftedClock
from tests.e2e.house import House, move_in


async def _type_while_away(house: House, clock: ShiftedClock, away: timedelta, *texts: str) -> list[str]:
    """The daemon dies, the messages are typed, and it comes back when they are as old as that."""
    await house.daemon.kill()
    asked = [await house.ask(script(text, Step(text=f"{text}: done."))) for text in texts]
    clock.ahead = away
    await house.daemon.start(until="sync.resumed")
    return asked


@asynccontextmanager
async def _far_away(people: People, model: Model, folder: Path) -> AsyncIterator[tuple[House, ShiftedClock]]:
    """A house, and the clock that its daemon believes the homeserver to have."""
    async with (
        ShiftedClock(people.homeserver.url).serving() as clock,
        move_in(people, model, folder, start=False) as house,
    ):
        house.daemon.settings["matrix"]["homeserver"] = clock.url
        house.daemon.write_config()
        async with house.daemon:
            await house.settle_in()
            yield house, clock


@pytest.mark.long
async def test_after_an_outage_the_room_reads_what_is_answered_and_in_which_order(
    people: People, model: Model, workplace: Path
) -> None:
    async with _far_away(people, model, workplace) as (house, clock):
        asked = await _type_while_away(house, clock, timedelta(minutes=20), "first", "second")

        assert [await house.ended(each) for each in asked] == ["✅", "✅"]
        said = [message.body for message in house.anna.view(house.room) if message.sender != house.anna.id]
        assert said[0].startswith("I was away: answering 2 messages from ")
        assert [body.partition("\n")[0] for body in said[1:]] == ["first: done.", "second: done."]


@pytest.mark.long
async def test_what_is_too_old_is_offered_and_runs_with_a_yes(people: People, model: Model, workplace: Path) -> None:
    async with _far_away(people, model, workplace) as (house, clock):
        asked = await _type_while_away(house, clock, timedelta(hours=3), "an old question", "another old one")
        offer = await house.anna.until_message(house.room, "these 2 were not run", sender=house.account.user_id)

        assert model.requests("an old question") == []
        clock.ahead = timedelta()
        await house.anna.react(house.room, offer.id, "✅")
        assert [await house.ended(each) for each in asked] == ["✅", "✅"]
