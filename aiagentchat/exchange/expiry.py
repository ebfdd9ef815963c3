"""Ends what was not answered in time, so that nobody waits for ever for what will not come."""

import structlog

from aiagentchat.core.exchange import Message, MessageState
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.messages import Messages

LOOK_SECONDS = 30.0
GRACE_MS = 60_000
"""How much later than its moment a message is ended here: a receipt, or the other side's word, may be on its way, and
the two clocks differ."""
MOST_DAYS = 7
"""How long a message may be open that names no moment, or that somebody has begun with."""
_DAY_MS = 86_400_000

NOT_SENT = "It was not in the room in time: the homeserver did not take it. Nobody has seen it."
NOT_TAKEN = "Nobody took it up in time. It may be sent again."
NOT_ANSWERED = f"It was taken up, and not answered within {MOST_DAYS} days."
TOO_OLD = f"Nobody took it up within {MOST_DAYS} days."

log = structlog.get_logger(__name__)


def overdue(message: Message, now: int) -> str | None:
    """Why the message is to be ended; None: it is not."""
    is_old = now - message.accepted_at > MOST_DAYS * _DAY_MS
    if message.state is MessageState.READ:
        return NOT_ANSWERED if is_old else None
    expires_at = message.meta.expires_at
    if expires_at is not None and now > expires_at + (0 if message.state is MessageState.ACCEPTED else GRACE_MS):
        return NOT_SENT if message.state is MessageState.ACCEPTED else NOT_TAKEN
    return TOO_OLD if is_old else None


class Expiry:
    """Looks through what is open, again and again."""

    def __init__(self, messages: Messages, clock: Clock) -> None:
        self._messages = messages
        self._clock = clock

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """One round."""
        now = self._clock.now_ms()
        for message in await self._messages.open():
            why = overdue(message, now)
            if why is not None and await self._messages.close(message.id, MessageState.EXPIRED, why, now):
                log.info("message.expired", message=message.id, room=message.room, state=message.state)
