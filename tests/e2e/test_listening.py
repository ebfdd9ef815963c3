"""Who listens at the gateway of a real daemon hears every answer to its end, and is there for everybody meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.ids import UserId
from aiagentchat.core.instances import INSTANCE
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import clean_env
from tests.e2e.chat_scene import CCHAT
from tests.e2e.house import House, move_in

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

PATIENCE = 120.0
"""So many programs start at once, and take seconds of a processor each."""
END = "and the last one."
SESSIONS = 5
"""One more than the streams that one caller may have."""


@asynccontextmanager
async def cchat(home: Path, house: House, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run it until the block ends."""
    pipe = asyncio.subprocess.PIPE
    argv = [*CCHAT, *arguments, "--config", str(house.daemon.config)]
    env = clean_env(HOME=str(home))
    process = await asyncio.create_subprocess_exec(*argv, cwd=home, stdin=pipe, stdout=pipe, env=env)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def lines_until(process: asyncio.subprocess.Process, *texts: str) -> list[str]:
    """What it prints, up to the line in which all of that is."""
    assert process.stdout
    found: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while not found or not all(text in found[-1] for text in texts):
            line = await process.stdout.readline()
            assert line, found
            found.append(line.decode())
    return found


async def test_an_answer_that_is_edited_while_it_is_written_is_heard_to_its_end(
    people: People, model: Model, workplace: Path, tmp_path: Path
) -> None:
    words = " ".join(f"word{number}" for number in range(60))
    text = script("say it slowly", Step(text=f"{words} {END}", chunk=20, delay=0.2))
    async with move_in(people, model, workplace, gateway={"enabled": True, "port": 0}) as house:
        await house.daemon.until_line("gateway.open")
        async with (
            cchat(tmp_path, house, "watch", "room0", "--after", "0", "--json") as program,
            cchat(tmp_path, house, "watch", "room0", "--after", "0") as person,
        ):
            await house.ask(text)
            told = [json.loads(line) for line in await lines_until(program, '"edited"', END)]
            shown = await lines_until(person, "edited", END)

    def of_answer(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [each for each in events if each["data"]["sender"] == house.account.user_id]

    answer = [each for each in of_answer(told) if each["data"]["event_id"] == told[-1]["data"]["event_id"]]
    assert (answer[0]["event"], answer[-1]["event"]) == ("message", "edited")
    assert len(answer[0]["data"]["body"]) < len(answer[-1]["data"]["body"])
    assert [int(each["id"]) for each in told] == sorted(int(each["id"]) for each in told)
    assert len(shown) <= len(told)


async def test_all_sessions_of_one_user_are_in_the_registry_until_they_end(
    people: People, model: Model, workplace: Path, tmp_path: Path
) -> None:
    anna = await people.person()
    registry = await anna.create_room(power_level_content_override={"events": {INSTANCE: 0}})
    settings: dict[str, Any] = {
        "gateway": {"enabled": True, "port": 0},
        "registry": {"room": registry, "instance": "kitchen"},
    }
    async with move_in(people, model, workplace, anna=anna, start=False, **settings) as house:
        await anna.invite(registry, house.account.user_id)
        async with house.daemon:
            await house.settle_in()
            await house.daemon.until_line("registry.registered")
            async with together(tmp_path, house):
                await until_there(house, registry, SESSIONS)
            await until_there(house, registry, 0)


@asynccontextmanager
async def together(home: Path, house: House, left: int = SESSIONS) -> AsyncIterator[None]:
    """So many sessions."""
    if not left:
        yield
        return
    async with cchat(home, house, "mcp"), together(home, house, left - 1):
        yield


async def until_there(house: House, registry: str, count: int) -> None:
    """Wait until the room has so many sessions."""
    user = UserId(house.account.user_id)

    def sessions() -> list[str]:
        now: dict[str, Any] = {}
        for event in house.anna.events(registry):
            if event["type"] == INSTANCE and event["sender"] == user:
                now[event["state_key"]] = event["content"]
        return [key for key, content in now.items() if content.get("kind") == "session"]

    await house.anna.until(lambda: len(sessions()) == count, timeout=PATIENCE, what=f"{count} sessions")
