"""From a decision to its effects. Reads the ledger, writes nothing: the router commits the effects."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import assert_never

from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.approvals import ApprovalState
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.effects import AcceptCommand, CountRefusal, DecideApproval, Effect, PutParcel, RequestStop
from aiagentchat.core.ids import EventId, new_session_id, txn_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.parcels import REACTION, Parcel
from aiagentchat.core.ports import Signals
from aiagentchat.render import words
from aiagentchat.render.message import reaction
from aiagentchat.route.access import role_of
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply
from aiagentchat.route.decide import (
    AnswerApproval,
    Ask,
    Decision,
    Ignore,
    OnlyText,
    Refuse,
    RefuseToRun,
    RunBotCommand,
    StopTarget,
    UnknownBotCommand,
)

REFUSALS_A_DAY = 5
"""How often a room is told in a day that somebody is not allowed: enough to be seen, too few to be abused."""
ACCEPTED = "👀"


class Dispatcher:
    """Knows what follows from what."""

    def __init__(self, desk: Desk, bot_commands: Mapping[str, BotCommand], signals: Signals) -> None:
        self._desk = desk
        self._bot_commands = bot_commands
        self._signals = signals

    async def effects(self, decision: Decision, event: Incoming, room: RoomSettings) -> Sequence[Effect]:
        """What follows from `decision` about `event`."""
        match decision:
            case Ignore():
                return []
            case Ask(text):
                return await self._ask(event, text)
            case RunBotCommand(name, arguments):
                return await self._run(self._bot_commands[name], Asked(event=event, room=room, arguments=arguments))
            case UnknownBotCommand(name, nearest):
                return reply(event, words.unknown_command(name, nearest))
            case Refuse():
                return await self._refuse(event, room)
            case RefuseToRun():
                return reply(event, words.VIEWER_MAY_NOT_RUN)
            case OnlyText():
                return reply(event, words.ONLY_TEXT_FOR_NOW)
            case AnswerApproval(target, allow):
                return await self._answer(event, target, allow=allow)
            case StopTarget(target):
                return await self._stop(event, target)
            case _:
                assert_never(decision)

    async def _ask(self, event: Incoming, text: str) -> Sequence[Effect]:
        desk = self._desk
        self._signals.read(event.room, event.event)
        queue = await desk.commands.queue(event.room)
        command = Command(
            event=event.event,
            room=event.room,
            sender=event.sender,
            text=text,
            session=await desk.sessions.current(event.room) or new_session_id(),
            queued_at=desk.clock.now_ms(),
        )
        limit = desk.settings().max_queue
        if len(queue) >= limit:
            rejected = replace(command, state=CommandState.REJECTED)
            return [AcceptCommand(rejected), *reply(event, words.queue_full(limit))]
        seen = Parcel(
            txn=txn_id(event.event, "accepted"),
            room=event.room,
            type=REACTION,
            content=reaction(event.event, ACCEPTED),
            command=event.event,
        )
        place = reply(event, words.queue_place(len(queue)), key="place") if queue else []
        return [AcceptCommand(command), PutParcel(seen), *place]

    async def _run(self, command: BotCommand, asked: Asked) -> Sequence[Effect]:
        self._signals.read(asked.event.room, asked.event.event)
        role = role_of(asked.event.sender, asked.room)
        if role is None or role < command.role:
            return reply(asked.event, words.VIEWER_MAY_NOT_RUN)
        return await command.run(asked)

    async def _refuse(self, event: Incoming, room: RoomSettings) -> Sequence[Effect]:
        day = datetime.fromtimestamp(self._desk.clock.now_ms() / 1000, tz=UTC).date().isoformat()
        if await self._desk.rooms.refusals(event.room, day) >= REFUSALS_A_DAY:
            return []
        return [CountRefusal(event.room, day), *reply(event, words.refused(event.sender, room.name))]

    async def _answer(self, event: Incoming, target: EventId, *, allow: bool) -> Sequence[Effect]:
        parcel = await self._desk.outbox.parcel_of(target)
        if parcel is None or parcel.approval is None or parcel.room != event.room:
            return []
        asked = await self._desk.approvals.get(parcel.approval)
        if asked is None or asked.state is not ApprovalState.OPEN:
            return reply(event, words.approval_already_answered(None if asked is None else asked.decided_by))
        state = ApprovalState.ALLOWED if allow else ApprovalState.DENIED
        return [DecideApproval(approval=parcel.approval, state=state, by=event.sender)]

    async def _stop(self, event: Incoming, target: EventId) -> Sequence[Effect]:
        parcel = await self._desk.outbox.parcel_of(target)
        command = await self._desk.commands.get(target if parcel is None or parcel.command is None else parcel.command)
        if command is None or command.room != event.room:
            return []
        return [RequestStop(command.event, event.sender)]
