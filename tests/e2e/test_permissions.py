"""A tool that needs approval runs only after a person who may said yes."""

from pathlib import Path

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


async def test_a_no_by_reaction_does_not_run_it(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        command = await house.ask(TOUCH)
        question = await house.question()
        await house.anna.react(house.room, question.id, "❌")

        assert await house.ended(command) == "✅"
        assert "That was it." in await house.answer(command)
        assert not _made(house)


async def test_a_no_in_words_reaches_the_agent_with_its_reason(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        command = await house.ask(TOUCH)
        await house.question()
        await house.ask("!deny not on a Friday evening")

        assert await house.ended(command) == "✅"
        assert not _made(house)
        assert house.prompts("not on a Friday evening")


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


async def test_a_rule_of_the_room_allows_without_asking(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, room={"allow": ["Bash(touch:*)"]}) as house:
        command = await house.ask(TOUCH)

        assert await house.ended(command) == "✅"
        assert _made(house)


async def test_a_question_of_the_agent_is_sent_back_as_plain_text(
    people: People, model: Model, workplace: Path
) -> None:
    ask = {
        "questions": [
            {
                "question": "Which?",
                "header": "Pick",
                "options": [{"label": "a", "description": "a"}, {"label": "b", "description": "b"}],
                "multiSelect": False,
            }
        ]
    }
    async with move_in(people, model, workplace) as house:
        command = await house.ask(
            script("ask me", Step(tool="AskUserQuestion", input=ask), Step(text="Which one, a or b?"))
        )

        assert "Which one, a or b?" in await house.answer(command)
        assert house.prompts("plain text")
