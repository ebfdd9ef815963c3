"""The one place where somebody is told that they may not."""

from datetime import UTC, datetime

import structlog

from aiagentchat.core.effects import CountRefusal, Effect
from aiagentchat.core.messages import Incoming
from aiagentchat.route.bot_commands.spec import Desk, refused, reply

REFUSALS_A_DAY = 5
"""How often a room is told in a day that somebody is not allowed: enough to be seen, too few to be abused."""

log = structlog.get_logger(__name__)


def refuse(event: Incoming, what: str, text: str) -> list[Effect]:
    """`event` asked for `what`, which its sender may not have: nothing follows but `text`, which says so."""
    log.warning("access.refused", what=what, sender=event.sender)
    return [refused(event, what), *reply(event, text)]


async def counted(desk: Desk, event: Incoming) -> CountRefusal | None:
    """The effect that counts one more refusal in the room today; None where it was told often enough."""
    day = datetime.fromtimestamp(desk.clock.now_ms() / 1000, tz=UTC).date().isoformat()
    if await desk.rooms.refusals(event.room, day) >= REFUSALS_A_DAY:
        return None
    return CountRefusal(event.room, day)
