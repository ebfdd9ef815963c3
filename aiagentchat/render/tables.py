"""Tables in Markdown: which one is open, and how its head is said again in the next message. Pure.

Only tables that stand for themselves: one in a list or a quotation is text here.
"""

import re
from dataclasses import dataclass

_PIPE = re.compile(r"(?<!\\)\|")
_DELIMITERS = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_HEAD = re.compile(r" {0,3}(?![ \t>]|[-*+][ \t]|\d{1,9}[.)][ \t]).*\|")
_ROW = re.compile(r" {0,3}[^ \t>].*\|| {0,3}\|")


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose next row may follow. Like a fence it is opened again; unlike one, nothing has to close it."""

    opening: str
    """Its head, with its line ends."""
    closing: str = ""


def table_of(head: str, delimiters: str) -> Table | None:
    """The table that these two lines begin."""
    is_one = "|" in head and _HEAD.match(head) and "|" in delimiters and _DELIMITERS.fullmatch(delimiters)
    return Table(f"{head}\n{delimiters}\n") if is_one and cells(head) == cells(delimiters) else None


def is_row(line: str) -> bool:
    """Whether the line goes on with a table."""
    return _ROW.match(line) is not None


def cells(line: str) -> int:
    """How many cells a row has."""
    parts = _PIPE.split(line.strip())
    return len(parts) - (not parts[0].strip()) - (len(parts) > 1 and not parts[-1].strip())
