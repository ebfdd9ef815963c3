"""What routing should see of one room's events, a few at a time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.ports.ledger import Inbox
from aiagentchat.receive.intake import Rules, came_back, dated, keep

EVENTS_PER_BREATH = 100
"""After so many events the loop may do something else: a few milliseconds at most."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When events came, and what was before."""

    now: int | None
    """The homeserver's clock (milliseconds); None if it did not say."""
    oldest: int
    """What is older (milliseconds) is not caught up with."""
    heard_until: int
    """When the sync before was, by the same clock; 0 if nobody knows."""
    anew: bool
    """Whether the homeserver told what it has, and not what is new."""


async def sift(events: Sequence[Incoming], moment: Moment, rules: Rules, inbox: Inbox) -> list[Incoming]:
    """What is to be kept of one room's events, in order, each with how late it is."""
    kept: list[Incoming] = []
    for start in range(0, len(events), EVENTS_PER_BREATH):
        piece = keep(events[start : start + EVENTS_PER_BREATH], rules, first=False)
        kept += [dated(event, moment.now) for event in piece]
        await asyncio.sleep(0)
    if moment.anew or came_back(kept):
        kept = await _unheard(kept, moment, inbox)
    for event in kept:
        if event.kind is Kind.LEFT:
            log.warning("sync.left", room=event.room, how=event.body)
        elif event.kind is Kind.JOINED:
            log.info("sync.joined", room=event.room)
    return kept


async def _unheard(events: list[Incoming], moment: Moment, inbox: Inbox) -> list[Incoming]:
    """What is new of what the homeserver tells although it may have told it before.

    That is what comes after the last event that we know. Where we know none, it is what was sent after our last sync:
    what is older we have heard then, and found that it was not for us.
    """
    oldest = moment.oldest
    for position in range(len(events), 0, -1):
        if await inbox.get(events[position - 1].event) is not None:
            events = events[position:]
            break
    else:
        oldest = max(oldest, moment.heard_until)
    return [event for event in events if not 0 < event.sent_at < oldest]
