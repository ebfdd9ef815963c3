"""What turns cost, and what they may: budgets by turn, day and month, and what is used up. Money is in micro-USD.

Days and months are those of UTC, the same for everybody in a room and wherever the daemon runs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

MICROS = 1_000_000
"""In a dollar."""
QUIETLY_SAID_AT = 80
"""Percent of a day's budget at which the room is told."""


class Span(StrEnum):
    """For how long a budget is."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What turns used together."""

    turns: int = 0
    cost_micro_usd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent, in micro-USD. 0 means no budget of this kind."""

    turn: int = 0
    """One turn; what it does beyond that is not begun."""
    day: int = 0
    month: int = 0

    def of(self, span: Span) -> int:
        """That of a day or a month."""
        return self.day if span is Span.DAY else self.month


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedUp:
    """A budget that is used up, so that no turn begins."""

    span: Span
    most: int
    spent: int
    resets_at: int
    """Milliseconds since the epoch."""
    everywhere: bool = False
    """Whether it is that of all rooms together."""


def total(each: Iterable[Spent]) -> Spent:
    """All of it together."""
    every = list(each)
    return Spent(
        turns=sum(one.turns for one in every),
        cost_micro_usd=sum(one.cost_micro_usd for one in every),
        input_tokens=sum(one.input_tokens for one in every),
        output_tokens=sum(one.output_tokens for one in every),
    )


def first_day(span: Span, moment: int) -> str:
    """The day (``2026-11-26``) on which the day or the month of that moment (milliseconds since the epoch) began."""
    return _begin(span, moment).date().isoformat()


def ends_at(span: Span, moment: int) -> int:
    """When (milliseconds) the day or the month of that moment is over."""
    begun = _begin(span, moment)
    later = begun + timedelta(days=1 if span is Span.DAY else 32)
    return round(_begin(span, round(later.timestamp() * 1000)).timestamp() * 1000)


def used_up(budget: Budget, spent: dict[Span, Spent], now: int, *, everywhere: bool = False) -> UsedUp | None:
    """Which of the budgets is used up now; that of the longer time, if both are. None: there is something left."""
    for span in (Span.MONTH, Span.DAY):
        most, cost = budget.of(span), spent[span].cost_micro_usd
        if 0 < most <= cost:
            return UsedUp(span=span, most=most, spent=cost, resets_at=ends_at(span, now), everywhere=everywhere)
    return None


def is_nearly_used_up(budget: Budget, today: int) -> bool:
    """Whether so much of the day's budget is gone (micro-USD) that the room should know."""
    return 0 < budget.day * QUIETLY_SAID_AT <= today * 100


def _begin(span: Span, moment: int) -> datetime:
    midnight = _date(moment).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if span is Span.DAY else midnight.replace(day=1)


def _date(moment: int) -> datetime:
    return datetime.fromtimestamp(moment / 1000, tz=UTC)
