"""What people read and can do after a restart, and when they change their mind while a message waits."""

import asyncio
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in, pipe_within_reach

HOLD = "tail -f /dev/null"


async def _busy(house: House, pipe: Path) -> str:
    """A command that runs until it is ended, once it runs."""
    step = Step(text="Working.", tool="Bash", input={"command": f"echo go > {pipe}; {HOLD}"})
    command = await house.ask(script("keep busy", step))
    assert await asyncio.to_thread(pipe.read_text) == "go\n"
    return command


async def _bot_says(house: House, text: str) -> str:
    told = await house.anna.until_message(house.room, text, sender=house.account.user_id)
    return told.reply_to


@pytest.mark.long
async def test_an_interrupted_command_is_named_and_runs_again_on_request(
    people: People, model: Model, workplace: Path
) -> None:
    pipe = pipe_within_reach(workplace)
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}) as house:
        hold = Step(text="Working.", tool="Bash", input={"command": f"echo go > {pipe}; {HOLD}"})
        command = await house.ask(script("the long one", hold))
        assert await asyncio.to_thread(pipe.read_text) == "go\n"
        await house.daemon.kill()
        await house.daemon.start(until="service.started")

        assert await _bot_says(house, "Interrupted by a restart after") == command
        assert await house.ended(command) == "⚠️"
        retry = await house.ask("/retry")
        assert await _bot_says(house, "Running again what was interrupted") == retry
        assert await asyncio.to_thread(pipe.read_text) == "go\n"
        assert len([prompt for prompt in house.prompts("the long one") if "go >" in prompt]) >= 2
        await house.ask("/stop")
        assert await house.ended(retry) == "🛑"


@pytest.mark.long
async def test_a_question_that_waited_goes_on_with_a_yes_after_a_restart(
    people: People, model: Model, workplace: Path
) -> None:
    write = {"command": "echo once >> made"}
    will = Step(text="I will.", tool="Bash", input=write)
    # The CLI ends the turn that was cut short with a message of its own, which takes the second place.
    steps = [will, Step(text="(never said)"), Step(tool="Bash", input=write), Step(text="All done.")]
    async with move_in(people, model, workplace) as house:
        command = await house.ask(script("make it", *steps))
        await house.question()
        await house.daemon.kill()
        await house.daemon.start(until="service.started")
        again = await house.anna.until_message(
            house.room, "while this waited for an answer", sender=house.account.user_id
        )
        made = house.workspace() / "made"

        assert again.reply_to == command
        assert "echo once >> made" in again.body
        assert not made.exists()
        await house.anna.react(house.room, again.id, "✅")
        await house.anna.until_reaction(house.room, command, "✅")
        assert made.read_text() == "once\n"
        assert "All done." in await house.answer(command)


@pytest.mark.long
async def test_a_no_after_a_restart_runs_nothing(people: People, model: Model, workplace: Path) -> None:
    write = {"command": "echo once >> made"}
    async with move_in(people, model, workplace) as house:
        command = await house.ask(script("make it", Step(tool="Bash", input=write), Step(text="Done.")))
        await house.question()
        await house.daemon.kill()
        await house.daemon.start(until="service.started")
        again = await house.anna.until_message(
            house.room, "while this waited for an answer", sender=house.account.user_id
        )
        await house.anna.react(house.room, again.id, "❌")

        await _bot_says(house, "Dropped")
        assert await house.ended(command) == "⚠️"
        assert await house.ended(await house.ask("still there?")) == "✅"
        assert not (house.workspace() / "made").exists()


@pytest.mark.long
async def test_what_waits_can_be_edited_and_taken_back(people: People, model: Model, workplace: Path) -> None:
    pipe = pipe_within_reach(workplace)
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}) as house:
        running = await _busy(house, pipe)
        edited = await house.ask(script("make tea", Step(text="Tea.")))
        dropped = await house.ask(script("make soup", Step(text="Soup.")))
        await house.anna.edit(house.room, edited, script("make coffee", Step(text="Coffee.")))
        await house.anna.redact(house.room, dropped)
        await house.anna.edit(house.room, running, "something else")
        assert await _bot_says(house, "This already runs") != ""
        await house.daemon.until_line("command.taken_back", command=dropped)
        await house.ask("/stop")

        assert await house.ended(edited) == "✅"
        last = await house.ask(script("and now", Step(text="Last.")))
        assert await house.ended(last) == "✅"
        assert model.requests("make coffee in") == []
        assert [len(model.requests(text)) > 0 for text in ("make coffee", "make tea", "make soup")] == [
            True,
            False,
            False,
        ]


@pytest.mark.long
async def test_redacting_what_runs_ends_it(people: People, model: Model, workplace: Path) -> None:
    pipe = pipe_within_reach(workplace)
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}) as house:
        running = await _busy(house, pipe)
        await house.anna.redact(house.room, running)
        await house.daemon.until_line("turn.ended", state="cancelled")

        assert await house.ended(await house.ask("next")) == "✅"


@pytest.mark.long
async def test_a_kick_ends_the_turn_and_the_rest_goes_on_after_the_return(
    people: People, model: Model, workplace: Path
) -> None:
    pipe = pipe_within_reach(workplace)
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}) as house:
        await _busy(house, pipe)
        waiting = await house.ask(script("later", Step(text="Back to it.")))
        await house.daemon.until_line("event.decided", event_id=waiting)
        await house.anna.request("POST", f"/rooms/{house.room}/kick", {"user_id": house.account.user_id})
        await house.daemon.until_line("turn.ended", state="cancelled")
        await house.daemon.until_line("room.left", how="kick")
        await house.anna.invite(house.room, house.account.user_id)

        assert await house.ended(waiting) == "✅"
        assert "Back to it." in await house.answer(waiting)


@pytest.mark.long
async def test_an_upgrade_of_the_room_is_reported(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        await house.anna.request("POST", f"/rooms/{house.room}/upgrade", {"new_version": "11"})

        assert (await house.daemon.until_line("room.replaced"))["new"].startswith("!")


@pytest.mark.long
async def test_a_message_that_cannot_be_read_is_answered(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        first = await house.ask("hello")
        assert await house.ended(first) == "✅"
        relation = {"rel_type": "m.replace", "event_id": first}
        edit = {"msgtype": "m.text", "body": "* x", "m.new_content": {"body": 5}, "m.relates_to": relation}
        broken = await house.anna.send(house.room, edit)

        assert await _bot_says(house, "could not read this message") == broken
        assert await house.ended(await house.ask("and this?")) == "✅"
