"""docs/reference/cchat.md has every command and every exit code of `cchat`, and every command has examples."""

import re
from pathlib import Path

import pytest
import typer

from aiagentchat.cli.cchat import AnyKind, Kind, Step, app
from aiagentchat.cli.exchange.exits import BY_CODE, Exit
from aiagentchat.core import meta
from aiagentchat.core.exchange import CODES
from tests.docs.test_cli_docs import Command, commands

PAGE = (Path(__file__).parents[2] / "docs/reference/cchat.md").read_text(encoding="utf-8")
GROUP = typer.main.get_command(app)
assert isinstance(GROUP, typer.core.TyperGroup)
COMMANDS = dict(commands(GROUP, "cchat"))


def test_the_reference_lists_exactly_the_exit_codes_there_are() -> None:
    documented = re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, re.MULTILINE)

    assert documented == [(str(int(exit_)), exit_.name.lower()) for exit_ in Exit]


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
