"""From a decision to its effects. Reads the ledger, writes nothing: the router commits the effects."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

import structlog

from aiagentchat.config.settings import RoomSettings, slug_wish
from aiagentchat.core.approvals import Approval, ApprovalState
from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import (
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
from aiagentchat.core.guards import Why
from aiagentchat.core.ids import EventId, UserId, txn_id
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import REACTION, Parcel, Urgency
from aiagentchat.core.ports.voice import Signals
from aiagentchat.render import away, manual, marks, session_words, words
from aiagentchat.render.agent_words import stopped_before_it_began, turned_down
from aiagentchat.render.message import message, reaction
from aiagentchat.route import catch_up, conversations, customs, files, guarding, joining, questions, tasks
from aiagentchat.route.access import Role, Roles
from aiagentchat.route.bot_commands import now
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
    Refuse,
    RefuseToRun,
    Removed,
    RoomReplaced,
    RunBotCommand,
    StopTarget,
    TakeBack,
    TakeFile,
    TakeNote,
    UnknownBotCommand,
    Unreadable,
    decide,
)
from aiagentchat.route.machines import AskedByAgent, TurnAway
from aiagentchat.route.refusals import counted, refuse

CHANGED = "✏️"
ASKS = "default"
"""The permission mode in which the agent asks before it does what no rule allows."""

_NEEDS_ITS_SENDER = Ask | RunBotCommand | AnswerInWords | ChangeQueued | TakeFile
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

    async def decision(self, event: Incoming, roles: Roles) -> Decision:
        """What `event` means in a room with these roles."""
        role, room = roles.of(event.sender), roles.room
        is_heard = role is not None or event.caller is not None
        return decide(
            event,
            room,
            role=role,
            me=self._me,
            known=self._bot_commands,
            custom=await self._custom_commands(event, room) if is_heard else (),
            instance=self._desk.own.instance,
        )

    async def _custom_commands(self, event: Incoming, room: RoomSettings) -> Collection[str]:
        """The names of the project's own commands, where `event` may call one."""
        return await customs.names(self._desk, room) if customs.called(event.body) else ()

    async def effects(self, decision: Decision, event: Incoming, roles: Roles) -> Sequence[Effect]:
        """What follows from `decision` about `event`, in a room with these roles."""
        decision = await self._resolved(decision, event, roles)
        if isinstance(decision, _NEEDS_ITS_SENDER) and await self.is_in_the_clear(event):
            return refuse(event, "in the clear", words.IN_THE_CLEAR)
        match decision:
            case Ignore() | TakeNote():
                return await self._heard(decision, event)
            case Ask(text):
                return await self._ask(event, text, roles)
            case AskedByAgent() | TurnAway():
                return await self._asked_by_agent(decision, event, roles)
            case RunBotCommand(name, arguments):
                return await self._run(self._bot_commands[name], Asked(event=event, roles=roles, arguments=arguments))
            case UnknownBotCommand(name, nearest):
                return reply(event, words.unknown_command(name, nearest))
            case Refuse():
                return await self._refuse(event, roles)
            case RefuseToRun():
                return refuse(event, "message", words.VIEWER_MAY_NOT_RUN)
            case TakeFile():
                return await self._take_file(decision, event, roles)
            case AnswerApproval() | AnswerInWords() | StopTarget() | ForgetTarget():
                return await self._about_ours(decision, event, roles)
            case ChangeQueued() | TakeBack() | Unreadable():
                return await self._about_the_message(decision, event)
            case _:
                return await self._about_the_room(decision, event, roles.room)

    async def news(self, event: Incoming, effects: Sequence[Effect], roles: Roles) -> Sequence[Effect]:
        """What follows from `event` for tasks, beside `effects`."""
        return await tasks.news(self._desk, event, effects, roles)

    async def _heard(self, decision: Ignore | TakeNote, event: Incoming) -> Sequence[Effect]:
        """Nothing is begun by it."""
        if isinstance(decision, TakeNote):
            self._signals.read(event.room, event.event, event.thread)
            return []
        if not decision.refusal:
            return []
        is_ours = event.kind is Kind.CLOSED and await self._desk.outbox.parcel_of(event.event) is not None
        return [] if is_ours else [refused(event, decision.refusal)]

    async def _resolved(self, decision: Decision, event: Incoming, roles: Roles) -> Decision:
        """A reply that answers no question is what it is without one."""
        if isinstance(decision, AnswerInWords) and not await questions.is_answer(self._desk, event, decision, roles):
            return decision.otherwise
        return decision

    async def is_in_the_clear(self, event: Incoming) -> bool:
        """Whether it came unencrypted into an encrypted room: then the homeserver can have written it.

        What has come through our own gateway has not come from a homeserver.
        """
        is_clear = not event.encrypted and event.caller is None
        return is_clear and await self._desk.rooms.is_encrypted(event.room)

    async def _about_ours(
        self, decision: AnswerApproval | AnswerInWords | StopTarget | ForgetTarget, event: Incoming, roles: Roles
    ) -> Sequence[Effect]:
        match decision:
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
        self._signals.read(event.room, event.event, event.thread)
        queue = await desk.commands.queue(event.room)
        [accepted] = await conversations.accept(desk, [replace(event, body=text)])
        command = accepted.command
        if event.late_ms == 0:
            command = joining.held(command, queue, roles.room)
            first = await joining.joined_to(desk, command, queue)
            if first is not None:
                seen = PutParcel(marks.accepted(event.event, event.room, first))
                return [replace(accepted, command=command, joins=first), seen]
        if (full := await self._full(len(queue))) is not None:
            return [replace(accepted, command=replace(command, state=CommandState.REJECTED)), *reply(event, full)]
        seen = PutParcel(marks.accepted(event.event, event.room))
        turns = sum(each.host is None for each in queue)
        return [*before, replace(accepted, command=command), seen, *self._wait_words(event, turns)]

    async def _asked_by_agent(
        self, decision: AskedByAgent | TurnAway, event: Incoming, roles: Roles
    ) -> Sequence[Effect]:
        if isinstance(decision, AskedByAgent) and await self.is_in_the_clear(event):
            decision = TurnAway(decision.meta, Why.IN_THE_CLEAR)
        if isinstance(decision, AskedByAgent):
            return await guarding.ask(self._desk, decision, event, roles.room)
        return await guarding.turn_away(self._desk, decision, event, roles.room)

    async def _take_file(self, decision: TakeFile, event: Incoming, roles: Roles) -> Sequence[Effect]:
        refused_file = await files.refused(self._desk, decision, event)
        if refused_file is not None and isinstance(decision.then, AskedByAgent):
            return await guarding.turn_away(self._desk, TurnAway(decision.then.meta, Why.FILE), event, roles.room)
        if refused_file is not None:
            return refused_file
        kept = await files.kept(self._desk, decision, event)
        if decision.then is not None:
            return [*kept, *await self.effects(decision.then, event, roles)]
        self._signals.read(event.room, event.event, event.thread)
        return kept

    async def _is_for_agent(self, said: Incoming, roles: Roles) -> bool:
        heard: Decision | None = await self.decision(said, roles)
        if isinstance(heard, TakeFile):
            heard = heard.then
        decision = None if heard is None else await self._resolved(heard, said, roles)
        return isinstance(decision, Ask) and not await self.is_in_the_clear(said)

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
        self._signals.read(asked.event.room, asked.event.event, asked.event.thread)
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
        one_more = await counted(self._desk, event)
        if one_more is None:
            return [refused(event, "message")]
        user = event.sender
        if roles.given(user) is None:
            told = words.refused(user, roles.room.name)
        else:
            told = words.power_too_low(user, roles.power(user), roles.all_needed())
        return [one_more, *refuse(event, "message", told)]

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
        given = await questions.heard(self._desk, asked, event, decision)
        if given is None:
            return []
        hindered = await questions.hindered(self._desk, asked, event.sender, roles)
        if hindered is not None:
            return refuse(event, "answer", hindered)
        return await questions.answer(self._desk, asked, event, given, in_words=isinstance(decision, AnswerInWords))

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
        if command.urgent:
            text = now.text_of(text)
        match command.state:
            case CommandState.QUEUED if command.own:
                return reply(event, session_words.OWN_NOT_CHANGED)
            case CommandState.QUEUED if text := conversations.asked_in(text):
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
        if command.state is CommandState.QUEUED and (await self._desk.commands.parts(command.event)).keys() - {target}:
            return [erased]  # the others that it was joined to are run without it
        if command.state is CommandState.QUEUED or may_stop or event.sender == command.sender:
            log.info("command.taken_back", command=target, state=command.state, by=event.sender)
            waits = command.state is CommandState.QUEUED
            told = turned_down(command, stopped_before_it_began(event.sender)) if waits else []
            return [RequestStop(command.host or command.event, event.sender), erased, *map(PutParcel, told)]
        return [erased]

    async def _take_back_edit(self, event: Incoming, target: EventId) -> Sequence[Effect]:
        """A change that was taken back: what was, or is to be, run as changed is taken back with it."""
        change = await self._desk.inbox.get(target)
        if change is None or change.kind is not Kind.EDIT or change.target is None:
            return []
        command = await self._desk.commands.get(change.target)
        if command is None or command.sender != change.sender:
            return []
        text = (await self._desk.commands.parts(command.event)).get(change.target, command.text)
        changed = now.text_of(change.body) if command.urgent else change.body
        return [EraseText(change.target, event.room)] if text == changed else []

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
                roles = await self._desk.roles(room)
                is_stranger = roles is None or roles.of(event.sender) is None
                noted = [refused(event, "tombstone")] if is_stranger else []
                return [*noted, *reply_in_room(event, away.room_replaced(new))]
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
            only_to=self._me if room.mention_only else None,
            asks=room.permission_mode == ASKS,
        )
        return [PutParcel(Parcel(txn=txn_id(room.id, "welcome"), room=room.id, content=message(told, notice=True)))]


def _in_words_here(asked: Approval) -> PutParcel:
    """Said once about a question, however often somebody reacts to it."""
    told = message(words.IN_WORDS_HERE, notice=True)
    return PutParcel(Parcel(txn=txn_id(asked.id, "in words"), room=asked.room, content=told))
