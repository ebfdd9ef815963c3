"""Text from outside, made fit to be shown: valid, free of terminal tricks, and unable to ring anybody."""

import re
import unicodedata

WORD_JOINER = "\u2060"

# ECMA-48. No part of a pattern can run over the start of another sequence, so that any input takes linear time.
_STRING = r"(?:\x1b[P\]X^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f\n]*(?:\x07|\x1b\\|\x9c)"  # OSC (links), DCS, APC …
_CSI = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor
_SHORT = r"\x1b(?:[ -/]+[0-~]|[0-~])?"
_ESCAPES = re.compile(f"{_STRING}|{_CSI}|{_SHORT}")
_NEWLINES = re.compile(r"\r\n?")
_CONTROLS = dict.fromkeys([*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)])

# Categories of what cannot be seen or moves what can: controls, format (bidi, zero width, tags), private, unassigned,
# surrogates, separators. The rest are letters and marks that draw nothing: fillers, variation selectors.
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp", "Zs"})
_BLANK = frozenset(
    map(chr, [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810)])
) | frozenset(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
_SHOWN = frozenset(" \n\t")
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")  # embeddings, overrides, isolates

_PINGS = re.compile(r"(?<!\w)@(?=room\b)|(?<![\w`])@(?=[0-9a-z._=/+\-]+:[0-9a-z\[])", re.IGNORECASE)

_PINGED = re.compile(rf"@{WORD_JOINER}(?=room\b|[0-9a-z._=/+\-]+:[0-9a-z\[])", re.IGNORECASE)


def clean(text: str) -> str:
    """`text` as a room may have it: valid UTF-8, without escape sequences and control characters.

    Line ends become ``\\n``, tabs stay, a lone surrogate becomes U+FFFD (a homeserver answers one with HTTP 500). An
    escape sequence that is cut in two is only recognised when both halves are there: clean what was joined, not parts.
    """
    valid = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _NEWLINES.sub("\n", _ESCAPES.sub("", valid)).translate(_CONTROLS)


def visible(text: str) -> str:
    r"""`text` with everything that hides or reorders spelled out as ``\u202e``: for what a person must judge.

    Nothing is removed, and only space, newline and tab stay as they are. A ``\u202e`` that was typed as six letters
    looks the same: a false alarm, never a missed one.
    """
    return "".join(map(_spelled, text))


def shown(text: str) -> str:
    r"""`text` with what makes it read in another order than it is written spelled out, as ``\u202e``.

    Letters of every script keep their own direction, and so do the marks that only help them (``\u200f``).
    """
    return _REORDERING.sub(lambda found: visible(found[0]), text)


def _spelled(char: str) -> str:
    if char in _SHOWN or (char not in _BLANK and unicodedata.category(char) not in _HIDDEN):
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def no_ping(text: str) -> str:
    """`text` in which ``@room`` and ``@user:server`` ring nobody: a word joiner stands behind the ``@``.

    Our messages always set `m.mentions`, and clients and servers of today look at nothing else; this is for the older
    ones, which search the body. An id right behind a backtick stays whole, so that it can be copied, and so does
    ``git@host:path``.
    """
    return _PINGS.sub("@" + WORD_JOINER, text)


def as_written(text: str) -> str:
    """`text` of another daemon, without what `no_ping` has put there: an agent that reads an id may have to use it."""
    return _PINGED.sub("@", text)


def one_line(text: str, limit: int) -> str:
    """`text` cleaned, on one line, in at most `limit` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
