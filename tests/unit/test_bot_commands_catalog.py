"""Every bot command is declared once, and /help shows them all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.catalog import catalog
from aiagentchat.route.bot_commands.spec import BotCommand
from aiagentchat.route.decide import BOT_COMMAND
from tests.fakes.front import Front, open_front
from tests.fakes.people import typed

NAMES = [
    "help",
    "stop",
    "now",
    "queue",
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
    "whoami",
    "who",
    "allow",
    "forget",
    "setup",
    "version",
]
PHONE = 64
"""Characters of a line of /help, at most: two lines on a phone."""


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
    reads = {"help", "cost", "queue", "sessions", "status", "version", "who", "whoami"}

    assert {command.name for command in every if command.role is Role.VIEWER} == reads


def test_who_comes_in_is_for_admins(every: list[BotCommand]) -> None:
    assert {command.name for command in every if command.role is Role.ADMIN} == {"allow"}


async def test_help_lists_every_command_on_a_line_that_fits(front: Front, every: list[BotCommand]) -> None:
    [told] = await front.told(typed("/help"))

    lines = [line for line in told.splitlines() if line.startswith("- ")]
    assert lines == [f"- `{command.usage}` {command.summary}" for command in every]
    assert max(map(len, lines)) <= PHONE


async def test_version_says_the_version(front: Front) -> None:
    assert await front.told(typed("/version")) == ["aiagentchat 1.2.3"]
