"""A conversation with the agent, and the name that people know it by: how it is made and found again. Pure."""

import difflib
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from aiagentchat.core.ids import EventId, RoomId, SessionId
from aiagentchat.core.redact import shapes_only

UNNAMED = "session"
"""What a conversation is called whose first words make no name."""
MOST_WORDS = 4
"""Words of the first message that a name is made of …"""
LONGEST_NAME = 32
"""… and its characters, so that a line of a list fits on a phone."""
_LONGEST_WORD = 20
"""What is longer, of ASCII, is no word: an address, a key, a hash. Not every language has blanks."""
_NO_WORD = re.compile(rf"[!-~]*://[!-~]*|[!-~]{{{_LONGEST_WORD + 1},}}")
_LOOKED_AT = 400
"""Characters of a message that its name can come from."""
_CLOSE_ENOUGH = 0.6
_REDACTED = re.compile(r"\[redacted: [^\]]*\]")
_APOSTROPHES = dict.fromkeys(map(ord, "'’"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One conversation of a room."""

    id: SessionId
    room: RoomId
    name: str
    used_at: int
    """Milliseconds since the epoch: when a turn last began in it, or when it was made."""
    turns: int = 0
    thread: EventId | None = None
    """The thread that it was begun in, by its first event."""


def name_from(text: str) -> str:
    """What a conversation is called that begins with this message."""
    return "-".join(_words(text)[:MOST_WORDS])[:LONGEST_NAME].strip("-") or UNNAMED


def name_typed(text: str) -> str:
    """The name that somebody means who types this; empty where no letter and no digit is in it."""
    return "-".join(_words(text, anything=True))[:LONGEST_NAME].strip("-")


def free_name(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, or `wanted`-2, -3 … if others have it."""
    if wanted not in taken:
        return wanted
    number = 2
    while (name := f"{wanted}-{number}") in taken:
        number += 1
    return name


@dataclass(frozen=True, slots=True)
class Found:
    """What somebody may mean with a name."""

    session: Session | None = None
    nearest: str = ""
    """Where no conversation is meant: the name that is most like it, if one is."""
    several: Sequence[str] = ()
    """The names that begin so, where more than one does."""


def find(typed: str, sessions: Iterable[Session]) -> Found:
    """Which of these conversations is meant by `typed`: its name, or how that begins."""
    by_name = {session.name: session for session in sessions}
    wanted = name_typed(typed)
    if wanted in by_name:
        return Found(by_name[wanted])
    begin_so = [name for name in by_name if wanted and name.startswith(wanted)]
    if len(begin_so) == 1:
        return Found(by_name[begin_so[0]])
    if begin_so:
        return Found(several=begin_so)
    return Found(nearest=next(iter(difflib.get_close_matches(wanted, by_name, n=1, cutoff=_CLOSE_ENOUGH)), ""))


def _words(text: str, *, anything: bool = False) -> list[str]:
    """Small letters and digits of any script. What may be a secret is in no name, unless somebody wants `anything`."""
    text = unicodedata.normalize("NFKC", text[:_LOOKED_AT])
    if not anything:
        text = _REDACTED.sub(" ", shapes_only()(text))
    said = [word.translate(_APOSTROPHES) for word in text.split()]
    if not anything:
        if said and (said[0].startswith("@") or said[0].endswith(":")):
            del said[0]  # whom it speaks to
        said = [_NO_WORD.sub(" ", word) for word in said]
    return [part for word in said for part in _plain(word).split()]


def _plain(word: str) -> str:
    return "".join(char if char.isalnum() or unicodedata.category(char)[0] == "M" else " " for char in word).lower()
