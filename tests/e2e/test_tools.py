"""The tools by which agents speak with each other, used by the real CLI in a run of the real daemon."""

import asyncio
import json
import secrets
from pathlib import Path

import aiohttp
import pytest

from aiagentchat.cli.exchange.mcp import Bridge, Gateway
from aiagentchat.core.agent_events import room_tool
from aiagentchat.exchange.tool_words import DATA
from aiagentchat.exchange.tools import ELSEWHERE, Audience, offered
from rig.gateway import free_port
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in

pytestmark = pytest.mark.real

SWORDFISH = "the word is swordfish"
THEM = "@nobody:example.org/there"


def use(name: str, **given: object) -> Step:
    return Step(tool=room_tool(name), input=given)


async def test_a_run_uses_every_tool_and_learns_nothing_of_rooms_that_it_may_not_read(
    people: People, model: Model, workplace: Path
) -> None:
    token = secrets.token_hex(8)
    word, mark = f"A word from the run {token}.", f"use them {token}"
    steps = {
        "send": use("send", text=word),
        "ask": use("ask", text="Is anybody there?", to=THEM, seconds=1),
        "read": use("read"),
        "history": use("history", words="swordfish"),
        "who": use("who"),
        "rooms": use("rooms"),
        "tasks": use("tasks", all=True),
        "assign_task": use("assign_task", text="Wash up.", to=THEM),
        "update_task": use("update_task", task="t0", state="done"),
        "send_file": use("send_file", path="a.txt"),
        ELSEWHERE: use(ELSEWHERE, room="room1", text="Greetings from next door."),
    }
    assert set(steps) == {*offered(Audience(is_run=True)), "send_file"}
    settings, gateway = {"exchange": {"rooms": ["room1"]}}, {"enabled": True, "port": free_port()}
    async with move_in(people, model, workplace, rooms=3, room=settings, gateway=gateway) as house:
        me, (kitchen, cellar, secret) = house.account.user_id, house.rooms
        said = await house.anna.send(secret, script(SWORDFISH, Step(text="Aye.")))
        assert await house.ended(said, room=secret) == "✅"
        assert await house.ended(await house.ask(script("come in", Step(text="Here I am.")))) == "✅"
        (house.workspace() / "a.txt").write_text("hello")
        command = await house.ask(script(mark, *steps.values(), Step(text="That was it.")))

        # What goes elsewhere is asked first, with its text.
        question = await house.question()
        assert "Greetings from next door." in question.body
        assert house.told("Greetings", room=cellar) == 0
        await house.anna.react(kitchen, question.id, "✅")
        assert await house.ended(command) == "✅"
        await house.anna.until_message(cellar, "Greetings from next door.", sender=me)
        await house.anna.until_message(kitchen, word, sender=me)
        assert house.told(word) == 1

        await house.anna.until_message(kitchen, "[TASK] Wash up.", sender=me)

        # Nothing of what it says here begins a turn here.
        assert model.requests(word) == model.requests(mark)

        # Each has answered.
        asked = [request for request in model.requests(mark) if request.body.get("tools")][-1]
        results = [result.text for result in asked.asked.results]
        told = dict(zip(steps, results, strict=True))
        assert told["send"].startswith("Sent to room0: id=m")
        assert "no answer within 1 s" in told["ask"]
        assert told["read"].startswith(DATA)
        assert f"\n| {word}" in told["read"]
        assert "in room0\n" in told["history"]
        assert f"{me}/" in told["who"]
        assert f"→ {THEM} in room0\n| Wash up." in told["assign_task"]
        assert told["update_task"].startswith("Refused (unknown).")
        assert f"room0 ({kitchen}): read, send; yours" in told["rooms"]
        assert f"room1 ({cellar})" in told["rooms"]
        assert told["send_file"] == "The file is on its way into the room."
        assert told[ELSEWHERE].startswith("Sent to room1: id=m")

        # It has learned nothing of the third room, and no secret.
        for request in model.requests(mark):
            answers = json.dumps([result.text for result in request.asked.results])
            for hidden in ("the word is", secret, house.account.access_token, "sk-ant-offline"):
                assert hidden not in answers

        await _sessions_use_them_too(house, workplace)


async def _sessions_use_them_too(house: House, folder: Path) -> None:
    """`cchat mcp`, from where its tools are passed on."""
    port = (await house.daemon.until_line("gateway.open"))["port"]
    token = (house.daemon.folder / "data/gateway/port.token").read_text().strip()
    project = folder / "project"
    project.mkdir()
    (project / "plan.txt").write_text("a plan")
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        at = Gateway(url=f"http://127.0.0.1:{port}", token=token)
        bridge = Bridge(at, name="project-1", folder=project, http=http)
        staying = group.create_task(bridge.stay())
        said = await bridge.call("send", {"room": "room0", "text": "A word from a session."})
        sent = await bridge.call("send_file", {"room": "room0", "path": "plan.txt", "caption": "The plan."})
        assert (said.isError, sent.isError) == (False, False), (said, sent)
        listed = str((await bridge.call("who", {})).content)
        assert "/project-1 (session, online)" in listed, listed
        await house.anna.until_message(house.room, "A word from a session.", sender=house.account.user_id)
        await house.anna.until_message(house.room, "The plan.", sender=house.account.user_id)
        staying.cancel()
