"""What keeps agents from asking each other for ever: how far a message may go on, and how often one may begin a turn.
Pure.

    a person ── hop 0 ──▶ a turn of A ── hop 1 ──▶ a turn of B ── hop 2 ──▶ a turn of A … as far as the room allows

What a message says of its hops, its sender may have made up. So turns are counted, too: those of a room, and those that
two accounts have begun with each other there. Where one of these budgets is used up the room is halted, until a person
says otherwise.
"""

from dataclasses import dataclass
from enum import StrEnum

from aiagentchat.core.exchange import ExchangeRules
from aiagentchat.core.ids import CallerName, EventId, RoomId, UserId
from aiagentchat.core.meta import Address, Meta

WINDOW_MS = 3_600_000
"""For how long a turn counts."""


class Why(StrEnum):
    """Why a message that asks us for something begins no turn, in a word for the audit."""

    NOT_ALLOWED = "message"
    """Its sender may not run anything here."""
    EXPIRED = "expired"
    TOO_FAR = "hops"
    """It is too many turns away from a person."""
    NO_BUDGET = "message budget"
    """By what it says itself, no turn may follow from it."""
    OFF = "agents"
    """The room lets agents begin nothing."""
    PAIR_USED_UP = "pair turns"
    ROOM_USED_UP = "room turns"
    HALTED = "halted"
    BOT_COMMAND = "bot command"
    """Those are for people."""
    EMPTY = "no text"
    FILE = "file"
    """What comes with it cannot be taken."""
    FULL = "queue"
    IN_THE_CLEAR = "in the clear"
    """It came unencrypted into an encrypted room."""


class Limit(StrEnum):
    """Which budget of turns is used up."""

    PAIR = "pair"
    ROOM = "room"


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Agents begin nothing more in a room."""

    room: RoomId
    limit: Limit
    turns: int
    """So many may begin in an hour."""
    pair: str = ""
    """Who has begun them with each other (`pair_of`); empty where it is the room's budget."""
    at: int
    """Since when, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTurn:
    """A turn that an agent has asked for."""

    event: EventId
    room: RoomId
    pair: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a room stands with its budgets, and two in it."""

    halt: Halt | None = None
    in_pair: int = 0
    """Turns that they have begun with each other within `WINDOW_MS`."""
    in_room: int = 0


def is_for(meta: Meta, ours: Address) -> bool:
    """Whether a message is addressed to this daemon."""
    return meta.to is not None and meta.to.user == ours.user and meta.to.instance in (None, ours.instance)


def is_counted(meta: Meta, caller: CallerName | None, ours: Address) -> bool:
    """Whether it is an agent that asks. Not so for a program that somebody has given a token of the gateway.

    What goes through our gateway has its meta from us: a run is at least one hop away, and a session has its own name.
    """
    return caller is None or meta.hop > 0 or meta.instance not in (None, ours.instance)


def pair_of(sender: UserId, meta: Meta, ours: Address) -> str:
    """Who asks whom, in one order for both directions.

    Of another account no instance counts: whoever has the account could make up a new one for each message.
    """
    asker = Address(sender, meta.instance) if sender == ours.user else Address(sender)
    return " ".join(sorted((str(asker), str(ours))))


def gone_too_far(meta: Meta, rules: ExchangeRules) -> Why | None:
    """Why a message begins nothing by what it says of its way; None if it may."""
    if meta.hop > rules.hops:
        return Why.TOO_FAR
    return Why.NO_BUDGET if meta.budget == 0 else None


def used_up(rules: ExchangeRules, standing: Standing) -> Why | None:
    """Why no agent begins a turn in the room now; None if one may."""
    if standing.halt is not None:
        return Why.HALTED
    if not rules.pair_turns or not rules.room_turns:
        return Why.OFF
    if standing.in_room >= rules.room_turns:
        return Why.ROOM_USED_UP
    return Why.PAIR_USED_UP if standing.in_pair >= rules.pair_turns else None


def halted_by(why: Why, rules: ExchangeRules, turn: AgentTurn, now: int) -> Halt | None:
    """The halt that begins because this turn was one too many; None where none does."""
    match why:
        case Why.PAIR_USED_UP:
            return Halt(room=turn.room, limit=Limit.PAIR, turns=rules.pair_turns, pair=turn.pair, at=now)
        case Why.ROOM_USED_UP:
            return Halt(room=turn.room, limit=Limit.ROOM, turns=rules.room_turns, at=now)
        case _:
            return None
