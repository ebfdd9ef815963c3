"""What somebody outside of the rooms can ask of the daemon: who asks, what is sent, and how far that has come. Pure.

Programs ask at the gateway, agents through the tools of their runs. All of them are callers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from aiagentchat.core.ids import CallerName, EventId, InstanceName, MessageId, RoomId, TaskId, UserId
from aiagentchat.core.meta import Address, Meta, MetaKind

MOST_BODY = 32_000
"""Bytes of a message: what is longer is a file."""
MOST_ANSWER = 256_000
"""Characters of an answer that are kept with the message …"""
MOST_PARTS = 100
"""… and messages that it may come in. The room has all of it."""


CODES = frozenset({"unknown", "not_allowed", "invalid", "conflict", "full", "halted", "unavailable"})
"""Why something is refused: there is no such thing (that the caller may know of), the caller may not, it makes no
sense, the same key was used for something else, a limit is reached, agents are halted there, we cannot do it now."""


class Scope(StrEnum):
    """What a caller may do in a room. Each stands for itself."""

    READ = "read"
    SEND = "send"
    RUN = "run"
    """Begin a turn of this daemon."""


EVERYTHING = frozenset(Scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRules:
    """What agents may say to each other in a room, and how often that begins a turn there."""

    tools: bool = True
    """Whether a run has the tools to speak with other agents."""
    rooms: tuple[str, ...] = ()
    """Names of other rooms that a run may read, and send to if the agent is allowed to."""
    hops: int = 4
    """A message that is further from a person than this begins nothing."""
    pair_turns: int = 10
    """Turns that two agents may begin with each other in an hour."""
    room_turns: int = 30
    """Turns that agents may begin in the room in an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks."""

    name: CallerName
    scopes: Mapping[RoomId, frozenset[Scope]] = field(default_factory=dict)
    everywhere: frozenset[Scope] = frozenset()
    """What it may do in every room of ours."""
    is_operator: bool = False
    """Whether it came through the socket of whoever runs the daemon."""
    instance: InstanceName | None = None
    """As whom it speaks; None: as the daemon's own instance."""
    home: RoomId | None = None
    """For a run: its room."""
    cause: Meta | None = None
    """For a run: what its turn answers, when an agent has asked for that. What it sends follows from it."""
    in_turn: bool = False
    """For a run: whether a turn runs in it, so that what it sends is one hop further than what began that."""

    def may(self, scope: Scope, room: RoomId) -> bool:
        """Whether it may do this there."""
        return scope in self.everywhere or scope in self.scopes.get(room, frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What a caller wants to say."""

    room: RoomId
    body: str
    kind: MetaKind = MetaKind.MESSAGE
    to: Address | None = None
    in_reply_to: MessageId | None = None
    task: TaskId | None = None
    thread: EventId | None = None
    expires_at: int | None = None
    """Milliseconds since the epoch."""
    budget: int | None = None


class MessageState(StrEnum):
    """How far a message has come.

        accepted → sent → delivered → read → answered
                 ↘ ends as refused or expired, from any of them but answered

    A state is only ever left for a later one: what a receipt tells late is no news.
    """

    ACCEPTED = "accepted"
    """It is in our outbox, and not yet in the room."""
    SENT = "sent"
    DELIVERED = "delivered"
    """The other side has it in its ledger (a read receipt for its thread)."""
    READ = "read"
    """The other side has begun with it (a read receipt for the whole room)."""
    ANSWERED = "answered"
    EXPIRED = "expired"
    REFUSED = "refused"


OVER = frozenset({MessageState.ANSWERED, MessageState.EXPIRED, MessageState.REFUSED})
_ORDER = {state: number for number, state in enumerate(MessageState)}


def may_become(before: MessageState, after: MessageState) -> bool:
    """Whether a message may go from `before` to `after`."""
    return before not in OVER and _ORDER[after] > _ORDER[before]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message that we have accepted to send."""

    meta: Meta
    room: RoomId
    caller: CallerName
    body: str
    state: MessageState = MessageState.ACCEPTED
    why: str = ""
    """Of what was refused, in a sentence."""
    event: EventId | None = None
    answer: str = ""
    answer_event: EventId | None = None
    accepted_at: int = 0
    """Milliseconds since the epoch, as are the others."""
    sent_at: int | None = None
    delivered_at: int | None = None
    read_at: int | None = None
    ended_at: int | None = None

    @property
    def id(self) -> MessageId:
        """Its id."""
        return self.meta.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message of a room's history."""

    position: int
    """Its place in the history, which is the order of the timeline within a room; 0 for what the homeserver told."""
    event: EventId
    room: RoomId
    sender: UserId
    sent_at: int
    kind: str
    """`text`, `notice` or `file`."""
    body: str
    """As it reads now; empty: it was deleted."""
    thread: EventId | None = None
    reply_to: EventId | None = None
    meta: Meta | None = None
    by_agent: bool = False
    edited_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Something was said, or what was said reads otherwise now, or was deleted."""

    place: int
    """Its place in the order of what happened: of what was said its position, of what became of it a later one."""
    said: Said
    """The message, as it reads now."""

    @property
    def how(self) -> Literal["message", "edited", "deleted"]:
        """What has happened to it."""
        if self.place == self.said.position:
            return "message"
        return "edited" if self.said.body else "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which messages of the history."""

    rooms: frozenset[RoomId]
    words: str = ""
    """Words that must be in it, in any order; empty: any."""
    sender: UserId | None = None
    thread: EventId | None = None
    """Of this thread, with the message that it begins with."""
    kind: MetaKind | None = None
    since: int | None = None
    """Sent then or later, milliseconds; `until`: before."""
    until: int | None = None
    before: int | None = None
    """Only what stands before this position: the next page."""
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of what was said, oldest first."""

    messages: tuple[Said, ...]
    before: int | None = None
    """Where the page before this one ends; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomView:
    """A room, as far as a caller may know it."""

    room: RoomId
    name: str
    scopes: frozenset[Scope]
    encrypted: bool = False
    halted: str = ""
    """Why agents start nothing more there."""
