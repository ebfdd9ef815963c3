"""A room as a person sees it, out of the events of its timeline: who said what, what is open, who is at work. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiagentchat.core.ids import EventId, UserId
from aiagentchat.render import asking_words, away, words
from aiagentchat.render.marks import ACCEPTED, REACTIONS
from aiagentchat.route.answers import ALWAYS, NO, NUMBERS, YES

Event: TypeAlias = Mapping[str, Any]

_SELECTOR = "\ufe0f"
FINAL = frozenset(key.replace(_SELECTOR, "") for key in REACTIONS.values())
"""What a daemon puts on a message when it is done with it."""

_AFTER_A_TURN = (away.RESUME_ANSWERS, away.RESUME_CHOICE_ANSWERS, away.OFFER_ANSWERS)
ASKS = (asking_words.ALLOWS_ONCE, asking_words.ALLOWS_IN_WORDS, *_AFTER_A_TURN)
"""How the lines begin that say how a question is answered with a yes or a no …"""
CHOOSES = (asking_words.TAP_ONE, asking_words.REPLY_ONE)
"""… and one with choices."""
_IN_WORDS = (asking_words.ALLOWS_IN_WORDS, asking_words.REPLY_ONE)
_SOMEBODY = UserId("somebody")
_CLOSES = (
    words.approval_allowed(_SOMEBODY).partition(_SOMEBODY)[0],
    words.approval_denied(_SOMEBODY, "").partition(_SOMEBODY)[0],
    words.approval_expired(0).partition("0")[0],
    words.APPROVAL_WITHDRAWN,
    away.dropped(0).partition(" ")[0],
    asking_words.allowed_always(_SOMEBODY, "").partition(_SOMEBODY)[0],
    asking_words.answered_with(_SOMEBODY, []).partition(_SOMEBODY)[0],
    asking_words.plan_denied(_SOMEBODY, "").partition(_SOMEBODY)[0],
    asking_words.plan_allowed(_SOMEBODY, accept_edits=False).partition(_SOMEBODY)[0],
    asking_words.choice_expired(0).partition("0")[0],
)


@dataclass(slots=True, kw_only=True)
class Message:
    """One message, with the newest of its edits."""

    id: EventId
    sender: UserId
    kind: str
    """`m.text`, `m.notice` …"""
    body: str
    reply_to: EventId | None = None
    edits: int = 0
    reactions: dict[str, set[UserId]] = field(default_factory=dict)
    """Who reacted, by key without its variation selectors."""

    @property
    def asks(self) -> bool:
        """Whether it is (the last piece of) a question that a yes or a no answers."""
        return self.kind == "m.text" and self._last_line.startswith(ASKS)

    @property
    def chooses(self) -> bool:
        """Whether it is a question with choices."""
        return self.kind == "m.text" and self._last_line.startswith(CHOOSES)

    @property
    def takes_many(self) -> bool:
        """Whether it takes more numbers than one."""
        return asking_words.MANY_TAPS in self._last_line

    @property
    def takes_always(self) -> bool:
        """Whether what it asks for may be allowed until the conversation ends."""
        return self.asks and "`always`" in self._last_line

    @property
    def in_words(self) -> bool:
        """Whether a reaction on it answers nothing."""
        return self._last_line.startswith(_IN_WORDS)

    @property
    def outlives_its_turn(self) -> bool:
        """Whether the question stays open when the turn that it is about has ended."""
        return self._last_line.startswith(_AFTER_A_TURN)

    @property
    def _last_line(self) -> str:
        return self.body.rstrip().rpartition("\n")[2]


class Timeline:
    """Takes the events in their order."""

    def __init__(self, me: UserId) -> None:
        self.me = me
        self._messages: dict[EventId, Message] = {}
        self._reactions: dict[EventId, tuple[EventId, str, UserId]] = {}
        self._questions: list[Message] = []
        self._at_work: dict[UserId, list[Message]] = {}

    @property
    def messages(self) -> list[Message]:
        """Everything that was said and not taken back, oldest first."""
        return list(self._messages.values())

    @property
    def question(self) -> Message | None:
        """The oldest question that waits for a yes or a no."""
        return next((question for question in self._questions if question.asks), None)

    @property
    def waits(self) -> Message | None:
        """The oldest question that waits for any answer."""
        return next(iter(self._questions), None)

    def get(self, event: EventId) -> Message | None:
        """One message."""
        return self._messages.get(event)

    def knows(self, event: EventId) -> bool:
        """Whether the message or reaction was taken already."""
        return event in self._messages or event in self._reactions

    def is_accepted(self, message: Message) -> bool:
        """Whether somebody took it as a command."""
        return bool(message.reactions.get(ACCEPTED, set()) - {message.sender})

    def outcome(self, message: Message) -> str:
        """What a daemon put on it at the end, "" before that."""
        # A person's reaction is no end: 🛑 on a command asks for one.
        workers = message.reactions.get(ACCEPTED, set()) - {message.sender}
        ends = (
            key
            for key, who in message.reactions.items()
            if key in FINAL and (who & workers if workers else who - {message.sender})
        )
        return next(iter(ends), "")

    def outcome_of(self, event: EventId) -> str:
        """The same, for a message that may not be there."""
        message = self._messages.get(event)
        return self.outcome(message) if message else ""

    def is_at_work(self, user: UserId) -> bool:
        """Whether a command that `user` accepted has not come to its end: then its newest words may still change."""
        return bool(self._at_work.get(user))

    def works_on(self, message: Message) -> bool:
        """Whether somebody accepted this command and is not done with it."""
        return any(message in accepted for accepted in self._at_work.values())

    def take(self, event: Event) -> None:
        """See one event. What is malformed, or speaks of what was never seen, changes nothing."""
        content = event.get("content")
        if not isinstance(content, Mapping):
            return
        match event.get("type"):
            case "m.room.message":
                self._said(event, content)
            case "m.reaction":
                self._reacted(event, content)
            case "m.room.redaction":
                self._redacted(EventId(str(event.get("redacts") or content.get("redacts", ""))))
            case "m.room.encrypted":
                self._put(_message(event, {"msgtype": "m.notice", "body": "*(encrypted: cannot be read here)*"}))
            case _:
                pass

    def _said(self, event: Event, content: Event) -> None:
        relates = _relation(content)
        if relates.get("rel_type") != "m.replace":
            if content.get("body") is not None:
                self._put(_message(event, content))
            return
        target = self._messages.get(EventId(str(relates.get("event_id"))))
        new = content.get("m.new_content")
        # Anybody may send an edit of somebody else's message; it means nothing.
        if target and isinstance(new, Mapping) and target.sender == event.get("sender"):
            edited = _message(event, new)
            target.body, target.kind = edited.body, edited.kind
            target.edits += 1

    def _put(self, message: Message) -> None:
        self._messages[message.id] = message
        if message.sender == self.me:
            return
        if message.asks or message.chooses:
            self._questions.append(message)
        elif message.body.startswith(_CLOSES):
            asked = next((question for question in self._questions if question.sender == message.sender), None)
            self._close([asked] if asked else [])

    def _reacted(self, event: Event, content: Event) -> None:
        relates = _relation(content)
        target = self._messages.get(EventId(str(relates.get("event_id"))))
        if target is None:
            return
        key, sender = str(relates.get("key", "")).replace(_SELECTOR, ""), UserId(str(event["sender"]))
        target.reactions.setdefault(key, set()).add(sender)
        self._reactions[EventId(str(event["event_id"]))] = target.id, key, sender
        if sender == target.sender:
            return
        if key == ACCEPTED:
            self._at_work.setdefault(sender, []).append(target)
        elif key in FINAL and target in self._at_work.get(sender, ()):
            self._ended(sender, target)
        is_always = key in ALWAYS and target.takes_always
        if key in YES | NO or is_always or (key in NUMBERS and not target.takes_many):
            self._close([target])

    def _ended(self, worker: UserId, command: Message) -> None:
        """A room's commands are answered in order, so nothing earlier is open either."""
        accepted = self._at_work[worker]
        del accepted[: accepted.index(command) + 1]
        self._close([each for each in self._questions if each.sender == worker and not each.outlives_its_turn])

    def _close(self, questions: list[Message]) -> None:
        self._questions = [question for question in self._questions if question not in questions]

    def _redacted(self, event: EventId) -> None:
        if reaction := self._reactions.pop(event, None):
            target, key, sender = reaction
            if message := self._messages.get(target):
                message.reactions.get(key, set()).discard(sender)
        elif message := self._messages.pop(event, None):
            self._close([message])
            for accepted in self._at_work.values():
                if message in accepted:
                    accepted.remove(message)


def events_of(page: object) -> Iterator[Event]:
    """The events in a list out of a homeserver's answer, without what is none."""
    for event in page if isinstance(page, list) else ():
        if (
            isinstance(event, Mapping)
            and isinstance(event.get("event_id"), str)
            and isinstance(event.get("sender"), str)
        ):
            yield event


def _message(event: Event, content: Event) -> Message:
    body, kind = content.get("body"), str(content.get("msgtype", ""))
    text = body if isinstance(body, str) else ""
    if kind == "m.emote":
        text = f"*{text}*"
    elif kind not in ("m.text", "m.notice"):
        text = f"({kind.removeprefix('m.')}: {text})"
    reply_to = _relation(content).get("m.in_reply_to")
    answered = reply_to.get("event_id") if isinstance(reply_to, Mapping) else None
    return Message(
        id=EventId(str(event["event_id"])),
        sender=UserId(str(event["sender"])),
        kind=kind,
        body=text,
        reply_to=EventId(answered) if isinstance(answered, str) else None,
    )


def _relation(content: Event) -> Event:
    relates = content.get("m.relates_to")
    return relates if isinstance(relates, Mapping) else {}
