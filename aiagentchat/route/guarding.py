"""What follows where another agent, or a caller of our gateway, asks us for something.

What is taken is counted in the same transaction. What is not is answered: whoever has sent it reads why, once for each
message, so that nobody waits for what never comes. There are no reactions: receipts tell a program how far it is.
"""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import AcceptCommand, Effect, HaltAgents, PutParcel
from aiagentchat.core.guards import (
    WINDOW_MS,
    AgentTurn,
    Halt,
    Standing,
    Why,
    halted_by,
    is_counted,
    pair_of,
    used_up,
)
from aiagentchat.core.ids import RoomId, txn_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.parcels import Parcel
from aiagentchat.render import guard_words
from aiagentchat.render.agent_words import out_of_time, turned_down
from aiagentchat.render.message import message
from aiagentchat.route import conversations
from aiagentchat.route.bot_commands.spec import Desk, refused
from aiagentchat.route.machines import AskedByAgent, TurnAway
from aiagentchat.route.refusals import counted

log = structlog.get_logger(__name__)


async def standing(desk: Desk, room: RoomId, pair: str = "") -> Standing:
    """How a room stands with the turns of agents now."""
    return await desk.guards.standing(room, pair, desk.clock.now_ms() - WINDOW_MS)


async def lines(desk: Desk, room: RoomSettings) -> Sequence[str]:
    """What people are told of that, as lines of a list; none where no agent has asked for anything."""
    return guard_words.standing_lines(await standing(desk, room.id), room.exchange)


async def ask(desk: Desk, asked: AskedByAgent, event: Incoming, room: RoomSettings) -> Sequence[Effect]:
    """Queue it, if it is not too late, the budgets of the room allow it, and there is a place."""
    if asked.meta.is_over(desk.clock.now_ms()):
        return await turn_away(desk, TurnAway(asked.meta, Why.EXPIRED), event, room)
    turn = AgentTurn(event=event.event, room=event.room, pair=pair_of(event.sender, asked.meta, desk.own))
    is_agent = is_counted(asked.meta, event.caller, desk.own)
    if is_agent:
        hindrance = used_up(room.exchange, await standing(desk, event.room, turn.pair))
        if hindrance is not None:
            halt = halted_by(hindrance, room.exchange, turn, desk.clock.now_ms())
            halted = [] if halt is None else _halt(event, halt)
            return [*halted, *await turn_away(desk, TurnAway(asked.meta, hindrance), event, room)]
    [accepted] = await conversations.accept(desk, [replace(event, body=asked.text)])
    if await conversations.places_left(desk, event) == 0:
        rejected = AcceptCommand(replace(accepted.command, state=CommandState.REJECTED))
        return [rejected, *await turn_away(desk, TurnAway(asked.meta, Why.FULL), event, room)]
    return [accepted, *([turn] if is_agent else [])]


async def turn_away(desk: Desk, turned: TurnAway, event: Incoming, room: RoomSettings) -> Sequence[Effect]:
    """Nothing is run, and whoever has sent it is told. Strangers only so often: their account may be anybody's."""
    why, meta = turned.why, turned.meta
    log.warning("exchange.turned_away", why=why, sender=event.sender, caller=event.caller, hop=meta.hop)
    noted: list[Effect] = [refused(event, why.value)]
    if why is Why.NOT_ALLOWED:
        one_more = await counted(desk, event)
        if one_more is None:
            return noted
        noted.append(one_more)
    if why is Why.EXPIRED:
        told = out_of_time(event, instance=desk.own.instance)
    else:
        told = turned_down(event, guard_words.turned_away(why, meta, room.exchange), instance=desk.own.instance)
    return [*noted, *map(PutParcel, told)]


def _halt(event: Incoming, halt: Halt) -> list[Effect]:
    """A phone rings: nothing goes on here without a person."""
    log.warning("exchange.halted", limit=halt.limit, turns=halt.turns, pair=halt.pair)
    told = message(guard_words.halted(halt), notice=False)
    return [HaltAgents(halt), PutParcel(Parcel(txn=txn_id(event.event, "halted"), room=event.room, content=told))]
