"""/cost says what a room has used, and to admins what all their rooms have."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.ids import RoomId, SessionId, UserId
from aiagentchat.core.spending import Budget
from aiagentchat.render import spending, words
from aiagentchat.route.bot_commands.catalog import catalog
from tests.fakes.front import Front, open_front
from tests.fakes.people import ADA, ANNA, GARDEN, KITCHEN, OTHER, ROOM, VERA, command, settings, typed

DAY = 86_400.0
OLD = SessionId("01d00000-0000-4000-8000-000000000001")


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def ran(front: Front, cost: int, room: RoomId = ROOM, session: SessionId = OLD) -> None:
    """A turn that cost so much."""
    made = command(room=room, session=session)
    await front.running(made)
    used = TurnRecord(cost_micro_usd=cost, input_tokens=4000, output_tokens=200)
    assert await front.ledger.commands.finish(made.event, CommandState.DONE, used, [], front.clock.now_ms())


async def cost(front: Front, what: str = "/cost", *, sender: UserId = ANNA) -> str:
    [told] = await front.told(typed(what, sender=sender))
    return told


async def test_a_room_that_never_ran_anything_has_used_nothing(front: Front) -> None:
    told = await cost(front)

    assert "| session | 0 | 0 | $0.0000 |" in told
    assert "| today | 0 | 0 | $0.0000 |" in told
    assert "UTC" in told
    assert "Budget" not in told


async def test_session_day_and_month_are_told_apart(front: Front) -> None:
    await ran(front, 13_200)
    front.clock.advance(DAY)  # from the 14th to the 15th of a month
    await ran(front, 1_000_000)
    await ran(front, 2_000_000, session=SessionId("5e551011-0000-4000-8000-000000000001"))

    told = await cost(front)

    assert "| session make-tea | 2 | 8.4k | $1.01 |" in told
    assert "| today | 2 | 8.4k | $3.00 |" in told
    assert "| this month | 3 | 12.6k | $3.01 |" in told


async def test_viewers_may_look(front: Front) -> None:
    assert "| today |" in await cost(front, sender=VERA)


async def test_budgets_are_shown_with_what_is_used_of_them(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, budget=Budget(turn=500_000, day=10_000_000, month=100_000_000)))
    await ran(front, 1_300_000)

    told = await cost(front)

    assert "Budget of this room: $10.00 today, 13 % used, new at " in told
    assert "; $100.00 this month, 1 % used, new at " in told
    assert told.count("UTC (in ") == 2
    assert "; $0.5000 a turn." in told


async def test_with_a_subscription_nobody_is_billed(front: Front) -> None:
    front.desk = replace(front.desk, is_billed=lambda: False)
    front.use(catalog(front.desk))

    told = await cost(front)

    assert "API price, not billed" in told
    assert spending.NOT_BILLED in told


async def test_what_it_does_not_know_it_says(front: Front) -> None:
    assert await cost(front, "/cost yesterday") == spending.cost_not_understood("yesterday")


async def test_other_rooms_are_for_admins(front: Front) -> None:
    assert await cost(front, "/cost all") == words.only_admins("cost all")


async def test_an_admin_sees_the_rooms_that_are_theirs(front: Front) -> None:
    front.settings = settings(KITCHEN, replace(GARDEN, admins=frozenset({ANNA})), budget=Budget(day=1_000_000))
    await ran(front, 1_000_000)
    await ran(front, 2_000_000, room=OTHER)

    told = await cost(front, "/cost all", sender=ADA)

    assert "| `kitchen` | $1.00 | 1 | 4.2k | $1.00 |" in told
    assert "garden" not in told
    assert "| **together** | $1.00 | 1 | 4.2k | $1.00 |" in told
    assert "Budget" not in told


async def test_who_is_an_admin_of_everything_sees_every_room_the_dearest_first(front: Front) -> None:
    front.settings = settings(
        KITCHEN, replace(GARDEN, admins=frozenset()), admins=frozenset({ADA}), budget=Budget(month=4_000_000)
    )
    await ran(front, 1_000_000)
    await ran(front, 2_000_000, room=OTHER)
    await ran(front, 3_000, room=RoomId("!gone:hs"))

    told = await cost(front, "/cost All", sender=ADA)

    rows = [line.split(" | ")[0] for line in told.splitlines()[2:6]]
    assert rows == ["| `garden`", "| `kitchen`", "| `!gone:hs`", "| **together**"]
    assert "Budget of all rooms together: $4.00 this month, 75 % used, new at " in told
