"""One thing to be put into a room: a message, an edit of one, a reaction, a deletion of one of these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from aiagentchat.core.ids import ApprovalId, EventId, RoomId, TxnId

MESSAGE = "m.room.message"
REACTION = "m.reaction"
REDACTION = "m.room.redaction"
"""Its content is ours alone: which parcel is to be deleted from the room (`PARCEL`), and why (`reason`)."""
PARCEL = "parcel"
REACTION_KEYS = frozenset({"👀", "✏️", "✅", "❌", "⏱️", "🛑", "⚠️", "♾️"})
"""All that we react with. Reactions are not encrypted, so none has a text in it."""
TXN_KEY = "com.aiagentchat.txn"
"""Where the content of everything that we send has its transaction id: how we know an event of ours again when the
homeserver does not know the transaction any more."""

Content = Mapping[str, Any]
"""The content of a Matrix event: JSON, without floats (a homeserver refuses them)."""


class Urgency(IntEnum):
    """What a parcel may take from a homeserver's limit, which is one for all rooms of an account."""

    SPARE = 0
    """Nice to have (a reaction, a place in the queue): sent when nothing else waits, dropped once it is out of date."""
    PROGRESS = 1
    """A state of an answer that another one follows."""
    NEEDED = 2
    """What somebody waits for: the end of an answer, a question, an error. Whatever stands before it in its room is
    as urgent as it is."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """The file of a parcel. Its name and kind are in the content: `filename`, and `info` with `mimetype`, `size`, and
    for a picture `w` and `h`; `thumbnail_info` in there says the same of the thumbnail. Where the file is, the sender
    adds."""

    data: bytes = field(repr=False)
    thumbnail: bytes | None = field(default=None, repr=False)


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
    urgency: Urgency = Urgency.NEEDED
    attachment: Attachment | None = None
    """A file that is uploaded when this is sent, encrypted where the room is. The outbox hands it out on its own
    (`Outbox.attachment`), and keeps it no longer than needed. Not for edits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A parcel that was claimed, and what happened to it before."""

    parcel: Parcel
    tried_at: int | None = None
    """When (milliseconds) it was first claimed in an earlier attempt; None: it cannot be in the room yet."""
    tried_as: str | None = None
    """The device that it was claimed for in those attempts: a transaction id is good for one device only. Where there
    were several, a name that no device has."""
    faults: int = 0
    """How often the homeserver failed over this parcel while it took others."""
    variant: int = 0
    """How far it was degraded: 0 as it was written."""
    attached: bool = False
    """Whether a file goes with it."""
