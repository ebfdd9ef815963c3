"""A terminal that gives its keys one by one. It is as before when the block ends, however it ends."""

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_ENTER = "\x1b[?2004h"  # a paste is announced as one
_LEAVE = "\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[0m"
OTHER_SCREEN, OWN_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
"""A screen without scrollback, and back to what was there before."""
_LEAST = 20, 8
_UNKNOWN = 80, 24


@dataclass(frozen=True, slots=True)
class Terminal:
    """Two file descriptors of one terminal."""

    keys: int
    picture: int

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        try:
            columns, rows = os.get_terminal_size(self.picture)
        except OSError:
            columns, rows = 0, 0
        if not columns or not rows:
            columns, rows = _UNKNOWN
        return max(columns, _LEAST[0]), max(rows, _LEAST[1])

    def write(self, text: str) -> None:
        """Everything, at once. A terminal that is gone takes it in silence."""
        data = text.encode("utf-8", "replace")
        with suppress(OSError):
            while data:
                data = data[os.write(self.picture, data) :]

    def read(self) -> bytes:
        """What was typed; nothing when the terminal is gone."""
        try:
            return os.read(self.keys, 65536)
        except OSError:
            return b""


@contextmanager
def key_by_key(terminal: Terminal) -> Iterator[None]:
    """No echo, no lines, no signals from keys: all of that is the chat's."""
    before = termios.tcgetattr(terminal.keys)
    changed = termios.tcgetattr(terminal.keys)
    changed[0] &= ~(termios.IXON | termios.ICRNL)
    changed[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    try:
        termios.tcsetattr(terminal.keys, termios.TCSANOW, changed)
        terminal.write(_ENTER)
        yield
    finally:
        terminal.write(_LEAVE)
        with suppress(termios.error):
            termios.tcsetattr(terminal.keys, termios.TCSANOW, before)
