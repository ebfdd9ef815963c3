"""The line that is typed at the bottom of the chat. Pure: keys in, text out; nothing here knows a terminal."""

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from rich.cells import cell_len

from aiagentchat.render.hygiene import clean

MOST_REMEMBERED = 500
"""Lines that the history keeps."""
_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


class Key(StrEnum):
    """A key that is no text."""

    ENTER = "enter"
    NEWLINE = "alt-enter"
    TAB = "tab"
    ESCAPE = "escape"
    BACKSPACE = "backspace"
    DELETE = "delete"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    HOME = "home"
    END = "end"
    WORD_LEFT = "word-left"
    WORD_RIGHT = "word-right"
    PAGE_UP = "page-up"
    PAGE_DOWN = "page-down"
    KILL_LINE = "ctrl-u"
    KILL_END = "ctrl-k"
    KILL_WORD = "ctrl-w"
    MEMBERS = "ctrl-g"
    REDRAW = "ctrl-l"
    INTERRUPT = "ctrl-c"
    EOF = "ctrl-d"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Typed:
    """Text, typed or pasted."""

    text: str
    pasted: bool = False


Press: TypeAlias = Key | Typed


@dataclass(slots=True)
class Editor:
    """The text, where the cursor is, and what was entered before."""

    text: str = ""
    cursor: int = 0
    history: list[str] = field(default_factory=list)
    _place: int | None = None
    _draft: str = ""

    def press(self, press: Press) -> str | None:
        """Take one key. The whole text if it was entered with it, and then the line is empty."""
        match press:
            case Typed(text):
                self._insert(clean(text))
            case Key.ENTER:
                return self._enter()
            case Key.NEWLINE:
                self._insert("\n")
            case Key.UP:
                self._up()
            case Key.DOWN:
                self._down()
            case _:
                self._edit(press)
        return None

    def clear(self, text: str = "") -> None:
        """Begin again, with `text`."""
        self.text, self.cursor, self._place = text, len(text), None

    def remember(self, line: str) -> None:
        """Put a line into the history."""
        if line.strip() and self.history[-1:] != [line]:
            self.history.append(line)
            del self.history[:-MOST_REMEMBERED]

    def _enter(self) -> str | None:
        if self.text.endswith("\\") and self.cursor == len(self.text):
            self.clear(f"{self.text[:-1]}\n")
            return None
        entered = self.text
        self.remember(entered)
        self.clear()
        return entered

    def _insert(self, text: str) -> None:
        self.text = self.text[: self.cursor] + text + self.text[self.cursor :]
        self.cursor += len(text)

    def _edit(self, key: Key) -> None:
        match key:
            case Key.LEFT:
                self.cursor = _before(self.text, self.cursor)
            case Key.RIGHT:
                self.cursor = _after(self.text, self.cursor)
            case Key.HOME:
                self.cursor = self._line_start
            case Key.END:
                self.cursor = self._line_end
            case Key.WORD_LEFT:
                self.cursor = self._word_start
            case Key.WORD_RIGHT:
                self.cursor = self._word_end
            case Key.BACKSPACE:
                self._delete(_before(self.text, self.cursor), self.cursor)
            case Key.DELETE:
                self._delete(self.cursor, _after(self.text, self.cursor))
            case Key.KILL_LINE:
                self._delete(self._line_start, self.cursor)
            case Key.KILL_END:
                self._delete(self.cursor, self._line_end)
            case Key.KILL_WORD:
                self._delete(self._word_start, self.cursor)
            case _:
                pass

    def _delete(self, start: int, end: int) -> None:
        self.text = self.text[:start] + self.text[end:]
        self.cursor = start

    @property
    def _line_start(self) -> int:
        return self.text.rfind("\n", 0, self.cursor) + 1

    @property
    def _line_end(self) -> int:
        end = self.text.find("\n", self.cursor)
        return len(self.text) if end < 0 else end

    @property
    def _word_start(self) -> int:
        before = self.text[: self.cursor].rstrip()
        return len(before) - len(before.split()[-1]) if before else 0

    @property
    def _word_end(self) -> int:
        rest = self.text[self.cursor :]
        spaces = len(rest) - len(rest.lstrip())
        words = rest.split(maxsplit=1)
        return self.cursor + spaces + (len(words[0]) if words else 0)

    def _up(self) -> None:
        if self._line_start:
            column = self.cursor - self._line_start
            end = self._line_start - 1
            self.cursor = min(self.text.rfind("\n", 0, end) + 1 + column, end)
        elif self.history and self._place != 0:
            if self._place is None:
                self._place, self._draft = len(self.history), self.text
            self._recall(self._place - 1)

    def _down(self) -> None:
        if self._line_end < len(self.text):
            column = self.cursor - self._line_start
            start = self._line_end + 1
            end = self.text.find("\n", start)
            self.cursor = min(start + column, len(self.text) if end < 0 else end)
        elif self._place is not None:
            self._recall(self._place + 1)

    def _recall(self, place: int) -> None:
        if place < len(self.history):
            self.clear(self.history[place])
            self._place = place
        else:
            self.clear(self._draft)


def layout(text: str, cursor: int, width: int) -> tuple[list[str], int, int]:
    """The text in rows of at most `width` cells, and the row and the cell where the cursor is."""
    rows, cells = [""], 0
    places: list[tuple[int, int]] = []
    for char in text.replace("\t", " "):
        size = 0 if char == "\n" else cell_len(char)
        if cells + size > width:
            rows.append("")
            cells = 0
        places.append((len(rows) - 1, min(cells, width - 1)))
        if char == "\n":
            rows.append("")
            cells = 0
        else:
            rows[-1] += char
            cells += size
    if cells >= width:  # the cursor needs a cell of its own
        rows.append("")
        cells = 0
    row, column = [*places, (len(rows) - 1, cells)][cursor]
    return rows, row, column


def _before(text: str, place: int) -> int:
    """Where the character (as a person sees it) that ends at `place` starts."""
    start = max(0, place - 1)
    while start > 0 and (_clings(text[start]) or text[start - 1] == _JOINER):
        start -= 1
    return start


def _after(text: str, place: int) -> int:
    end = min(len(text), place + 1)
    while end < len(text) and (_clings(text[end]) or text[end - 1] == _JOINER):
        end += 1
    return end


def _clings(char: str) -> bool:
    """Whether a character is drawn together with the one before it."""
    return char == _JOINER or unicodedata.category(char) in ("Mn", "Me") or ord(char) in _SKIN_TONES
