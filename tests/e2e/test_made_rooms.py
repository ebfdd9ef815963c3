"""Rooms that nobody has written into config.yaml: an invite, `/setup`, and what was typed meanwhile."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rig.matrix_client import MatrixUser
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import as_unprivileged
from tests.e2e.house import House, move_in

OFFERED = "`/setup` makes it one of mine"
SET_UP = "I work in this room now; its folder is `tea`."


@asynccontextmanager
async def house_of(people: People, model: Model, folder: Path, **settings: Any) -> AsyncIterator[House]:
    """A house without rooms, whose daemon is not started. Anna may make some."""
    async with move_in(people, model, folder, rooms=0, start=False, **settings) as house:
        house.daemon.settings["admins"] = [house.anna.id]
        yield house


async def membership(house: House, person: MatrixUser, room: str, wanted: str) -> None:
    """Wait until the account is in the room, or is not."""
    await person.until_event(
        room,
        lambda event: (
            event["type"] == "m.room.member"
            and event["state_key"] == house.account.user_id
            and event["content"]["membership"] == wanted
        ),
    )


async def told(house: House, room: str, text: str) -> None:
    await house.anna.until_message(room, text, sender=house.account.user_id)


def operator(house: House, *words: str) -> str:
    """What the operator types, and reads."""
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat", *words, "--config", str(house.daemon.config)]
    done = subprocess.run(argv, env=house.daemon.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout


def rooms(house: House) -> list[tuple[str, str, str]]:
    """Name, id and origin of every room, as the operator sees them."""
    return [(room["name"], room["id"], room["from"]) for room in json.loads(operator(house, "rooms", "--json"))]


@pytest.mark.long
async def test_what_was_typed_since_the_invite_is_run_once_the_room_is_set_up(
    people: People, model: Model, workplace: Path
) -> None:
    async with house_of(people, model, workplace) as house:
        eve = await people.person("eve")
        room = await people.room(house.anna, eve)
        before = await house.ask(script("before the invite", Step(text="Never.")), room=room)
        await house.anna.invite(room, house.account.user_id)
        since = await house.ask(script("since the invite", Step(text="Answered.")), room=room)
        for _ in range(25):  # more than one sync holds
            await eve.send(room, {"msgtype": "m.notice", "body": "nothing for us"})
        async with house.daemon:
            await told(house, room, OFFERED)
            strange = await eve.send(room, script("by a stranger", Step(text="Never.")))
            await eve.send(room, "/setup mine")
            later = await house.ask(script("before it is set up", Step(text="Answered, too.")), room=room)
            await house.ask("/setup tea", room=room)
            await told(house, room, SET_UP)

            assert "Answered." in await house.answer(since, room=room)
            assert await house.ended(later, room=room) == "✅"
            assert house.anna.reactions(room, before) == house.anna.reactions(room, strange) == {}
            assert not house.prompts("before the invite")
            assert not house.prompts("by a stranger")
            assert rooms(house) == [("tea", room, "chat")]
            assert (house.daemon.workspaces / "tea").is_dir()


@pytest.mark.long
async def test_the_doctor_looks_at_a_room_that_was_made_in_chat(people: People, model: Model, workplace: Path) -> None:
    async with house_of(people, model, workplace) as house:
        room = await people.room(house.anna, house.account)
        async with house.daemon:
            await told(house, room, OFFERED)
            await house.ask("/setup tea", room=room)
            await told(house, room, SET_UP)

            rows = json.loads(operator(house, "doctor", "--only", "checks", "--json"))
    verdicts = {row["id"]: row["verdict"] for row in rows}
    assert verdicts["chat.tea"] == verdicts["config.file"] == "ok"


@pytest.mark.long
async def test_what_was_typed_since_the_invite_is_kept_by_a_daemon_that_is_killed(
    people: People, model: Model, workplace: Path
) -> None:
    async with house_of(people, model, workplace) as house:
        room = await people.room(house.anna, house.account)
        first = await house.ask(script("the first", Step(text="One.")), room=room)
        async with house.daemon:
            await told(house, room, OFFERED)
            await house.daemon.kill()
            missed = await house.ask(script("the second", Step(text="Two.")), room=room)
            for _ in range(25):  # more than one sync holds
                await house.anna.send(room, {"msgtype": "m.notice", "body": "nothing for us"})
            last = await house.ask(script("the third", Step(text="Three.")), room=room)
            await house.daemon.start(until="sync.resumed")
            await house.ask("/setup tea", room=room)
            await told(house, room, SET_UP)

            assert [await house.ended(each, room=room) for each in (first, missed, last)] == ["✅"] * 3
            await house.daemon.kill()
            await house.daemon.start(until="sync.resumed")
            again = await house.ask(script("in a later life", Step(text="Still here.")), room=room)
            assert await house.ended(again, room=room) == "✅"
            assert [house.told(text, room=room) for text in ("One.", "Two.", "Three.")] == [1, 1, 1]


@pytest.mark.long
async def test_a_room_is_taken_away_in_the_room_or_by_the_operator(
    people: People, model: Model, workplace: Path
) -> None:
    async with house_of(people, model, workplace) as house:
        room = await people.room(house.anna, house.account)
        async with house.daemon:
            await told(house, room, OFFERED)
            await house.ask("/setup tea", room=room)
            await told(house, room, SET_UP)
            await house.ask("/setup remove", room=room)
            await told(house, room, "I work in this room no more.")
            unheard = await house.ask("make tea", room=room)
            await house.ask("/setup", room=room)
            await house.anna.until(lambda: house.told(SET_UP, room=room) == 2, what="the room to be set up again")
            heard = await house.ask(script("taken up again", Step(text="Yes.")), room=room)
            assert await house.ended(heard, room=room) == "✅"
            assert house.anna.reactions(room, unheard) == {}

            operator(house, "rooms", "remove", "tea")
            await membership(house, house.anna, room, "leave")
            assert rooms(house) == []
            assert (house.daemon.workspaces / "tea").is_dir()


@pytest.mark.long
async def test_a_direct_chat_is_a_room_by_itself(people: People, model: Model, workplace: Path) -> None:
    async with house_of(people, model, workplace, dm="create") as house, house.daemon:
        room = await house.anna.create_room(house.account.user_id, is_direct=True)
        command = await house.ask(script("hello there", Step(text="Hello Anna.")), room=room)

        assert "Hello Anna." in await house.answer(command, room=room)
        await told(house, room, "I work in this chat now, for you alone")
        [(name, id_, source)] = rooms(house)
        assert (id_, source) == (room, "chat")
        assert house.anna.id.startswith(f"@{name}:")


@pytest.mark.long
async def test_the_invite_of_a_stranger_is_declined(people: People, model: Model, workplace: Path) -> None:
    async with house_of(people, model, workplace, dm="create") as house:
        eve = await people.person("eve")
        async with house.daemon:
            chat = await eve.create_room(house.account.user_id, is_direct=True)
            room = await people.room(eve, house.account)

            await membership(house, eve, chat, "leave")
            await membership(house, eve, room, "leave")
            assert rooms(house) == []
