"""What comes out of a room: one event, checked for shape, free of Matrix wire details."""

from dataclasses import dataclass
from enum import StrEnum

from aiagentchat.core.exchange import MessageState
from aiagentchat.core.files import MediaFile
from aiagentchat.core.ids import CallerName, EventId, RoomId, TxnId, UserId
from aiagentchat.core.meta import Meta, Read


class Kind(StrEnum):
    """What an event is to us. Everything that is none of these is not written down."""

    TEXT = "text"
    NOTICE = "notice"
    FILE = "file"
    REACTION = "reaction"
    EDIT = "edit"
    REDACTION = "redaction"
    INVITE = "invite"
    JOINED = "joined"
    """This account has come (back) into the room."""
    LEFT = "left"
    """This account is no longer in the room: it left, or somebody removed it."""
    TOMBSTONE = "tombstone"
    """The room was replaced by another one, whose id is the body."""
    GAP_LOST = "gap_lost"
    """Made by us: what was said between two moments could not be read. The body is both, in milliseconds, with an
    en dash between them."""
    BEFORE = "before"
    """Made by us: the sender had said something before this account came into the room, his last message then is the
    body. It was not said to us; nothing follows, but for a line in the audit."""
    MALFORMED = "malformed"
    """Meant as a message, but not of the shape that one has; `raw` keeps it."""
    FORGED = "forged"
    """Not said by whom it names: the body says what is wrong with it. Nothing follows, but for a line in the audit."""
    CLOSED = "closed"
    """It names this account, and is encrypted with a key that we do not have: an earlier device of ours has said it, or
    another program. Nothing follows, but for a line in the audit where we do not know it as ours."""
    SEALED = "sealed"
    """It is encrypted, and nobody has given us the key (yet). `raw` keeps it, the body is the session that it needs."""


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
    """The text that was typed; of a file its caption; for a reaction its key; `core.rooms.DIRECT` for an invite into a
    direct chat."""
    target: EventId | None = None
    """What the event speaks of: the answered, edited, redacted or reacted-to event."""
    thread: EventId | None = None
    """The thread that it is in, by its first event."""
    mentions: frozenset[UserId] = frozenset()
    """Whom the sender addressed on purpose (`m.mentions`)."""
    late_ms: int = 0
    """How old it was, by the homeserver's clock, when it was taken in; 0 where the homeserver's clock is not known."""
    raw: str | None = None
    """The event as JSON, kept for what could not be read."""
    file: MediaFile | None = None
    """For a file where it is; None where that cannot be read."""
    encrypted: bool = False
    """Whether it came encrypted, and its key from a device of the sender's. A homeserver can have written it only
    with a device that it has added to the sender's account, and only if the room believes those that are not signed."""
    meta: Read | None = None
    """What an agent says about its message; None where nothing of the kind is in it."""
    by_agent: bool = False
    """Whether a program says that it has written it: then it begins nothing that it does not ask for by its `meta`."""
    caller: CallerName | None = None
    """Who has sent it through our gateway, in this account's name."""
    txn: TxnId | None = None
    """Of an event of this account: the parcel that it is."""

    def is_for(self, user: UserId) -> bool:
        """Whether an agent says that its message is for this account."""
        return isinstance(self.meta, Meta) and self.meta.to is not None and self.meta.to.user == user


MAIN = "main"
"""The thread of what is in none, as receipts call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Another account has come so far in a room (`m.read`): everything up to that event, with it, is covered.

    Where both kinds are on one event, a homeserver tells only of the one for the whole room (MSC4102): so that says the
    more.
    """

    room: RoomId
    event: EventId
    user: UserId
    thread: str | None = None
    """The thread's first event, or `MAIN`: only what is said there is covered. None: all that is said in the room."""
    at: int = 0
    """When that was, in milliseconds by the homeserver's clock; 0 if it did not say."""

    @property
    def says(self) -> MessageState:
        """How far the messages that it covers have come."""
        return MessageState.READ if self.thread is None else MessageState.DELIVERED
