"""The homeserver: the way out of the rooms, the way into them, and what the account keeps there."""

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from aiagentchat.core.files import MediaFile
from aiagentchat.core.ids import EventId, RoomId, TxnId
from aiagentchat.core.instances import Heard
from aiagentchat.core.messages import Incoming, Receipt
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.clock import Bell
from aiagentchat.core.seals import Opening


class Outbound(Protocol):
    """The way into a room.

    Every method raises `RateLimited`, `Unreachable`, `Refused` or `LoginFailed`, and nothing else.
    """

    async def send(self, room: RoomId, type_: str, content: Content, txn: TxnId) -> EventId:
        """Put an event into the room; the same txn again returns the first event."""
        ...

    async def redact(self, room: RoomId, event: EventId, reason: str, txn: TxnId) -> EventId:
        """Take what an event says out of the room; the same txn again returns the first redaction."""
        ...

    async def typing(self, room: RoomId, on: bool, seconds: float = 30.0) -> None:
        """Show or hide the typing indicator."""
        ...

    async def read_receipt(self, room: RoomId, event: EventId, thread: str | None = None) -> None:
        """Show that all was read up to the event: of the room, or of one `thread` (its first event, or `MAIN`)."""
        ...

    async def join(self, room: RoomId) -> None:
        """Accept an invite."""
        ...

    async def leave(self, room: RoomId) -> None:
        """Decline an invite, or leave. Refused if we are neither in the room nor invited."""
        ...

    async def find(self, room: RoomId, txn: TxnId, *, since: int) -> EventId | None:
        """The event of ours that was sent with this txn, if it is in the room's timeline since then (milliseconds).

        For when the transaction id itself is of no use any more: the homeserver has forgotten it, or the device is
        another one.
        """
        ...

    async def upload(self, room: RoomId, data: bytes, *, name: str, mime: str) -> Content:
        """Keep a file on the homeserver, encrypted if `room` is. Refused with `M_TOO_LARGE` if it takes no such size.

        Returns the part of a message's content that leads to it: its mxc:// address as `url`, or an `EncryptedFile` as
        `file`.
        """
        ...


TOO_LARGE = "M_TOO_LARGE"
"""As a homeserver calls it, and we too."""
SPOILED = "COM.AIAGENTCHAT.SPOILED"
"""Our own code for a file that is not what its sender has encrypted."""
NOT_SEALED = "COM.AIAGENTCHAT.NOT_SEALED"
"""Our own code for a file that was uploaded in the clear and is to be named in a room that is encrypted now."""


class Media(Protocol):
    """What others have put into rooms."""

    async def download(self, file: MediaFile, *, most: int) -> bytes:
        """What is in the file, opened if it is encrypted. Raises as `Outbound` does.

        Refused with `TOO_LARGE` for more than `most` bytes, whatever was said of its size, and with `SPOILED`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A room whose timeline was cut: what stands between the last batch and this one is missing."""

    room: RoomId
    before: str
    """The token of the place where the part begins that the batch has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncBatch:
    """One answer of the homeserver's sync."""

    token: str
    events: tuple[Incoming, ...]
    joined: frozenset[RoomId] = frozenset()
    """Rooms that this account is a member of, as far as this batch tells."""
    gaps: tuple[Gap, ...] = ()
    now: int | None = None
    """The homeserver's clock, in milliseconds; None if it did not say."""
    owner: str | None = None
    """Which installation the account data names as the account's owner, if the batch tells of it."""
    receipts: tuple[Receipt, ...] = ()
    """How far others have read."""
    instances: Heard = field(default_factory=Heard)
    """What it tells of the registry room, where there is one."""
    is_quiet: bool = False
    """Whether nothing has happened of which it would matter to hear again, or never: no event of any kind, no state, no
    key, no device, no receipt of others. Our own receipts come so, and our record of who owns the account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """What a gap held."""

    events: tuple[Incoming, ...]
    """In order."""
    whole: bool
    """False when there was more than may be asked for: the oldest part is missing."""
    aged: bool = False
    """Whether something was left out because it is too old."""


@dataclass(frozen=True, slots=True)
class Before:
    """Before an event of the room."""

    event: EventId


Asked: TypeAlias = Before | str | None
"""Where what is asked for ends: before an event; where an `Older` says; None: with the last that was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """A part of a room's history, as the homeserver has it."""

    events: tuple[Incoming, ...]
    """In order. What was edited comes with its last edit behind it."""
    before: str | None
    """Where the part before it ends; None: there is none."""


class Homeserver(Protocol):
    """The way out of the rooms."""

    async def sync(self, since: str | None, *, timeout: float) -> SyncBatch:
        """Wait up to `timeout` seconds for news. Raises as `Outbound` does."""
        ...

    async def missed(self, gap: Gap, *, since: str | None, oldest: int, most: int) -> Missed:
        """What was said in the gap after `since`: not before `oldest` (milliseconds), and `most` events at most.

        Without `since` (the homeserver knows our token no more) only the other two bound it. Raises as `Outbound` does.
        """
        ...

    async def older(self, room: RoomId, asked: Asked, *, most: int, sealed: bool = False) -> Older:
        """About `most` events of messages that were said before that, for somebody to look at.

        `sealed`: also what is encrypted, as far as we have the keys. Nothing is remembered of it. Raises as `Outbound`
        does.
        """
        ...


class Opener(Protocol):
    """Opens what came before its key."""

    @property
    def bell(self) -> Bell:
        """Rings when there is a key that was not there before, or when it is known whose one is."""
        ...

    async def open(self, sealed: Incoming) -> Opening:
        """What a sealed event is, or why it stays shut. Never raises; the key that is missing is asked for."""
        ...

    async def settled(self) -> None:
        """What was opened until now is remembered, so that it cannot be said once more. Raises StoreError."""
        ...


class AccountData(Protocol):
    """What the homeserver keeps for the account itself, by type. Raises as `Outbound` does."""

    async def read(self, type_: str) -> tuple[Content, int | None]:
        """The content, empty if there is none, and the homeserver's clock in milliseconds, None if it did not say."""
        ...

    async def write(self, type_: str, content: Content) -> None:
        """Put `content` in the place of what was there."""
        ...
