"""What a terminal sends, as keys. Pure, and patient: a character or a sequence may come in pieces."""

import codecs
import re

from aiagentchat.cli.chat.editor import Key, Press, Typed

_CONTROLS = {
    "\r": Key.ENTER,
    "\n": Key.ENTER,
    "\t": Key.TAB,
    "\x7f": Key.BACKSPACE,
    "\x08": Key.BACKSPACE,
    "\x01": Key.HOME,
    "\x02": Key.LEFT,
    "\x03": Key.INTERRUPT,
    "\x04": Key.EOF,
    "\x05": Key.END,
    "\x06": Key.RIGHT,
    "\x07": Key.MEMBERS,
    "\x0b": Key.KILL_END,
    "\x0c": Key.REDRAW,
    "\x0e": Key.DOWN,
    "\x10": Key.UP,
    "\x15": Key.KILL_LINE,
    "\x17": Key.KILL_WORD,
}
_CURSOR = {"A": Key.UP, "B": Key.DOWN, "C": Key.RIGHT, "D": Key.LEFT, "H": Key.HOME, "F": Key.END}
_NUMBERED = {
    "1": Key.HOME,
    "3": Key.DELETE,
    "4": Key.END,
    "5": Key.PAGE_UP,
    "6": Key.PAGE_DOWN,
    "7": Key.HOME,
    "8": Key.END,
}
_WITH_ALT = {"\r": Key.NEWLINE, "\n": Key.NEWLINE, "b": Key.WORD_LEFT, "f": Key.WORD_RIGHT, "\x7f": Key.KILL_WORD}
_SEQUENCE = re.compile(r"\x1b\[([0-?]*)[ -/]*([@-~])|\x1bO([A-Za-z])")
_PARTIAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?$")
_PASTE, _PASTE_END = "\x1b[200~", "\x1b[201~"
_TEXT = re.compile(r"[^\x00-\x1f\x7f]+")
MOST_PASTED = 1_000_000
"""Characters of a paste whose end does not come."""


class Decoder:
    """Bytes in, keys out."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    @property
    def waits(self) -> bool:
        """Whether something has begun that may be a lone Escape, or the start of more."""
        return bool(self._rest) and not self._rest.startswith(_PASTE)

    def feed(self, data: bytes) -> list[Press]:
        """The keys that are complete with `data`."""
        self._rest += self._utf8.decode(data)
        keys: list[Press] = []
        while self._rest and (press := self._next()) is not None:
            keys.append(press)
        return keys

    def flush(self) -> list[Press]:
        """Nothing more came: what was begun was the Escape key, and what follows it is text."""
        rest, self._rest = self._rest, ""
        return [Key.ESCAPE, *self.feed(rest[1:].encode())] if rest else []

    def _next(self) -> Press | None:
        rest = self._rest
        if rest.startswith(_PASTE):
            return self._paste()
        if text := _TEXT.match(rest):
            self._rest = rest[text.end() :]
            return Typed(text[0])
        if rest[0] != "\x1b":
            self._rest = rest[1:]
            return _CONTROLS.get(rest[0], Key.UNKNOWN)
        if sequence := _SEQUENCE.match(rest):
            self._rest = rest[sequence.end() :]
            return _key(sequence)
        if _PARTIAL.match(rest):
            return None
        self._rest = rest[2:]
        return _WITH_ALT.get(rest[1], Key.UNKNOWN)

    def _paste(self) -> Press | None:
        text, end, rest = self._rest[len(_PASTE) :].partition(_PASTE_END)
        if not end and len(text) < MOST_PASTED:
            return None
        self._rest = rest
        return Typed(text, pasted=True)


def _key(sequence: re.Match[str]) -> Press:
    parameters, final, short = sequence.groups()
    number, _, modifier = (parameters or "").partition(";")
    with_control = modifier in ("3", "5")
    key = _NUMBERED.get(number, Key.UNKNOWN) if final == "~" else _CURSOR.get(short or final, Key.UNKNOWN)
    if with_control and key in (Key.LEFT, Key.RIGHT):
        return Key.WORD_LEFT if key is Key.LEFT else Key.WORD_RIGHT
    return key
