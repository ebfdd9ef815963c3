"""Every bot command is declared once, and /help shows them all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.effects import Effect
from aiagentchat.render import manual, words
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.catalog import catalog
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Takes
from aiagentchat.route.decide import BOT_COMMAND
from tests.fakes.front import Front, open_front
from tests.fakes.people import typed

NAMES = [
    "help",
    "stop",
    "now",
    "queue",
    "tasks",
    "timeout",
    "retry",
    "diff",
    "cost",
    "status",
    "new_session",
    "sessions",
    "resume",
    "name",
    "export",
    "model",
    "agent",
    "files",
    "get",
    "approve",
    "deny",
    "continue",
    "whoami",
    "who",
    "allow",
    "forget",
    "setup",
    "version",
]
PHONE = 64
"""Characters of a line of /help all, at most: two lines on a phone."""
SCREEN = 40 * 22
"""Characters that a phone shows at once."""


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def every(front: Front) -> list[BotCommand]:
    return list(catalog(front.desk).values())


def test_these_are_the_bot_commands(every: list[BotCommand]) -> None:
    assert [command.name for command in every] == NAMES


def test_every_name_can_be_typed(every: list[BotCommand]) -> None:
    assert all(BOT_COMMAND.fullmatch(f"/{command.name}") for command in every)


def test_every_usage_starts_with_the_name(every: list[BotCommand]) -> None:
    assert all(command.usage.split()[0] == f"/{command.name}" for command in every)


def test_only_what_reads_is_for_viewers(every: list[BotCommand]) -> None:
    reads = {"help", "cost", "queue", "sessions", "status", "tasks", "version", "who", "whoami"}

    assert {command.name for command in every if command.role is Role.VIEWER} == reads


def test_who_comes_in_is_for_admins(every: list[BotCommand]) -> None:
    assert {command.name for command in every if command.role is Role.ADMIN} == {"allow"}


def test_every_use_that_is_shown_can_be_typed(every: list[BotCommand]) -> None:
    for command in every:
        for example in command.entry.examples:
            match = BOT_COMMAND.match(example)
            assert match is not None
            assert match[2] == command.name


def test_whatever_takes_words_has_an_example_with_some_and_what_takes_none_has_none(every: list[BotCommand]) -> None:
    with_words = {each.name for each in every if any(" " in example for example in each.entry.examples)}

    assert {each.name for each in every if " " in each.usage} <= with_words
    assert not with_words & {each.name for each in every if each.takes is Takes.NOTHING}
    assert {each.name for each in every if each.takes is Takes.SOMETHING} <= with_words


async def test_help_names_every_command_on_one_screen_of_a_phone(front: Front, every: list[BotCommand]) -> None:
    [told] = await front.told(typed("/help"))

    assert all(f"`/{command.name}`" in told for command in every)
    assert len(told) <= SCREEN


async def test_help_all_lists_every_command_on_a_line_that_fits(front: Front, every: list[BotCommand]) -> None:
    [told] = await front.told(typed("/help all"))

    lines = told.splitlines()
    assert lines == [f"- `{command.usage}` {command.summary}" for command in every]
    assert max(map(len, lines)) <= PHONE


@pytest.mark.parametrize("body", ["/help timeout", "/help /timeout", "!help !TIMEOUT please"])
async def test_help_with_a_name_says_how_that_is_used(front: Front, body: str) -> None:
    [told] = await front.told(typed(body))

    assert told == (
        "`/timeout +10m` gives the running turn more time.\n\n"
        "- For example: `/timeout +10m` · `/timeout 1h` · `/timeout`\n"
        "- For: users and admins of this room"
    )


async def test_help_with_a_slip_of_a_name_says_which_was_meant(front: Front) -> None:
    assert await front.told(typed("/help timeot")) == [words.unknown_command("timeot", "timeout")]


async def test_what_takes_nothing_is_not_done_when_something_stands_behind_it(front: Front) -> None:
    [told] = await front.told(typed("/status the build, but slowly"))

    assert told.startswith("I do not know what `the build, but slowly` behind `/status` means, so nothing was done.")
    assert "for example `/status`" in told


async def test_whatever_takes_nothing_says_how_it_is_used(front: Front, every: list[BotCommand]) -> None:
    bare = [command for command in every if command.takes is Takes.NOTHING]

    assert {"diff", "export", "forget", "version", "whoami"} <= {command.name for command in bare}
    for command in bare:
        [told] = await front.told(typed(f"/{command.name} what I said about it"))
        assert told == manual.takes_nothing(command.entry, "what I said about it")


async def test_what_needs_something_is_not_done_alone(front: Front) -> None:
    async def run(_: Asked) -> list[Effect]:
        raise AssertionError("it was run")

    get = BotCommand(
        name="get", usage="/get path", summary="", role=Role.USER, run=run, takes=Takes.SOMETHING, examples=("/get a",)
    )
    front.use({"get": get})

    assert await front.told(typed("/get")) == [
        "`/get` alone is not enough, so nothing was done. It is used like this: `/get path`; for example `/get a`."
    ]


async def test_version_says_the_version(front: Front) -> None:
    assert await front.told(typed("/version")) == ["aiagentchat 1.2.3"]
