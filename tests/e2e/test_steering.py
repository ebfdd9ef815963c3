"""Queues, stops, timeouts, sessions."""

import time
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import move_in

HOLD = "echo started; tail -f /dev/null"


def _holding(text: str) -> str:
    return script(text, Step(text="Working.", tool="Bash", input={"command": HOLD}), Step(text="never said"))


@pytest.mark.long
async def test_five_rooms_work_side_by_side_and_each_in_order(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, rooms=5, max_parallel_turns=5) as house:
        mark = f"side by side with {house.account.user_id}"
        commands: dict[str, list[str]] = {room: [] for room in house.rooms}
        for number in range(3):
            step = Step(text=f"answer {number}.", before=10 if number == 0 else 0)
            for room in house.rooms:
                commands[room].append(await house.ask(script(f"number {number} {mark}", step), room=room))

        # All five wait for the model at the same time, before the first of them is answered.
        await model.until_request(f"number 0 {mark}", count=5, state="open")
        for room in house.rooms:
            for command in commands[room]:
                assert await house.ended(command, room=room) == "✅"

        for room in house.rooms:
            said = [m.body for m in house.anna.view(room) if m.sender == house.account.user_id and "answer" in m.body]
            assert [text.split(".")[0] for text in said] == ["answer 0", "answer 1", "answer 2"]


async def test_stop_ends_a_tool_and_says_so(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}) as house:
        command = await house.ask(_holding("hold on"))
        await house.anna.until_message(house.room, "▸", sender=house.account.user_id)
        asked = time.monotonic()
        await house.ask("/stop")

        assert await house.ended(command) == "🛑"
        assert time.monotonic() - asked < 5
        assert "Stopped by" in await house.answer(command)
        following = await house.ask(script("go on", Step(text="Here I am.")))
        assert await house.ended(following) == "✅"


@pytest.mark.long
async def test_a_stop_sign_on_the_command_ends_it(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}) as house:
        command = await house.ask(_holding("hold on"))
        await house.anna.until_message(house.room, "▸", sender=house.account.user_id)
        await house.anna.react(house.room, command, "🛑")

        assert await house.ended(command) == "🛑"


@pytest.mark.long
async def test_a_turn_that_takes_too_long_is_stopped(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, room={"timeout": 2, "allow": ["Bash"]}) as house:
        command = await house.ask(_holding("take your time"))

        assert await house.ended(command) == "⏱️"
        assert "longer than 2 s" in await house.answer(command)
        following = await house.ask(script("go on", Step(text="Here I am.")))
        assert await house.ended(following) == "✅"


@pytest.mark.long
async def test_a_new_session_forgets_and_a_restart_does_not(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        await house.ended(await house.ask("my number is 4711"))
        assert await house.daemon.stop() == 0
        await house.daemon.start(until="service.started")
        await house.ended(await house.ask("second message"))

        assert "my number is 4711" in house.prompts("second message")[-1]
        await house.ask("/new_session")
        await house.anna.until_message(house.room, "new session", sender=house.account.user_id)
        await house.ended(await house.ask("third message"))
        assert "my number is 4711" not in house.prompts("third message")[-1]


@pytest.mark.long
async def test_bot_commands_are_answered_by_the_daemon(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        before = len(model.all_requests())
        for typed, expected in (
            ("/help", "/new_session"),
            ("!version", "aiagentchat 0."),
            ("/status", "Agent:"),
            ("/stop", "Nothing is running"),
            ("/approve", "No approval is open"),
            ("/statsu", "Did you mean"),
        ):
            await house.ask(typed)
            await house.anna.until_message(house.room, expected, sender=house.account.user_id)

        assert len(model.all_requests()) == before
