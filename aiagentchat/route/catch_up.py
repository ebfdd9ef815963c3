"""What was typed while nobody listened: announced once per room, run if it is not too old, else offered.

Everything that came in late for a room was committed together, so the first of it sees all of it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiagentchat.core.effects import Effect, PutParcel
from aiagentchat.core.ids import ApprovalId, txn_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.parcels import Parcel
from aiagentchat.render import away
from aiagentchat.render.message import message
from aiagentchat.route.bot_commands.spec import Desk
from aiagentchat.route.conversations import places_left
from aiagentchat.route.questions import offer

ANNOUNCE_AFTER_MS = 10 * 60_000
"""A room that waited longer than this for an answer is told what is answered now."""
OFFER_AFTER_MS = 3_600_000
"""What is older than this may be settled or forgotten by now: it is offered and not run."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one late message."""

    run: bool
    effects: Sequence[Effect]
    """What comes before it."""


async def plan(desk: Desk, event: Incoming, is_for_agent: Callable[[Incoming], Awaitable[bool]]) -> Plan:
    """What becomes of `event`, which is late and for the agent."""
    moment = await desk.inbox.taken_at(event.event)
    assert moment is not None, "what is routed is in the inbox"
    taken_at = str(moment)
    for name in ("old", "many"):
        known = await desk.approvals.get(ApprovalId(txn_id(event.room, "offer", name, taken_at)))
        if known is not None and event.event in known.events:
            return Plan(run=False, effects=[])
    waiting = [each for each in await desk.inbox.late(event.room, moment) if await is_for_agent(each)]
    old = [each for each in waiting if each.late_ms >= OFFER_AFTER_MS]
    fresh = [each for each in waiting if each.late_ms < OFFER_AFTER_MS]
    if event.late_ms >= OFFER_AFTER_MS:
        return Plan(run=False, effects=await offer(desk, old, "old", taken_at))
    free = await places_left(desk, event)
    if free == 0:
        return Plan(run=False, effects=await offer(desk, fresh, "many", taken_at))
    if max(each.late_ms for each in fresh) < ANNOUNCE_AFTER_MS:
        return Plan(run=True, effects=[])
    now = fresh[:free]
    told = Parcel(
        txn=txn_id(event.room, "caught up", taken_at),
        room=event.room,
        content=message(away.caught_up(len(now), now[0].sent_at, now[-1].sent_at), notice=True),
    )
    return Plan(run=True, effects=[PutParcel(told)])
