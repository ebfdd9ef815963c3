"""What a room says about each message that was typed in it: a timeline, sorted by what it answers. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from aiagentchat.core.agent_events import Failure
from aiagentchat.render import words
from rig.conversation import Event, Message, view
from rig.faults.prompts import WORD, Asked, parse

ENDINGS = ("✅", "❌", "⏱️", "🛑", "⚠️")
"""The reactions with which a command ends."""
DONE = "✅"

_FOOTER = re.compile(r"^— .* · session \S+$", re.MULTILINE)
_RESTARTED = ("nterrupted by a restart",)
_REFUSED = ("queue is full", "so I did not take this one")
_FAILED = (
    *(words.failed(failure) for failure in Failure),
    words.AGENT_DIED,
    words.NO_KEY,
    words.NO_BINARY,
    words.BROKEN,
    words.ENDED_BY_ITSELF,
    words.NO_WORKSPACE,
    words.ROOM_NOT_CONFIGURED,
    "could not be started, so nothing was run",
    "Stopped: the turn took longer than",
)


@dataclass(slots=True, kw_only=True)
class Typed:
    """A message that somebody typed, and everything that came back."""

    event: str
    asked: Asked
    pages: list[Message] = field(default_factory=list)
    """The messages that carry its answer, in the order of the room."""
    restarts: list[Message] = field(default_factory=list)
    failures: list[Message] = field(default_factory=list)
    refusals: list[Message] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """Where in the timeline the pages, their edits and the reports stand."""
    reported_at: list[int] = field(default_factory=list)
    """Where the reports about a restart stand."""

    @property
    def numbers(self) -> list[int]:
        """The words of the answer, as they can be read."""
        return [int(number) for page in self.pages for _, number in WORD.findall(page.body)]

    @property
    def closed(self) -> bool:
        """Whether the last line of an answer is there: it is written together with the turn's end."""
        return any(_FOOTER.search(page.body) for page in self.pages)

    @property
    def whole(self) -> bool:
        """Whether every word is there, once, in order, and nothing else but the footer and a sentence of ours."""
        said = " ".join(_without_ours(page.body) for page in self.pages)
        return said.split() == self.asked.answer.split()

    @property
    def outcome(self) -> str:
        """What became of it, as far as one word can say it."""
        if self.refusals:
            return "refused"
        if self.restarts or self.failures:
            return "reported"
        return "answered" if self.closed else "lost"


@dataclass(slots=True)
class Heard:
    """A room."""

    typed: list[Typed] = field(default_factory=list)
    strays: list[Message] = field(default_factory=list)
    """What the bot said about nothing that was typed here."""
    twice: list[Message] = field(default_factory=list)
    """What stands there a second time: the same text as an answer to the same event."""


def hear(events: Sequence[Event], bot: str) -> Heard:
    """Sort the timeline of a room, or a part of it that begins before the first message that counts."""
    heard = Heard()
    by_event: dict[str, Typed] = {}
    by_name: dict[str, Typed] = {}
    last: Typed | None = None
    said: set[tuple[str, str]] = set()
    places = _places(events)
    for message in view(events):
        if message.sender != bot:
            asked = parse(message.body)
            if asked is not None:
                typed = Typed(event=message.id, asked=asked)
                heard.typed.append(typed)
                by_event[message.id] = by_name[asked.name] = typed
                typed.marks = [key for key, who in message.reactions.items() if bot in who and key in ENDINGS]
            continue
        if message.reply_to:
            key = (message.reply_to, message.body)
            heard.twice += [message] if key in said else []
            said.add(key)
        about = _about(message, by_event, by_name, last)
        if about is None:
            heard.strays += [message] if _claims(message) else []
        elif _sort(message, about):
            about.places += places[message.id]
            about.reported_at += places[message.id] if message in about.restarts else []
            last = about if message in about.pages else last
    return heard


def is_refusal(body: str) -> bool:
    """Whether it says that the queue is full."""
    return _holds(body, _REFUSED)


def is_report(body: str) -> bool:
    """Whether it says that a restart, or a failure, cut a turn short."""
    return _holds(body, _RESTARTED) or _holds(body, _FAILED)


def is_last_page(body: str) -> bool:
    """Whether the last line of an answer is on it."""
    return bool(_FOOTER.search(body))


def _about(message: Message, by_event: dict[str, Typed], by_name: dict[str, Typed], last: Typed | None) -> Typed | None:
    """Which typed message it speaks about: what its words say, then what it answers; a bare footer ends the last."""
    names = {name for name, _ in WORD.findall(message.body)}
    if names:
        return by_name.get(names.pop()) if len(names) == 1 else None
    return by_event.get(message.reply_to) if message.reply_to else last


def _sort(message: Message, about: Typed) -> bool:
    """Put it where it belongs; False when it is neither answer nor report."""
    body = message.body
    is_restart, is_failure = _holds(body, _RESTARTED), _holds(body, _FAILED)
    is_page = bool(WORD.search(body) or _FOOTER.search(body))
    if is_refusal(body):
        about.refusals.append(message)
        return False
    about.restarts += [message] if is_restart else []
    about.failures += [message] if is_failure else []
    about.pages += [message] if is_page else []
    return is_restart or is_failure or is_page


def _claims(message: Message) -> bool:
    """Whether it pretends to be about something that was typed; a notice to the room does not."""
    body = message.body
    return bool(message.reply_to or WORD.search(body) or _FOOTER.search(body)) or _holds(body, _RESTARTED)


def _places(events: Sequence[Event]) -> dict[str, list[int]]:
    """Where each message and its edits stand."""
    places: dict[str, list[int]] = {}
    for index, event in enumerate(events):
        relates = (event.get("content") or {}).get("m.relates_to") or {}
        target = relates["event_id"] if relates.get("rel_type") == "m.replace" else event["event_id"]
        places.setdefault(target, []).append(index)
    return places


def _holds(body: str, sentences: Iterable[str]) -> bool:
    return any(sentence in body for sentence in sentences)


def _without_ours(body: str) -> str:
    body = _FOOTER.sub("", body).replace(words.TURN_OVER, "")
    for sentence in _FAILED:
        body = body.replace(sentence, "")
    return body
