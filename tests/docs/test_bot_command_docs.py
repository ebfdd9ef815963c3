"""docs/reference/bot-commands.md lists what the daemon answers, and nothing else."""

import re
from pathlib import Path

import pytest

from aiagentchat.app.clock import SystemClock
from aiagentchat.config.load import load
from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.ids import UserId
from aiagentchat.core.isolation import Held, Isolation
from aiagentchat.core.meta import Address
from aiagentchat.route.access import Role, Roles
from aiagentchat.route.answers import ALWAYS, NO, NUMBERS, YES
from aiagentchat.route.bot_commands.catalog import catalog
from aiagentchat.route.bot_commands.spec import BotCommand, Desk, Health
from aiagentchat.route.decide import FORGET, STOP
from tests.fakes.ledgers import fresh_ledger

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/bot-commands.md").read_text(encoding="utf-8")
ACCESS = (ROOT / "docs/how-to/access.md").read_text(encoding="utf-8")


@pytest.fixture
async def commands(tmp_path: Path) -> list[BotCommand]:
    """The real ones, on a real and empty ledger."""
    settings = load(ROOT / "config.yaml", {})
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:

        async def health() -> Health:
            return Health()

        async def roles(_: RoomSettings) -> Roles | None:
            return None

        desk = Desk(
            inbox=ledger.inbox,
            commands=ledger.commands,
            approvals=ledger.approvals,
            sessions=ledger.sessions,
            outbox=ledger.outbox,
            rooms=ledger.rooms,
            spending=ledger.spending,
            changes=ledger.changes,
            tasks=ledger.tasks,
            guards=ledger.guards,
            settings=lambda: settings,
            roles=roles,
            is_warm=lambda _: False,
            turn_time=lambda _: None,
            rest=lambda _: 0.0,
            is_draining=lambda: False,
            health=health,
            clock=SystemClock(),
            started_at=0,
            version="0",
            held=Held(Isolation.STRICT),
            own=Address(UserId("@claude:localhost")),
        )
        return list(catalog(desk).values())


async def test_the_reference_lists_exactly_the_commands_there_are_with_their_roles(commands: list[BotCommand]) -> None:
    documented = re.findall(r"^\| `(/[^`]+)` \| (\w+) \|", PAGE, re.MULTILINE)

    assert documented == [(command.usage, command.role.name.lower()) for command in commands]


async def test_the_reference_has_the_examples_and_the_heading_of_each_command(commands: list[BotCommand]) -> None:
    documented = re.findall(r"^\| `(/\w+)` \| (`/[^|]+`) \| ([^|`]+) \|$", PAGE, re.MULTILINE)
    entries = [command.entry for command in commands]

    assert documented == [
        (entry.typed, " · ".join(f"`{each}`" for each in entry.examples), entry.topic.value) for entry in entries
    ]


async def test_the_guide_to_access_names_each_command_beside_its_role(commands: list[BotCommand]) -> None:
    rows = re.findall(r"^\| (viewer|user|admin) \| [^|]+ \| ([^|]+) \|$", ACCESS, re.MULTILINE)
    documented = [(role, re.findall(r"`/(\w+)`", names)) for role, names in rows]

    assert documented == [
        (role.name.lower(), [command.name for command in commands if command.role is role]) for role in Role
    ]


async def test_a_command_is_used_under_its_name(commands: list[BotCommand]) -> None:
    assert [command.usage.split()[0] for command in commands] == [f"/{command.name}" for command in commands]


def test_the_reference_lists_exactly_the_reactions_there_are() -> None:
    rows = re.findall(r"^\| ([^|`\w]+) \| (?:the command|an approval)", PAGE, re.MULTILINE)
    documented = {reaction.replace("\ufe0f", "") for row in rows for reaction in row.split()}

    assert documented == YES | NO | ALWAYS | STOP | FORGET
    assert f"| {NUMBERS[0]}" in PAGE.replace("\ufe0f", "")
