"""Conversations that are left, named, taken up again and taken along; threads; commands that are not the daemon's."""

from pathlib import Path

import aiohttp
import pytest

from rig.conversation import Message
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in


def thread_of(house: House, message: str) -> str:
    """The thread that a message of the room is in."""
    for event in house.anna.events(house.room):
        if event["event_id"] == message:
            relation = event["content"].get("m.relates_to", {})
            return str(relation.get("event_id", "")) if relation.get("rel_type") == "m.thread" else ""
    return ""


async def told(house: House, text: str) -> Message:
    return await house.anna.until_message(house.room, text, sender=house.account.user_id)


async def ask_in(house: House, root: str, text: str) -> str:
    """Type a message in a thread; its event id."""
    relation = {"rel_type": "m.thread", "event_id": root, "is_falling_back": True, "m.in_reply_to": {"event_id": root}}
    return await house.anna.send(house.room, {"msgtype": "m.text", "body": text, "m.relates_to": relation})


@pytest.mark.long
async def test_a_room_leaves_a_conversation_goes_back_and_takes_it_along(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, room={"session_scope": "thread"}) as house:
        me = house.account.user_id
        first = script(f"Red apples for lunch, {me}", Step(text="Apples it is."))
        assert await house.ended(await house.ask(first)) == "✅"
        await told(house, "session red-apples-for-lunch")
        secret = await house.ask(script(f"pears, {me}", Step(text="Pears it is.")))
        assert await house.ended(secret) == "✅"

        # Another one, which is named, and the way back.
        await house.ended(await house.ask(f"/new_session {script(f'green tea for two {me}', Step(text='Tea it is.'))}"))
        await told(house, "`/resume red-apples-for-lunch` goes back to it")
        assert "Red apples" not in house.prompts(f"green tea for two {me}")[-1]
        await house.ask("/name evening")
        await told(house, "It was `green-tea-for-two`")
        await house.ask("/sessions")
        listed = await told(house, "| session | used | turns |")
        assert "| **`evening`** ← now | just now | 1 |" in listed.body
        assert "| `red-apples-for-lunch` | just now | 2 |" in listed.body
        await house.ask("/resume red")
        await told(house, "We are back in `red-apples-for-lunch` (2 turns")
        await house.ended(await house.ask(f"what was it, {me}?"))
        assert "Red apples" in house.prompts(f"what was it, {me}?")[-1]

        # A thread has its own, and its answers stand in it.
        root = await house.ask("!version")
        in_thread = await ask_in(house, root, script(f"blue plums {me}", Step(text="Plums it is.")))
        assert await house.ended(in_thread) == "✅"
        answer = await told(house, "Plums it is.")
        assert thread_of(house, answer.id) == root
        [prompt] = house.prompts(f"blue plums {me}")
        assert "!version" in prompt  # what the thread hangs on, and nothing else of the room
        assert "Red apples" not in prompt

        # The file has what was said, without what was deleted.
        await house.anna.redact(house.room, secret)
        await house.ask("/export")
        file = await told(house, "as the agent has written it down")
        text = await downloaded(people, house, file)
        assert "Apples it is." in text
        assert "1 turn was deleted" in text
        assert "ears" not in text


async def downloaded(people: People, house: House, message: Message) -> str:
    """The file of a message."""
    content = next(event["content"] for event in house.anna.events(house.room) if event["event_id"] == message.id)
    assert content["filename"] == "red-apples-for-lunch.md"
    address = content["url"].removeprefix("mxc://")
    url = f"{people.homeserver.url}/_matrix/client/v1/media/download/{address}"
    headers = {"Authorization": f"Bearer {house.anna.account.access_token}"}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        assert response.status == 200
        return await response.text()


@pytest.mark.long
async def test_the_agents_own_commands_and_those_of_the_project(people: People, model: Model, workplace: Path) -> None:
    anna = await people.person()
    async with move_in(people, model, workplace, anna=anna, room={"admins": [anna.id]}) as house:
        me = house.account.user_id
        assert await house.ended(await house.ask(f"grey geese {me}")) == "✅"
        folder = house.workspace() / ".claude/commands"
        folder.mkdir(parents=True)
        (folder / "count-up.md").write_text(f"---\nallowed-tools: Bash\n---\nCount geese of {me} up to $1: $ARGUMENTS")
        assert await house.ended(await house.ask("/count-up 12 now")) == "✅"
        assert house.prompts(f"Count geese of {me} up to 12: 12 now")
        await house.ask("/agent")
        await told(house, "- `/count-up`")

        await house.ask("/model haiku")
        await told(house, "From the next turn on this room uses `haiku`")
        await house.ended(await house.ask(f"who flies, {me}?"))
        assert "haiku" in model.requests(f"who flies, {me}?")[-1].body["model"]

        assert "token" in (await house.answer(await house.ask("/agent context"))).lower()
        assert "shorter now" in await house.answer(await house.ask("/agent compact"))
        assert "session grey-geese-" in await house.answer(await house.ask("/agent clear"))
        assert await house.ended(await house.ask(f"after all, {me}")) == "✅"
        assert "grey geese" not in house.prompts(f"after all, {me}")[-1]
        assert house.told("I started a new one") == house.told("already had session") == 0
        await house.ask("/resume grey-geese")
        await told(house, "We are back in `grey-geese` (6 turns")
