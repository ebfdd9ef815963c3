"""A run that takes too much ends its own turn, with a sentence, and nobody else's."""

from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in
from tests.process.test_raid import needs_bubblewrap

pytestmark = [needs_bubblewrap, pytest.mark.usefixtures("cli")]

HOG = "import time; held = [bytearray(b'x' * 2**20) for _ in range(1200)]; time.sleep(600)"
FORKS = "while :; do sleep 600 & done"
FILL = "import time\nwith open('big', 'wb') as f:\n    [f.write(bytes(2**20)) for _ in range(40)]\ntime.sleep(600)"
MANY = "import os, time\nfor n in range(60):\n    open(f'part{n}', 'wb').write(os.urandom(2**20))\ntime.sleep(600)"


def _python(program: str) -> str:
    return f"/usr/bin/python3 - <<'END'\n{program}\nEND"


TOO_MUCH = [
    pytest.param("memory", 800, _python(HOG), "used more than 800 MiB of memory", id="memory"),
    pytest.param("processes", 120, FORKS, "more than 120 processes and threads", id="processes"),
    pytest.param("file_size", 20, _python(FILL), "a file that it wrote reached 20 MiB", id="a file"),
    pytest.param(
        "workspace_size",
        40,
        _python(MANY),
        "with the agent's own folder, outgrew 40 MiB",
        id="the workspace",
    ),
]


async def takes_too_much(house: House, key: str, command: str, sentence: str) -> None:
    """One room takes too much while the other is answered; then it is answered, too."""
    use = Step(text="On it.", tool="Bash", input={"command": command})
    hog = await house.ask(script("take it all", use, Step(text="That was all.")))
    await house.anna.until_message(house.room, "▸", sender=house.account.user_id)
    for number in range(3):
        beside = await house.ask(script(f"beside {number}", Step(text="Right here.")), room=house.rooms[1])
        assert await house.ended(beside, room=house.rooms[1]) == "✅"

    assert await house.ended(hog) == "❌"
    answer = await house.answer(hog)
    assert sentence in answer
    assert f"`limits.{key}` of this room" in answer


@pytest.mark.long
@pytest.mark.parametrize(("key", "most", "command", "sentence"), TOO_MUCH)
async def test_a_limit_ends_the_turn_with_its_name_and_nothing_else(
    people: People, model: Model, workplace: Path, key: str, most: int, command: str, sentence: str
) -> None:
    room = {"allow": ["Bash"], "limits": {key: most}}
    async with move_in(people, model, workplace, rooms=2, room=room) as house:
        await takes_too_much(house, key, command, sentence)
        fine = f"echo fine, {house.account.user_id}"
        following = await house.shell(f"rm -f big part?; rm -f part??; {fine}")

        assert "fine, " in following
        assert "take it all" in house.prompts(fine)[-1]
