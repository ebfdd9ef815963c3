"""Long Markdown in pieces that each fit into one message and can each be read alone.

The best border in the second half of a piece wins: between blocks, before or after a code fence, at a line end (inside
a fence the piece closes it and the next one opens it again), behind a sentence, at a space, and at the very last
between two characters. At a border outside a fence the whitespace is dropped, apart from the next line's indentation;
inside a fence only the line end is. `join` gives the text back exactly.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, auto

from aiagentchat.render.fences import MOST_CLOSING, MOST_OVERHEAD, Fence, after_line, closing_of

LEAST_LIMIT = MOST_OVERHEAD + 64
"""A smaller limit could be used up by fences alone."""

_PEEK = 200  # characters of the next line that are looked at to see what it is
_MOST_INDENT = 64  # a longer indentation is dropped with the border
_MOST_CLUSTER = 32  # characters that a cut steps back at most to keep a written character whole
_WHITESPACE = " \t\n"
_INK = re.compile(r"[^ \t\n]")
_SENTENCES = (". ", "! ", "? ", "。")
_JOINER = "\u200d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One message's worth of a longer text."""

    text: str
    """What is shown. Its fences are balanced."""
    opened: int = 0
    """How many characters at its start only open a fence again."""
    closed: int = 0
    """How many at its end only close one."""
    dropped: str = ""
    """The whitespace that stood between it and the next piece."""

    @property
    def source(self) -> str:
        """Its part of the text that was split."""
        return self.text[self.opened : len(self.text) - self.closed] + self.dropped


def split(text: str, limit: int) -> tuple[Piece, ...]:
    """`text` in pieces of at most `limit` bytes of UTF-8. Takes time in proportion to the text."""
    pieces: list[Piece] = []
    at, fence = 0, None
    while at < len(text):
        piece, at, fence = _take(text, at, fence, limit)
        pieces.append(piece)
    return tuple(pieces)


def split_once(text: str, limit: int) -> tuple[Piece, str]:
    """The first piece of `text`, and the text that the next message starts with.

    For a text that is still being written: what comes next is appended to the rest, in which an open fence is open
    again. A text that fits is returned whole, with an empty rest.
    """
    piece, at, fence = _take(text, 0, None, limit)
    return piece, (fence.opening if fence else "") + text[at:]


def join(pieces: Iterable[Piece]) -> str:
    """The text that was split."""
    return "".join(piece.source for piece in pieces)


class _Kind(IntEnum):
    """What lies on both sides of a line end, the best place to split first."""

    BLOCKS = auto()
    FENCE = auto()
    LINES = auto()
    NEVER = auto()  # between a fence line and the code that it encloses: one side would be an empty block


@dataclass(frozen=True, slots=True)
class _Border:
    at: int
    fence: Fence | None
    """What is open there."""
    inked: Fence | None
    """What is open behind the last line that is not blank: a blank line ends a fence in a quotation."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """The lines of a window, walked through."""

    best: Mapping[_Kind, _Border]
    """The last border of each kind in the second half."""
    middle: int
    last_line: int
    """Where the last line starts, of which only a part may be in the window."""
    fence: Fence | None
    """What is open there."""
    inked: Fence | None

    def cut(self, text: str, at: int) -> _Border:
        """The border `at` somewhere in the last line."""
        line = text[self.last_line : at]
        fence = after_line(line, self.fence) if line else self.fence
        return _Border(at, fence, fence if line.strip() else self.inked)


def _take(text: str, at: int, fence: Fence | None, limit: int) -> tuple[Piece, int, Fence | None]:
    """The piece that starts at `at`, where the next one starts, and the fence that it must open again."""
    if limit < LEAST_LIMIT:
        raise ValueError(f"a piece needs at least {LEAST_LIMIT} bytes, not {limit}")
    opening = fence.opening if fence else ""
    room = limit - len(opening.encode())
    if _fit(text, at, room) == len(text):
        left = _walk(text, at, len(text), fence).cut(text, len(text))
        piece = _piece(opening, text[at:], left.fence, "")
        if len(piece.text.encode("utf-8", "surrogatepass")) <= limit:
            return piece, len(text), None
    border = _border(text, at, _fit(text, at, room - MOST_CLOSING), fence)
    end, resume = _trim(text, at, border)
    left_open = border.fence if end == border.at else border.inked
    return _piece(opening, text[at:end], left_open, text[end:resume]), resume, border.fence


def _piece(opening: str, source: str, fence: Fence | None, dropped: str) -> Piece:
    closing = closing_of(source, fence)
    return Piece(text=opening + source + closing, opened=len(opening), closed=len(closing), dropped=dropped)


def _fit(text: str, at: int, room: int) -> int:
    """How far the text from `at` on fits into `room` bytes."""
    encoded = text[at : at + room].encode("utf-8", "surrogatepass")
    if len(encoded) <= room:
        return min(at + room, len(text))
    while encoded[room] & 0xC0 == 0x80:  # in the middle of a character
        room -= 1
    return at + len(encoded[:room].decode("utf-8", "surrogatepass"))


def _border(text: str, at: int, end: int, fence: Fence | None) -> _Border:
    """The best place to split between `at` and `end`."""
    walk = _walk(text, at, end, fence)
    for kind in (_Kind.BLOCKS, _Kind.FENCE, _Kind.LINES):
        if kind in walk.best:
            return walk.best[kind]
    return walk.cut(text, _inside_line(text, max(walk.middle, walk.last_line), end))


def _walk(text: str, at: int, end: int, fence: Fence | None) -> _Walk:
    best: dict[_Kind, _Border] = {}
    line, middle, inked = at, (at + end) // 2, fence
    while (stop := text.find("\n", line, end + 1)) != -1:
        current, before = text[line:stop], fence
        fence = after_line(current, before)
        inked = fence if current.strip() else inked
        line = stop + 1
        if stop >= middle:
            following = text[line : line + _PEEK].partition("\n")[0]
            best[_kind(before, fence, following)] = _Border(stop, fence, inked)
    return _Walk(best, middle, line, fence, inked)


def _kind(before: Fence | None, fence: Fence | None, following: str) -> _Kind:
    """What a line end is, by the fence that was open before its line, the one after it, and the line that follows."""
    after = after_line(following, fence)
    if fence is not None:
        return _Kind.NEVER if before is None or after is None else _Kind.LINES
    if not following.strip():
        return _Kind.BLOCKS
    return _Kind.LINES if before is None and after is None else _Kind.FENCE


def _inside_line(text: str, low: int, end: int) -> int:
    """Where to split a line that is too long, at `low` or later."""
    sentence = max(text.rfind(mark, low, end) + 1 for mark in _SENTENCES)
    if sentence > 0:
        return sentence
    space = text.rfind(" ", low, end)
    if space > 0:
        return space
    whole = (cut for cut in range(end, max(low, end - _MOST_CLUSTER), -1) if not _belongs(text[cut - 1], text[cut]))
    return next(whole, end)


def _belongs(before: str, after: str) -> bool:
    """Whether two code points are parts of one written character."""
    return (
        _JOINER in (before, after)
        or unicodedata.category(after).startswith("M")  # accents, variation selectors
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\U0001f1e6" <= before <= "\U0001f1ff"  # letters of flags
        or "\udc00" <= after <= "\udfff"
    )


def _trim(text: str, at: int, border: _Border) -> tuple[int, int]:
    """Where the piece that starts at `at` ends, and where the next one starts: between them is what is dropped."""
    cut = border.at
    if border.fence is not None:
        return cut, cut + text.startswith("\n", cut)
    end = at + len(text[at:cut].rstrip(_WHITESPACE)) or cut
    ink = _INK.search(text, end)
    if ink is None:
        return end, len(text)
    line = text.rfind("\n", end, ink.start()) + 1
    keeps_indentation = line > 0 and ink.start() - line <= _MOST_INDENT
    return end, line if keeps_indentation else ink.start()
