"""What is drawn, and how it gets onto a terminal without flicker.

What is final goes up into the terminal's own scrollback, once. Below it stands what may still change, and the line
that is typed: that part is redrawn in place, and of it only the lines that differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

_BEGIN, _END = "\x1b[?2026h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?2026l"
"""Synchronised where the terminal can; without cursor; without wrapping, so that a character whose width the terminal
sees differently cannot move the lines below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture."""

    settled: Sequence[str] = ()
    """Lines that are final and were not drawn before, or not so."""
    back: int = 0
    """So many lines above `live`, which were final, are replaced by `settled`."""
    live: Sequence[str] = ()
    row: int = 0
    """Where the cursor stands in `live`."""
    column: int = 0


@dataclass(slots=True)
class Screen:
    """Turns pictures into what is written to the terminal; knows what is there already. Pure."""

    _drawn: list[str] = field(default_factory=list)
    _row: int = 0

    def draw(self, frame: Frame) -> str:
        """What to write so that `frame` is seen."""
        up = self._row + frame.back
        out = [_BEGIN, "\r", f"\x1b[{up}A" if up else ""]
        drawn = self._drawn
        if frame.settled or frame.back:
            out.append("\x1b[J")
            out += (f"{line}\r\n" for line in frame.settled)
            drawn = []
        for place, line in enumerate(frame.live):
            out.append("\r\n" if place else "")
            if place >= len(drawn) or drawn[place] != line:
                out.append(f"\x1b[2K{line}")
        if len(drawn) > len(frame.live):
            out.append("\r\n\x1b[J\x1b[A" if frame.live else "\x1b[J")
        up = len(frame.live) - 1 - frame.row
        out += ["\r", f"\x1b[{up}A" if up > 0 else "", f"\x1b[{frame.column}C" if frame.column else "", _END]
        self._drawn, self._row = list(frame.live), frame.row
        return "".join(out)

    def wipe(self) -> str:
        """Empty the screen, as after a change of its size, where nobody knows what wrapped where."""
        self._drawn, self._row = [], 0
        return "\x1b[H\x1b[2J"
