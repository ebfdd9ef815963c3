"""Budgets: what is used up begins no turn, what becomes too dear is ended, and the room reads why."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.config.settings import Settings
from aiagentchat.core.agent_events import CostSoFar, Ending, TurnEnded
from aiagentchat.core.audit import AuditFilter, AuditKind
from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.spending import Budget, Span, UsedUp, ends_at
from aiagentchat.execute import admission
from aiagentchat.execute import turn as turn_module
from aiagentchat.execute.room import RoomExecutor
from aiagentchat.execute.steering import Given
from aiagentchat.render import spending
from tests.contract.store_fixtures import NOW, OTHER_ROOM, ROOM, accept, command
from tests.fakes.agent import Emit, End, Hang, Say, ScriptedAgent, Step, plays
from tests.fakes.log import FakeLog
from tests.unit.execute_house import House, open_house

DAY = 86_400.0
DOLLAR = 1_000_000


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    found = FakeLog()
    monkeypatch.setattr(admission, "log", found)
    monkeypatch.setattr(turn_module, "log", found)
    return found


def costs(micro_usd: int) -> ScriptedAgent:
    """An agent each of whose turns costs so much."""
    record = TurnRecord(cost_micro_usd=micro_usd)
    return plays(Say("Tea."), End(TurnEnded(ending=Ending.COMPLETED, record=record)))


def budgets(*, room: Budget | None = None, everywhere: Budget | None = None) -> Callable[[Settings], Settings]:
    def change(settings: Settings) -> Settings:
        rooms = tuple(replace(each, budget=room or Budget()) for each in settings.rooms)
        return replace(settings, rooms=rooms, budget=everywhere or Budget())

    return change


def used(house: House) -> list[bool]:
    """Which of the rooms' runs were told to say what they cost."""
    return [run.spec.tells_cost for run in house.agent.runs]


# ── of a day and a month ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("budget", "span"),
    [
        pytest.param(Budget(day=DOLLAR), Span.DAY, id="of the day"),
        pytest.param(Budget(month=DOLLAR), Span.MONTH, id="of the month"),
    ],
)
async def test_a_room_that_has_used_up_its_budget_begins_no_turn(tmp_path: Path, budget: Budget, span: Span) -> None:
    async with open_house(tmp_path, costs(DOLLAR), change=budgets(room=budget)) as house:
        await house.execute(command("$1"))
        await house.send_all()
        await house.execute(command("$2"))

        gone = UsedUp(span=span, most=DOLLAR, spent=DOLLAR, resets_at=ends_at(span, NOW))
        assert await house.state("$1") is CommandState.DONE
        assert await house.state("$2") is CommandState.CANCELLED
        assert await house.read() == [spending.not_begun(gone, NOW), "🛑"]
        assert [each.event for each in await house.ledger.commands.retryable(ROOM, 9)] == ["$2"]
        [refused] = await house.ledger.audit.lines(AuditFilter(), limit=1)
        assert (refused.deed.kind, refused.deed.detail) == (AuditKind.REFUSED, {"what": "budget"})


async def test_a_new_day_has_a_new_budget(tmp_path: Path, log: FakeLog) -> None:
    async with open_house(tmp_path, costs(DOLLAR), change=budgets(room=Budget(day=DOLLAR))) as house:
        await house.execute(command("$1"), command("$2"))
        assert log.of("command.budget_used_up") == [{"span": "day", "most": DOLLAR, "everywhere": False}]
        house.clock.advance(DAY)
        await house.execute(command("$3"))

        assert await house.state("$3") is CommandState.DONE


async def test_what_is_left_is_enough_to_begin(tmp_path: Path) -> None:
    async with open_house(tmp_path, costs(DOLLAR - 1), change=budgets(room=Budget(day=DOLLAR))) as house:
        await house.execute(command("$1"), command("$2"), command("$3"))

        assert [await house.state(each) for each in ("$1", "$2", "$3")] == [
            CommandState.DONE,
            CommandState.DONE,
            CommandState.CANCELLED,
        ]


async def test_what_other_rooms_spend_counts_for_all_rooms_together(tmp_path: Path) -> None:
    async with open_house(tmp_path, costs(1), change=budgets(everywhere=Budget(day=DOLLAR))) as house:
        await accept(house.ledger, command("$0", OTHER_ROOM))
        await house.ledger.commands.start(command("$0").event, NOW)
        await house.ledger.commands.finish(
            command("$0").event, CommandState.DONE, TurnRecord(cost_micro_usd=DOLLAR), [], NOW
        )
        await house.execute(command("$1"))

        gone = UsedUp(span=Span.DAY, most=DOLLAR, spent=DOLLAR, resets_at=ends_at(Span.DAY, NOW), everywhere=True)
        assert await house.read() == [spending.not_begun(gone, NOW), "🛑"]


async def test_what_a_turn_was_given_and_has_not_read_begins_none_of_its_own_either(tmp_path: Path) -> None:
    async with open_house(tmp_path, costs(DOLLAR), change=budgets(room=Budget(day=DOLLAR))) as house:
        await house.execute(command("$1"))
        await house.send_all()
        more = replace(command("$2"), urgent=True)
        await accept(house.ledger, more)
        assert await house.ledger.commands.start(more.event, NOW)

        assert await RoomExecutor(ROOM, house.shop)._carry_on(Given(more)) == []
        gone = UsedUp(span=Span.DAY, most=DOLLAR, spent=DOLLAR, resets_at=ends_at(Span.DAY, NOW))
        assert await house.state("$2") is CommandState.FAILED
        assert (await house.read())[0].startswith(spending.not_begun(gone, NOW))
        assert len(house.agent.runs) == 1


async def test_the_room_is_told_once_a_day_that_most_is_gone(tmp_path: Path) -> None:
    async with open_house(tmp_path, costs(4 * DOLLAR), change=budgets(room=Budget(day=10 * DOLLAR))) as house:
        await house.execute(command("$1"))
        assert not [each for each in await house.read() if each.startswith("💰")]
        await house.execute(command("$2"))
        told = [each for each in await house.send_all() if each.content.get("body", "").startswith("💰")]
        assert [each.content["body"] for each in told] == [spending.nearly_gone(8 * DOLLAR, 10 * DOLLAR, NOW)]
        assert [each.content["msgtype"] for each in told] == ["m.notice"]

        await house.execute(command("$3"))
        assert not [each for each in await house.read() if each.startswith("💰")]
        house.clock.advance(DAY)
        await house.execute(command("$4"), command("$5"))
        assert len([each for each in await house.read() if each.startswith("💰")]) == 1


# ── of a turn ─────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def dear(folder: Path, *steps: Step, turn: int = DOLLAR) -> AsyncIterator[House]:
    async with open_house(folder, plays(*steps), change=budgets(room=Budget(turn=turn))) as house:
        yield house


async def test_a_turn_that_becomes_too_dear_is_ended(tmp_path: Path, log: FakeLog) -> None:
    steps: list[Step] = [Say("I begin."), Emit((CostSoFar(DOLLAR - 1), CostSoFar(DOLLAR + 20_000))), Hang()]
    async with dear(tmp_path, *steps) as house:
        await house.execute(command("$1"))

        answer, mark = await house.read()
        assert answer.startswith(f"I begin.\n\n{spending.turn_too_dear(DOLLAR + 20_000, DOLLAR)}")
        assert mark == "❌"
        assert await house.state("$1") is CommandState.FAILED
        assert used(house) == [True]
        assert log.of("turn.budget_used_up") == [{"spent": DOLLAR + 20_000, "most": DOLLAR}]


async def test_a_turn_without_a_budget_may_cost_anything(tmp_path: Path) -> None:
    async with dear(tmp_path, Emit((CostSoFar(DOLLAR),)), Say("Tea."), turn=0) as house:
        await house.execute(command("$1"))

        assert await house.state("$1") is CommandState.DONE
        assert used(house) == [False]
