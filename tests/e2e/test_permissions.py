"""A tool that needs approval runs only after a person who may said yes."""

import re
from pathlib import Path

import pytest

from rig.conversation import Message
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in

TOUCH = script(
    "make a file",
    Step(text="I will.", tool="Bash", input={"command": "touch made", "description": "make it"}),
    Step(text="That was it."),
)


def _made(house: House) -> bool:
    return (house.workspace() / "made").exists()


async def test_a_yes_by_reaction_runs_it(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        command = await house.ask(TOUCH)
        question = await house.question()

        assert "touch made" in question.body
        assert not _made(house)
        await house.anna.react(house.room, question.id, "✅")
        assert await house.ended(command) == "✅"
        assert _made(house)


@pytest.mark.long
async def test_a_no_by_reaction_does_not_run_it(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        command = await house.ask(TOUCH)
        question = await house.question()
        await house.anna.react(house.room, question.id, "❌")

        assert await house.ended(command) == "✅"
        assert "That was it." in await house.answer(command)
        assert not _made(house)


@pytest.mark.long
async def test_a_no_in_words_reaches_the_agent_with_its_reason(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        command = await house.ask(TOUCH)
        await house.question()
        await house.ask("!deny not on a Friday evening")

        assert await house.ended(command) == "✅"
        assert not _made(house)
        assert house.prompts("not on a Friday evening")


@pytest.mark.long
async def test_a_strangers_yes_is_no_yes(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        bob = await people.person("bob")
        await house.anna.invite(house.room, bob.id)
        await bob.join(house.room)
        command = await house.ask(TOUCH)
        question = await house.question()
        await bob.react(house.room, question.id, "✅")
        await bob.send(house.room, "/approve")
        await house.anna.until_message(house.room, "I only work for", sender=house.account.user_id)

        assert not _made(house)
        await house.ask("/deny")
        await house.ended(command)
        assert not _made(house)


@pytest.mark.long
async def test_nobodys_answer_is_a_no_and_the_next_command_runs(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, approval_timeout=2) as house:
        command = await house.ask(TOUCH)
        await house.question()
        following = await house.ask(script("and now", Step(text="Next one here.")))

        assert await house.ended(command) == "✅"
        assert not _made(house)
        assert await house.ended(following) == "✅"
        told = await house.anna.until_message(house.room, "Nobody answered", sender=house.account.user_id)
        assert "denied" in told.body


@pytest.mark.long
async def test_a_rule_of_the_room_allows_without_asking(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, room={"allow": ["Bash(touch:*)"]}) as house:
        command = await house.ask(TOUCH)

        assert await house.ended(command) == "✅"
        assert _made(house)


@pytest.mark.long
async def test_answers_that_last_choices_and_plans(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        await house.prove()
        await _allowed_until_the_conversation_ends(house)
        await _asked_to_choose(house)
        await _shown_a_plan(house)
        await _shown_the_whole(house)


async def _allowed_until_the_conversation_ends(house: House) -> None:
    anna, bot = house.anna, house.account.user_id
    command = await house.ask(TOUCH)
    question = await house.question()
    for key in ("✅", "♾️", "❌"):
        assert await anna.until_reaction(house.room, question.id, key) == {bot}
    await anna.react(house.room, question.id, "♾️")

    assert await house.ended(command) == "✅"
    assert _made(house)
    await anna.until_message(house.room, "from now on without a question", sender=bot)
    again = await house.answer(await house.ask(TOUCH))
    assert "♾️ not asked about" in again
    assert "🔐" not in again
    await house.ask("/status")
    await anna.until_message(house.room, "♾️ Not asked about: Bash: `touch made`", sender=bot)
    await house.ask("/approve none")
    await anna.until_message(house.room, "Taken back: 1 thing", sender=bot)
    command = await house.ask(TOUCH)
    question = await _asked_about(house, command)
    await anna.send(house.room, "first write a test", reply_to=question.id)
    assert await house.ended(command) == "✅"
    assert house.prompts("first write a test")


async def _asked_about(house: House, command: str) -> Message:
    return await house.anna.until_message(
        house.room, lambda message: "✅ allows it once" in message.body and message.reply_to == command
    )


async def _asked_to_choose(house: House) -> None:
    options = [{"label": "Milk", "description": "cold"}, {"label": "Sugar", "description": "brown"}]
    one = {"question": "Which first?", "header": "First", "options": options, "multiSelect": False}
    some = {"question": "What else?", "header": "Else", "options": options, "multiSelect": True}
    ask = Step(tool="AskUserQuestion", input={"questions": [one, some]})
    command = await house.ask(script("ask me", ask, Step(text="Thank you.")))
    question = await house.anna.until_message(house.room, "Which first?", sender=house.account.user_id)
    await house.anna.until_reaction(house.room, question.id, "2️⃣")
    await house.anna.react(house.room, question.id, "2️⃣")
    question = await house.anna.until_message(house.room, "What else?", sender=house.account.user_id)
    await house.anna.send(house.room, "1, 2", reply_to=question.id)

    assert "Thank you." in await house.answer(command)
    [told] = [result.text for result in house.model.requests("ask me")[-1].asked.results]
    assert '"Which first?"="Sugar"' in told
    assert '"What else?"="Milk, Sugar"' in told


async def _shown_a_plan(house: House) -> None:
    """Where the plan goes, the program tells the model; what it has written there is what the room reads."""
    await house.ended(await house.ask(script("plan a bit", Step(tool="EnterPlanMode", input={}), Step(text="Hm."))))
    where = re.search(r"(/[^\s\"\\]*/plans/[^\s\"\\]*\.md)", house.prompts("plan a bit")[-1])
    assert where is not None
    steps = (
        Step(tool="Write", input={"file_path": where[1], "content": "# The plan\n\n- bake"}),
        Step(tool="ExitPlanMode", input={}),
        Step(tool="Write", input={"file_path": str(house.workspace() / "cake"), "content": "cake"}),
        Step(text="Baked."),
    )
    command = await house.ask(script("show it", *steps))
    question = await house.anna.until_message(house.room, "📋", sender=house.account.user_id)

    assert "# The plan\n\n- bake" in question.body
    assert not (house.workspace() / "cake").exists()
    await house.anna.react(house.room, question.id, "2️⃣")
    assert "Baked." in await house.answer(command)
    assert (house.workspace() / "cake").exists()


async def _shown_the_whole(house: House) -> None:
    content = "crumb\n" * 3_000
    write = Step(tool="Write", input={"file_path": str(house.workspace() / "crumbs"), "content": content})
    command = await house.ask(script("write a lot", write, Step(text="Well.")))
    question = await _asked_about(house, command)
    files = [event["content"] for event in house.anna.events(house.room) if event["content"].get("msgtype") == "m.file"]

    assert [file["info"]["size"] for file in files] == [len(content)]
    assert files[0]["filename"] in question.body
    name = re.search(r"Request `([0-9a-f]{8})`", question.body)
    assert name is not None
    await house.ask(f"/approve {name[1]}")
    assert await house.ended(command) == "✅"
    assert (house.workspace() / "crumbs").read_text() == content
