"""docs/reference/cli.md lists what can be typed in a shell, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import typer
from typer.core import TyperOption

from aiagentchat.cli.cchat import app as cchat
from aiagentchat.cli.chat import errors as chat_errors  # noqa: F401 - its exit codes are documented too
from aiagentchat.cli.main import app as aiagentchat
from aiagentchat.core.errors import AppError
from aiagentchat.doctor.rows import EXIT_CODES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
Command: TypeAlias = typer.core.TyperCommand | typer.core.TyperGroup
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def commands(group: typer.core.TyperGroup, name: str) -> Iterator[tuple[str, Command]]:
    """What can be typed, whole, and what stands behind it; of a group the commands in it, and itself if it is one."""
    for command in group.commands.values():
        typed = f"{name} {command.name}"
        if isinstance(command, typer.core.TyperGroup):
            yield from [(typed, command)] if command.invoke_without_command else []
            yield from commands(command, typed)
        else:
            assert isinstance(command, typer.core.TyperCommand)
            yield typed, command


def options() -> dict[str, set[tuple[str, str]]]:
    """For each command its options, by long name, and the variables that stand for them."""
    found = {}
    for name, app in (("aiagentchat", aiagentchat), ("cchat", cchat)):
        group = typer.main.get_command(app)
        assert isinstance(group, typer.core.TyperGroup)
        for typed, command in commands(group, name):
            given = (option for option in command.params if isinstance(option, TyperOption))
            found[typed] = {
                (max(option.opts, key=len), str(option.envvar or "")) for option in given if option.name != "help"
            }
    return found


def exit_codes(error: type[AppError]) -> Iterator[int]:
    """Of `error` and of everything that is one."""
    yield error.exit_code
    for child in error.__subclasses__():
        yield from exit_codes(child)


def test_the_reference_has_a_section_for_each_command_there_is() -> None:
    documented = {title.strip("`") for title in SECTIONS if title.startswith("`")}

    assert documented == options().keys()


@pytest.mark.parametrize("command", options())
def test_the_reference_lists_exactly_the_options_there_are(command: str) -> None:
    rows = re.findall(r"^\| `(--[\w-]+)[^|]*\|[^|]*\|([^|]*)\|", SECTIONS[f"`{command}`"], re.MULTILINE)
    documented = {(option, variable.strip(" `")) for option, variable in rows}

    assert documented == options()[command]


def test_the_reference_lists_exactly_the_exit_codes_there_are() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", SECTIONS["Exit codes"], re.MULTILINE)}

    assert documented == {0, 130, *EXIT_CODES.values(), *exit_codes(AppError)}
