"""The wait between two tries doubles up to a minute, and its lower half is random."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.backoff import FIRST_SECONDS, MOST_SECONDS, delay


def test_the_waits_double_up_to_a_minute() -> None:
    waits = [delay(failures, lambda: 1.0) for failures in range(1, 10)]

    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_the_lower_half_is_random() -> None:
    assert [delay(3, lambda luck=luck: luck) for luck in (0.0, 0.5, 1.0)] == [1.0, 1.5, 2.0]  # type: ignore[misc]


@given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
def test_no_wait_is_too_short_or_too_long(failures: int, luck: float) -> None:
    assert FIRST_SECONDS / 2 <= delay(failures, lambda: luck) <= MOST_SECONDS


def test_no_failure_at_all_waits_hardly() -> None:
    assert delay(0, lambda: 1.0) == pytest.approx(0.25)
