"""What routing an event may change in the ledger.

The store applies the effects together with the mark "routed", or not at all.

A bot command and a decision return these instead of writing, so that a crash between two writes cannot happen.
"""

from dataclasses import dataclass
from typing import TypeAlias

from aiagentchat.core.access import Grant
from aiagentchat.core.approvals import Approval, ApprovalState, Picked
from aiagentchat.core.audit import Deed
from aiagentchat.core.commands import Command
from aiagentchat.core.guards import AgentTurn, Halt
from aiagentchat.core.ids import ApprovalId, EventId, RoomId, SessionId, TaskId, UserId
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.rooms import MadeRoom, WaitingRoom
from aiagentchat.core.tasks import Task, Word


@dataclass(frozen=True, slots=True)
class AcceptCommand:
    """Queue the command. Its event id makes a second one a no-op. Files of its sender that wait go along with it."""

    command: Command
    joins: EventId | None = None
    """The command that it becomes a part of, if that is still held."""
    of_thread: bool = False
    """Whether its conversation is that of its thread, and not the room's."""
    task: Task | None = None
    """The task that it is to do. Whoever gave that is told that it was accepted, or not."""


@dataclass(frozen=True, slots=True)
class KeepFile:
    """The file of this event goes along with `command`, or, without one, with the next that its sender asks."""

    event: EventId
    command: EventId | None


@dataclass(frozen=True, slots=True)
class PutParcel:
    """Say something in a room."""

    parcel: Parcel


@dataclass(frozen=True, slots=True)
class RequestStop:
    """Ask the executor to end the running turn of this command; a queued one is cancelled at once."""

    command: EventId
    by: UserId


@dataclass(frozen=True, slots=True)
class SetTimeLimit:
    """The running turn of this command may take so long in all. One that does not run (any more) stays as it was."""

    command: EventId
    seconds: int


@dataclass(frozen=True, slots=True)
class EditCommand:
    """Change the text of a queued command, or of a message that was offered and not run, if `by` wrote it.

    One that has started stays as it was.
    """

    command: EventId
    text: str
    by: UserId


@dataclass(frozen=True, slots=True)
class EraseText:
    """The message was taken back, ours or somebody's: what it said is not to be run later, and is kept nowhere."""

    event: EventId
    room: RoomId


@dataclass(frozen=True, slots=True)
class ForgetAnswer:
    """Delete all that was said in answer to this command, which has ended, from its room and from the ledger.

    The homeserver keeps each edit as an event of its own, so each is deleted on its own.
    """

    command: EventId
    by: UserId


@dataclass(frozen=True, slots=True)
class ForgetEdits:
    """A message of ours was deleted by somebody else: delete its edits, which a homeserver keeps."""

    event: EventId
    room: RoomId


@dataclass(frozen=True, slots=True)
class NoteDeed:
    """Somebody did, or tried, what nothing else here tells of."""

    deed: Deed


@dataclass(frozen=True, slots=True)
class OpenApproval:
    """Ask a question of our own."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """We are out of the room: its turn ends, nothing starts and nothing is sent, and everything is kept."""

    room: RoomId
    by: UserId


@dataclass(frozen=True, slots=True)
class EnterRoom:
    """We are in the room: what was kept goes on."""

    room: RoomId


@dataclass(frozen=True, slots=True)
class NewSession:
    """Commands that are accepted from now on belong to this conversation."""

    room: RoomId
    session: SessionId
    thread: EventId | None = None
    """Those of this thread; None: those of the room."""


@dataclass(frozen=True, slots=True)
class NameSession:
    """People know the conversation by this name from now on."""

    room: RoomId
    session: SessionId
    name: str
    thread: EventId | None = None
    """Where it is begun by this."""


@dataclass(frozen=True, slots=True)
class SetModel:
    """Turns that start from now on in the room use this model; None: what config.yaml says."""

    room: RoomId
    model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideApproval:
    """Answer an approval. The first answer stands; a later one changes nothing."""

    approval: ApprovalId
    state: ApprovalState
    by: UserId
    reason: str = ""
    picked: Picked | None = None
    """What was chosen, where there is something to choose."""
    always: bool = False
    """Whether the question's rule holds from now on, for as long as the conversation lasts."""


@dataclass(frozen=True, slots=True)
class EndRules:
    """Whatever was allowed for whole conversations of the room is asked about again."""

    room: RoomId
    by: UserId


@dataclass(frozen=True, slots=True)
class GiveRole:
    """Somebody may do more in a room than config.yaml says. It takes the place of what they were given before."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class TakeRole:
    """What somebody was given in a room is taken back; what config.yaml says stays."""

    room: RoomId
    user: UserId
    by: UserId


@dataclass(frozen=True, slots=True)
class CountRefusal:
    """Remember that this room was told once more today that a sender is not allowed."""

    room: RoomId
    day: str


@dataclass(frozen=True, slots=True)
class MakeRoom:
    """The room is one of ours from now on. What was said there since we were invited is looked at again.

    `by_event` is what has made it.
    """

    made: MadeRoom
    by_event: EventId


@dataclass(frozen=True, slots=True)
class UnmakeRoom:
    """The room is no longer one of ours. Folder and conversation stay."""

    room: RoomId
    by: UserId


@dataclass(frozen=True, slots=True)
class AwaitRoom:
    """The room may be made one of ours for a while."""

    waiting: WaitingRoom


@dataclass(frozen=True, slots=True)
class ForgetRoom:
    """We are not in the room any more, and wait for nothing there."""

    room: RoomId


@dataclass(frozen=True, slots=True)
class OpenTask:
    """Somebody has given a task, or something was heard of one that was not known. A second time changes nothing."""

    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTask:
    """News of a task: where they may move it from where it stands when this is applied, they do."""

    room: RoomId
    task: TaskId
    word: Word
    tell: bool = False
    """Whether its thread is told, if it has moved."""
    command: EventId | None = None
    """The command that works on it from now on; None: the one that did."""


@dataclass(frozen=True, slots=True)
class HaltAgents:
    """Agents begin nothing more in the room. Where they are halted already, nothing changes."""

    halt: Halt


@dataclass(frozen=True, slots=True)
class LetAgentsGoOn:
    """They may begin turns again, and are counted anew."""

    room: RoomId
    by: UserId


GuardChange: TypeAlias = AgentTurn | HaltAgents | LetAgentsGoOn
"""What counts turns of agents (`core/guards.py`). `AgentTurn` comes together with the command that it is."""

RoomChange: TypeAlias = MakeRoom | UnmakeRoom | AwaitRoom | ForgetRoom
"""What changes which rooms are ours, apart from config.yaml: each says by whom, but for the one that nobody does."""

Effect: TypeAlias = (
    AcceptCommand
    | KeepFile
    | PutParcel
    | RequestStop
    | SetTimeLimit
    | EditCommand
    | EraseText
    | ForgetAnswer
    | ForgetEdits
    | NoteDeed
    | OpenApproval
    | LeaveRoom
    | EnterRoom
    | NewSession
    | NameSession
    | SetModel
    | DecideApproval
    | EndRules
    | GiveRole
    | TakeRole
    | CountRefusal
    | OpenTask
    | MoveTask
    | GuardChange
    | RoomChange
)
