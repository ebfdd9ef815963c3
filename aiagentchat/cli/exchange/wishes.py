"""What is asked for, whoever is asked; and who answers."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.render.hygiene import visible

Json: TypeAlias = Mapping[str, Any]
"""A message, a page, an instance, a task: with the names of docs/reference/http.md, also without a gateway."""

NOTHING_SENT = "nothing was sent"
"""For whoever gives up what was not begun."""
_TASK = re.compile(r"t[0-9a-f]{12}")
"""What tasks are called that nobody has named (`core.ids.new_task_id`)."""
_SPAN = re.compile(r"([0-9]{1,6})(s|m|h|d|w)?")
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Something to be said."""

    room: str
    body: str
    kind: str = "message"
    to: str | None = None
    in_reply_to: str | None = None
    task: str | None = None
    thread: str | None = None
    expires_at: int | None = None
    budget: int | None = None

    def given(self) -> dict[str, Any]:
        """What was given of it, as JSON."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which messages of the history."""

    words: str = ""
    room: str | None = None
    sender: str | None = None
    kind: str | None = None
    since: int | None = None
    until: int | None = None
    before: str | None = None
    limit: int = 50


class Speaks(Protocol):
    """The gateway of a daemon, or the homeserver. Every method raises NotDone."""

    def send(self, words: Words, key: str) -> Json:
        """Say something: the message. The same key says it no second time."""
        ...

    def ask(self, words: Words, key: str, seconds: float) -> Json:
        """The same, and wait until it is answered, or for so long: the message as it is by then."""
        ...

    def given_up(self, key: str) -> str:
        """What to say to whoever does not wait any longer for the answer to what was sent with that key."""
        ...

    def status(self, message: str) -> Json:
        """How far a message has come."""
        ...

    def tasks(self, room: str | None, *, everything: bool) -> Sequence[Json]:
        """Tasks, the newest first: those that are open, or all of them."""
        ...

    def task(self, task: str) -> Json:
        """What is known of a task."""
        ...

    def assign(self, room: str, to: str, text: str, *, deadline: int | None, key: str) -> Json:
        """Give work to somebody: the task. The same key gives it no second time."""
        ...

    def update(self, room: str | None, task: str, step: str, note: str) -> Json:
        """Say what has become of a task; without its room, that is looked up."""
        ...

    def read(self, room: str, *, limit: int, before: str | None) -> Json:
        """The last messages of a room: `messages` and `before`."""
        ...

    def history(self, search: Search) -> Json:
        """Messages that are looked for: `messages` and `before`."""
        ...

    def who(self) -> Sequence[Json]:
        """Who is in the registry."""
        ...

    def names(self, rooms: Collection[str]) -> Mapping[str, str]:
        """What these rooms are called for people, by their ids; not all of them may be known."""
        ...

    def events(self, rooms: Sequence[str], after: str | None) -> Iterator[Json]:
        """What is said from now on, or after what was seen last; until the end of the world."""
        ...


def is_task(name: str) -> bool:
    """Whether a task is called so, and no message."""
    return _TASK.fullmatch(name) is not None


def seconds_of(text: str, option: str) -> int:
    """`30s`, `15m`, `2h`, `7d`, or seconds. Raises NotDone."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise NotDone(f"{option} {visible(text)}: write a time such as 30s, 15m, 2h or 7d", Exit.USAGE)
    return int(match[1]) * _SECONDS[match[2]]


def moment_of(text: str, option: str, now_ms: int, *, ahead: bool) -> int:
    """A moment in milliseconds: a time from now (`ahead`) or ago, or `2026-11-25T14:00` in our time zone."""
    if _SPAN.fullmatch(text.strip()):
        span = seconds_of(text, option) * 1000
        return now_ms + span if ahead else max(0, now_ms - span)
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError):
        raise NotDone(
            f"{option} {visible(text)}: write a time such as 2h or 7d, or a moment as 2026-11-25T14:00", Exit.USAGE
        ) from None
