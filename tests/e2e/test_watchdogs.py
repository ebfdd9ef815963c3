"""What a room sees of a turn's time, and of a model or an agent that fails."""

import json
import time
from pathlib import Path

import pytest

from aiagentchat.render import words
from rig import fake_cli
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import move_in

SUBSCRIPTION = {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-offline", "ANTHROPIC_API_KEY": ""}


def _limit(seconds: float, *, then: str) -> Step:
    """The usage limit of a subscription, which is lifted in so many seconds."""
    headers = {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": str(round(time.time() + seconds)),
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
    }
    return Step(error=429, headers=headers, times=1, then=Step(text=then))


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.long
async def test_a_turn_that_is_warned_of_its_end_can_be_given_more_time(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False, room={"timeout": 6, "allow": ["Bash"]}) as house:
        house.daemon.module = "rig.impatient"
        async with house.daemon:
            await house.settle_in()
            longer = {"command": "echo started; sleep 8"}
            command = await house.ask(
                script("take longer", Step(text="On it.", tool="Bash", input=longer), Step(text="There."))
            )
            await house.anna.until_message(house.room, "Still working", sender=house.account.user_id)
            warning = await house.anna.until_message(house.room, "is stopped in", sender=house.account.user_id)
            await house.ask("/timeout +1h")
            await house.anna.until_message(house.room, "may now take 3606 s", sender=house.account.user_id)

            assert warning.kind == "m.notice"
            assert "/timeout +10m" in warning.body
            assert await house.ended(command) == "✅"
            answer = await house.anna.until_message(house.room, "There.", sender=house.account.user_id)
            assert "Still working" not in answer.body


@pytest.mark.long
async def test_a_turn_can_be_given_less_time(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}) as house:
        forever = {"command": "echo started; tail -f /dev/null"}
        command = await house.ask(script("go on for ever", Step(text="On it.", tool="Bash", input=forever)))
        await house.anna.until_message(house.room, "▸", sender=house.account.user_id)
        await house.ask("/timeout 10s")

        assert await house.ended(command) == "⏱️"
        assert "longer than 10 s" in await house.answer(command)


# ── the model ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.long
async def test_tries_of_an_overloaded_model_are_shown_quietly(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        command = await house.ask(script("try hard", Step(error=529, times=2, then=Step(text="At last."))))
        shown = await house.anna.until_message(house.room, "is overloaded (529)", sender=house.account.user_id)
        answer = await house.anna.until_message(house.room, "At last.", sender=house.account.user_id)

        assert await house.ended(command) == "✅"
        assert (shown.kind, answer.kind) == ("m.notice", "m.text")
        assert answer.reply_to == command


async def test_a_key_that_is_refused_ends_the_turn_at_once(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        mark = f"knock, {house.account.user_id}"
        command = await house.ask(script(mark, Step(error=401)))

        assert await house.ended(command) == "❌"
        assert "did not accept my key" in await house.answer(command)
        assert len(house.prompts(mark)) == 1


@pytest.mark.long
async def test_a_usage_limit_is_waited_for_and_the_same_is_asked_again(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, environ=SUBSCRIPTION) as house:
        mark = f"be patient, {house.account.user_id}"
        command = await house.ask(script(mark, _limit(5, then="Here I am.")))
        waits = await house.anna.until_message(house.room, "usage limit", sender=house.account.user_id)

        assert waits.kind == "m.notice"
        assert " UTC (in " in waits.body
        assert await house.ended(command) == "✅"
        assert "Here I am." in await house.answer(command)
        first, again = house.prompts(mark)
        assert (first.count(mark), again.count(mark)) == (1, 2)
        assert "that cut you off" not in again


@pytest.mark.long
async def test_what_a_usage_limit_cut_off_goes_on_from_there(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, environ=SUBSCRIPTION, room={"timeout": 9, "allow": ["Bash"]}) as house:
        first = Step(text="First.", tool="Bash", input={"command": "echo once >> done.txt"})
        mark = f"begin, {house.account.user_id}"
        command = await house.ask(script(mark, first, _limit(11, then="Then the rest.")))

        assert await house.ended(command) == "✅"  # although it waited longer than its turn may take
        answer = await house.answer(command)
        assert answer.index("First.") < answer.index("usage limit") < answer.index("Then the rest.")
        assert (house.workspace() / "done.txt").read_text() == "once\n"
        assert "that cut you off" in house.prompts(mark)[-1]


@pytest.mark.long
async def test_a_stop_ends_the_wait_for_a_usage_limit(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, environ=SUBSCRIPTION) as house:
        command = await house.ask(script("be patient", _limit(3600, then="never said")))
        await house.anna.until_message(house.room, "usage limit", sender=house.account.user_id)
        await house.ask("/timeout")
        await house.anna.until_message(house.room, "its clock stands still", sender=house.account.user_id)
        await house.anna.react(house.room, command, "🛑")

        assert await house.ended(command) == "🛑"


@pytest.mark.long
async def test_a_restart_ends_the_wait_for_a_usage_limit_and_is_reported(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, environ=SUBSCRIPTION) as house:
        mark = f"be patient, {house.account.user_id}"
        command = await house.ask(script(mark, _limit(3600, then="never said")))
        await house.anna.until_message(house.room, "usage limit", sender=house.account.user_id)
        await house.daemon.kill()
        await house.daemon.start(until="sync.resumed")

        assert await house.ended(command) == "⚠️"
        assert len(house.prompts(mark)) == 1


@pytest.mark.long
async def test_a_room_that_would_rather_fail_hears_when_a_usage_limit_is_lifted(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, environ=SUBSCRIPTION, room={"on_limit": "fail"}) as house:
        command = await house.ask(script("be quick", _limit(3600, then="never said")))

        assert await house.ended(command) == "❌"
        answer = await house.answer(command)
        assert "UTC (in 59 min)" in answer
        assert "`/retry`" in answer


# ── the agent ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.long
async def test_a_process_that_answers_empty_twice_is_replaced(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        for number in range(2):
            command = await house.ask(script(f"say nothing {number}", Step(), Step()))
            assert await house.ended(command) == "✅"
            assert words.NO_TEXT in await house.answer(command)
        await house.daemon.until_line("run.replaced")
        command = await house.ask(script("say something", Step(text="Something.")))

        assert "Something." in await house.answer(command)
        runs = [line["resume"] for line in house.daemon.lines() if line["event"] == "run.started"]
        assert runs == [False, True]
        assert "say nothing 0" in house.prompts("say something")[-1]


@pytest.mark.long
async def test_a_conversation_that_cannot_be_taken_up_again_is_set_aside(
    people: People, model: Model, workplace: Path
) -> None:
    agent = {"type": "claude-code", "binary": str(fake_cli.install(workplace))}
    async with move_in(people, model, workplace, agents={"claude": agent}) as house:
        assert (
            await house.ended(await house.ask(f"@@stub {json.dumps([{'unfit': True}, {'text': 'Here.'}])} @@")) == "✅"
        )
        await house.daemon.stop()
        await house.daemon.start(until="sync.resumed")
        command = await house.ask("and now?")

        assert await house.ended(command) == "✅"
        await house.anna.until_message(house.room, "I set that aside", sender=house.account.user_id)
        assert "and now?" in await house.answer(command)
        remedies = [line["remedy"] for line in house.daemon.lines() if line["event"] == "session.mended"]
        assert remedies == ["again", "set_aside"]
        files = list((house.daemon.data_dir / "homes/room0/.claude/projects").rglob("*.jsonl"))
        assert len(files) == 2
