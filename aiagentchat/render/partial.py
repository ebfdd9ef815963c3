"""Markdown that is still being written, made fit to be shown: what is begun looks as it will when it is done. Pure.

An open fence is closed, and so are code and emphasis at the end; a link without its end shows its label; a table is one
from the first line of its head on. What says nothing yet (a bullet, a `**` with nothing behind it) is not shown.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from aiagentchat.render.fences import Fence, after_line, closing_of
from aiagentchat.render.tables import cells

_MARKS = " \t-=_*+#>|"
"""A last line of nothing but these is not shown: a single `-` would make a heading of the line above."""
_NUMBER = re.compile(r"[ \t>]*\d{1,9}[.)][ \t]*")
_NEW_BLOCK = re.compile(r"^[ \t>]*(?:[-*+]|\d{1,9}[.)]|#{1,6})[ \t]+", re.MULTILINE)
_HALF_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\s]*\Z")
_DELIMITERS = re.compile(r"[ \t]*\|[ \t|:\-]*\Z")
_RUN = re.compile(r"\\.|`+|\*+|_+|~+", re.DOTALL)


def mended(text: str) -> str:
    """`text` as it may be shown while more of it is to come."""
    start, fence = _behind_fences(text)
    if fence is not None:
        return text + closing_of(text, fence)
    last = max(start, text.rfind("\n") + 1)
    if not text[last:].strip(_MARKS) or _NUMBER.fullmatch(text, last):
        text = text[:last].rstrip("\n") if last > start else text[:start]
    paragraph = text.rfind("\n\n")
    start = start if paragraph == -1 else max(start, paragraph + 2)
    if text.startswith("|", start):
        return text[:start] + _table(text[start:])
    inline = max((found.end() for found in _NEW_BLOCK.finditer(text, start)), default=start)
    return text[:inline] + _closed(text[inline:])


def _behind_fences(text: str) -> tuple[int, Fence | None]:
    """Where the last fence ends, and the one that is open then."""
    at = behind = 0
    fence: Fence | None = None
    for line in text.split("\n"):
        before, fence = fence, after_line(line, fence)
        at = min(len(text), at + len(line) + 1)
        behind = at if before is not None and fence is None else behind
    return behind, fence


def _table(text: str) -> str:
    lines = text.split("\n")
    number = cells(lines[0])
    delimiters = f"|{'---|' * number}"
    if len(lines) == 1:
        return f"{_closed_cell(lines[0])}\n{delimiters}"
    if len(lines) == 2 and _DELIMITERS.match(lines[1]) and cells(lines[1]) != number:
        return f"{lines[0]}\n{delimiters}"
    return "\n".join([*lines[:-1], _closed_cell(lines[-1])])


def _closed_cell(row: str) -> str:
    border = row.rfind("|") + 1
    return row[:border] + _closed(row[border:])


def _closed(text: str) -> str:
    """A stretch of text with everything closed that it opens."""
    text = _HALF_LINK.sub(r"\1", text)
    still_open, dangling = _open_marks(text)
    if not still_open and dangling is None:
        return text
    kept = text[:dangling].rstrip()
    while still_open and still_open[-1].behind == len(kept):  # with nothing in it
        kept = kept[: -len(still_open.pop().mark)].rstrip()
    return kept + "".join(each.mark for each in reversed(still_open))


@dataclass(frozen=True, slots=True)
class _Open:
    mark: str
    """What is still to be closed of it."""
    behind: int
    """Where the text begins that it marks."""


def _open_marks(text: str) -> tuple[list[_Open], int | None]:
    """The marks that are open at the end, the outermost first, and where one begins that has nothing behind it."""
    still_open: list[_Open] = []
    code: _Open | None = None
    for at, mark in _runs(text):
        if code is not None:
            code = None if mark == code.mark else code
            continue
        before, after = text[at - 1 : at], text[at + len(mark) :][:1]
        left = _close(still_open, mark) if before.strip() and mark[0] != "`" else mark
        if not left:
            continue
        if not after:
            return still_open, at
        if mark[0] == "`":
            code = _Open(mark, at + len(mark))
        elif after.strip() and not before.isalnum() and left != "~":
            still_open.append(_Open(left, at + len(mark)))
    return [*still_open, code] if code is not None else still_open, None


def _runs(text: str) -> Iterator[tuple[int, str]]:
    for found in _RUN.finditer(text):
        if not found[0].startswith("\\"):
            yield found.start(), found[0]


def _close(still_open: list[_Open], mark: str) -> str:
    """Close with `mark` what it can close; what is left of it then."""
    while mark and still_open and still_open[-1].mark[0] == mark[0]:
        last = still_open.pop()
        if len(last.mark) > len(mark):
            still_open.append(replace(last, mark=last.mark[len(mark) :]))
            return ""
        mark = mark[len(last.mark) :]
    return mark
