"""What comes out of a room: one event, checked for shape, free of Matrix wire details."""

from dataclasses import dataclass
from enum import StrEnum

from aiagentchat.core.ids import EventId, RoomId, UserId


class Kind(StrEnum):
    """What an event is to us. Everything that is none of these is not written down."""

    TEXT = "text"
    NOTICE = "notice"
    FILE = "file"
    REACTION = "reaction"
    EDIT = "edit"
    REDACTION = "redaction"
    INVITE = "invite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One event of a room."""

    event: EventId
    room: RoomId
    sender: UserId
    sent_at: int
    """Milliseconds since the epoch, by the homeserver's clock."""
    kind: Kind
    body: str = ""
    """The text that was typed; for a reaction its key."""
    target: EventId | None = None
    """What the event speaks of: the answered, edited, redacted or reacted-to event."""
    mentions: frozenset[UserId] = frozenset()
    """Whom the sender addressed on purpose (`m.mentions`)."""
