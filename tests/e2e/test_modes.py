"""A conversation goes on in whatever keeps its runs in, and whatever its room is called."""

import asyncio
from pathlib import Path

import pytest

from aiagentchat.cli.healthcheck import healthcheck_command
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in
from tests.process.test_raid import needs_bubblewrap, needs_root

pytestmark = [needs_bubblewrap, pytest.mark.usefixtures("cli")]


async def _goes_on(house: House, isolation: str, *, known: str) -> None:
    """Start a life with this isolation, and see that the agent knows what was said in an earlier one."""
    house.daemon.settings["isolation"] = isolation
    before = len(house.daemon.lines())
    await house.daemon.start(until="service.started")
    chosen = await house.daemon.until_line("isolation.chosen", skip=before)
    mark = f"now in {isolation}, {house.account.user_id} {before}"
    command = await house.ask(script(mark, Step(tool="Bash", input={"command": "cat note"}), Step(text="Known.")))

    assert chosen["isolation"] == isolation
    assert await house.ended(command) == "✅"
    assert known in house.prompts(mark)[-1]
    assert house.model.requests(mark)[-1].asked.results[-1].text == "kept"
    healthy = await asyncio.to_thread(healthcheck_command, Path(house.daemon.config))
    assert healthy == 0  # with a gateway, and in the isolations that have none
    assert house.told("I started a new one") == house.told("I set that aside") == 0
    assert await house.daemon.stop() == 0


def _rename(house: House, name: str) -> None:
    house.daemon.settings["rooms"][0]["name"] = name


@pytest.mark.long
async def test_a_conversation_goes_on_in_every_isolation_and_after_a_rename(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}, isolation="strict") as house:
        known = f"the number is 4711, {house.account.user_id}"
        use = Step(tool="Bash", input={"command": "echo kept > note"})
        assert await house.ended(await house.ask(script(known, use, Step(text="Noted.")))) == "✅"
        assert await house.daemon.stop() == 0

        await _goes_on(house, "landlock", known=known)
        _rename(house, "renamed")
        await _goes_on(house, "none", known=known)
        await _goes_on(house, "strict", known=known)
    assert sorted(path.name for path in house.daemon.workspaces.iterdir()) == ["room0"]


@needs_root
@pytest.mark.long
async def test_a_conversation_goes_on_when_its_room_becomes_a_user_of_its_own(
    people: People, model: Model, crossroads: Path
) -> None:
    async with move_in(people, model, crossroads, room={"allow": ["Bash"]}, as_root=True, isolation="none") as house:
        known = f"the number is 4711, {house.account.user_id}"
        use = Step(tool="Bash", input={"command": "echo kept > note; id -u"})
        assert await house.ended(await house.ask(script(known, use, Step(text="Noted.")))) == "✅"
        assert await house.daemon.stop() == 0

        await _goes_on(house, "strict", known=known)
        _rename(house, "renamed")
        await _goes_on(house, "users", known=known)
        await _goes_on(house, "strict", known=known)
        uids = {path.lstat().st_uid for path in house.workspace().rglob("*")}
        assert len(uids) == 1
        assert uids.isdisjoint({0})
