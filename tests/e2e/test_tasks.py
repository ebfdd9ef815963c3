"""Two daemons give each other work; a person sees all of it in one thread, whatever happens to one of them."""

import asyncio
import time
from pathlib import Path

import pytest

from rig.conversation import Message
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.two_houses import TwoHouses, two_houses

pytestmark = pytest.mark.timeout(180)

DONE = "The attic is tidy."


def _said(thread: list[Message], houses: TwoHouses) -> list[str]:
    """What B has said there, without its footers."""
    return [message.body.partition("\n\n—")[0] for message in thread if message.sender == houses.b.account.user_id]


async def test_a_task_is_done_in_its_thread_and_both_sides_say_so(
    people: People, model: Model, workplace: Path
) -> None:
    async with two_houses(people, model, workplace) as houses:
        a, b, room = houses.a, houses.b, houses.room
        given = await a.assign(room, b, script("Tidy the attic", Step(text=DONE)))
        assert given["state"] == "assigned"
        theirs = await b.until_task(room, given["id"], lambda task: task.get("state") == "done")
        ours = await a.until_task(room, given["id"], lambda task: task["state"] == "done")
        await houses.until_said(ours["thread"], "[STATUS] ✅ done", b)
        thread = houses.thread(ours["thread"])

        assert (ours["ours"], theirs["ours"]) == ("given", "taken")
        assert {key: ours[key] for key in ("id", "thread", "title", "by", "to", "state", "note")} == {
            key: theirs[key] for key in ("id", "thread", "title", "by", "to", "state", "note")
        }
        assert thread[0].sender == a.account.user_id
        assert thread[0].body.startswith("[TASK] Tidy the attic")
        accepted, answer, done = _said(thread, houses)
        assert (accepted, done) == ("[STATUS] 👀 accepted", "[STATUS] ✅ done")
        assert answer.startswith(DONE)


@pytest.mark.long
async def test_what_a_kill_cuts_off_has_failed_on_both_sides_until_a_person_takes_it_up_again(
    people: People, model: Model, workplace: Path
) -> None:
    async with two_houses(people, model, workplace) as houses:
        a, b, room = houses.a, houses.b, houses.room
        given = await a.assign(room, b, script("Tidy the cellar", Step(before=600, text="never")))
        begun = await b.until_task(room, given["id"], lambda task: task.get("state") == "working")
        await a.until_task(room, given["id"], lambda task: task["state"] == "working")
        await b.daemon.kill()
        assert (await a.task(room, given["id"]))["state"] == "working"
        await b.start(until="sync.resumed")
        for side in (a, b):
            ended = await side.until_task(room, given["id"], lambda task: task["state"] == "failed")
            assert "outcome unknown" in ended["note"]
        assert len(model.requests("Tidy the cellar")) <= 1

        await houses.say_in(begun["thread"], "/retry")
        for side in (a, b):
            await side.until_task(room, given["id"], lambda task: task["state"] in ("accepted", "working"))


@pytest.mark.long
async def test_a_task_for_somebody_who_is_away_waits_and_says_so(people: People, model: Model, workplace: Path) -> None:
    async with two_houses(people, model, workplace) as houses:
        a, b, room = houses.a, houses.b, houses.room
        await b.daemon.stop()
        given = await a.assign(room, b, script("Tidy the garden", Step(text=DONE)))
        there = await a.until_task(room, given["id"], lambda task: task["thread"] is not None)
        assert there["state"] == "assigned"
        await b.start(until="sync.resumed")

        for side in (a, b):
            await side.until_task(room, given["id"], lambda task: task.get("state") == "done", timeout=60)
        accepted, answer, done = _said(houses.thread(there["thread"]), houses)
        assert (accepted, done) == ("[STATUS] 👀 accepted", "[STATUS] ✅ done")
        assert answer.startswith(DONE)


@pytest.mark.long
async def test_a_task_that_was_not_begun_in_time_is_not_begun(people: People, model: Model, workplace: Path) -> None:
    async with two_houses(people, model, workplace) as houses:
        a, b, room = houses.a, houses.b, houses.room
        await b.daemon.stop()
        soon = round(time.time() * 1000) + 3000
        given = await a.assign(room, b, script("Tidy the loft", Step(text=DONE)), deadline=soon)
        await a.until_task(room, given["id"], lambda task: task["thread"] is not None)
        await asyncio.sleep(soon / 1000 - time.time())  # daemons go by this clock, and no other
        await b.start(until="sync.resumed")

        for side in (a, b):
            await side.until_task(room, given["id"], lambda task: task.get("state") == "expired", timeout=60)
        assert model.requests("Tidy the loft") == []


@pytest.mark.long
async def test_whoever_gave_it_ends_it_while_it_runs(people: People, model: Model, workplace: Path) -> None:
    async with two_houses(people, model, workplace) as houses:
        a, b, room = houses.a, houses.b, houses.room
        given = await a.assign(room, b, script("Tidy the barn", Step(before=600, text="never")))
        await b.until_task(room, given["id"], lambda task: task.get("state") == "working")
        step = {"room": room, "step": "cancelled", "note": "not needed"}
        await a.ask("PATCH", f"/tasks/{given['id']}", step)

        for side in (a, b):
            await side.until_task(room, given["id"], lambda task: task["state"] == "cancelled")
        await b.daemon.until_line("turn.ended", state="cancelled")
