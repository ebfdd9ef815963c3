"""A conversation as a Markdown file, for people. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiagentchat.core.ids import UserId
from aiagentchat.core.transcripts import Part, Piece
from aiagentchat.render.fences import close_open, code_span
from aiagentchat.render.hygiene import clean, visible
from aiagentchat.render.words import count

MOST_BYTES = 8 * 1024 * 1024
"""Of the file; what was said first gives way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What somebody asked, and all that followed from it."""

    by: UserId
    at: int
    """Milliseconds since the epoch."""
    asked: str
    pieces: Sequence[Piece]
    """What was said and done then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What stands above it all."""

    session: str
    room: str
    now: int
    """Milliseconds since the epoch."""
    left_out: int = 0
    """Turns that somebody has deleted."""
    is_cut: bool = False
    """Whether the beginning is missing."""


def markdown(head: Head, turns: Sequence[Turn]) -> str:
    """The whole file."""
    kept: list[str] = []
    size = 0
    for turn in reversed(turns):
        said = _turn(turn)
        size += len(said.encode("utf-8"))
        if size > MOST_BYTES:
            break
        kept.insert(0, said)
    return "\n".join([_head(head, len(kept), missing=len(turns) - len(kept)), *kept])


def _head(head: Head, shown: int, *, missing: int) -> str:
    where = f"Room {code_span(visible(head.room))}, {_when(head.now)}"
    lines = [f"# {head.session}", "", f"{where}: {count(shown, 'turn')}, as the agent has written it down."]
    if missing or head.is_cut:
        lines += ["", "Its beginning is missing: it is more than fits into this file, or older than what I keep."]
    if head.left_out:
        what = "was" if head.left_out == 1 else "were"
        lines += ["", f"{count(head.left_out, 'turn')} {what} deleted, and left out."]
    return "\n".join([*lines, ""])


def _turn(turn: Turn) -> str:
    asked = close_open(clean(turn.asked)).strip()
    return "\n".join([f"## {code_span(visible(turn.by))}, {_when(turn.at)}", "", asked, "", *_said(turn.pieces)])


def _said(pieces: Iterable[Piece]) -> list[str]:
    lines: list[str] = []
    before: Part | None = None
    for piece in pieces:
        if before is None:
            lines += ["### agent", ""]
        if before is Part.USED and piece.part is Part.USED:
            lines.pop()  # lines about tools stand together
            lines[-1] += "  "
        lines += [close_open(clean(piece.text)).strip(), ""]
        before = piece.part
    return lines


def _when(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, tz=UTC):%Y-%m-%d %H:%M} UTC"
