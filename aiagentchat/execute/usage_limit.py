"""What a turn does that the model refuses because the account's usage limit is reached. Pure.

It waits, if the room wants that and the end of the limit is known and near enough. A refusal that comes again at once
(two clocks that differ) makes each wait longer, and there is an end to that too.
"""

MOST_WAIT_SECONDS = 24 * 3600.0
"""A limit that is lifted later than that is not waited for."""
LEAST_WAIT_SECONDS = 1.0
"""The first wait is no shorter, and each further one in the same turn no shorter than four times that."""
MOST_WAITS = 8
"""In one turn."""
WAIT = "wait"
"""The value of `on_limit` that asks for it."""


def wait_until(resets_at: int | None, *, on_limit: str, waited: int, now: int) -> int | None:
    """Until when (milliseconds) to wait, after so many waits in this turn; None: the turn fails."""
    if on_limit != WAIT or resets_at is None or waited >= MOST_WAITS:
        return None
    until = max(resets_at, now + round(LEAST_WAIT_SECONDS * 4**waited * 1000))
    return until if until - now <= MOST_WAIT_SECONDS * 1000 else None
