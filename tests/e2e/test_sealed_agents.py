"""Two daemons in an encrypted room: what they ask each other, and how far it has come, is between them."""

import json
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.two_houses import two_houses

pytestmark = [pytest.mark.timeout(180), pytest.mark.long]

ENCRYPTION = {"algorithm": "m.megolm.v1.aes-sha2"}


async def test_agents_ask_each_other_and_give_each_other_tasks_in_an_encrypted_room(
    people: People, model: Model, workplace: Path
) -> None:
    async with two_houses(people, model, workplace, start=()) as houses:
        a, b, room = houses.a, houses.b, houses.room
        await houses.anna.request("PUT", f"/rooms/{room}/state/m.room.encryption/", ENCRYPTION)
        await a.start()
        await b.start()
        await houses.settle_in(a, b)
        question = script("Is the cellar damp?", Step(text="It is dry down there."))
        asked = await a.ask(
            "POST", "/ask", {"room": room, "body": question, "kind": "question", "to": b.address, "seconds": 60}
        )
        given = await a.assign(room, b, script("Tidy the cellar", Step(text="It is tidy now.")))
        done = await a.until_task(room, given["id"], lambda task: task["state"] == "done")
        task = await b.task(room, given["id"])
        listed = await a.ask("GET", "/rooms/list")
        on_the_server = json.dumps(houses.anna.events(room))

        assert asked["state"] == "answered"
        assert asked["answer"].startswith("It is dry down there.")
        assert (done["state"], task["state"], task["title"][:15]) == ("done", "done", "Tidy the cellar")
        assert [each["encrypted"] for each in listed["rooms"]] == [True]
        assert [word for word in ("cellar", "dry", "tidy", "com.aiagentchat.meta") if word in on_the_server] == []
