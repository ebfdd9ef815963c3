"""What people type while something runs: with the real CLI it is read in the turn, or is a turn of its own, once."""

import time
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in

TOUCH = script("touch it", Step(text="I will.", tool="Bash", input={"command": "touch made"}), Step(text="never said"))
SLOWLY = script("say it slowly", Step(text="All of what was said, and it took quite a while.", chunk=2, delay=0.15))


@pytest.mark.long
async def test_what_is_typed_while_something_runs_steers_it(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, room={"debounce": 0.5}) as house:
        await house.prove()
        await _it_is_read_in_the_turn_after_the_question_that_waits(house)
        await _what_comes_too_late_is_a_turn_of_its_own_before_what_waits(house)
        await _where_nothing_runs_it_is_a_message_like_any_other(house)
        await _what_is_typed_in_short_succession_is_one_command(house)
        await _a_reply_to_an_old_answer_quotes_it(house)
        await _stop_says_what_it_has_stopped(house)
        await _a_restart_is_reported_and_runs_nothing_again(house)


async def _says(house: House, text: str) -> str:
    """Wait for a message of the daemon that holds `text`; the whole of it."""
    return (await house.anna.until_message(house.room, text, sender=house.account.user_id)).body


async def _ended(house: House, *commands: str) -> list[str]:
    return [await house.ended(command) for command in commands]


async def _given(house: House, text: str, questions: int) -> tuple[str, str]:
    """A command that waits for an answer, and what its turn was given meanwhile."""
    host = await house.ask(TOUCH)
    await house.anna.until(lambda: house.told("✅ allows it once") == questions, what="the question")
    more = await house.ask(f"/now {text}")
    await house.daemon.until_line("turn.given", taken=True, given=more)
    return host, more


async def _it_is_read_in_the_turn_after_the_question_that_waits(house: House) -> None:
    host, more = await _given(house, script("one thing more", Step(text="I have read it.")), 1)
    question = await house.question()
    await _says(house, "reads this when it has one")
    waits = await house.ask(script("what waits", Step(text="My turn at last.")))
    await house.anna.until_reaction(house.room, waits, "👀")
    await house.ask("/queue")
    queue = await _says(house, "with it, by")
    await house.anna.react(house.room, question.id, "✅")

    assert f"of `{house.anna.id}`; last: ▸ Bash: `touch made`" in queue
    assert "1. `what waits" in queue
    assert await _ended(house, host, more, waits) == ["✅", "✅", "✅"]
    assert (house.workspace() / "made").exists()
    assert (house.told("I have read it.\n\n—"), house.told("never said")) == (1, 0)
    replies = [message.body for message in house.anna.view(house.room) if message.reply_to == more]
    assert [text for text in replies if "reads this when it has one" not in text] == []


async def _what_comes_too_late_is_a_turn_of_its_own_before_what_waits(house: House) -> None:
    host = await house.ask(SLOWLY)
    await _says(house, "All of")
    waits = await house.ask(script("what waits again", Step(text="Last of all.")))
    more = await house.ask(f"/now {script('too late for it', Step(text='I did it next.'))}")

    assert await _ended(house, host, more, waits) == ["✅", "✅", "✅"]
    said = [message.body.split(".")[0] for message in house.anna.view(house.room)]
    assert [text for text in said if text.startswith(("All of what", "I did it", "Last of all"))] == [
        "All of what was said, and it took quite a while",
        "I did it next",
        "Last of all",
    ]
    [answer] = [message for message in house.anna.view(house.room) if message.reply_to == more]
    assert "I did it next." in answer.body
    asked = [each for each in house.model.requests("too late for it") if "too late for it" in each.asked.text]
    assert len(asked) == 1


async def _where_nothing_runs_it_is_a_message_like_any_other(house: House) -> None:
    alone = await house.ask(f"/now {script('alone', Step(text='At once.'))}")

    assert await house.ended(alone) == "✅"
    assert "At once." in await house.answer(alone)


async def _what_is_typed_in_short_succession_is_one_command(house: House) -> None:
    first = await house.ask("the first line")
    second = await house.ask(script("the second line", Step(text="Both of them.")))

    assert await house.ended(first) == "✅"
    await house.anna.until_reaction(house.room, second, "👀")
    assert house.anna.reactions(house.room, second).keys() == {"👀"}
    assert "the first line\\n\\nthe second line" in house.prompts("the second line")[-1]


async def _a_reply_to_an_old_answer_quotes_it(house: House) -> None:
    said = {message.body.split(".")[0]: message.id for message in house.anna.view(house.room)}
    old = await house.anna.send(house.room, "say that again", reply_to=said["At once"])
    assert await house.ended(old) == "✅"
    newest = next(message.id for message in house.anna.view(house.room) if message.reply_to == old)
    last = await house.anna.send(house.room, "and this one as well", reply_to=newest)
    assert await house.ended(last) == "✅"

    assert "> At once." in house.model.requests("say that again")[0].asked.text
    assert house.model.requests("and this one as well")[0].asked.text.strip() == "and this one as well"


async def _stop_says_what_it_has_stopped(house: House) -> None:
    host, more = await _given(house, script("in vain", Step(text="never said")), 2)
    asked = time.monotonic()
    await house.ask("/stop")

    assert await house.ended(host) == "🛑"
    assert time.monotonic() - asked < 5
    assert await house.ended(more) == "🛑"
    assert "Stopping `touch it" in await _says(house, "; last: ▸ Bash: `touch made`.")
    assert house.model.requests("in vain") == []


async def _a_restart_is_reported_and_runs_nothing_again(house: House) -> None:
    host, more = await _given(house, script("before the end", Step(text="never said")), 3)
    await house.daemon.kill()
    await house.daemon.start(until="service.started")
    await _says(house, "after the running turn was given this")

    assert await _ended(house, host, more) == ["⚠️", "⚠️"]
    assert await house.ended(await house.ask(script("go on", Step(text="Here I am.")))) == "✅"
    # What the program had been given may stand in its own account of the conversation, like the command of
    # the turn that was cut off; what may not be is a request that asks for it.
    asked = [request.asked.text for request in house.model.requests("before the end")]
    assert [text for text in asked if "go on" not in text] == []
    assert house.told("never said") == 0
