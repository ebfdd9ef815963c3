"""What a room reads about money says how much, until when, and which key raises it."""

from datetime import UTC, datetime

import pytest

from aiagentchat.core.spending import Span, UsedUp, ends_at
from aiagentchat.render import spending, words

NOW = round(datetime(2026, 11, 26, 21, 46, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("span", "everywhere", "said"),
    [
        (
            Span.DAY,
            False,
            ("of this room for today", "at 2026-11-27 00:00 UTC (in 2 h 14 min)", "`budget.day` of this"),
        ),
        (Span.MONTH, False, ("of this room for this month", "at 2026-12-01 00:00 UTC (in 4 d 2 h)", "`budget.month`")),
        (Span.DAY, True, ("of all my rooms together for today", "UTC", "`budget_day` in config.yaml")),
        (Span.MONTH, True, ("of all my rooms together for this month", "UTC", "`budget_month` in config.yaml")),
    ],
)
def test_a_refusal_names_what_is_used_up_until_when_and_the_key(
    span: Span, everywhere: bool, said: tuple[str, ...]
) -> None:
    gone = UsedUp(span=span, most=10_000_000, spent=10_020_000, resets_at=ends_at(span, NOW), everywhere=everywhere)

    told = spending.not_begun(gone, NOW)

    assert told.startswith("💰 Not run: ")
    assert "($10.02 of $10.00)" in told
    assert "`/retry` runs this" in told
    assert all(each in told for each in said)


@pytest.mark.parametrize(
    ("spent", "said"), [(8_100_000, "is used to 81 % ($8.10 of $10.00)"), (10_000_000, "is used up ($10.00 of $10.00)")]
)
def test_the_quiet_line_says_how_much_is_gone(spent: int, said: str) -> None:
    told = spending.nearly_gone(spent, 10_000_000, NOW)

    assert f"budget for today {said}" in told
    assert "at 2026-11-27 00:00 UTC" in told


def test_a_turn_that_was_too_dear_reads_what_becomes_of_it() -> None:
    told = spending.turn_too_dear(1_020_000, 1_000_000)

    assert "has cost $1.02, and may cost $1.00" in told
    assert "is done" in told
    assert "`budget.turn` of this room" in told


@pytest.mark.parametrize(
    ("files", "is_billed", "said"),
    [
        (None, True, "— 1.0 s · $0.0200 · session 5e55"),
        (0, True, "— 1.0 s · $0.0200 · session 5e55"),
        (1, True, "— 1.0 s · $0.0200 · 1 file changed · session 5e55"),
        (3, False, "— 1.0 s · $0.0200 (API price, not billed) · 3 files changed · session 5e55"),
    ],
)
def test_the_footer_says_what_changed_and_whether_the_price_is_paid(
    files: int | None, is_billed: bool, said: str
) -> None:
    footer = words.footer(
        duration_ms=1000,
        cost_micro_usd=20_000,
        input_tokens=0,
        output_tokens=0,
        session="5e55",
        is_billed=is_billed,
        files_changed=files,
    )

    assert footer == said
