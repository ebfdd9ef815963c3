"""When a parcel is looked for in its room before it is sent again. Pure."""

from aiagentchat.core.parcels import Attempt

LOOK_UP_AFTER_MS = 25 * 60_000
"""A homeserver remembers a transaction id for a while; Synapse is sure to for half an hour."""
SLACK_MS = 60 * 60_000
"""How far the homeserver's clock and ours may be apart: so much earlier the search begins."""


def searched_from(attempt: Attempt, device: str, now: int) -> int | None:
    """From when on (milliseconds) the room is to be searched for `attempt`; None: not at all.

    What was never tried cannot be there. What was tried a short while ago, by this very device, the homeserver knows by
    its transaction id.
    """
    if attempt.tried_at is None:
        return None
    age = now - attempt.tried_at
    if 0 <= age <= LOOK_UP_AFTER_MS and attempt.tried_as == device:
        return None
    # In the future: the clock was turned back since, and does not tell when it was.
    return max(0, attempt.tried_at - SLACK_MS) if age >= 0 else 0
