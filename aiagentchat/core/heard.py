"""What of the events of a room is kept to be found again. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from aiagentchat.core.exchange import Said
from aiagentchat.core.ids import EventId, RoomId, TxnId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Meta

SPOKEN = (Kind.TEXT, Kind.NOTICE, Kind.FILE)
"""What is a message of its own."""

Keeps: TypeAlias = Callable[[RoomId, bool], bool]
"""Whether what is said in a room is kept; what came encrypted is another question than what did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """Somebody has said something."""

    said: Said
    txn: TxnId | None = None
    """Of a message of ours: the parcel that it is."""

    @property
    def event(self) -> EventId:
        """The event that tells of it."""
        return self.said.event

    @property
    def room(self) -> RoomId:
        """Where."""
        return self.said.room


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A message reads otherwise now: if `sender` has said it."""

    event: EventId
    room: RoomId
    target: EventId
    sender: UserId
    sent_at: int
    body: str
    meta: Meta | None = None
    txn: TxnId | None = None
    """As of what was spoken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """The homeserver has let somebody delete a message, or an edit of one."""

    event: EventId
    room: RoomId
    target: EventId


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """A parcel of ours is in its room: the homeserver tells us our own event."""

    event: EventId
    room: RoomId
    txn: TxnId


Heard: TypeAlias = Spoken | Edited | TakenBack | Echo


def heard(events: Iterable[Incoming], keeps: Keeps) -> list[Heard]:
    """What follows from `events`, in order.

    What was taken back is heard of any room, because it may have been kept once; so is that a parcel of ours has
    arrived, because somebody may wait for it.
    """
    found: list[Heard] = []
    for event in events:
        if event.txn is not None:
            found.append(Echo(event=event.event, room=event.room, txn=event.txn))
        if event.kind is Kind.REDACTION:
            found += _taken_back(event)
        elif keeps(event.room, event.encrypted):
            found += _told(event)
    return found


def said_in(events: Iterable[Incoming]) -> list[Said]:
    """The messages among `events`, as they read after the edits among them; for what is only looked at."""
    found: dict[EventId, Said] = {}
    for event in events:
        for told in _told(event):
            if isinstance(told, Spoken):
                found[told.event] = told.said
            elif (said := found.get(told.target)) is not None and said.sender == told.sender:
                meta = told.meta or said.meta
                found[told.target] = replace(said, body=told.body, meta=meta, edited_at=told.sent_at)
    return [*found.values()]


def _taken_back(event: Incoming) -> list[TakenBack]:
    return [] if event.target is None else [TakenBack(event=event.event, room=event.room, target=event.target)]


def _told(event: Incoming) -> list[Spoken | Edited]:
    if event.kind in SPOKEN:
        said = _said(event)
        return [Spoken(said=said, txn=event.txn)] if said.body else []
    if event.kind is Kind.EDIT and event.target is not None and event.body:
        edited = Edited(
            event=event.event,
            room=event.room,
            target=event.target,
            sender=event.sender,
            sent_at=event.sent_at,
            body=event.body,
            meta=_meta(event),
            txn=event.txn,
        )
        return [edited]
    return []


def _said(event: Incoming) -> Said:
    meta = _meta(event)
    return Said(
        position=0,
        event=event.event,
        room=event.room,
        sender=event.sender,
        sent_at=event.sent_at,
        kind=event.kind.value,
        body=_words(event),
        thread=event.thread,
        reply_to=event.target,
        meta=meta,
        by_agent=event.by_agent or event.txn is not None or meta is not None,
    )


def _words(event: Incoming) -> str:
    """Of a file its name, and then what is said about it."""
    name = event.file.name if event.file is not None else ""
    return "\n".join(part for part in (name, event.body) if part)


def _meta(event: Incoming) -> Meta | None:
    return event.meta if isinstance(event.meta, Meta) else None
