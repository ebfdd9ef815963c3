"""docs/reference/cchat.md has every command and every exit code of `cchat`, and every command has examples."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from aiagentchat.cli.cchat import AnyKind, Kind, Step, app
from aiagentchat.cli.exchange.exits import BY_CODE, Exit
from aiagentchat.core import meta
from aiagentchat.core.exchange import CODES
from tests.docs.command_blocks import blocks
from tests.docs.test_cli_docs import Command, calls, commands, type_it

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/cchat.md").read_text(encoding="utf-8")
GROUP = typer.main.get_command(app)
assert isinstance(GROUP, typer.core.TyperGroup)
COMMANDS = dict(commands(GROUP, "cchat"))


def test_the_reference_lists_exactly_the_exit_codes_there_are() -> None:
    documented = re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, re.MULTILINE)

    assert documented == [(str(int(exit_)), exit_.name.lower()) for exit_ in Exit]


def test_the_help_lists_exactly_the_exit_codes_there_are() -> None:
    epilog = GROUP.epilog or ""

    assert re.findall(r"(\d+) (\w+)(?=[,\n])", epilog) == [(str(int(exit_)), exit_.name.lower()) for exit_ in Exit]


def test_every_code_of_the_gateway_has_an_exit_code() -> None:
    assert BY_CODE.keys() >= CODES


def test_the_reference_lists_exactly_the_commands_there_are() -> None:
    documented = set(re.findall(r"^\| `(cchat \w+)` \|", PAGE, re.MULTILINE))
    assert isinstance(GROUP, typer.core.TyperGroup)

    assert documented == {f"cchat {name}" for name in GROUP.commands}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_has_examples_that_are_right(name: str) -> None:
    command: Command = COMMANDS[name]
    examples = re.findall(r"^  (.+)$", command.epilog or "", re.MULTILINE)

    assert examples
    assert any(name in example or name == "cchat mcp" for example in examples)
    for option in re.findall(r"(?<![\w-])--?[\w-]+(?=[\s=]|$)", " ".join(each for each in examples if "|" not in each)):
        assert option in {"--", "-"} | {opt for param in command.params for opt in param.opts}, option


def test_what_can_be_chosen_is_what_the_protocol_has() -> None:
    assert {each.value for each in AnyKind} == {each.value for each in meta.MetaKind}
    assert {each.value for each in Kind} <= {each.value for each in meta.MetaKind}
    assert {each.value for each in Step} == {each.value for each in meta.Step}


def shown() -> Iterator[str]:
    """Every command of `cchat` that the skills, the pages and the help show."""
    for skill in (ROOT / "deploy/skill").rglob("*.md"):
        yield from re.findall(r"^    (cchat .+)$", skill.read_text(encoding="utf-8"), re.MULTILINE)
    for block in blocks():
        yield from (line for line in block.commands if block.language == "sh" and "cchat " in line)
    for command in COMMANDS.values():
        yield from re.findall(r"^  (.+)$", command.epilog or "", re.MULTILINE)


@pytest.mark.parametrize("line", sorted(set(shown())))
def test_every_command_that_is_shown_can_be_typed(line: str) -> None:
    for given in calls(line, "cchat"):
        type_it("cchat", GROUP, given)


def test_the_skill_shows_every_way_of_talking() -> None:
    assert {line.split()[1] for line in shown()} >= {"who", "ask", "send", "read", "tasks", "status"}
