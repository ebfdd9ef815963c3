"""What was said in a conversation, as far as the agent has written it down."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """What a piece of a conversation is."""

    ASKED = "asked"
    SAID = "said"
    USED = "used"
    """A tool; the text is its line, as a room has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One thing that was said, or done."""

    part: Part
    text: str
    uuid: str = ""
    """Under which it was asked (`core.ids.message_uuid`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The end of what was said, as much of it as is read."""

    pieces: Sequence[Piece]
    is_cut: bool = False
    """Whether there was more before it."""
