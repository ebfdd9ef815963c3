"""Secrets are hidden in text: those that we know, also in the usual encodings, and what looks like one.

This is hygiene. A value that is spaced out, compressed or encrypted passes, and so does one that we do not know and
that looks like nothing: what a room must not have is kept out of it (docs/explanation/secrets.md).
"""

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias
from urllib.parse import quote, quote_plus

from aiagentchat.core.shapes import Span, shaped, unfinished_key

LEAST_KNOWN = 6
"""A known value with fewer characters is not hidden: it would be found in ordinary words."""

MOST_HELD = 8_192
"""Characters of one word that a stream holds back: what is longer is a blob, and is let through in parts."""
MOST_KEY = 32_768
"""Characters that a stream holds back in all: a private key until its end, and the longest has half as many."""
CONTEXT = 256
"""Characters that were let out and are still looked at: the name before a value."""

_WORD_ENDS = r"[\s\u0080-\U0010ffff]"
"""No shape runs over these (core/shapes.py): a blank, and any letter or sign beyond ASCII. Of these a language may
consist that has no blanks, and its answers are not to wait for one."""
_WORD_END = re.compile(_WORD_ENDS)
_TO_LAST_WORD_END = re.compile(f".*{_WORD_ENDS}", re.DOTALL)
_HEX_IN_URL = re.compile(r"%[0-9A-F]{2}")
_URL_SAFE = str.maketrans("+/", "-_")


class Redactor:
    """Hides secrets. Made anew when the known ones change."""

    def __init__(self, known: Iterable[tuple[str, str]] = ()) -> None:
        """`known` are names and values."""
        self._names: dict[str, str] = {}
        for name, value in known:
            if len(value) >= LEAST_KNOWN:
                for encoded in _encodings(value):
                    self._names.setdefault(encoded, name)
        longest_first = sorted(self._names, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first)))
        self.longest = max(map(len, longest_first), default=0)
        """Characters of the longest of all known values and their encodings."""
        self.of_words = tuple(value for value in longest_first if _WORD_END.search(value))
        """Those that do not end where a word does."""

    def __call__(self, text: str) -> str:
        """`text` with a mark in the place of each secret; the same object if there is none."""
        spans = self.spans(text)
        return marked(text, spans, 0, len(text)) if spans else text

    def spans(self, text: str) -> list[Span]:
        """Where secrets are, in order, apart from each other."""
        found = [(first, last, 1, name) for first, last, name in shaped(text)]
        if any(value in text for value in self._names):
            found += [(*match.span(), 0, self._names[match[0]]) for match in self._known.finditer(text)]
        return _joined(sorted(found))


Redacting: TypeAlias = Callable[[], Redactor]
"""Who hides secrets now: what is known changes with a reload and with a login."""

_SHAPES_ONLY = Redactor()


def shapes_only() -> Redactor:
    """Knows no secret, and hides what looks like one."""
    return _SHAPES_ONLY


def mark(name: str) -> str:
    """What stands in the place of a secret."""
    return f"[redacted: {name}]"


def marked(text: str, spans: Iterable[Span], start: int, end: int) -> str:
    """`text` from `start` to `end`, with marks. A secret that began before `start` has its mark here."""
    parts = []
    for first, last, name in spans:
        if last > start and first < end:
            parts += [text[start:first], mark(name)]
            start = last
    return "".join([*parts, text[start:end]])


def redacted(value: Any, redactor: Callable[[str], str]) -> Any:  # noqa: ANN401 - JSON
    """A JSON value with every text in it redacted, keys too."""
    if isinstance(value, str):
        return redactor(value)
    if isinstance(value, dict):
        return {redacted(key, redactor): redacted(item, redactor) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, redactor) for item in value]
    return value


class RedactingStream:
    """Pieces in, safe text out, in the same order.

    A secret that comes in pieces is held back from its beginning on. So what is held is the last word of ASCII until it
    ends, a private key until its end, and what may become a known secret of more than that; all of it within bounds.
    """

    def __init__(self, redacting: Redacting = shapes_only) -> None:
        self._redacting = redacting
        self._text = ""
        """The last that was let out, as it came, and what is held back."""
        self._out = 0
        """How much of it was let out."""

    def add(self, piece: str) -> str:
        """Some more text; what may be shown now."""
        self._text += piece
        return self._let_out(_held_from(self._text, self._out, self._redacting()))

    def end(self) -> str:
        """Nothing more follows: what was held back. What is added next is another text."""
        said = self._let_out(len(self._text))
        self.drop()
        return said

    def drop(self) -> None:
        """Forget what was held back."""
        self._text, self._out = "", 0

    def _let_out(self, until: int) -> str:
        if until <= self._out:
            return ""
        spans = self._redacting().spans(self._text)
        for first, last, _ in spans:
            # Not its beginning without its end, unless it is too long to be a secret.
            if self._out <= first < until < last and len(self._text) - first <= MOST_KEY:
                until = first
        said = marked(self._text, spans, self._out, until)
        kept = max(0, until - CONTEXT)
        self._text, self._out = self._text[kept:], until - kept
        return said


def _held_from(text: str, out: int, redactor: Redactor) -> int:
    """How much of `text` may be let out, when `out` was and more may follow."""
    words = _TO_LAST_WORD_END.match(text, out)
    cut = out if words is None else words.end()
    if len(text) - cut > max(MOST_HELD, 2 * redactor.longest):
        cut = len(text) - max(CONTEXT, redactor.longest)
    key = unfinished_key(text, out)
    if key is not None and len(text) - key <= MOST_KEY:
        cut = min(cut, key)
    for value in redactor.of_words:
        cut = min(cut, _may_become(value, text, out))
    return cut


def _may_become(value: str, text: str, start: int) -> int:
    """Where the end of `text` begins that is a beginning of `value`; its length if there is none."""
    place = text.find(value[0], max(start, len(text) - len(value) + 1))
    while place >= 0:
        if value.startswith(text[place:]):
            return place
        place = text.find(value[0], place + 1)
    return len(text)


def _joined(found: Iterable[tuple[int, int, int, str]]) -> list[Span]:
    """What overlaps is one, by the name of the known secret in it, if there is one."""
    spans: list[Span] = []
    best = 0
    for first, last, rank, name in found:
        if spans and first < spans[-1][1]:
            before, end, called = spans.pop()
            spans.append((before, max(end, last), name if rank < best else called))
            best = min(best, rank)
        else:
            spans.append((first, last, name))
            best = rank
    return spans


def _encodings(value: str) -> Iterator[str]:
    """How a value is written where it is not written as it is; each long enough to be told from words."""
    data = value.encode("utf-8", "surrogatepass")
    quoted = quote(data, safe="")
    in_json = json.dumps(value)[1:-1]
    forms = [
        value,
        value[::-1],
        quoted,
        _HEX_IN_URL.sub(lambda match: match[0].lower(), quoted),
        quote(data),
        quote_plus(data),
        in_json,
        in_json.replace("/", "\\/"),
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        html.escape(value).replace("&#x27;", "&#39;"),
        html.escape(value, quote=False),
        data.hex(),
        data.hex().upper(),
        *_base64(data),
    ]
    return (form for form in forms if len(form) >= LEAST_KNOWN)


def _base64(data: bytes) -> Iterator[str]:
    """At each of the three places where it can stand in what was encoded, without what its neighbours share."""
    for before, mixed in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(bytes(before) + data).decode("ascii").rstrip("=")
        whole = (before + len(data)) % 3 == 0
        own = text[mixed:] if whole else text[mixed:-1]
        yield own
        yield own.translate(_URL_SAFE)
