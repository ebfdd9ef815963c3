"""docs/how-to/bot-command.md: what it has one write works, and its own test passes."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from aiagentchat.route.bot_commands.catalog import catalog
from aiagentchat.route.bot_commands.spec import BotCommand
from tests.docs.command_blocks import ROOT, blocks
from tests.fakes.front import open_front

BLOCKS = blocks("docs/how-to/bot-command.md")


def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The files of the page as modules, in its order, by their paths."""
    modules = {}
    for block in (block for block in BLOCKS if block.language == "python"):
        path = block.text.splitlines()[0].removeprefix("# ")
        name = path.removesuffix(".py").replace("/", ".")
        modules[path] = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, modules[path])
        # By no path of the package, whose files the coverage gate would look for.
        exec(compile(block.text, f"<{path}>", "exec"), vars(modules[path]))
    return modules


async def test_the_command_of_the_page_passes_the_test_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, command, test = written(monkeypatch).values()
    names = [name for name in vars(test) if name.startswith("test_")]
    assert words.uptime(400) == "I have been here for 0.4 s."

    async with open_front(tmp_path / "ledger.db") as front:
        made: BotCommand = command.uptime_command(front.desk)
        front.use({**catalog(front.desk), made.name: made})
        for name in names:
            await getattr(test, name)(front)
        [row, use] = next(block.text.splitlines() for block in BLOCKS if block.language == "text")
    assert len(names) == 1
    assert re.fullmatch(rf"\| `{made.usage}` \| {made.role.name.lower()} \| [^|]+ \|", row)
    assert use == f"| `{made.entry.typed}` | `{made.entry.examples[0]}` | {made.entry.topic.value} |"


def test_the_files_of_the_page_are_not_there_yet() -> None:
    paths = [block.text.splitlines()[0].removeprefix("# ") for block in BLOCKS if block.language == "python"]

    assert [path for path in paths if (ROOT / path).exists()] == []
