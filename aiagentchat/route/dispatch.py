"""From a decision to its effects. Reads the ledger, writes nothing: the router commits the effects."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import assert_never

import structlog

from aiagentchat.config.settings import RoomSettings, slug_wish
from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.effects import (
    AcceptCommand,
    CountRefusal,
    EditCommand,
    Effect,
    EnterRoom,
    EraseText,
    ForgetEdits,
    LeaveRoom,
    PutParcel,
    RequestStop,
    UnmakeRoom,
)
from aiagentchat.core.ids import EventId, UserId, new_session_id, txn_id
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import REACTION, Parcel, Urgency
from aiagentchat.core.ports.voice import Signals
from aiagentchat.render import away, manual, words
from aiagentchat.render.message import message, reaction
from aiagentchat.route import catch_up, questions
from aiagentchat.route.access import Role, Roles
from aiagentchat.route.bot_commands.forget import answered, forget
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Takes, refused, reply, reply_in_room, stop
from aiagentchat.route.decide import (
    AnswerApproval,
    AnswerInWords,
    Ask,
    CameIn,
    ChangeQueued,
    Decision,
    ForgetTarget,
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
from aiagentchat.route.refusals import refuse

REFUSALS_A_DAY = 5
"""How often a room is told in a day that somebody is not allowed: enough to be seen, too few to be abused."""
ACCEPTED = "👀"
CHANGED = "✏️"
ASKS = "default"
"""The permission mode in which the agent asks before it does what no rule allows."""

_NEEDS_ITS_SENDER = Ask | RunBotCommand | AnswerInWords | ChangeQueued
"""What somebody else must not be able to say in the sender's name."""

log = structlog.get_logger(__name__)


class Dispatcher:
    """Knows what follows from what."""

    def __init__(self, desk: Desk, bot_commands: Mapping[str, BotCommand], signals: Signals, me: UserId) -> None:
        self._desk = desk
        self._me = me
        self._bot_commands = bot_commands
        self._signals = signals

    async def roles(self, room: RoomSettings) -> Roles | None:
        """Who may do what there now; None while that is not known."""
        return await self._desk.roles(room)

    async def effects(self, decision: Decision, event: Incoming, roles: Roles) -> Sequence[Effect]:
        """What follows from `decision` about `event`, in a room with these roles."""
        if isinstance(decision, _NEEDS_ITS_SENDER) and await self._is_in_the_clear(event):
            return refuse(event, "in the clear", words.IN_THE_CLEAR)
        match decision:
            case Ignore(refusal=what):
                return [refused(event, what)] if what else []
            case Ask(text):
                return await self._ask(event, text, roles)
            case RunBotCommand(name, arguments):
                return await self._run(self._bot_commands[name], Asked(event=event, roles=roles, arguments=arguments))
            case UnknownBotCommand(name, nearest):
                return reply(event, words.unknown_command(name, nearest))
            case Refuse():
                return await self._refuse(event, roles)
            case RefuseToRun():
                return refuse(event, "message", words.VIEWER_MAY_NOT_RUN)
            case OnlyText():
                return reply(event, words.ONLY_TEXT_FOR_NOW)
            case AnswerApproval() | AnswerInWords() | StopTarget() | ForgetTarget():
                return await self._about_ours(decision, event, roles)
            case ChangeQueued() | TakeBack() | Unreadable():
                return await self._about_the_message(decision, event)
            case _:
                return await self._about_the_room(decision, event, roles.room)

    async def _is_in_the_clear(self, event: Incoming) -> bool:
        """Whether it came unencrypted into an encrypted room: then the homeserver can have written it."""
        return not event.encrypted and await self._desk.rooms.is_encrypted(event.room)

    async def _about_ours(
        self, decision: AnswerApproval | AnswerInWords | StopTarget | ForgetTarget, event: Incoming, roles: Roles
    ) -> Sequence[Effect]:
        match decision:
            case AnswerInWords(target, otherwise=otherwise) if not await self._is_question(event, target):
                return await self.effects(otherwise, event, roles)
            case AnswerApproval() | AnswerInWords():
                return await self._answer(decision, event, roles)
            case StopTarget(target):
                return await self._stop(event, target)
            case ForgetTarget(target, is_admin):
                command = await answered(self._desk, event, target)
                return [] if command is None else forget(event, command, is_admin=is_admin)
            case _:
                assert_never(decision)

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

    async def _ask(self, event: Incoming, text: str, roles: Roles) -> Sequence[Effect]:
        desk = self._desk
        before: Sequence[Effect] = []
        if event.late_ms:
            planned = await catch_up.plan(desk, event, lambda said: self._is_for_agent(said, roles))
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

    async def _is_for_agent(self, said: Incoming, roles: Roles) -> bool:
        decision = decide(said, roles.room, role=roles.of(said.sender), me=self._me, known=self._bot_commands)
        if isinstance(decision, AnswerInWords) and not await self._is_question(said, decision.target):
            decision = decision.otherwise
        return isinstance(decision, Ask) and not await self._is_in_the_clear(said)

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
        if event.late_ms:  # these were announced together
            return []
        if rest := self._desk.rest(event.room):
            return reply(event, words.waits(rest), key="place", urgency=Urgency.SPARE)
        if not before:
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
        role = asked.role
        if role is None or role < command.role:
            told = words.only_admins(command.name) if command.role is Role.ADMIN else words.VIEWER_MAY_NOT_RUN
            return refuse(asked.event, f"/{command.name}", told)
        match command.takes, asked.arguments:
            case Takes.SOMETHING, "":
                return reply(asked.event, manual.needs_more(command.entry))
            case Takes.NOTHING, typed if typed:
                return reply(asked.event, manual.takes_nothing(command.entry, typed))
            case _:
                return await command.run(asked)

    async def _refuse(self, event: Incoming, roles: Roles) -> Sequence[Effect]:
        day = datetime.fromtimestamp(self._desk.clock.now_ms() / 1000, tz=UTC).date().isoformat()
        if await self._desk.rooms.refusals(event.room, day) >= REFUSALS_A_DAY:
            return [refused(event, "message")]
        user = event.sender
        if roles.given(user) is None:
            told = words.refused(user, roles.room.name)
        else:
            told = words.power_too_low(user, roles.power(user), roles.all_needed())
        return [CountRefusal(event.room, day), *refuse(event, "message", told)]

    async def _is_question(self, event: Incoming, target: EventId) -> bool:
        parcel = await self._desk.outbox.parcel_of(target)
        return parcel is not None and parcel.approval is not None and parcel.room == event.room

    async def _answer(
        self, decision: AnswerApproval | AnswerInWords, event: Incoming, roles: Roles
    ) -> Sequence[Effect]:
        parcel = await self._desk.outbox.parcel_of(decision.target)
        if parcel is None or parcel.approval is None:
            return []
        if parcel.room != event.room:
            return [refused(event, "answer elsewhere")]
        asked = await self._desk.approvals.get(parcel.approval)
        if asked is None or asked.state is not ApprovalState.OPEN:
            return reply(event, words.approval_already_answered(None if asked is None else asked.decided_by))
        if isinstance(decision, AnswerApproval) and roles.room.wants_words(
            encrypted=await self._desk.rooms.is_encrypted(event.room)
        ):
            return [refused(event, "reaction"), _in_words_here(asked)]
        hindered = await questions.hindered(self._desk, asked, event.sender, roles)
        if hindered is not None:
            return refuse(event, "answer", hindered)
        effects = await questions.answer(self._desk, asked, event, allow=decision.allow)
        if isinstance(decision, AnswerApproval) or asked.kind is not ApprovalKind.TOOL:
            return effects
        by = event.sender
        return [
            *effects,
            *reply(event, words.approval_allowed(by) if decision.allow else words.approval_denied(by, "")),
        ]

    async def _stop(self, event: Incoming, target: EventId) -> Sequence[Effect]:
        parcel = await self._desk.outbox.parcel_of(target)
        command = await self._desk.commands.get(target if parcel is None or parcel.command is None else parcel.command)
        if command is None:
            return []
        if command.room != event.room:
            return [refused(event, "stop elsewhere")]
        return stop(command, event.sender)

    async def _change(self, event: Incoming, target: EventId, text: str) -> Sequence[Effect]:
        command = await self._desk.commands.get(target)
        written = command or await self._desk.inbox.get(target)
        if written is not None and (written.room, written.sender) != (event.room, event.sender):
            return [refused(event, "edit")]
        if command is None:
            return [EditCommand(target, text, event.sender)]
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
        if command is None:
            return [erased, ForgetEdits(target, event.room), *await self._take_back_edit(event, target)]
        if command.room != event.room:
            return [erased]
        if command.state is CommandState.QUEUED or may_stop or event.sender == command.sender:
            log.info("command.taken_back", command=target, state=command.state, by=event.sender)
            return [RequestStop(target, event.sender), erased]
        return [erased]

    async def _take_back_edit(self, event: Incoming, target: EventId) -> Sequence[Effect]:
        """A change that was taken back: what was, or is to be, run as changed is taken back with it."""
        change = await self._desk.inbox.get(target)
        if change is None or change.kind is not Kind.EDIT or change.target is None:
            return []
        command = await self._desk.commands.get(change.target)
        is_its_text = command is not None and (command.sender, command.text) == (change.sender, change.body)
        return [EraseText(change.target, event.room)] if is_its_text else []

    async def _about_the_room(
        self, decision: RoomReplaced | Removed | CameIn | NotHeard, event: Incoming, room: RoomSettings
    ) -> Sequence[Effect]:
        match decision:
            case Removed():
                log.warning("room.left", how=event.body, by=event.sender)
                gone = [] if room.made_by is None else [UnmakeRoom(event.room, event.sender)]
                return [*gone, LeaveRoom(event.room, event.sender)]
            case CameIn():
                log.info("room.entered")
                return [EnterRoom(event.room), *await self._welcome(room)]
            case NotHeard(first, last):
                return reply_in_room(event, away.not_heard(first, last))
            case RoomReplaced(new):
                log.warning("room.replaced", new=new)
                return reply_in_room(event, away.room_replaced(new))
            case _:
                assert_never(decision)

    async def _welcome(self, room: RoomSettings) -> Sequence[Effect]:
        """Once in a room, however often we come; one that was made in chat was told enough when it was made."""
        if not room.welcome or room.made_by is not None:
            return []
        slug = await self._desk.rooms.slug(room.id, slug_wish(room))
        told = manual.welcome(
            self._desk.settings().workspace_of(room, slug).name,
            sorted(room.users | room.admins),
            mention_only=room.mention_only,
            asks=room.permission_mode == ASKS,
        )
        return [PutParcel(Parcel(txn=txn_id(room.id, "welcome"), room=room.id, content=message(told, notice=True)))]


def _in_words_here(asked: Approval) -> PutParcel:
    """Said once about a question, however often somebody reacts to it."""
    told = message(words.IN_WORDS_HERE, notice=True)
    return PutParcel(Parcel(txn=txn_id(asked.id, "in words"), room=asked.room, content=told))
