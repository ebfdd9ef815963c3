"""One thing to be put into a room: a message, an edit of one, a reaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiagentchat.core.ids import ApprovalId, EventId, RoomId, TxnId

MESSAGE = "m.room.message"
REACTION = "m.reaction"

Content = Mapping[str, Any]
"""The content of a Matrix event: JSON, without floats (a homeserver refuses them)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Written to the outbox first and sent from there, in the order of its room."""

    txn: TxnId
    room: RoomId
    type: str = MESSAGE
    content: Content
    """For an edit this is the new content alone: the sender wraps it once the first event's id is known."""
    edits: TxnId | None = None
    """The parcel whose message this one replaces. A newer edit of the same message supersedes an unsent older one."""
    command: EventId | None = None
    """The command that it answers."""
    approval: ApprovalId | None = None
    """Set on the message that asks for an approval, so that a reaction on it finds the question."""
