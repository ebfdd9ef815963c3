"""Whether a usage limit is waited for, and until when."""

import pytest

from aiagentchat.execute.usage_limit import LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS, MOST_WAITS, wait_until

NOW = 1_700_000_000_000
HOUR = 3_600_000
DAY = round(MOST_WAIT_SECONDS * 1000)
LEAST = round(LEAST_WAIT_SECONDS * 1000)


@pytest.mark.parametrize(
    ("resets_at", "on_limit", "waited", "until"),
    [
        pytest.param(NOW + HOUR, "wait", 0, NOW + HOUR, id="until it is lifted"),
        pytest.param(NOW + HOUR, "fail", 0, None, id="not in a room that would rather fail"),
        pytest.param(None, "wait", 0, None, id="not if nobody knows until when"),
        pytest.param(NOW + DAY, "wait", 0, NOW + DAY, id="for a day"),
        pytest.param(NOW + DAY + 1, "wait", 0, None, id="but no longer"),
        pytest.param(NOW - HOUR, "wait", 0, NOW + LEAST, id="a moment if it should be lifted already"),
        pytest.param(NOW - HOUR, "wait", 2, NOW + 16 * LEAST, id="longer when that was not so"),
        pytest.param(NOW + HOUR, "wait", MOST_WAITS - 1, NOW + 16_384 * LEAST, id="a last time"),
        pytest.param(NOW + HOUR, "wait", MOST_WAITS, None, id="and then no more"),
    ],
)
def test_a_limit_is_waited_for(resets_at: int | None, on_limit: str, waited: int, until: int | None) -> None:
    assert wait_until(resets_at, on_limit=on_limit, waited=waited, now=NOW) == until
