"""Long Markdown in pieces that each fit into one message and can each be read alone.

The best border in the second half of a piece wins: between blocks, before or after a code fence, at a line end (inside
a fence the piece closes it and the next one opens it again; of a table the next one has the head again), behind a
sentence, at a space, and at the very last between two characters, but not in a link that fits. At a border outside a
fence the whitespace is dropped, apart from the next line's indentation; inside a fence or a table only the line end is.
`join` gives the text back exactly.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import TypeAlias

from aiagentchat.render.fences import MOST_CLOSING, MOST_OVERHEAD, Fence, after_line, closing_of
from aiagentchat.render.tables import Table, is_row, table_of

LEAST_LIMIT = MOST_OVERHEAD + 64
"""A smaller limit could be used up by fences alone."""

_PEEK = 200  # characters of the next line that are looked at to see what it is
_MOST_INDENT = 64  # a longer indentation is dropped with the border
_MOST_CLUSTER = 32  # characters that a cut steps back at most to keep a written character whole
_WHITESPACE = " \t\n"
_INK = re.compile(r"[^ \t\n]")
_SENTENCES = (". ", "! ", "? ", "。")
_JOINER = "\u200d"
_MOST_HEAD = 3  # the head of a table is repeated if it takes no more than a third of a piece
_MOST_LINK = 2_000  # characters of a link that are kept together
_LINK = re.compile(r"!?\[[^\[\]\n]*\]\([^()\s]*\)|<(?:https?|mailto):[^<>\s]*>|https?://[^\s<>]*")

Open: TypeAlias = Fence | Table
"""What the next piece has to open again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One message's worth of a longer text."""

    text: str
    """What is shown. Its fences are balanced."""
    opened: int = 0
    """How many characters at its start only open a fence, or a table, again."""
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
    NEVER = auto()  # between a fence line and the code that it encloses, or in the head of a table: nothing whole


@dataclass(frozen=True, slots=True)
class _Border:
    at: int
    fence: Open | None
    """What is open there."""
    inked: Open | None
    """What is open behind the last line that is not blank: a blank line ends a fence in a quotation."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """The lines of a window, walked through."""

    best: Mapping[_Kind, _Border]
    """The last border of each kind in the second half."""
    middle: int
    last_line: int
    """Where the last line starts, of which only a part may be in the window."""
    fence: Open | None
    """What is open there."""
    inked: Open | None

    def cut(self, text: str, at: int) -> _Border:
        """The border `at` somewhere in the last line."""
        line = text[self.last_line : at]
        fence = _after(line, self.fence) if line else self.fence
        return _Border(at, fence, fence if line.strip() else self.inked)


def _take(text: str, at: int, fence: Open | None, limit: int) -> tuple[Piece, int, Open | None]:
    """The piece that starts at `at`, where the next one starts, and the fence that it must open again."""
    if limit < LEAST_LIMIT:
        raise ValueError(f"a piece needs at least {LEAST_LIMIT} bytes, not {limit}")
    opening = fence.opening if fence else ""
    room = limit - len(opening.encode())
    if _fit(text, at, room) == len(text):
        left = _walk(text, at, len(text), fence, limit).cut(text, len(text))
        piece = _piece(opening, text[at:], left.fence, "")
        if len(piece.text.encode("utf-8", "surrogatepass")) <= limit:
            return piece, len(text), None
    border = _border(text, at, _fit(text, at, room - MOST_CLOSING), fence, limit)
    end, resume = _trim(text, at, border)
    left_open = border.fence if end == border.at else border.inked
    return _piece(opening, text[at:end], left_open, text[end:resume]), resume, border.fence


def _piece(opening: str, source: str, fence: Open | None, dropped: str) -> Piece:
    closing = closing_of(source, fence) if isinstance(fence, Fence) else ""
    return Piece(text=opening + source + closing, opened=len(opening), closed=len(closing), dropped=dropped)


def _fit(text: str, at: int, room: int) -> int:
    """How far the text from `at` on fits into `room` bytes."""
    encoded = text[at : at + room].encode("utf-8", "surrogatepass")
    if len(encoded) <= room:
        return min(at + room, len(text))
    while encoded[room] & 0xC0 == 0x80:  # in the middle of a character
        room -= 1
    return at + len(encoded[:room].decode("utf-8", "surrogatepass"))


def _border(text: str, at: int, end: int, fence: Open | None, limit: int) -> _Border:
    """The best place to split between `at` and `end`."""
    walk = _walk(text, at, end, fence, limit)
    for kind in (_Kind.BLOCKS, _Kind.FENCE, _Kind.LINES):
        if kind in walk.best:
            return walk.best[kind]
    low = max(walk.middle, walk.last_line)
    return walk.cut(text, _beside_link(text, walk.last_line, low, end, _inside_line(text, low, end)))


def _walk(text: str, at: int, end: int, fence: Open | None, limit: int) -> _Walk:
    best: dict[_Kind, _Border] = {}
    line, middle, inked = at, (at + end) // 2, fence
    previous = ""
    while (stop := text.find("\n", line, end + 1)) != -1:
        current, before = text[line:stop], fence
        fence = _begun(previous, current, limit) if before is None else None
        fence = fence or _after(current, before)
        inked = fence if current.strip() else inked
        line, previous = stop + 1, current
        if stop >= middle:
            following = text[line : line + _PEEK].partition("\n")[0]
            goes_on = line == len(text) or not isinstance(fence, Table) or _after(following, fence) is fence
            best[_kind(before, fence, current, following)] = _Border(stop, fence if goes_on else None, inked)
    return _Walk(best, middle, line, fence, inked)


def _begun(previous: str, current: str, limit: int) -> Table | None:
    """The table that begins with these two lines, if its head is short enough to be said again."""
    table = table_of(previous, current)
    return table if table is not None and len(table.opening.encode("utf-8", "replace")) * _MOST_HEAD <= limit else None


def _after(line: str, before: Open | None) -> Open | None:
    """What is open after `line`, when `before` was open before it."""
    if isinstance(before, Table):
        return before if is_row(line) else after_line(line, None)
    return after_line(line, before)


def _kind(before: Open | None, fence: Open | None, current: str, following: str) -> _Kind:
    """What a line end is, by what was open before its line, and is after it, and by the lines on both sides."""
    after = _after(following, fence)
    if isinstance(fence, Table) and before is not None and not isinstance(after, Table):
        return _Kind.LINES if following.strip() else _Kind.BLOCKS
    if fence is not None:
        return _Kind.NEVER if before is None or after is None else _Kind.LINES
    if not following.strip():
        return _Kind.BLOCKS
    if table_of(current, following) is not None:
        return _Kind.NEVER
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


def _beside_link(text: str, line: int, low: int, end: int, cut: int) -> int:
    """The same place, or one before or behind the link that it would break."""
    start = max(line, cut - _MOST_LINK)
    for link in _LINK.finditer(text, start, min(len(text), cut + _MOST_LINK)):
        if link.start() < cut < link.end():
            if link.start() >= low or (link.end() > end and link.start() > line):
                return link.start()
            return link.end() if link.end() <= end else cut
    return cut


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
