"""The agents of two daemons, in the real CLI, give each other work, and answer each other, with the tools of runs."""

import re
import secrets
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.two_houses import Side, two_houses

pytestmark = [pytest.mark.timeout(180), pytest.mark.long]

ASSIGN = "mcp__room__assign_task"
SEND = "mcp__room__send"
PAIR_TURNS = 2


async def test_an_agent_gives_another_one_work_and_a_person_reads_the_result_in_the_thread(
    people: People, model: Model, workplace: Path
) -> None:
    async with two_houses(people, model, workplace) as houses:
        a, b, room = houses.a, houses.b, houses.room
        work = script("Tidy the attic", Step(text="The attic is tidy."))
        asks = script(f"{a.account.user_id} have it tidied", Step(tool=ASSIGN, input={"to": b.address, "text": work}))
        asked = await houses.anna.send(room, asks)
        given = await houses.anna.until_message(room, "[TASK] Tidy the attic", sender=a.account.user_id)
        await houses.until_said(given.id, "The attic is tidy.", b)
        await houses.until_said(given.id, "[STATUS] ✅ done", b)
        await houses.anna.until_reaction(room, asked, "✅")

        [ours] = (await a.ask("GET", "/tasks", room=room, all="true"))["tasks"]
        done = await a.until_task(room, ours["id"], lambda task: task["state"] == "done")
        assert done["thread"] == given.id
        assert (await b.task(room, ours["id"]))["state"] == "done"


def _for_ever(mark: str, speaker: Side, other: Side, turns: int, level: int = 0) -> str:
    """A prompt whose answer sends such a prompt to the other one, and so on."""
    prompt = f"{mark} {level}"
    if level == turns:
        return script(prompt, Step(text="Not to be said."))
    text = _for_ever(mark, other, speaker, turns, level + 1)
    return script(prompt, Step(tool=SEND, input={"to": other.address, "text": text}), Step(text="Sent."))


async def test_two_agents_that_answer_each_other_for_ever_stop_within_their_budget(
    people: People, model: Model, workplace: Path
) -> None:
    rules = {"hops": 16, "pair_turns": PAIR_TURNS}
    async with two_houses(people, model, workplace, exchange=rules) as houses:
        a, b, room = houses.a, houses.b, houses.room
        mark, turns = f"ping{secrets.token_hex(4)}", 2 * PAIR_TURNS + 1
        await houses.anna.send(room, f"{a.account.user_id} {_for_ever(mark, a, b, turns)}")
        halted = await houses.anna.until_message(room, "Agents are halted here", timeout=120)
        assert "`/continue` lets them go on" in halted.body
        await b.daemon.until_line("exchange.halted", limit="pair")

        begun = {re.search(rf"{mark} (\d+)", request.asked.text)[1] for request in model.requests(mark)}  # type: ignore[index]
        assert begun == {str(level) for level in range(turns)}
        assert "Not to be said." not in [message.body for message in houses.anna.view(room)]
