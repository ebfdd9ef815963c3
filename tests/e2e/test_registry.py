"""Two daemons of two accounts find each other: one that ends is gone at once, one that is killed a little later."""

import asyncio
from pathlib import Path

import pytest

from aiagentchat.core.instances import INSTANCE
from rig.daemon import Daemon
from rig.homeserver import Homeserver
from rig.model import Model
from rig.people import People
from rig.people import people as invite_people
from rig.unprivileged import own
from tests.e2e.house import House, move_in

pytestmark = pytest.mark.timeout(120)


async def who(house: House) -> str:
    """What /who says."""
    asked = await house.ask("/who")

    def answer() -> str:
        told = (message for message in house.anna.view(house.room) if message.sender == house.account.user_id)
        replies = {
            message.first.get("m.relates_to", {}).get("m.in_reply_to", {}).get("event_id"): message for message in told
        }
        return replies[asked].body if asked in replies else ""

    return await house.anna.until(answer, what="an answer to /who")


async def until_told(house: House, text: str) -> str:
    """Ask until /who says that."""
    async with asyncio.timeout(20):
        while text not in (told := await who(house)):
            pass
    return told


@pytest.mark.long
async def test_daemons_find_each_other_and_see_each_others_end(people: People, model: Model, workplace: Path) -> None:
    await find_each_other(people, model, workplace)


@pytest.mark.long
async def test_they_do_so_too_where_the_homeserver_says_that_one_is_gone(
    model: Model, workplace: Path, tmp_path: Path
) -> None:
    with Homeserver(tmp_path / "patient", config={"max_event_delay_duration": "24h"}) as server:
        async with invite_people(server) as people:
            daemon = await find_each_other(people, model, workplace)

    assert {line["delayed"] for line in daemon.lines() if line["event"] == "registry.registered"} == {True}


async def find_each_other(people: People, model: Model, workplace: Path) -> Daemon:
    """Kitchen sees garden come, end, come again and be killed. Returns garden's daemon."""
    anna = await people.person()
    registry = await anna.create_room(power_level_content_override={"events": {INSTANCE: 0}})
    kitchen = {"room": registry, "instance": "kitchen", "skills": ["soup"]}
    async with move_in(people, model, workplace, anna=anna, start=False, registry=kitchen) as house:
        await anna.invite(registry, house.account.user_id)
        account = people.account("other")
        await anna.invite(registry, account.user_id)
        (folder := workplace / "other").mkdir()
        rooms = [{"id": await people.room(anna, account), "name": "other"}]
        garden = {"room": registry, "instance": "garden"}
        url = people.homeserver.url
        other = Daemon(folder, url, account, rooms, model_url=model.url, users=[anna.id], registry=garden)
        other.write_config()
        own(workplace)
        house.daemon.module = other.module = "rig.impatient"
        async with house.daemon:
            await house.settle_in()
            async with other:
                there = await until_told(house, "`garden`")
                await other.stop()
                stopped = await who(house)
                await other.start(until="registry.registered")
                again = await until_told(house, "**`garden`** of " + f"`{account.user_id}`, a daemon")
                await other.kill()
                killed = await until_told(house, "offline")

    assert "**`kitchen`**, this daemon" in there
    assert "online; `soup`" in there
    assert ["offline, seen just now" in told for told in (there, stopped, again, killed)] == [False, True, False, True]
    return other
