"""Whoever works in a room holds no key, unless the operator wants it so; then the room is told."""

import signal
from pathlib import Path
from typing import Any

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import own
from tests.e2e.house import House, move_in
from tests.process.test_raid import needs_bubblewrap

TOKEN = "sk-ant-oat01-the-subscription-of-this-test-and-of-no-other"
SUBSCRIPTION = {"CLAUDE_CODE_OAUTH_TOKEN": TOKEN, "ANTHROPIC_API_KEY": ""}
SHOW = "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -a -e TOKEN= -e KEY= | grep -v ^AIAGENTCHAT_ROOM | sort -u"
"""All but what a run shows at its own way out, which is worth nothing elsewhere."""
"""The program keeps its token from what it starts; but that is a look away."""

pytestmark = [needs_bubblewrap, pytest.mark.usefixtures("cli")]


def _shown(house: House, mark: str, header: str) -> set[str]:
    """How the requests of a command proved to the model who they are."""
    return {request.headers.get(header, "") for request in house.model.requests(mark)}


@pytest.mark.long
async def test_a_subscription_stays_outside_and_the_model_sees_it(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}, environ=SUBSCRIPTION) as house:
        mark = f"who are you, {house.account.user_id}"
        use = Step(tool="Bash", input={"command": SHOW})
        assert await house.ended(await house.ask(script(mark, use, Step(text="Done.")))) == "✅"
        said = model.requests(mark)[-1].asked.results[-1].text

        assert said.startswith("CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-")
        assert TOKEN not in said
        assert _shown(house, mark, "authorization") == {f"Bearer {TOKEN}"}
        assert _shown(house, mark, "x-api-key") == {""}
        assert house.told("The token of the subscription") == 0
    assert "subscription.in_room" not in {line["event"] for line in house.daemon.lines()}


@pytest.mark.long
async def test_a_room_that_holds_the_subscription_is_told_once_in_a_life(
    people: People, model: Model, workplace: Path
) -> None:
    settings: dict[str, Any] = {"room": {"allow": ["Bash"]}, "environ": SUBSCRIPTION, "subscription_in_room": True}
    async with move_in(people, model, workplace, **settings) as house:
        await house.daemon.until_line("subscription.in_room")
        said = [await house.shell(SHOW) for _ in range(2)]
        told = house.told("The token of the subscription is in this room")
        await house.ask("/status")
        status = await house.anna.until_message(house.room, "isolation: strict", sender=house.account.user_id)

        assert said == [f"CLAUDE_CODE_OAUTH_TOKEN={TOKEN}"] * 2
        assert told == 1
        assert "whoever works here can copy it" in status.body
    assert TOKEN not in house.daemon.log.read_text()


@pytest.mark.long
async def test_a_key_that_was_replaced_is_used_by_the_next_request_of_a_warm_process(
    people: People, model: Model, workplace: Path
) -> None:
    key = workplace / "key"

    def write(text: str) -> None:
        key.write_text(text)
        key.chmod(0o600)
        own(key)

    write("sk-ant-first")
    environ = {"ANTHROPIC_API_KEY": "", "ANTHROPIC_API_KEY_FILE": str(key)}
    async with move_in(people, model, workplace, environ=environ) as house:
        first, second = (f"{word} with the key, {house.account.user_id}" for word in ("first", "second"))
        await house.ended(await house.ask(first))
        write("sk-ant-second")
        house.daemon.send_signal(signal.SIGHUP)
        await house.daemon.until_line("config.reloaded")
        assert await house.ended(await house.ask(second)) == "✅"

        assert "sk-ant-first" in _shown(house, first, "x-api-key")
        assert _shown(house, second, "x-api-key") == {"sk-ant-second"}
    assert sum(line["event"] == "run.started" for line in house.daemon.lines()) == 1
