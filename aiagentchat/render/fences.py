"""Code fences in Markdown: which one is open, how it is closed and opened again, and how to choose one.

A fence may stand in a list item or in a quotation. One that nobody writes by hand (a marker, an indentation or a
nesting beyond the limits in the pattern) counts as text, so that closing and reopening it costs a bounded number of
bytes.
"""

import re
from dataclasses import dataclass

MOST_OVERHEAD = 192
"""Bytes that reopening a fence at the start of a piece and closing it at the end may take together."""
MOST_CLOSING = 80
"""The share of closing it."""

_MOST_INDENT = 32
_FENCE = re.compile(
    r"(?P<quotes>(?: {0,3}>){0,4})"
    r"(?P<indent>[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*)"
    r"(?P<marker>`{3,32}(?!`)|~{3,32}(?!~))"
    r"(?P<info>.*)"
)
_LANGUAGE = re.compile(r"[0-9A-Za-z_+#.\-]{1,32}")
_BACKTICKS = re.compile(r"`+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """A fence that was opened."""

    quotes: int
    indent: str
    marker: str
    language: str

    @property
    def opening(self) -> str:
        """The line that opens it (again), with its line end."""
        return f"{self.closing}{self.language}\n"

    @property
    def closing(self) -> str:
        """The line that closes it."""
        return f"{'>' * self.quotes}{self.indent}{self.marker}"


def after_line(line: str, fence: Fence | None) -> Fence | None:
    """The fence that is open after `line`, when `fence` was open before it."""
    if fence is not None and fence.quotes and not line.lstrip(" ").startswith(">"):
        fence = None
    match = _FENCE.match(line) if "```" in line or "~~~" in line else None
    if match is None or len(match["indent"]) > _MOST_INDENT:
        return fence
    if fence is None:
        return _opened(match)
    return None if _closes(match, fence) else fence


def _opened(match: re.Match[str]) -> Fence | None:
    marker, info = match["marker"], match["info"]
    if marker.startswith("`") and "`" in info:
        return None
    language = _LANGUAGE.match(info.strip())
    return Fence(
        quotes=match["quotes"].count(">"),
        indent=re.sub(r"[^ \t]", " ", match["indent"]),
        marker=marker,
        language=language[0] if language else "",
    )


def _closes(match: re.Match[str], fence: Fence) -> bool:
    indent = match["indent"]
    return (
        match["marker"].startswith(fence.marker)
        and not match["info"].strip()
        and match["quotes"].count(">") == fence.quotes
        and not indent.strip()
        and len(indent.expandtabs(4)) <= len(fence.indent.expandtabs(4)) + 3
    )


def open_fence(text: str) -> Fence | None:
    """The fence that is still open at the end of `text`."""
    fence = None
    for line in text.split("\n"):
        fence = after_line(line, fence)
    return fence


def closing_of(text: str, fence: Fence | None) -> str:
    """What must follow `text`, at whose end `fence` is open, to close it; nothing without a fence."""
    if fence is None:
        return ""
    return fence.closing if text.endswith("\n") else f"\n{fence.closing}"


def close_open(text: str) -> str:
    """Markdown that is still being written, made fit to be shown: an open fence is closed."""
    return text + closing_of(text, open_fence(text))


def fenced(text: str, language: str = "") -> str:
    """`text` in a code fence that nothing in it can close."""
    marker = "`" * max(3, _longest_run(text) + 1)
    return f"{marker}{language}\n{text}\n{marker}"


def code_span(text: str) -> str:
    """`text` (one line) as inline code in which Markdown means nothing."""
    text = text or " "
    marker = "`" * (_longest_run(text) + 1)
    pad = " " if text.strip(" ") and (text[0] in "` " or text[-1] in "` ") else ""
    return f"{marker}{pad}{text}{pad}{marker}"


def _longest_run(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)
