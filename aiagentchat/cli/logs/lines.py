"""One line of the log: what it says, whether it is wanted, how a person reads it. Pure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from aiagentchat.core.ids import RoomId
from aiagentchat.render.hygiene import visible

LEVELS = ("debug", "info", "warning", "error", "critical")
ONCE = ("timestamp", "level", "event", "room", "logger", "exception", "stack")
"""Fields that have a place of their own, or none."""
_PLAIN = re.compile(r"[\w!$@#:./+=\-]+")


@dataclass(frozen=True, slots=True)
class Line:
    """As it was written, and its fields; none where it is no line of ours."""

    raw: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def at(self) -> datetime | None:
        """When it was written."""
        try:
            return datetime.fromisoformat(str(self.fields.get("timestamp")))
        except ValueError:
            return None

    @property
    def level(self) -> str:
        """One of LEVELS, if it is one."""
        return str(self.fields.get("level", ""))


def read(raw: str) -> Line:
    """A line as it stands in a file, a journal, or behind the name of a container."""
    text = raw.rstrip("\r\n")
    begin = text.find("{")
    if begin < 0:
        return Line(text)
    try:
        found = json.loads(text[begin:])
    except ValueError:
        return Line(text)
    return Line(text, found) if isinstance(found, dict) and "event" in found else Line(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which lines are shown."""

    room: RoomId | None = None
    since: int = 0
    """Milliseconds since the epoch."""
    level: str = LEVELS[0]
    """At least this one."""
    events: Sequence[str] = ()
    """Names, with `*` for any part; none: every event."""

    def has(self, line: Line) -> bool:
        """Whether it is shown. What is no line of ours is, unless something is asked for that only ours have."""
        if not line.fields:
            return self.room is None and not self.events and self.level == LEVELS[0] and not self.since
        at = line.at
        return (
            self.room in (None, line.fields.get("room"))
            and (at is None or at.timestamp() * 1000 >= self.since)
            and _rank(line.level) >= _rank(self.level)
            and (not self.events or any(fnmatchcase(str(line.fields["event"]), each) for each in self.events))
        )


def _rank(level: str) -> int:
    """A level that nobody knows is worth seeing."""
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A line in parts, without anything that could play tricks on a terminal."""

    when: str
    level: str
    room: str
    event: str
    more: str
    below: Sequence[str] = ()
    """Lines of a traceback."""


def readable(line: Line, names: Mapping[RoomId, str]) -> Readable:
    """How a person reads a line of ours."""
    fields, at = line.fields, line.at
    room = fields.get("room")
    local = None if at is None else (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone()
    more = " ".join(f"{_safe(key)}={_value(value)}" for key, value in fields.items() if key not in ONCE)
    return Readable(
        when=local.strftime("%m-%d %H:%M:%S.%f")[:-3] if local is not None else "",
        level=_safe(line.level),
        room=_safe(names.get(RoomId(str(room)), str(room))) if room else "",
        event=_safe(str(fields["event"])),
        more=more,
        below=[*_below(fields)],
    )


def _below(fields: Mapping[str, Any]) -> Iterator[str]:
    for key in ("exception", "stack"):
        text = fields.get(key)
        if isinstance(text, str):
            yield from (visible(line) for line in text.splitlines())


def _value(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return visible(value)
    return visible(json.dumps(value, ensure_ascii=False))


def _safe(text: str) -> str:
    return visible(" ".join(text.split()))
