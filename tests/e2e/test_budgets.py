"""What turns cost, what they may, and what they changed: one room, until its money is gone, and after."""

import re
import signal
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in
from tests.process.test_raid import needs_bubblewrap

pytestmark = [needs_bubblewrap, pytest.mark.usefixtures("cli")]

BUDGET = {"turn": 0.02, "day": 0.05}
"""An answer of the scripted model costs $0.0066."""


def bash(command: str, text: str = "") -> Step:
    return Step(text=text, tool="Bash", input={"command": command})


async def told(house: House, text: str) -> str:
    """Type a bot command; what the room reads in answer."""
    asked = await house.ask(text)
    message = await house.anna.until_message(
        house.room, lambda message: message.reply_to == asked, sender=house.account.user_id
    )
    return message.body


async def reload(house: House, **budget: float) -> None:
    for room in house.daemon.settings["rooms"]:
        room["budget"] = budget
    lines = len(house.daemon.lines())
    house.daemon.write_config()
    house.daemon.send_signal(signal.SIGHUP)
    await house.daemon.until_line("config.reloaded", skip=lines)


@pytest.mark.long
async def test_a_room_reads_what_turns_cost_what_they_changed_and_when_its_money_is_gone(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, room={"allow": ["Bash"], "budget": BUDGET}) as house:
        # A turn that changes files says how many, and which lines.
        first = await house.ask(script("cook", bash("printf 'salt\\n' > soup.md"), Step(text="Soup.")))
        assert re.search(r"\$0\.0132 · 8\.5k tokens · 1 file changed · session", await house.answer(first))
        assert "+++ b/soup.md\n@@ -0,0 +1 @@\n+salt\n" in await told(house, "/diff")

        # One that becomes too dear is ended in its midst.
        tools = [bash(f"echo {number}; sleep 2") for number in range(5)]
        dear = await house.ask(script("cook much", *tools, Step(text="A feast.")))
        assert await house.ended(dear) == "❌"
        answer = await house.answer(dear)
        assert "💰 Stopped: this turn has cost $0.0264, and may cost $0.0200." in answer
        assert "A feast." not in answer

        # So the next one changes the file again, and the room hears that most of the day's money is gone.
        second = await house.ask(script("season", bash("printf 'pepper\\n' > soup.md"), Step(text="Better.")))
        assert await house.ended(second) == "✅"
        assert "-salt\n+pepper\n" in await told(house, "/diff")
        await house.anna.until_message(house.room, "budget for today is used up ($0.0528 of $0.0500)")
        assert re.search(r"\| today \| 3 \| [0-9.]+k \| \$0\.0528 \|", await told(house, "/cost"))

        # Now nothing begins, until somebody raises it.
        refused = await house.ask(script("one more", Step(text="Bread.")))
        assert await house.ended(refused) == "🛑"
        assert "budget of this room for today is used up" in await house.answer(refused)
        assert not house.prompts("one more")
        await reload(house, day=1)
        again = await house.ask("/retry")
        assert await house.ended(again) == "✅"
        assert "Bread." in await house.answer(again)
