"""Programs speak through the gateway of a real daemon, on a real homeserver."""

import asyncio
import json
from pathlib import Path

import pytest

from aiagentchat.core.meta import META_KEY
from rig.gateway import Refused, free_port, gateway_client
from rig.gateway_load import callers, judge, send_all, settled
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import move_in


async def test_a_program_sends_and_everybody_sees_how_far_it_has_come(
    people: People, model: Model, workplace: Path
) -> None:
    gateway = {"enabled": True, "port": free_port(), "callers": {"ci": {"send": ["room0"]}}}
    async with move_in(people, model, workplace, rooms=2, gateway=gateway) as house:
        await house.daemon.until_line("gateway.open")
        async with gateway_client(house.daemon, "callers/ci.token") as ci:
            sent = await ci.send_surely("room0", "The build is **red**.", "build-1", kind="status")
            seen = await house.anna.until_message(house.room, "[STATUS] The build is **red**.")
            again = await ci.send_surely("room0", "The build is **red**.", "build-1", kind="status")
            status = await ci.ask("GET", f"/status/{sent['id']}")
            with pytest.raises(Refused) as elsewhere:
                await ci.send("room1", "Hello.")
            with pytest.raises(Refused) as unread:
                await ci.ask("GET", "/read?room=room0")
            answers = [await ci.ask("GET", path) for path in ("/status", "/who", "/rooms/list", "/metrics", "/history")]
        async with gateway_client(house.daemon, "operator.token", at_socket=True) as operator:
            made = await operator.ask("POST", "/rooms/create", {"name": "Made", "invite": [house.anna.id]})
        await house.anna.join(made["room_id"])
        [event] = [event for event in house.anna.events(house.room) if event["event_id"] == seen.id]
        log = json.dumps(house.daemon.lines())

    assert again["id"] == sent["id"]
    assert house.told("The build is") == 1
    assert event["content"][META_KEY]["id"] == sent["id"]
    assert (status["state"], status["event_id"]) == ("sent", seen.id)
    assert (elsewhere.value.code, unread.value.code) == ("unknown", "not_allowed")
    token = (house.daemon.data_dir / "gateway" / "callers" / "ci.token").read_text(encoding="ascii").strip()
    assert token not in log
    for answer in answers:
        assert house.account.access_token not in str(answer)
        assert house.rooms[1] not in str(answer)


@pytest.mark.long
async def test_a_program_asks_the_agent_and_hears_the_answer_while_people_watch(
    people: People, model: Model, workplace: Path
) -> None:
    gateway = {"enabled": True, "port": free_port()}
    async with move_in(people, model, workplace, gateway=gateway) as house:
        await house.daemon.until_line("gateway.open")
        wish = {"room": "room0", "to": house.account.user_id, "seconds": 60}
        async with gateway_client(house.daemon) as program:
            asked = script("say it", Step(text="It is green."))
            answered = await program.ask("POST", "/ask", {**wish, "body": asked, "kind": "question"})
            read = await program.ask("GET", "/read?room=room0")
            found = await program.ask("GET", "/history?words=green&kind=answer")
        await house.anna.until_message(house.room, "It is green.", sender=house.account.user_id)

    assert (answered["state"], answered["answer"].splitlines()[0]) == ("answered", "It is green.")
    assert answered["sent_at"] <= answered["delivered_at"] <= answered["read_at"] <= answered["ended_at"]
    assert any("It is green." in said["body"] for said in read["messages"])
    assert [said["meta"]["in_reply_to"] for said in found["messages"]] == [answered["id"]]


@pytest.mark.long
async def test_a_session_of_the_same_daemon_is_asked_does_a_task_and_is_heard(
    people: People, model: Model, workplace: Path
) -> None:
    caller = {"read": ["room0"], "send": ["room0"]}
    gateway = {"enabled": True, "port": free_port(), "callers": {"ci": caller, "laptop": caller}}
    async with move_in(people, model, workplace, gateway=gateway) as house:
        await house.daemon.until_line("gateway.open")
        to = {"room": "room0", "to": f"{house.account.user_id}/laptop"}
        async with (
            gateway_client(house.daemon, "callers/ci.token") as ci,
            gateway_client(house.daemon, "callers/laptop.token") as laptop,
            laptop.listening("laptop"),
            asyncio.TaskGroup() as group,
        ):
            asking = group.create_task(ci.ask("POST", "/ask", {**to, "body": "Is it green?", "seconds": 60}))
            question = await house.anna.until_message(house.room, "Is it green?")
            [event] = [event for event in house.anna.events(house.room) if event["event_id"] == question.id]
            reply = {"in_reply_to": event["content"][META_KEY]["id"], "kind": "answer", "room": "room0"}
            with pytest.raises(Refused) as forged:
                await ci.ask("POST", "/send", {**reply, "body": "Yes."})
            await laptop.ask("POST", "/send", {**reply, "body": "It is green.", "instance": "laptop"})
            answered = await asking

            task = await ci.ask("POST", "/tasks", {**to, "text": "Paint it."})
            given = await house.anna.until_message(house.room, "Paint it.")
            [event] = [event for event in house.anna.events(house.room) if event["event_id"] == given.id]
            with pytest.raises(Refused) as ended:
                await laptop.ask("PATCH", f"/tasks/{task['id']}", {"room": "room0", "step": "cancelled"})
            said = {"room": "room0", "step": "done", "note": "Two coats.", "instance": "laptop"}
            await laptop.ask("PATCH", f"/tasks/{task['id']}", said)
            await house.anna.until_message(house.room, "done: Two coats.")
            message = await ci.ask("GET", f"/status/{event['content'][META_KEY]['id']}")

    assert (answered["state"], answered["answer"]) == ("answered", "It is green.")
    assert (forged.value.code, ended.value.code) == ("not_allowed", "not_allowed")
    assert (message["state"], message["answer"]) == ("answered", "✅ done: Two coats.")


@pytest.mark.long
async def test_what_is_accepted_is_in_the_room_once_and_in_order_whenever_the_daemon_is_killed(
    people: People, model: Model, workplace: Path
) -> None:
    gateway = {"enabled": True, "port": free_port(), "callers": callers(5, "room0")}
    async with move_in(people, model, workplace, gateway=gateway) as house:
        await house.daemon.until_line("gateway.open")
        sent = await send_all(house.daemon, house.room, names=list(callers(5, "room0")), calls=300, kills=3)
        async with gateway_client(house.daemon) as client:
            await settled(client)
        timeline = await house.anna.history(house.room)

    assert (sent.count, sent.kills) == (300, 3)
    assert judge(sent, timeline, house.account.user_id) == []
