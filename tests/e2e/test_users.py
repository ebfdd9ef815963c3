"""The daemon as root: each room is a user of its own, and that is all that a room sees of it."""

import stat
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.agent_events import SEND_FILE
from rig.conversation import Message
from rig.model import Model
from rig.people import People
from rig.script import Step, numbered, script
from tests.e2e.house import House, move_in
from tests.e2e.test_files import upload
from tests.process.test_raid import needs_root

BASH = {"allow": ["Bash"]}
USERS: dict[str, Any] = {"isolation": "users", "isolation_minimum": "users", "as_root": True}

pytestmark = [needs_root, pytest.mark.usefixtures("cli")]


def _owners(folder: Path) -> set[int]:
    """Who owns anything in it."""
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


@pytest.mark.long
async def test_each_room_is_a_user_of_its_own_for_ever(people: People, model: Model, crossroads: Path) -> None:
    async with move_in(people, model, crossroads, rooms=2, room=BASH, **USERS) as house:
        first, second = [(await house.shell("id -u; echo mine > note", room=room)).strip() for room in house.rooms]
        neighbours = house.workspace(1) / "note"
        tried = await house.shell(f"cat {neighbours} {house.daemon.data_dir}/aiagentchat.db; ls {house.workspace(1)}")
        processes = await house.shell("cat /proc/[0-9]*/environ | wc -c; kill -0 $PPID && echo own")
        await house.ask("/status")
        await house.anna.until_message(house.room, "isolation: users", sender=house.account.user_id)
        assert await house.daemon.stop() == 0
        await house.daemon.start(until="sync.resumed")
        again = [(await house.shell("id -u", room=room)).strip() for room in house.rooms]

        assert again == [first, second]
        assert first != second
        assert house.daemon.settings["room_uids"].startswith(f"{first}-")
        assert int(second) == int(first) + 1
        assert tried.count("ermission denied") + tried.count("No such file") == 3
        assert "mine" not in tried
        assert processes
        for index, uid in enumerate((first, second)):
            assert _owners(house.workspace(index)) == {int(uid)}
            assert _owners(house.daemon.data_dir / f"homes/room{index}") == {int(uid)}
            assert stat.S_IMODE(house.workspace(index).stat().st_mode) & 0o007 == 0


async def test_what_a_room_is_used_for_works(people: People, model: Model, crossroads: Path) -> None:
    async with move_in(people, model, crossroads, room={"env": {"GREETING": "hello"}}, start=False, **USERS) as house:
        house.workspace().mkdir(parents=True)
        (house.workspace() / "CLAUDE.md").write_text("Always answer in rhyme, says the project of Zanzibar.")
        async with house.daemon:
            await house.settle_in()
            touch = Step(tool="Bash", input={"command": 'echo "$GREETING" > made; cat CLAUDE.md'})
            command = await house.ask(script(f"make something, {house.account.user_id}", touch, Step(text="Made it.")))
            question = await house.question()
            await house.anna.react(house.room, question.id, "✅")

            assert await house.ended(command) == "✅"
            assert (house.workspace() / "made").read_text() == "hello\n"
            assert "the project of Zanzibar" in house.prompts(f"make something, {house.account.user_id}")[0]
            hold = Step(text="Working.", tool="Bash", input={"command": "echo x; tail -f /dev/null"})
            held = await house.ask(script("hold on", hold))
            await house.anna.react(house.room, (await _second_question(house)).id, "✅")
            await house.ask("/stop")
            assert await house.ended(held) == "🛑"
            following = await house.ask(script(f"go on, {house.account.user_id}", Step(text="Here I am.")))
            assert await house.ended(following) == "✅"
            assert "make something" in house.prompts(f"go on, {house.account.user_id}")[-1]


async def _second_question(house: House) -> Message:
    await house.anna.until(lambda: house.told("✅ allows it once") == 2, what="the second question")
    return [m for m in house.anna.view(house.room) if "✅ allows it once" in m.body][-1]


@pytest.mark.long
async def test_what_the_daemon_keeps_in_a_workspace_belongs_to_the_room(
    people: People, model: Model, crossroads: Path
) -> None:
    async with move_in(people, model, crossroads, room=BASH, max_output=1, **USERS) as house:
        command = await house.ask(script("say much", Step(big=1_060_000)))
        assert await house.ended(command, timeout=120) == "✅"
        said = await house.shell("cd long-answers && tail -c 40 * && mv * ../kept && cd .. && rmdir long-answers && ls")

        assert numbered(1_060_000)[-30:] in said
        assert said.strip().endswith("kept")

        notes = {"msgtype": "m.file", "filename": "notes.txt", "url": await upload(people, house, b"milk")}
        sends = Step(tool=SEND_FILE, input={"path": "inbox/notes.txt", "caption": "as it came"})
        command = await house.anna.send(
            house.room, {**notes, "body": script("send it back", sends, Step(text="Done."))}
        )
        assert await house.ended(command) == "✅"
        await house.anna.until_message(house.room, "as it came", sender=house.account.user_id)
        assert (
            await house.shell("cd inbox && cat * && mv * ../notes && cd .. && rmdir inbox && ls") == "milkkept\nnotes"
        )
