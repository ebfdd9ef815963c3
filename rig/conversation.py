"""The conversation in a room as a person sees it, out of the events of its timeline. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Event: TypeAlias = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Message:
    """One message, with the newest of its edits. A redacted one is not there at all."""

    id: str
    sender: str
    content: Mapping[str, Any]
    """The newest content; relations are in `first`."""
    first: Mapping[str, Any]
    """The content that it was sent with."""
    edits: int = 0
    reactions: dict[str, set[str]] = field(default_factory=dict)
    """Who reacted, by key."""

    @property
    def body(self) -> str:
        """Its text."""
        return str(self.content.get("body", ""))

    @property
    def html(self) -> str:
        """Its formatted text, "" when it has none."""
        return str(self.content.get("formatted_body", ""))

    @property
    def kind(self) -> str:
        """`m.text`, `m.notice` …"""
        return str(self.content.get("msgtype", ""))

    @property
    def reply_to(self) -> str:
        """The event that it answers, "" when it answers none."""
        relates: Mapping[str, Any] = self.first.get("m.relates_to") or {}
        return str((relates.get("m.in_reply_to") or {}).get("event_id", ""))

    @property
    def mentions(self) -> Sequence[str]:
        """The users whose telephones it rings."""
        return tuple((self.content.get("m.mentions") or {}).get("user_ids", ()))


def view(events: Iterable[Event]) -> list[Message]:
    """The messages in their order, with edits, reactions and redactions applied as the specification says."""
    listed = list(events)
    redacted = {redacts(event) for event in listed if event["type"] == "m.room.redaction"}
    messages: dict[str, Message] = {}
    for event in listed:
        content = event.get("content") or {}
        if event["event_id"] in redacted or not content:
            continue
        relates = content.get("m.relates_to") or {}
        target = messages.get(str(relates.get("event_id", "")))
        if event["type"] == "m.reaction" and target:
            target.reactions.setdefault(str(relates.get("key", "")), set()).add(event["sender"])
        elif event["type"] != "m.room.message":
            continue
        elif relates.get("rel_type") != "m.replace":
            messages[event["event_id"]] = Message(
                id=event["event_id"], sender=event["sender"], content=content, first=content
            )
        elif target and target.sender == event["sender"]:  # anybody may send one for a message of somebody else
            target.content = content.get("m.new_content") or {}
            target.edits += 1
    return list(messages.values())


def redacts(event: Event) -> str:
    """What a redaction takes away. Room version 11 moved the key into the content."""
    return str(event.get("redacts") or event["content"].get("redacts", ""))


def describe(event: Event) -> str:
    """One line about an event, for a person who wonders why a test failed."""
    content = event.get("content") or {}
    relates = content.get("m.relates_to") or {}
    text = str(content.get("body") or relates.get("key") or content.get("membership") or "")
    short = text if len(text) <= _DESCRIBED else f"{text[:_DESCRIBED]}… ({len(text)} characters)"
    about = f" {relates.get('rel_type', 'reply')}→{relates.get('event_id', '')[:8]}" if relates else ""
    return f"{event['event_id'][:8]} {event['sender']} {event['type']}{about} {short!r}"


_DESCRIBED = 100
"""Characters of a message that a description quotes."""
