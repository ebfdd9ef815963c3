"""What is said in a room can be found again as it reads there, by whoever has the ledger, on a real homeserver."""

from pathlib import Path

import pytest

from aiagentchat.core.exchange import Wanted
from aiagentchat.core.ids import RoomId
from aiagentchat.store.ledger import open_ledger
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import move_in
from tests.e2e.test_encrypted import cellar

pytestmark = [pytest.mark.real, pytest.mark.long]


async def _history(data_dir: Path, room: str, words: str = "") -> list[tuple[str, str]]:
    """Who has said what there, of a daemon that has ended."""
    async with open_ledger(data_dir / "aiagentchat.db") as ledger:
        found = await ledger.history.search(Wanted(rooms=frozenset({RoomId(room)}), words=words, limit=100))
    return [(said.sender, said.body) for said in found.messages]


async def test_the_history_reads_as_the_room_does_also_of_the_time_when_nobody_listened(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace) as house:
        slow = Step(text="".join(f"word{n} " for n in range(20)), chunk=6, delay=0.1)
        command = await house.ask(script("speak slowly", slow))
        assert await house.ended(command) == "✅"
        regretted = await house.anna.send(house.room, {"msgtype": "m.notice", "body": "the password is swordfish"})
        changed = await house.anna.send(house.room, {"msgtype": "m.notice", "body": "before"})
        await house.anna.edit(house.room, changed, "after")
        await house.daemon.stop()
        for number in range(30):  # more than a sync holds
            await house.anna.send(house.room, {"msgtype": "m.notice", "body": f"note {number}"})
        await house.anna.redact(house.room, regretted)
        await house.daemon.start(until="sync.resumed")
        last = await house.ask("/version")
        answer = await house.anna.until_message(house.room, "aiagentchat", sender=house.account.user_id)
        await house.daemon.until_line("event.decided", event_id=last)
        pong = await house.ask("/version")  # and what was said in answer has come back
        await house.daemon.until_line("event.decided", event_id=pong)
        await house.daemon.stop()
        shown = [(message.sender, message.body) for message in house.anna.view(house.room) if message.body]

        kept = await _history(house.daemon.data_dir, house.room)
        assert answer.body
        assert kept[: shown.index((house.anna.id, "note 29"))] == shown[: shown.index((house.anna.id, "note 29"))]
        assert (house.account.user_id, answer.body) in kept
        assert [body for _, body in await _history(house.daemon.data_dir, house.room, "after")] == ["after"]
        assert not any(b"swordfish" in file.read_bytes() for file in house.daemon.data_dir.glob("*.db*"))


@pytest.mark.long
async def test_an_encrypted_room_has_a_history_only_if_that_is_wanted_and_the_log_says_so(
    people: People, model: Model, workplace: Path
) -> None:
    async with cellar(people, model, workplace, history=True) as here:
        asked = await here.anna.say(here.room, script("a sealed question", Step(text="A sealed answer.")))
        await here.until_answered("A sealed answer.")
        assert await here.until_ended(asked) == "✅"
        await here.daemon.stop()
        await here.daemon.start(until="history.in_clear")
        await here.daemon.stop()

        bodies = [body for _, body in await _history(here.daemon.data_dir, here.room, "sealed")]
        assert ["sealed question" in bodies[0], "sealed answer" in bodies[-1].lower()] == [True, True]
