"""What a message means. Pure: the cases are here, the effects are in `dispatch`."""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.custom_commands import called
from aiagentchat.core.files import MediaFile
from aiagentchat.core.guards import Why
from aiagentchat.core.ids import EventId, InstanceName, RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Address, Meta, MetaKind, typed
from aiagentchat.route.access import Role
from aiagentchat.route.answers import ALWAYS, NO, NUMBERS, YES, plain
from aiagentchat.route.machines import AskedByAgent, Ear, NotForUs, TurnAway, heard, is_of_program

BOT_COMMAND = re.compile(r"([/!])([a-z_]+)(?:\s+|$)")
STOP = frozenset({"🛑"})
FORGET = frozenset({"🗑"})

_ID_ENDS = r"(?![\w=/+\-]|[.:][\w\[])"
"""Neither `@bob` in `@bobby:hs` nor `@bob:hs` in `@bob:hs.example` is Bob; a full stop may follow."""
_MOMENTS = re.compile(r"([0-9]{1,15})–([0-9]{1,15})")
_CLOSE_ENOUGH = 0.6

BEGIN_NOTHING = frozenset({MetaKind.STATUS, MetaKind.ANSWER})
"""What a person may say at the beginning of a message that asks nobody for anything."""
OF_PROGRAMS = frozenset({Kind.TEXT, Kind.NOTICE, Kind.FILE, Kind.REACTION, Kind.EDIT, Kind.REDACTION, Kind.MALFORMED})
"""What somebody says or does to a message. What happens to the room is the same, by whomever."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing follows."""

    why: str
    refusal: str = ""
    """What the sender has tried without being allowed to, in a word for the audit; empty: nothing."""


@dataclass(frozen=True, slots=True)
class TakeNote:
    """News, or an answer: it is heard, which its sender sees by our receipt, and begins nothing."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The sender may not, and has spoken to us: say so, not too often."""


@dataclass(frozen=True, slots=True)
class RefuseToRun:
    """The sender may only look."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Text for the agent."""

    text: str


@dataclass(frozen=True, slots=True)
class RunBotCommand:
    """Answered by the daemon."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class UnknownBotCommand:
    """No bot command has this name."""

    name: str
    nearest: str | None


@dataclass(frozen=True, slots=True)
class TakeFile:
    """A file, with what its caption means; without one it waits for what its sender says next."""

    file: MediaFile
    then: "Decision | None"


@dataclass(frozen=True, slots=True)
class AnswerApproval:
    """A reaction that may be on a question: whether it is, and what it says there, the outbox knows."""

    target: EventId
    key: str


@dataclass(frozen=True, slots=True)
class StopTarget:
    """A reaction that ends the turn of a command, put on the command or on its answer."""

    target: EventId


@dataclass(frozen=True, slots=True)
class ForgetTarget:
    """A reaction that deletes the answer that it is put on."""

    target: EventId
    is_admin: bool


@dataclass(frozen=True, slots=True)
class AnswerInWords:
    """A reply that may be to a question: whether it is, and what it says there, the outbox knows."""

    target: EventId
    said: str
    otherwise: "Decision"
    """What it means if it is not."""


@dataclass(frozen=True, slots=True)
class ChangeQueued:
    """An edit. What waits is changed; what has started stays as it was."""

    target: EventId
    text: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """A redaction. What waits is not run; what runs is ended, if the sender may do that."""

    target: EventId
    may_stop: bool
    """Whether the sender may end what others have asked for."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Meant as a message for us, but of no shape that we can read."""


@dataclass(frozen=True, slots=True)
class RoomReplaced:
    """The room was upgraded: people go on in another one."""

    new: RoomId | None


@dataclass(frozen=True, slots=True)
class Removed:
    """We are no longer in the room."""


@dataclass(frozen=True, slots=True)
class CameIn:
    """We are in the room (again)."""


@dataclass(frozen=True, slots=True)
class NotHeard:
    """What was said meanwhile could not be read, and never will be."""

    first: int
    """Milliseconds since the epoch, as is `last`."""
    last: int


Decision: TypeAlias = (
    Ignore
    | TakeNote
    | Refuse
    | RefuseToRun
    | Ask
    | AskedByAgent
    | TurnAway
    | RunBotCommand
    | UnknownBotCommand
    | TakeFile
    | AnswerApproval
    | StopTarget
    | ForgetTarget
    | AnswerInWords
    | ChangeQueued
    | TakeBack
    | Unreadable
    | RoomReplaced
    | Removed
    | CameIn
    | NotHeard
)


def decide(
    event: Incoming,
    room: RoomSettings,
    *,
    role: Role | None,
    me: UserId,
    known: Collection[str],
    custom: Collection[str] = (),
    instance: InstanceName | None = None,
) -> Decision:
    """What `event` means in `room`, where its sender has `role`.

    `known` are the names of the bot commands, `custom` those of the commands of the project, which come after them.
    `instance` is what this daemon is called among those of its account.
    """
    names = Names(known, custom)
    if is_of_program(event) and event.kind in OF_PROGRAMS:
        return _of_program(event, Ear(Address(me, instance), room.exchange), role, names)
    match event.kind:
        case Kind.TEXT:
            return _reply(event, role, _text(event, room, role, me, names))
        case Kind.REACTION if event.target is not None:
            return _reaction(event.body, event.target, role)
        case Kind.FILE if event.file is not None:
            return _file(event, event.file, room, role, _reply(event, role, _text(event, room, role, me, names)), me)
        case Kind.FILE | Kind.MALFORMED if role is not None and (me in event.mentions or not room.mention_only):
            return Unreadable() if role >= Role.USER else RefuseToRun()
        case Kind.EDIT if event.target is not None and role is not None and role >= Role.USER:
            return ChangeQueued(event.target, event.body)
        case Kind.REDACTION if event.target is not None:
            # Whoever the homeserver lets redact (the sender, a moderator) has taken the text out of the room.
            return TakeBack(event.target, may_stop=role is not None and role >= Role.USER)
        case Kind.TOMBSTONE | Kind.LEFT | Kind.JOINED | Kind.GAP_LOST:
            return _about_the_room(event)
        case Kind.FORGED | Kind.CLOSED | Kind.BEFORE:
            return Ignore(event.body, refusal=event.kind.value)
        case Kind.NOTICE:
            return Ignore("what is a notice is never answered", refusal="notice")
        case Kind.FILE | Kind.MALFORMED | Kind.EDIT if role is None or (role < Role.USER and event.kind is Kind.EDIT):
            return Ignore("the sender is not allowed", refusal=event.kind.value)
        case _:
            return Ignore(f"{event.kind} events start nothing")


def is_addressed(event: Incoming, me: UserId) -> bool:
    """Whether the sender speaks to us on purpose: a mention, our id in the text, or our name and a colon before it.

    What is typed before that for agents, as in `[TASK] claude: clean up`, does not count.
    """
    if me in event.mentions:
        return True
    ours, name = re.escape(me), re.escape(me[1:].partition(":")[0])
    spoken_to = rf"(?<!\w){ours}{_ID_ENDS}|\A(?:{name}:|@{name}{_ID_ENDS})"
    return re.search(spoken_to, typed(event.body).text, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Names:
    """What a message may call."""

    known: Collection[str]
    custom: Collection[str]

    def calls_custom(self, body: str) -> bool:
        """Whether `body` calls a command of the project, which no bot command has the name of."""
        found = called(body)
        return found is not None and found[0] in self.custom and found[0] not in self.known


def _of_program(event: Incoming, ear: Ear, role: Role | None, names: Names) -> Decision:
    """What a program has written, or done to a message: of all that, only what asks us for something means anything."""
    # Whoever lets a caller in has asked whether it may begin turns in this room.
    may = event.caller is not None or (role is not None and role >= Role.USER)
    if event.kind is Kind.REDACTION and event.target is not None:
        return TakeBack(event.target, may_stop=False)  # its text is out of the room, by whomever
    if event.kind not in (Kind.TEXT, Kind.FILE):
        return Ignore(f"{event.kind} events of programs mean nothing", refusal="" if may else event.kind.value)
    said = heard(event, ear, may=may)
    if isinstance(said, NotForUs):
        # With the mark of a program nobody is passed over in silence who would not be without it.
        is_plain = not isinstance(event.meta, Meta)
        refusal = "message" if is_plain and not may else "meta" if said.is_broken else ""
        return Ignore(f"a program's, {said.why}", refusal=refusal)
    return said if isinstance(said, TurnAway) else _asked_by_agent(event, said, names)


def _asked_by_agent(event: Incoming, asked: AskedByAgent, names: Names) -> Decision:
    if not names.calls_custom(asked.text) and _bot_command(asked.text, names) is not None:
        return TurnAway(asked.meta, Why.BOT_COMMAND)
    has_text = bool(asked.text.strip())
    if event.kind is Kind.TEXT:
        return asked if has_text else TurnAway(asked.meta, Why.EMPTY)
    if event.file is None:
        return TurnAway(asked.meta, Why.FILE)
    return TakeFile(event.file, asked if has_text else None)


def _text(event: Incoming, room: RoomSettings, role: Role | None, me: UserId, names: Names) -> Decision:
    is_custom = names.calls_custom(event.body)
    command = None if is_custom else _bot_command(event.body, names)
    addressed = command is not None or is_custom or is_addressed(event, me)
    if role is None:
        return Refuse() if addressed else Ignore("the sender is not allowed", refusal="message")
    if command is not None:
        return command
    if room.mention_only and not addressed:
        return Ignore("not addressed")
    if not event.body.strip():
        return Ignore("no text")
    if typed(event.body).kind in BEGIN_NOTHING:
        return TakeNote()
    return RefuseToRun() if role < Role.USER else Ask(event.body)


def _file(
    event: Incoming, file: MediaFile, room: RoomSettings, role: Role | None, caption: Decision, me: UserId
) -> Decision:
    """`caption` is what its caption means, as a message of its own."""
    if role is None:
        return Ignore(caption.why, refusal="file") if isinstance(caption, Ignore) else caption
    if event.body.strip() and not isinstance(caption, TakeNote):
        is_taken = role >= Role.USER and not isinstance(caption, Ignore)
        return TakeFile(file, caption) if is_taken else caption
    if room.mention_only and me not in event.mentions and not isinstance(caption, TakeNote):
        return Ignore("not addressed")
    return TakeFile(file, None) if role >= Role.USER else RefuseToRun()


def _reply(event: Incoming, role: Role | None, otherwise: Decision) -> Decision:
    """A reply that is no bot command may answer a question, and else is a message as any other."""
    may = role is not None and role >= Role.USER and isinstance(otherwise, Ask | Ignore | TakeNote)
    if event.target is None or not may or not event.body.strip():
        return otherwise
    said = typed(event.body)
    return AnswerInWords(event.target, said.text if said.kind is MetaKind.ANSWER else event.body, otherwise)


def _bot_command(body: str, names: Names) -> RunBotCommand | UnknownBotCommand | None:
    match = BOT_COMMAND.match(body)
    if match is None:
        return None
    sign, name = match.groups()
    if name in names.known:
        return RunBotCommand(name, body[match.end() :].strip())
    near = nearest(name, [*names.known, *names.custom])
    # "!important" is how people write. Only what looks like a slip of a known name is taken for one.
    return None if sign == "!" and near is None else UnknownBotCommand(name, near)


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that `name` may be a slip of."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=_CLOSE_ENOUGH)), None)


def _about_the_room(event: Incoming) -> Decision:
    match event.kind:
        case Kind.LEFT:
            return Removed()
        case Kind.JOINED:
            return CameIn()
        case Kind.GAP_LOST:
            moments = _MOMENTS.fullmatch(event.body)
            return NotHeard(int(moments[1]), int(moments[2])) if moments else Ignore("a gap without its moments")
        case _:
            return RoomReplaced(RoomId(event.body) if event.body else None)


def _reaction(key: str, target: EventId, role: Role | None) -> Decision:
    sign = plain(key)
    if sign not in YES | NO | ALWAYS | STOP | FORGET and sign not in NUMBERS:
        return Ignore("a reaction that means nothing here")
    if role is None or role < Role.USER:
        return Ignore("a reaction of somebody who may not run anything", refusal="reaction")
    if sign in FORGET:
        return ForgetTarget(target, is_admin=role >= Role.ADMIN)
    return StopTarget(target) if sign in STOP else AnswerApproval(target, sign)
