"""Answers as rooms want them: live or appended, with tools, thoughts and plans, as a file, with a ring at the end."""

from pathlib import Path

import aiohttp
import pytest

from rig.conversation import Message
from rig.model import Model
from rig.people import People
from rig.script import Step, numbered, script
from tests.e2e.house import House, move_in

pytestmark = pytest.mark.long

LIVE, APPEND = 0, 1
TODOS = [
    {"content": "Boil water", "status": "completed", "activeForm": "Boiling water"},
    {"content": "Steep", "status": "in_progress", "activeForm": "Steeping"},
]


async def test_a_room_sees_answers_as_it_wants_to(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, rooms=2, start=False) as house:
        live, append = house.daemon.settings["rooms"]
        live.update(show="thinking", notify_after=1)
        append.update(output="append", notify_after=1)
        async with house.daemon:
            await house.settle_in()

            await _live(house)
            await _appended(house)
            await _a_file(house)


async def _live(house: House) -> None:
    """Plan, thoughts and tools stand in the answer; it ends with a message that mentions whoever asked."""
    steps = (
        Step(thinking="Tea, then.", text="I look.", tool="TodoWrite", input={"todos": TODOS}),
        Step(tool="Bash", input={"command": "echo one"}),
        Step(tool="Bash", input={"command": "echo two"}),
        Step(text="".join(f"word{n} " for n in range(40)), chunk=6, delay=0.05),
    )
    command = await house.ask(script("make tea slowly", *steps), room=house.rooms[LIVE])
    await house.ended(command, room=house.rooms[LIVE])

    answer, last = said(house, LIVE)
    [taken, *_] = house.model.requests("make tea slowly")[-1].asked.results
    assert not taken.is_error, "the CLI has this tool"
    assert answer.body.startswith("> 💭 Tea, then.\n\nI look.\n\n▸ Bash: `echo one`  \n▸ Bash: `echo two`\n\nword0")
    assert "**Plan: 1 of 2 done**\n- [x] Boil water\n- [ ] Steep ⏳" in answer.body
    assert "<details><summary>2 steps</summary>" in answer.html
    assert 1 <= answer.edits <= 6
    assert (answer.kind, answer.mentions, last.kind, last.mentions) == ("m.text", (), "m.text", (house.anna.id,))
    assert (last.edits, last.reply_to) == (0, command)
    assert last.body.startswith("✅ Done.\n\n— ")


async def _appended(house: House) -> None:
    """Each window is a message; nothing is edited, nothing is missing, the last one mentions."""
    text = "".join(f"Sentence {n} of it. " for n in range(60))
    command = await house.ask(script("say it", Step(text=text, chunk=10, delay=0.05)), room=house.rooms[APPEND])
    await house.ended(command, room=house.rooms[APPEND])

    messages = said(house, APPEND)
    assert len(messages) >= 3
    assert [message.edits for message in messages] == [0] * len(messages)
    assert [message.kind for message in messages] == ["m.text", *["m.notice"] * (len(messages) - 2), "m.text"]
    assert [message.mentions for message in messages[:-1]] == [()] * (len(messages) - 1)
    assert messages[-1].mentions == (house.anna.id,)
    whole = " ".join(message.body for message in messages)
    assert whole.split("—")[0].split() == text.split()


async def _a_file(house: House) -> None:
    """Five megabytes are a preview, and a file with all of it."""
    before = len(said(house, LIVE))
    command = await house.ask(script("say very much", Step(big=5_000_000)), room=house.rooms[LIVE])
    await house.ended(command, room=house.rooms[LIVE], timeout=120)

    def has_come() -> bool:
        return said(house, LIVE)[-1].kind == "m.file"

    await house.anna.until(has_come, what="the file")
    *preview, file = said(house, LIVE)[before:]
    assert len(" ".join(message.body for message in preview).encode()) < 40_000
    assert "all of it comes as a file" in preview[-1].body
    assert (await download(house, file)).decode() == numbered(5_000_000) + "\n"
    assert file.content["info"] == {"mimetype": "text/markdown", "size": 5_000_001}


def said(house: House, index: int) -> list[Message]:
    """What the daemon said in a room, apart from places in the queue and the like."""
    return [m for m in house.anna.view(house.rooms[index]) if m.sender == house.account.user_id]


async def download(house: House, message: Message) -> bytes:
    """The file that comes with a message."""
    address = str(message.content["url"]).removeprefix("mxc://")
    url = f"{house.daemon.settings['matrix']['homeserver']}/_matrix/client/v1/media/download/{address}"
    headers = {"Authorization": f"Bearer {house.anna.account.access_token}"}
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        assert answer.status == 200
        return await answer.read()
