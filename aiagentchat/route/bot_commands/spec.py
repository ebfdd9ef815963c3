"""What a bot command is. Each has a file of its own and is declared once: /help and the docs read the same list."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.audit import AuditKind, Deed
from aiagentchat.core.commands import Command, CommandState, TurnTime
from aiagentchat.core.effects import Effect, NoteDeed, PutParcel, RequestStop
from aiagentchat.core.health import GatewayHealth, SealHealth, SendHealth, StoreHealth, SyncHealth
from aiagentchat.core.ids import RoomId, SessionId, UserId, txn_id
from aiagentchat.core.isolation import Held
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Address
from aiagentchat.core.parcels import Parcel, Urgency
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.directory import Directory
from aiagentchat.core.ports.guards import Guards
from aiagentchat.core.ports.ledger import Approvals, Changes, Commands, Inbox, Outbox, Rooms, Sessions, Spending
from aiagentchat.core.ports.tasks import Tasks
from aiagentchat.core.transcripts import Transcript
from aiagentchat.render.agent_words import stopped_before_it_began, turned_down
from aiagentchat.render.manual import Entry, Topic
from aiagentchat.render.marks import mark_for_people
from aiagentchat.render.message import PAGE_BYTES, message
from aiagentchat.render.split import split
from aiagentchat.route.access import Role, Roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One use of a bot command."""

    event: Incoming
    roles: Roles
    arguments: str = ""

    @property
    def room(self) -> RoomSettings:
        """Where it was typed."""
        return self.roles.room

    @property
    def role(self) -> Role | None:
        """What whoever typed it is here."""
        return self.roles.of(self.event.sender)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the daemon itself is."""

    sync: SyncHealth = field(default_factory=SyncHealth)
    send: SendHealth = field(default_factory=SendHealth)
    store: StoreHealth = field(default_factory=StoreHealth)
    seals: SealHealth = field(default_factory=SealHealth)
    gateway: GatewayHealth = field(default_factory=GatewayHealth)


async def no_transcript(_: RoomSettings, __: SessionId) -> Transcript | None:
    """Of an agent that writes nothing down."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What bot commands and decisions may look at. What they change, they return as effects."""

    inbox: Inbox
    commands: Commands
    approvals: Approvals
    sessions: Sessions
    outbox: Outbox
    rooms: Rooms
    spending: Spending
    changes: Changes
    tasks: Tasks
    guards: Guards
    settings: Callable[[], Settings]
    roles: Callable[[RoomSettings], Awaitable[Roles | None]]
    """Who may do what in a room now; None while that is not known."""
    is_warm: Callable[[RoomId], bool]
    turn_time: Callable[[RoomId], TurnTime | None]
    """How the room's running turn stands with its time, if one runs."""
    rest: Callable[[RoomId], float]
    """For how many seconds the room begins no turn, because its last ones have burdened the machine."""
    is_draining: Callable[[], bool]
    """Whether the daemon is about to end and starts nothing more."""
    health: Callable[[], Awaitable[Health]]
    clock: Clock
    started_at: int
    """When this daemon started, in milliseconds."""
    version: str
    held: Held
    """What runs are kept in."""
    own: Address
    """This daemon, as agents address it."""
    subscription_in_room: Callable[[], bool] = lambda: False
    """Whether runs hold the subscription's token."""
    transcript: Callable[[RoomSettings, SessionId], Awaitable[Transcript | None]] = no_transcript
    """What the agent has written down of a conversation; None where nothing can be read."""
    is_billed: Callable[[], bool] = lambda: True
    """Whether the API's prices are paid; under a subscription they are not."""
    directory: Directory | None = None
    """Who else is there."""


Run = Callable[[Asked], Awaitable[Sequence[Effect]]]


class Takes(Enum):
    """What may stand behind the name of a bot command. What does not fit is answered with its usage, and not run."""

    NOTHING = auto()
    MAYBE = auto()
    """It makes sense of what stands there by itself, and of nothing as well."""
    SOMETHING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class BotCommand:
    """`usage` is shown when it is used wrongly; `summary` fits on a phone."""

    name: str
    usage: str
    summary: str
    role: Role
    """The lowest role that may use it."""
    run: Run
    takes: Takes = Takes.MAYBE
    topic: Topic = Topic.ROOM
    """Where /help names it."""
    examples: tuple[str, ...] = ()
    """Uses of it, as they are typed; none where `usage` is one."""

    @property
    def entry(self) -> Entry:
        """How it is explained."""
        return Entry(
            usage=self.usage,
            summary=self.summary,
            role=self.role,
            topic=self.topic,
            examples=self.examples or (self.usage,),
        )


def refused(event: Incoming, what: str) -> NoteDeed:
    """Somebody has tried `what` (a word) without being allowed to."""
    return NoteDeed(
        Deed(
            kind=AuditKind.REFUSED,
            room=event.room,
            actor=event.sender,
            subject=event.body if event.kind is Kind.BEFORE else event.event,
            detail={"what": what},
        )
    )


def reply(
    event: Incoming, text: str, *, key: str = "reply", notice: bool = True, urgency: Urgency = Urgency.NEEDED
) -> list[Effect]:
    """Say `text` in answer to `event`, in as many messages as it needs.

    Text that is not NEEDED belongs to the command that `event` is, and may be dropped when that has ended.
    """
    return [
        PutParcel(
            Parcel(
                txn=txn_id(event.event, key, str(index)),
                room=event.room,
                content=message(piece.text, notice=notice, reply_to=event.event if index == 0 else None),
                command=None if urgency is Urgency.NEEDED else event.event,
                urgency=urgency,
                thread=event.thread,
            )
        )
        for index, piece in enumerate(split(text, PAGE_BYTES))
    ]


def reply_in_room(event: Incoming, text: str) -> list[Effect]:
    """Say `text` in the room because of `event`, which no person has typed."""
    said = Parcel(txn=txn_id(event.event, "reply", "0"), room=event.room, content=message(text, notice=True))
    return [PutParcel(said)]


def stop(command: Command, by: UserId) -> list[Effect]:
    """End it: if it runs, by its executor, which says so; if it waits, at once, and then nobody else would.

    What was given to a turn ends with that turn, and not otherwise.
    """
    told = turned_down(command, stopped_before_it_began(by))
    ended = [*mark_for_people(command, CommandState.CANCELLED), *told] if command.state is CommandState.QUEUED else []
    return [RequestStop(command.host or command.event, by), *map(PutParcel, ended)]
