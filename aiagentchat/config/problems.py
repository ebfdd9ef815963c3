"""What is wrong with the settings, collected until everything has been looked at.

A problem is one line: file, line, key, what is wrong, what to write instead.
"""

import difflib
import json
import math
from collections.abc import Callable, Iterable
from typing import TypeAlias

from aiagentchat.core.errors import ConfigError
from aiagentchat.core.redact import shapes_only

Loc: TypeAlias = tuple[str | int, ...]
"""Where a value stands in the file: ("rooms", 0, "timeout")."""

_SHOWN = 60


class Problems:
    """One line each, in the order of the file; the same line is kept once."""

    def __init__(self, file: str, line_of: Callable[[Loc], int]) -> None:
        self._file = file
        self._line_of = line_of
        self._found: dict[tuple[int, str], None] = {}
        self._locs: set[Loc] = set()

    def add(self, loc: Loc, sentence: str, line: int | None = None) -> None:
        """Remember that the value at `loc` is wrong; `line` when it is not where `loc` was first seen."""
        self._locs.add(loc)
        prefix = f"{key_of(loc)}: " if loc else ""
        self._found[line or self._line_of(loc), _safe(prefix + sentence)] = None

    def add_line(self, line: int, sentence: str) -> None:
        """Remember that something on `line` is wrong that belongs to no key."""
        self._found[line, _safe(sentence)] = None

    def has(self, loc: Loc) -> bool:
        """Whether something is known to be wrong with the value at `loc`."""
        return loc in self._locs

    def within(self, loc: Loc) -> bool:
        """Whether something is known to be wrong with the value at `loc`, or in it."""
        return any(known[: len(loc)] == loc for known in self._locs)

    def where(self, loc: Loc) -> str:
        """File, line and key of `loc`, as a problem begins."""
        return printable(f"{self._file}:{self._line_of(loc)}: {key_of(loc)}")

    def raise_if_any(self) -> None:
        """Raise `ConfigError` with every problem, if there is one."""
        if self._found:
            in_order = sorted(self._found, key=lambda found: found[0])
            raise ConfigError([f"{printable(self._file)}:{line}: {sentence}" for line, sentence in in_order])


def key_of(loc: Loc) -> str:
    """("rooms", 0, "timeout") → rooms[0].timeout."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{_short(part)}"
    return text.removeprefix(".")


def show(value: object, most: int = _SHOWN) -> str:
    """A value as it may stand in a problem: on one line, short, and never the inside of a list or mapping."""
    if isinstance(value, str):
        return printable(json.dumps(_short(value, most), ensure_ascii=False))
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a group of keys"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return _short(json.dumps(value))


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "timeout"?`, or the known words when none is near."""
    choices = list(known)
    near = difflib.get_close_matches(_short(word), choices, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; write one of: {', '.join(choices)}" if choices else ""


def printable(text: str) -> str:
    """`text` on one line and in valid UTF-8, whatever was in it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _safe(sentence: str) -> str:
    return printable(shapes_only()(sentence))


def _short(text: str, most: int = _SHOWN) -> str:
    return text if len(text) <= most else text[:most] + "…"
