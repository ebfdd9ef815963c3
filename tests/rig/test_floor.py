"""The floor of the benchmark answers: otherwise it would be no floor."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rig.homeserver import Account
from rig.model import Model
from rig.people import People
from rig.script import Step, script

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def _floor(*argv: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.floor", *argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.terminate()
        async with asyncio.timeout(30):
            await process.communicate()


def _argv(people: People, bot: Account, model: Model, cli: Path, folder: Path) -> list[str]:
    return [people.homeserver.url, bot.user_id, bot.access_token, model.url, str(cli), str(folder)]


@pytest.mark.parametrize("flags", [[], ["--process-per-message"]])
async def test_the_floor_answers_in_order(
    people: People, model: Model, cli: Path, tmp_path: Path, flags: list[str]
) -> None:
    anna, bot = await people.person(), await people.person("floor")
    room = await people.room(anna, bot)
    async with _floor(*_argv(people, bot.account, model, cli, tmp_path), *flags, room):
        await anna.send(room, script("one", Step(text="first")))
        await anna.send(room, script("two", Step(text="second")))
        await anna.until_message(room, "second", sender=bot.id)

    assert [message.body for message in anna.view(room) if message.sender == bot.id] == ["first", "second"]
