"""From a decision to its effects. Reads the ledger, writes nothing: the router commits the effects."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import assert_never

import structlog

from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.approvals import ApprovalState
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.effects import (
    AcceptCommand,
    CountRefusal,
    EditCommand,
    Effect,
    EnterRoom,
    EraseText,
    LeaveRoom,
    PutParcel,
    RequestStop,
    UnmakeRoom,
)
from aiagentchat.core.ids import EventId, UserId, new_session_id, txn_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.parcels import REACTION, Parcel, Urgency
from aiagentchat.core.ports.voice import Signals
from aiagentchat.render import away, words
from aiagentchat.render.message import reaction
from aiagentchat.route import catch_up, questions
from aiagentchat.route.access import role_of
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply, reply_in_room
from aiagentchat.route.decide import (
    AnswerApproval,
    Ask,
    CameIn,
    ChangeQueued,
    Decision,
    Ignore,
    NotHeard,
    OnlyText,
    Refuse,
    RefuseToRun,
    Removed,
    RoomReplaced,
    RunBotCommand,
    StopTarget,
    TakeBack,
    UnknownBotCommand,
    Unreadable,
    decide,
)

REFUSALS_A_DAY = 5
"""How often a room is told in a day that somebody is not allowed: enough to be seen, too few to be abused."""
ACCEPTED = "👀"
CHANGED = "✏️"

log = structlog.get_logger(__name__)


class Dispatcher:
    """Knows what follows from what."""

    def __init__(self, desk: Desk, bot_commands: Mapping[str, BotCommand], signals: Signals, me: UserId) -> None:
        self._desk = desk
        self._me = me
        self._bot_commands = bot_commands
        self._signals = signals

    async def effects(self, decision: Decision, event: Incoming, room: RoomSettings) -> Sequence[Effect]:
        """What follows from `decision` about `event`."""
        match decision:
            case Ignore():
                return []
            case Ask(text):
                return await self._ask(event, text, room)
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
            case ChangeQueued() | TakeBack() | Unreadable():
                return await self._about_the_message(decision, event)
            case _:
                return self._about_the_room(decision, event, room)

    async def _about_the_message(
        self, decision: ChangeQueued | TakeBack | Unreadable, event: Incoming
    ) -> Sequence[Effect]:
        match decision:
            case ChangeQueued(target, text):
                return await self._change(event, target, text)
            case TakeBack(target, may_stop):
                return await self._take_back(event, target, may_stop=may_stop)
            case Unreadable():
                return reply(event, away.UNREADABLE)
            case _:
                assert_never(decision)

    async def _ask(self, event: Incoming, text: str, room: RoomSettings) -> Sequence[Effect]:
        desk = self._desk
        before: Sequence[Effect] = []
        if event.late_ms:
            planned = await catch_up.plan(desk, event, lambda said: self._is_for_agent(said, room))
            if not planned.run:
                return planned.effects
            before = planned.effects
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
        if (full := await self._full(len(queue))) is not None:
            return [AcceptCommand(replace(command, state=CommandState.REJECTED)), *reply(event, full)]
        seen = self._reaction(event, ACCEPTED, "accepted")
        return [*before, AcceptCommand(command), seen, *self._wait_words(event, len(queue))]

    def _is_for_agent(self, said: Incoming, room: RoomSettings) -> bool:
        return isinstance(decide(said, room, me=self._me, known=self._bot_commands), Ask)

    async def _full(self, in_room: int) -> str | None:
        """Why there is no place for another command; None if there is one."""
        settings = self._desk.settings()
        if in_room >= settings.max_queue:
            return words.queue_full(settings.max_queue)
        if await self._desk.commands.open() >= settings.max_queue_total:
            return words.queues_full(settings.max_queue_total)
        return None

    def _wait_words(self, event: Incoming, before: int) -> list[Effect]:
        if self._desk.is_draining():
            return reply(event, away.WAITS_FOR_RESTART, key="place")
        if not before or event.late_ms:  # late ones were announced together
            return []
        return reply(event, words.queue_place(before), key="place", urgency=Urgency.SPARE)

    def _reaction(self, event: Incoming, key: str, what: str, target: EventId | None = None) -> PutParcel:
        return PutParcel(
            Parcel(
                txn=txn_id(event.event, what),
                room=event.room,
                type=REACTION,
                content=reaction(target or event.event, key),
                command=target or event.event,
                urgency=Urgency.SPARE,
            )
        )

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
        return await questions.answer(self._desk, asked, event, allow=allow)

    async def _stop(self, event: Incoming, target: EventId) -> Sequence[Effect]:
        parcel = await self._desk.outbox.parcel_of(target)
        command = await self._desk.commands.get(target if parcel is None or parcel.command is None else parcel.command)
        if command is None or command.room != event.room:
            return []
        return [RequestStop(command.event, event.sender)]

    async def _change(self, event: Incoming, target: EventId, text: str) -> Sequence[Effect]:
        command = await self._desk.commands.get(target)
        if command is None:
            return [EditCommand(target, text, event.sender)]
        if command.room != event.room or command.sender != event.sender:
            return []
        match command.state:
            case CommandState.QUEUED if text.strip():
                return [EditCommand(target, text, event.sender), self._reaction(event, CHANGED, "changed", target)]
            case CommandState.RUNNING:
                return reply(event, away.EDIT_TOO_LATE)
            case _:
                return []

    async def _take_back(self, event: Incoming, target: EventId, *, may_stop: bool) -> Sequence[Effect]:
        command = await self._desk.commands.get(target)
        erased = EraseText(target, event.room)
        if command is None or command.room != event.room:
            return [erased]
        if command.state is CommandState.QUEUED or may_stop or event.sender == command.sender:
            log.info("command.taken_back", command=target, state=command.state, by=event.sender)
            return [erased, RequestStop(target, event.sender)]
        return [erased]

    def _about_the_room(
        self, decision: RoomReplaced | Removed | CameIn | NotHeard, event: Incoming, room: RoomSettings
    ) -> Sequence[Effect]:
        match decision:
            case Removed():
                log.warning("room.left", how=event.body, by=event.sender)
                gone = [] if room.made_by is None else [UnmakeRoom(event.room, event.sender)]
                return [*gone, LeaveRoom(event.room, event.sender)]
            case CameIn():
                log.info("room.entered")
                return [EnterRoom(event.room)]
            case NotHeard(first, last):
                return reply_in_room(event, away.not_heard(first, last))
            case RoomReplaced(new):
                log.warning("room.replaced", new=new)
                return reply_in_room(event, away.room_replaced(new))
            case _:
                assert_never(decision)
