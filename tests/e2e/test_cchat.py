"""`cchat` without a gateway, on a real homeserver: its own login, its own words, and nothing of the daemon's."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.cli.exchange.exits import Exit
from aiagentchat.core.ids import InstanceName, UserId
from aiagentchat.core.instances import INSTANCE, state_key
from aiagentchat.core.meta import META_KEY
from rig.homeserver import PASSWORD, Homeserver
from rig.matrix_client import MatrixUser
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import clean_env
from tests.e2e.chat_scene import CCHAT, run
from tests.e2e.house import House, move_in

pytestmark = pytest.mark.long


@dataclass(slots=True)
class Desk:
    """Anna at a shell, with a login of her own, and Claude in a room with her."""

    anna: MatrixUser
    claude: MatrixUser
    room: str
    env: Mapping[str, str]

    async def cchat(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """Run it: exit code, stdout, stderr."""
        return await run(list(arguments), self.env, stdin)


@pytest.fixture
async def desk(people: People, homeserver: Homeserver, tmp_path: Path) -> Desk:
    anna, claude = await people.person(), await people.person("claude")
    room = await people.room(anna, claude)
    desk = Desk(anna, claude, room, clean_env(HOME=str(tmp_path)))
    login = ["login", "--homeserver", homeserver.url, "--user", anna.id]
    code, out, err = await desk.cchat(*login, stdin=f"{PASSWORD}\n")

    assert (code, out, err) == (0, f"You are {anna.id} at {homeserver.url}.\n", "")
    return desk


async def test_a_message_is_said_once_under_one_key_and_read_back(desk: Desk) -> None:
    first = await desk.cchat("send", desk.room, "--key", "k1", "hello from a shell")
    again = await desk.cchat("send", desk.room, "--key", "k1", "hello from a shell")
    said = await desk.claude.until_message(desk.room, "hello from a shell", sender=desk.anna.id)
    await desk.claude.edit(desk.room, await desk.claude.send(desk.room, "Hel"), "Hello")
    code, out, err = await desk.cchat("read", desk.room, "--json", "-n", "2")
    messages = json.loads(out)["messages"]

    assert first[0] == again[0] == code == 0
    assert first[1] == again[1]
    assert err == f"cchat: without a gateway, as {desk.anna.id}\n"
    assert [each["body"] for each in messages] == ["hello from a shell", "Hello"]
    assert messages[0]["event_id"] == said.id


async def test_a_page_reads_as_after_the_edits_that_stand_behind_it(desk: Desk) -> None:
    first = await desk.claude.send(desk.room, "I")
    await desk.anna.send(desk.room, "hurry")
    for text in ("I have", "I have mended it."):
        await desk.claude.edit(desk.room, first, text)
    _, out, _ = await desk.cchat("read", desk.room, "-n", "1", "--json")
    last = json.loads(out)
    before = json.loads((await desk.cchat("read", desk.room, "-n", "1", "--json", "--before", last["before"]))[1])

    assert [each["body"] for each in last["messages"]] == ["hurry"]
    assert [each["body"] for each in before["messages"]] == ["I have mended it."]
    assert before["messages"][0]["edited_at"] is not None


async def test_a_question_is_answered_by_whom_it_was_for(desk: Desk) -> None:
    async def claude() -> None:
        event = await desk.claude.until_event(desk.room, lambda event: META_KEY in event.get("content", {}))
        meta = {"version": 1, "id": "a1", "kind": "answer", "in_reply_to": event["content"][META_KEY]["id"]}
        await desk.claude.request(
            "PUT",
            f"/rooms/{desk.room}/send/m.room.message/t1",
            {"msgtype": "m.text", "body": "It is green.", META_KEY: meta},
        )

    async with asyncio.TaskGroup() as group:
        group.create_task(claude())
        code, out, _ = await desk.cchat("ask", desk.room, "--to", desk.claude.id, "Is it green?")

    assert (code, out) == (0, "It is green.\n")


async def test_what_was_said_is_found_by_reading(desk: Desk) -> None:
    for text in ("the kettle boils", "the tap drips", "a kettle of fish"):
        await desk.claude.send(desk.room, text)
    code, out, _ = await desk.cchat(
        "history", "kettle", "--room", desk.room, "--sender", desk.claude.id, "--since", "1h"
    )
    none = await desk.cchat("history", "teapot", "--room", desk.room)

    assert code == 0
    assert [line.split(": ")[1] for line in out.splitlines()] == ["the kettle boils", "a kettle of fish"]
    assert (none[0], none[1]) == (0, "")


async def test_what_is_said_is_watched(desk: Desk) -> None:
    pipe = asyncio.subprocess.PIPE
    argv = [*CCHAT, "watch", desk.room, "--json"]
    process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=pipe, env=dict(desk.env))
    assert process.stdout
    assert process.stderr
    await process.stderr.readline()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(process.stdout.readline())
        number = 0
        while not reading.done():  # nobody is told when it has begun to listen
            number += 1
            await desk.claude.send(desk.room, f"message {number}")
    process.terminate()
    await process.communicate()

    assert json.loads(reading.result())["data"]["sender"] == desk.claude.id


async def test_who_is_there_is_read_from_the_state_of_the_rooms(desk: Desk) -> None:
    key = state_key(UserId(desk.anna.id), InstanceName("box"))
    rooms = [desk.room, "!elsewhere:localhost"]
    entry = {"version": 1, "kind": "daemon", "host": "box", "rooms": rooms, "status": "online", "software": "0.1.0"}
    await desk.anna.request("PUT", f"/rooms/{desk.room}/state/m.room.name/", {"name": "Attic"})
    await desk.anna.request("PUT", f"/rooms/{desk.room}/state/{INSTANCE}/{key.replace('/', '%2F')}", entry)
    code, out, _ = await desk.cchat("who", "--json")

    assert code == 0
    assert [(each["address"], each["alive"]) for each in json.loads(out)["instances"]] == [
        (f"{desk.anna.id}/box", True)
    ]
    assert " Attic, !elsewhere:localhost" in (await desk.cchat("who"))[1]


async def test_where_nobody_listens_at_a_gateway_that_was_only_found_the_login_speaks(
    desk: Desk, tmp_path: Path
) -> None:
    gateway = tmp_path / "data" / "gateway"
    gateway.mkdir(parents=True)
    (tmp_path / "config.yaml").touch()
    (gateway / "operator.sock").touch()
    token = gateway / "operator.token"
    token.touch(mode=0o600)
    token.write_text("gw_gone")
    found = await run(["send", desk.room, "by myself"], desk.env, here=tmp_path)
    asked_for = await run(["send", desk.room, "by the daemon", "--config", "config.yaml"], desk.env, here=tmp_path)

    assert (found[0], found[2]) == (0, f"cchat: without a gateway, as {desk.anna.id}\n")
    await desk.claude.until_message(desk.room, "by myself", sender=desk.anna.id)
    assert (asked_for[0], asked_for[1]) == (Exit.UNREACHABLE, "")
    assert "so nothing was sent" in asked_for[2]


async def test_an_encrypted_room_is_refused_and_nothing_is_sent(desk: Desk) -> None:
    encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
    await desk.anna.request("PUT", f"/rooms/{desk.room}/state/m.room.encryption/", encryption)
    for arguments in (["send", desk.room, "x"], ["read", desk.room], ["watch", desk.room]):
        code, out, err = await desk.cchat(*arguments)

        assert (code, out) == (Exit.ENCRYPTED, "")
        assert "is encrypted, and cchat has no keys" in err
    assert not [event for event in await desk.anna.history(desk.room) if event["type"] == "m.room.message"]


async def test_what_only_a_daemon_keeps_says_so(desk: Desk) -> None:
    assert (await desk.cchat("status"))[0] == Exit.NO_WAY


async def test_a_login_may_be_a_token_and_is_never_the_daemons(
    desk: Desk, homeserver: Homeserver, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(desk.claude.account.access_token)
    config = tmp_path / "config.yaml"
    config.write_text(f"matrix:\n  user_id: '{desk.claude.id}'\n")
    login = ["login", "--homeserver", homeserver.url, "--as", "second", "--token-file", str(token)]
    kept = await desk.cchat(*login)
    sent = await desk.cchat("send", desk.room, "by my other self", "--as", "second")
    refused = await run(login, {**desk.env, "AIAGENTCHAT_CONFIG": str(config)})
    by_password = await run(
        ["login", "--homeserver", homeserver.url, "--user", desk.claude.id],
        {**desk.env, "AIAGENTCHAT_CONFIG": str(config)},
        PASSWORD,
    )
    devices = (await desk.claude.request("GET", "/devices"))["devices"]

    assert (kept[0], sent[0]) == (0, 0)
    await desk.anna.until_message(desk.room, "by my other self", sender=desk.claude.id)
    assert refused[0] == Exit.USAGE
    assert "is the account of the daemon" in refused[2]
    assert by_password[0] == Exit.USAGE
    assert not [device for device in devices if str(device.get("display_name")).startswith("cchat on")]


async def test_a_login_is_made_where_another_program_has_its_settings(
    desk: Desk, homeserver: Homeserver, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("theme: {{ .Values.theme }}: [")
    login = ["login", "--homeserver", homeserver.url, "--user", desk.anna.id, "--as", "third"]
    kept = await run(login, desk.env, PASSWORD, here=tmp_path)

    assert kept == (0, f"You are {desk.anna.id} at {homeserver.url}.\n", "")


async def test_a_wrong_password_and_a_login_that_ended_have_the_exit_code_of_a_login(
    desk: Desk, homeserver: Homeserver
) -> None:
    wrong = await desk.cchat("login", "--homeserver", homeserver.url, "--user", desk.anna.id, stdin="wrong\n")
    forgotten = await desk.cchat("login", "--forget")
    gone = await desk.cchat("send", desk.room, "x", "--direct")

    assert (wrong[0], forgotten[0], gone[0]) == (Exit.LOGIN, 0, Exit.NO_WAY)


async def at_a_shell(house: House, homeserver: Homeserver, home: Path) -> Mapping[str, str]:
    """The environment of Anna's shell, once she has logged in there."""
    env = clean_env(HOME=str(home))
    token = home / "token"
    token.touch(mode=0o600)
    token.write_text(house.anna.account.access_token)
    await run(["login", "--homeserver", homeserver.url, "--token-file", str(token)], env)
    return env


@pytest.mark.parametrize("is_for_somebody", [False, True], ids=["as a person types", "as agents speak"])
async def test_a_message_without_a_gateway_runs_its_command_once(
    people: People, model: Model, homeserver: Homeserver, workplace: Path, tmp_path: Path, is_for_somebody: bool
) -> None:
    async with move_in(people, model, workplace) as house:
        await house.settle_in()
        env = await at_a_shell(house, homeserver, tmp_path)
        mark = f"run it once {secrets.token_hex(4)}"
        text = script(mark, Step(text="It is done."))
        to = ["--to", house.account.user_id] if is_for_somebody else []
        for _ in range(2):
            assert (await run(["send", house.room, "--key", "once", text, *to], env))[0] == 0
        answer = await house.anna.until_message(house.room, "It is done.", sender=house.account.user_id)

        assert answer.body.startswith("It is done.")
        assert len(house.prompts(mark)) == 1
        assert house.told("It is done.") == 1


async def assigned(house: House, env: Mapping[str, str], mark: str, step: Step) -> dict[str, Any]:
    """The task that Anna gives to the daemon, whose turn takes that step."""
    argv = ["tasks", "assign", house.room, house.account.user_id, script(mark, step), "--json"]
    code, told, said = await run(argv, env)
    assert (code, said) == (0, f"cchat: without a gateway, as {house.anna.id}\n")
    task: dict[str, Any] = json.loads(told)
    return task


async def test_a_task_is_given_to_a_daemon_and_followed_to_its_end_without_a_gateway(
    people: People, model: Model, homeserver: Homeserver, workplace: Path, tmp_path: Path
) -> None:
    async with move_in(people, model, workplace) as house:
        await house.settle_in()
        env = await at_a_shell(house, homeserver, tmp_path)
        mark = f"mend the tap {secrets.token_hex(4)}"
        task = await assigned(house, env, mark, Step(text="It is dry."))
        await house.anna.until_message(house.room, "✅ done", sender=house.account.user_id)
        listed = await run(["tasks", "--room", house.room, "--all", "--json"], env)
        is_open = await run(["tasks", "--room", house.room], env)
        status = await run(["status", task["thread"], "--json"], env)
        again = await run(["tasks", "update", task["id"], "cancelled"], env)
        found = json.loads(status[1])

        [there] = json.loads(listed[1])["tasks"]
        assert (there["id"], there["state"], there["title"]) == (task["id"], "done", task["title"])
        assert is_open[1] == "No task is open. cchat tasks --all lists the others, too.\n"
        assert (found["state"], found["answer"].startswith("It is dry.")) == ("answered", True)
        assert found["sentence"].startswith(f"answered by {house.account.user_id} at ")
        assert (again[0], again[1]) == (Exit.CONFLICT, "")
        assert len(house.prompts(mark)) == 1


async def test_a_task_that_a_daemon_works_on_is_begun_and_ends_when_it_is_taken_back_without_a_gateway(
    people: People, model: Model, homeserver: Homeserver, workplace: Path, tmp_path: Path
) -> None:
    async with move_in(people, model, workplace) as house:
        await house.settle_in()
        env = await at_a_shell(house, homeserver, tmp_path)
        mark = f"mend the tap {secrets.token_hex(4)}"
        task = await assigned(house, env, mark, Step(hang="start"))
        await model.until_request(mark)
        status = await run(["status", task["thread"]], env)
        cancelled = await run(["tasks", "update", task["id"], "cancelled", "--note", "Not needed."], env)
        await house.anna.until_message(house.room, "🛑 cancelled", sender=house.account.user_id)
        await house.anna.until_message(house.room, "Stopped", sender=house.account.user_id)
        listed = await run(["tasks", "--room", house.room, "--all", "--json"], env)

        assert f": begun by {house.account.user_id} at " in status[1]
        assert cancelled[:2] == (0, f"cancelled: {task['id']}\n")
        assert [each["state"] for each in json.loads(listed[1])["tasks"]] == ["cancelled"]
