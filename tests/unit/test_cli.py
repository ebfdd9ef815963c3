"""What an operator sees in a terminal."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
import typer
from typer.testing import CliRunner

from aiagentchat import __version__
from aiagentchat.app.daemon import first_app_error
from aiagentchat.cli.cchat import app as cchat
from aiagentchat.cli.main import app
from aiagentchat.core.errors import AlreadyRunning, AppError, ConfigError
from aiagentchat.observability.log import set_up
from tests.fakes.plain_log import plain_log
from tests.unit.test_app_live import GOOD

PROGRAMS = {"aiagentchat": app, "cchat": cchat}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(GOOD)
    return file


@pytest.fixture
def console(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Reads what went to stdout; logging and structlog are put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: capsys.readouterr().out
    root.handlers, root.level = handlers, level
    plain_log()


def test_help_shows_the_commands_and_an_example() -> None:
    shown = CliRunner().invoke(app, ["--help"])

    assert shown.exit_code == 0
    assert all(word in shown.output for word in ("run", "check", "reload", "version", "Examples"))


NARROW = {"COLUMNS": "80", "TERMINAL_WIDTH": "80", "TERM": "dumb"}
"""A terminal as wide as they are at least."""


def commands(group: typer.core.TyperGroup, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """What can be typed, groups of commands among it."""
    yield words
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name)


def all_commands() -> Iterator[tuple[str, ...]]:
    """Of both programs."""
    for name, program in PROGRAMS.items():
        group = typer.main.get_command(program)
        assert isinstance(group, typer.core.TyperGroup)
        yield from commands(group, (name,))


@pytest.mark.parametrize("words", [*all_commands()], ids=" ".join)
def test_the_help_of_every_command_fits_a_terminal_and_has_examples_that_can_be_copied(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(PROGRAMS[words[0]], [*words[1:], "--help"], env=NARROW)
    lines = [line.strip() for line in shown.output.splitlines()]
    examples = lines[lines.index("Examples:") + 1 :] if "Examples:" in lines else []

    assert shown.exit_code == 0
    assert [line for line in shown.output.splitlines() if len(line) > 80] == []
    assert words == ("aiagentchat", "version") or any(" ".join(words) in line for line in examples)


def test_version_is_said() -> None:
    assert CliRunner().invoke(app, ["version"]).output == f"aiagentchat {__version__}\n"


def test_check_prints_what_is_in_force(config: Path) -> None:
    shown = CliRunner().invoke(app, ["check", "--config", str(config)])

    assert shown.exit_code == 0
    assert "backend" in shown.output
    assert str(config.parent / "rooms" / "backend") in shown.output


def test_check_says_what_is_missing_to_run(config: Path) -> None:
    config.write_text(GOOD + 'agents: {claude: {binary: "/nowhere/claude"}}\n')
    shown = CliRunner().invoke(app, ["check", "--config", str(config)], env={"MATRIX_ACCESS_TOKEN": None})

    assert "# There is no login for Matrix: set MATRIX_ACCESS_TOKEN" in shown.output
    assert "# There is no key for the model: set ANTHROPIC_API_KEY" in shown.output
    assert "'/nowhere/claude' is not an executable file" in shown.output


def test_check_says_where_encrypted_words_would_be_kept_in_the_clear(config: Path) -> None:
    shown = CliRunner().invoke(app, ["check", "--config", str(config)])
    config.write_text(GOOD.replace("name: backend", "name: backend, history: true"))
    wanted = CliRunner().invoke(app, ["check", "--config", str(config)])

    assert "clear text" not in shown.output
    assert "# room backend: with history, what is said there lies in data_dir in clear text" in wanted.output


def test_check_says_every_problem_and_ends_with_2(config: Path) -> None:
    config.write_text(GOOD.replace("name: backend", "nmae: backend").replace("./data", "7"))
    shown = CliRunner().invoke(app, ["check", "--config", str(config)])

    assert shown.exit_code == 2
    assert "config.yaml:7: rooms[0].nmae" in shown.stderr
    assert "2 problems" in shown.stderr


@pytest.mark.parametrize(("option", "value"), [("--log-format", "xml"), ("--log-level", "loud")])
def test_an_option_that_is_none_is_a_sentence(config: Path, option: str, value: str) -> None:
    shown = CliRunner().invoke(app, ["run", "--config", str(config), option, value])

    assert shown.exit_code == 2
    assert option in shown.stderr
    assert value in shown.stderr


def test_run_without_a_file_says_how_to_make_one(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["run", "--config", str(tmp_path / "none.yaml")])

    assert shown.exit_code == 2
    assert "none.yaml" in shown.stderr


def test_reload_without_a_daemon_says_so(config: Path) -> None:
    shown = CliRunner().invoke(app, ["reload", "--config", str(config)])

    assert shown.exit_code == 1
    assert "no daemon runs" in shown.stderr


def test_reload_reads_the_file_first(config: Path) -> None:
    config.write_text("rooms: 7\n")

    assert CliRunner().invoke(app, ["reload", "--config", str(config)]).exit_code == 2


def test_the_reason_of_an_end_is_found_inside_a_group() -> None:
    reason = AlreadyRunning("taken")

    assert first_app_error(ExceptionGroup("a", [ValueError(), ExceptionGroup("b", [reason])])) is reason
    assert first_app_error(ExceptionGroup("a", [ValueError()])) is None
    assert first_app_error(ConfigError(["x"])) is not None
    assert first_app_error(KeyError()) is None


def test_a_log_line_is_one_json_object_with_its_context(console: Callable[[], str]) -> None:
    set_up("json")
    with structlog.contextvars.bound_contextvars(room="!r"):
        structlog.get_logger("mine").info("turn.started", seconds=3)
    logging.getLogger("library").warning("from %s", "elsewhere")

    ours, theirs = map(json.loads, console().splitlines())
    assert (ours["event"], ours["room"], ours["seconds"], ours["level"]) == ("turn.started", "!r", 3, "info")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("from elsewhere", "library", "warning")


def test_a_traceback_stays_on_its_line(console: Callable[[], str]) -> None:
    set_up("json")
    structlog.get_logger("mine").error("turn.broken", exc_info=AppError("cause"))

    (line,) = console().splitlines()
    assert "AppError: cause" in json.loads(line)["exception"]


def test_libraries_that_quote_content_are_kept_quiet(console: Callable[[], str]) -> None:
    set_up("json", "DEBUG")
    logging.getLogger("nio.events").warning("Error validating event: the text of a message")
    logging.getLogger("aiosqlite").debug("executing with the text of a message")

    assert console() == ""


def test_the_console_format_is_for_people(console: Callable[[], str]) -> None:
    set_up("console")
    structlog.get_logger("mine").info("turn.started", seconds=3)

    shown = console()
    assert "turn.started" in shown
    assert "{" not in shown
