"""Days and months are those of UTC, and a budget is used up when so much was spent."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.spending import Budget, Span, Spent, ends_at, first_day, is_nearly_used_up, total, used_up


def ms(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


NOW = ms(2026, 11, 26, 23, 59, 59)


def spent(day: int = 0, month: int = 0) -> dict[Span, Spent]:
    return {Span.DAY: Spent(cost_micro_usd=day), Span.MONTH: Spent(cost_micro_usd=month)}


def test_a_day_begins_at_midnight_and_a_month_on_its_first() -> None:
    assert first_day(Span.DAY, NOW) == "2026-11-26"
    assert first_day(Span.MONTH, NOW) == "2026-11-01"


@pytest.mark.parametrize(
    ("now", "span", "end"),
    [
        (NOW, Span.DAY, ms(2026, 11, 27)),
        (NOW, Span.MONTH, ms(2026, 12, 1)),
        (ms(2026, 12, 31), Span.MONTH, ms(2027, 1, 1)),
        (ms(2026, 1, 31, 12), Span.MONTH, ms(2026, 2, 1)),
        (ms(2028, 2, 28, 12), Span.DAY, ms(2028, 2, 29)),
    ],
)
def test_it_is_over_when_the_next_one_begins(now: int, span: Span, end: int) -> None:
    assert ends_at(span, now) == end


@given(st.integers(0, ms(2100, 1, 1)), st.sampled_from(Span))
def test_the_end_is_always_later_and_in_the_next_one(now: int, span: Span) -> None:
    end = ends_at(span, now)

    assert now < end
    assert first_day(span, end - 1) == first_day(span, now) < first_day(span, end)


@pytest.mark.parametrize(
    ("budget", "day", "month", "gone"),
    [
        pytest.param(Budget(), 9, 9, None, id="without a budget nothing is used up"),
        pytest.param(Budget(turn=1), 9, 9, None, id="that of a turn is looked at elsewhere"),
        pytest.param(Budget(day=10, month=10), 9, 9, None, id="something is left"),
        pytest.param(Budget(day=9), 9, 9, Span.DAY, id="to the last"),
        pytest.param(Budget(day=8, month=100), 9, 9, Span.DAY, id="the day's alone"),
        pytest.param(Budget(day=8, month=8), 9, 9, Span.MONTH, id="both: a new day would not help"),
    ],
)
def test_a_budget_is_used_up(budget: Budget, day: int, month: int, gone: Span | None) -> None:
    found = used_up(budget, spent(day, month), NOW)

    assert (found and found.span) == gone
    if found is not None:
        assert (found.most, found.spent) == (budget.of(found.span), 9)
        assert found.resets_at == ends_at(found.span, NOW)
        assert not found.everywhere


def test_whose_budget_it_is_is_said() -> None:
    found = used_up(Budget(day=1), spent(1, 1), NOW, everywhere=True)

    assert found is not None
    assert found.everywhere


@pytest.mark.parametrize(
    ("most", "today", "nearly"), [(0, 99, False), (100, 79, False), (100, 80, True), (10, 99, True)]
)
def test_most_of_a_day_is_four_fifths(most: int, today: int, nearly: bool) -> None:
    assert is_nearly_used_up(Budget(day=most), today) is nearly


def test_what_was_spent_adds_up() -> None:
    one = Spent(turns=1, cost_micro_usd=2, input_tokens=3, output_tokens=4)

    assert total([]) == Spent()
    assert total([one, one]) == Spent(turns=2, cost_micro_usd=4, input_tokens=6, output_tokens=8)
