"""docs/reference/cli.md lists what can be typed in a shell, and nothing else."""

import re
import shlex
from collections.abc import Collection, Iterator, Sequence
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
from tests.docs.command_blocks import PAGES, blocks

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


def calls(line: str, program: str, known: Collection[str] = ()) -> Iterator[list[str]]:
    """What a program is given in a line of a shell.

    Behind the name of another program it may be the name of a user, a unit or a container: then only where one of the
    `known` commands follows.
    """
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    words.commenters = ""
    parts: list[list[str]] = [[]]
    for word in words:
        if set(word) - set("();<>|&"):
            parts[-1].append(word)
        else:
            parts.append([])
    for part in parts:
        places = [place for place, word in enumerate(part) if word == program or word.endswith(f"/bin/{program}")]
        if places and (
            places[-1] == 0 or not known or part[places[-1] + 1 : places[-1] + 2] in [[name] for name in known]
        ):
            yield part[places[-1] + 1 :]


def type_it(program: str, group: object, given: Sequence[str]) -> None:
    """Only parse it, and run nothing: a wrong option, or an argument too many or too few, raises."""
    assert isinstance(group, typer.core.TyperGroup)
    command: Command = group
    context = command.make_context(program, [*given])
    while isinstance(command, typer.core.TyperGroup) and (rest := [*context._protected_args, *context.args]):
        name, found, rest = command.resolve_command(context, rest)
        assert isinstance(found, typer.core.TyperCommand | typer.core.TyperGroup)
        command, context = found, found.make_context(name, rest, parent=context)


def in_blocks_and_in_help() -> Iterator[str]:
    """Every line with a command of `aiagentchat` in a block of the pages, or in an example of its help."""
    for block in blocks():
        yield from (line for line in block.commands if block.language == "sh")
    group = typer.main.get_command(aiagentchat)
    assert isinstance(group, typer.core.TyperGroup)
    for command in [group, *dict(commands(group, "aiagentchat")).values()]:
        yield from re.sub(r"\\\n *", "", command.epilog or "").splitlines()


def in_prose() -> Iterator[str]:
    """Every command of `aiagentchat` in the text of a page, where what it is about may be left out."""
    for page in [*PAGES, ROOT / "CHANGELOG.md"]:
        text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        yield from (" ".join(code.split()) for code in re.findall(r"(?<!`)`(aiagentchat [^`]+)`(?!`)", text))


@pytest.mark.parametrize("line", sorted({line for line in in_blocks_and_in_help() if "aiagentchat " in line}))
def test_every_command_that_is_shown_can_be_typed(line: str) -> None:
    group = typer.main.get_command(aiagentchat)
    assert isinstance(group, typer.core.TyperGroup)

    for given in calls(line, "aiagentchat", group.commands):
        type_it("aiagentchat", group, given)


@pytest.mark.parametrize("line", sorted(set(in_prose())))
def test_every_command_that_is_spoken_of_is_one_and_has_the_options_that_are_named(line: str) -> None:
    for given in calls(line, "aiagentchat"):
        command: object = typer.main.get_command(aiagentchat)
        words = [*given]
        while isinstance(command, typer.core.TyperGroup) and words and words[0] != "…":
            command = command.commands.get(words[0]) or (command if words[0].startswith("-") else None)
            if words.pop(0).startswith("-"):
                break
        options = {opt for param in getattr(command, "params", []) for opt in param.opts} | {"--help"}

        assert command is not None, line
        assert {word.partition("=")[0] for word in given if word.startswith("--")} - options == set()


def test_a_name_is_taken_for_the_program_only_where_it_is_one() -> None:
    known = {"logs", "drain"}

    assert [*calls("docker compose logs -f aiagentchat | aiagentchat logs -", "aiagentchat", known)] == [["logs", "-"]]
    assert [*calls("sudo -u aiagentchat /opt/bin/aiagentchat drain", "aiagentchat", known)] == [["drain"]]
    assert [*calls("journalctl -u aiagentchat -f", "aiagentchat", known)] == []
    assert [*calls("aiagentchat drian && true", "aiagentchat", known)] == [["drian"]]
