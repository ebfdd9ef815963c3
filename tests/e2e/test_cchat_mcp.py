"""An agent with `cchat mcp` and no gateway on one side, a real daemon on the other, and a room where people see it."""

import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import TextContent

from aiagentchat.cli.exchange.exits import Exit
from aiagentchat.core.meta import META_KEY
from rig.homeserver import Homeserver
from rig.matrix_client import MatrixUser
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import clean_env
from tests.e2e.chat_scene import run
from tests.e2e.house import move_in

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody's agent, at the tools."""

    session: ClientSession
    about: str

    async def tried(self, name: str, /, **given: Any) -> tuple[str, bool]:
        """What a tool tells, and whether it has failed."""
        result = await self.session.call_tool(name, given)
        [content] = result.content
        assert isinstance(content, TextContent)
        return content.text, result.isError

    async def use(self, name: str, /, **given: Any) -> str:
        """What a tool tells."""
        text, failed = await self.tried(name, **given)
        assert not failed, text
        return text


async def log_in(user: MatrixUser, homeserver: Homeserver, home: Path) -> Mapping[str, str]:
    """The environment of a shell where the login of `user` is kept."""
    env = clean_env(HOME=str(home), PYTHONPATH=str(ROOT))
    token = home / "token"
    token.touch(mode=0o600)
    token.write_text(user.account.access_token)
    assert (await run(["login", "--homeserver", homeserver.url, "--token-file", str(token)], env))[0] == Exit.DONE
    return env


@asynccontextmanager
async def agent(env: Mapping[str, str], folder: Path) -> AsyncIterator[Agent]:
    """It begins there."""
    program = StdioServerParameters(
        command=sys.executable, args=["-m", "aiagentchat.cli.cchat", "mcp", "--direct"], env=dict(env), cwd=folder
    )
    async with (
        stdio_client(program) as (reading, writing),
        ClientSession(reading, writing, read_timeout_seconds=PATIENCE) as session,
    ):
        yield Agent(session, str((await session.initialize()).instructions))


async def test_an_agent_gives_a_daemon_a_task_and_asks_it_something(
    people: People, model: Model, homeserver: Homeserver, workplace: Path, tmp_path: Path
) -> None:
    async with move_in(people, model, workplace) as house:
        env = await log_in(house.anna, homeserver, tmp_path)
        me, daemon = house.anna.id, house.account.user_id
        task, question, chat = (
            f"{word} {secrets.token_hex(4)}" for word in ("mend the tap", "is it dry", "I think so")
        )
        async with agent(env, tmp_path) as anna:
            given = await anna.use("assign_task", to=daemon, text=script(task, Step(text="It drips no more.")))
            assert f"assigned: {me} → {daemon}" in given
            await house.anna.until_message(house.room, "✅ done", sender=daemon)
            assert await anna.use("tasks") == "There are no tasks."
            listed = await anna.use("tasks", all=True)
            said = await anna.use("send", text=script(chat, Step(text="Hm.")))
            answer = await anna.use("ask", to=daemon, text=script(question, Step(text="As a bone.")))
            heard = await anna.use("read")

        assert f"as the account {me} itself" in anna.about
        assert f" done: {me} → {daemon}" in listed
        assert said.startswith("Sent to ")
        assert "answered" in answer
        assert "| As a bone." in answer
        assert "| It drips no more." in heard
        # What is for nobody has begun nothing, although Anna is a user of that room; it was there before the question.
        assert [len(house.prompts(mark)) for mark in (task, question, chat)] == [1, 1, 0]


async def test_every_page_of_a_room_is_read(people: People, homeserver: Homeserver, tmp_path: Path) -> None:
    anna, bert = await people.person(), await people.person("bert")
    room = await people.room(anna, bert)
    numbers = [f"number {number}" for number in range(7)]
    for text in numbers:
        await bert.send(room, text)
    env = await log_in(anna, homeserver, tmp_path)
    found: list[str] = []
    async with agent(env, tmp_path) as reader:
        more: dict[str, int] = {}
        for _ in range(4):
            told = await reader.use("read", limit=2, **more)
            found[:0] = [line.removeprefix("| ") for line in told.splitlines() if line.startswith("| ")]
            more = {"before": int(told.rpartition("before=")[2].rstrip(")"))} if "before=" in told else more

    assert found == numbers


async def test_what_may_not_be_is_a_sentence_and_nothing_is_sent(
    people: People, homeserver: Homeserver, tmp_path: Path
) -> None:
    anna, bert = await people.person(), await people.person("bert")
    quiet, sealed = await people.room(bert, anna), await people.room(bert, anna)
    levels = await bert.request("GET", f"/rooms/{quiet}/state/m.room.power_levels/")
    await bert.request("PUT", f"/rooms/{quiet}/state/m.room.power_levels/", {**levels, "events_default": 50})
    await bert.request("PUT", f"/rooms/{sealed}/state/m.room.encryption/", {"algorithm": "m.megolm.v1.aes-sha2"})
    (tmp_path / "a.txt").write_text("hello")
    env = await log_in(anna, homeserver, tmp_path)
    speaks: dict[str, dict[str, Any]] = {
        "send": {"text": "Hello."},
        "ask": {"text": "Well?", "to": bert.id},
        "assign_task": {"text": "Mend it.", "to": bert.id},
        "send_file": {"path": "a.txt"},
    }
    async with agent(env, tmp_path) as one:
        rooms = await one.use("rooms")
        forbidden = [await one.tried(name, **given, room=quiet) for name, given in speaks.items()]
        closed = [await one.tried(name, **given, room=sealed) for name, given in [*speaks.items(), ("read", {})]]
        unknown = await one.tried("read", room="!nowhere:localhost")
        await anna.request("POST", "/logout", {})
        ended = await one.tried("who")
    messages = [event for room in (quiet, sealed) for event in await bert.history(room)]

    assert f"({quiet}): read\n" in f"{rooms}\n"
    assert f"({sealed}): nothing; encrypted" in rooms
    assert all(failed and "Refused (not_allowed). M_FORBIDDEN" in told for told, failed in forbidden), forbidden
    assert all(failed and "is encrypted, and cchat has no keys" in told for told, failed in closed), closed
    assert unknown[1]
    assert "There is no room" in unknown[0]
    assert ended[1]
    assert "make a new one with cchat login. This session" in ended[0]
    assert not [event for event in messages if META_KEY in event.get("content", {})]
