"""What the message of a program means: of another agent, of a caller of our gateway. Pure.

A program begins a turn where it says that this is what it wants (`core.meta`), and brings about nothing else: it
answers no question, stops nothing, uses no bot command and changes nothing that it has said, whatever role its account
has. So what daemons do to messages all day, their edits, reactions and answers, is no deed of somebody in the room.
"""

from dataclasses import dataclass
from typing import TypeAlias

from aiagentchat.core.exchange import ExchangeRules
from aiagentchat.core.guards import Why, gone_too_far, is_for
from aiagentchat.core.messages import Incoming
from aiagentchat.core.meta import STARTS, Address, Meta, NoMeta, unprefixed
from aiagentchat.render.hygiene import as_written


@dataclass(frozen=True, slots=True)
class AskedByAgent:
    """Text for the agent, from a program that may ask, if the budgets of the room allow it."""

    text: str
    meta: Meta


@dataclass(frozen=True, slots=True)
class TurnAway:
    """It asks us for something and may not have it: it is told so."""

    meta: Meta
    why: Why


@dataclass(frozen=True, slots=True)
class NotForUs:
    """Nothing follows."""

    why: str
    is_broken: bool = False
    """Whether it may have been meant for us, and cannot be read."""


Heard: TypeAlias = AskedByAgent | TurnAway | NotForUs


@dataclass(frozen=True, slots=True)
class Ear:
    """How we listen to programs."""

    ours: Address
    rules: ExchangeRules


def is_of_program(event: Incoming) -> bool:
    """Whether a program has written it."""
    return event.by_agent or event.caller is not None


def heard(event: Incoming, ear: Ear, *, may: bool) -> Heard:
    """What a message, or the caption of a file, asks us for. `may`: its sender may run commands.

    Whether it is a bot command is for the caller to say, who knows their names; so is whether it has to have a text.
    """
    meta = event.meta
    if not isinstance(meta, Meta):
        why = meta.why if isinstance(meta, NoMeta) else ""
        return NotForUs(f"what it says about itself cannot be read: {why}" if why else "to nobody", bool(why))
    if meta.kind not in STARTS:
        return NotForUs(f"{meta.kind} begins nothing")
    if not is_for(meta, ear.ours):
        return NotForUs("to somebody else" if meta.to is not None else "to nobody")
    if not may:
        return TurnAway(meta, Why.NOT_ALLOWED)
    hindrance = gone_too_far(meta, ear.rules)
    text = as_written(unprefixed(meta.kind, event.body))
    return AskedByAgent(text, meta) if hindrance is None else TurnAway(meta, hindrance)
