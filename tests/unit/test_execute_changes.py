"""A turn that has used tools says how many files it has changed, and what it changed can be asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.agent_events import ToolUsed
from aiagentchat.core.commands import CommandState
from aiagentchat.core.isolation import Isolation
from aiagentchat.execute.changes import Differ
from tests.contract.store_fixtures import ROOM, command
from tests.fakes.agent import Emit, Reach, Say, Step, Wait, plays
from tests.unit.execute_house import House, open_house

USED = Emit((ToolUsed("Bash", {"command": "make soup"}),))


@asynccontextmanager
async def house(folder: Path, *steps: Step) -> AsyncIterator[House]:
    async with open_house(folder, plays(*steps)) as opened:
        opened.shop = replace(opened.shop, differ=Differ(Isolation.NONE))
        yield opened


async def run(opened: House, here: asyncio.Event, gate: asyncio.Event, text: str | None) -> str:
    """The answer to a turn, in the midst of which a file gets this text."""
    async with asyncio.TaskGroup() as group:
        group.create_task(opened.execute(command("$1")))
        await here.wait()
        if text is not None:
            (opened.settings.workspaces / "a" / "soup").write_text(text, encoding="utf-8")
        gate.set()
    assert await opened.state("$1") is CommandState.DONE
    return (await opened.read())[-2]


@pytest.mark.parametrize(
    ("used", "text", "shown"),
    [
        pytest.param(USED, "salt\n", True, id="changed"),
        pytest.param(USED, None, False, id="nothing"),
        pytest.param(Say("words. "), "salt\n", False, id="words alone: nobody looks"),
    ],
)
async def test_the_footer_says_how_many_files_a_turn_changed(
    tmp_path: Path, used: Step, text: str | None, shown: bool
) -> None:
    here, gate = asyncio.Event(), asyncio.Event()
    async with house(tmp_path, used, Reach(here), Wait(gate), Say("Soup.")) as opened:
        answer = await run(opened, here, gate, text)
        kept = await opened.ledger.changes.last(ROOM)

    assert (" · 1 file changed · session " in answer) is shown
    assert (kept is not None) is shown
    if kept is not None:
        assert (kept.command, kept.changed.files, kept.changed.added) == ("$1", 1, 1)
        assert "+salt\n" in kept.changed.patch


async def test_a_turn_that_only_speaks_looks_at_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, Say("Soup.")) as opened:
        await opened.execute(command("$1"))

    assert not (tmp_path / "data/homes/a.changes").exists()


async def test_while_a_turn_uses_tools_there_is_something_made_to_compare_with(tmp_path: Path) -> None:
    here, gate = asyncio.Event(), asyncio.Event()
    async with house(tmp_path, USED, Reach(here), Wait(gate), Say("Soup.")) as opened:
        index = tmp_path / "data/homes/a.changes/git/info/exclude"
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(opened.execute(command("$1")))
            await here.wait()
            while not index.exists():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            gate.set()

        assert await opened.state("$1") is CommandState.DONE
