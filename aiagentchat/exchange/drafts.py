"""What becomes of what a caller wants to say: its meta, its parcel, and what it begins here. Pure."""

import hashlib
import json
from dataclasses import dataclass

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import MOST_BODY, Caller, Message, Outgoing
from aiagentchat.core.ids import EventId, InstanceName, MessageId, UserId, txn_id
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import META_KEY, MOST_HOPS, STARTS, Address, Meta, MetaKind, prefixed, written
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.tasks import Task, assigned
from aiagentchat.render.message import content_size, limit, message


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that can be accepted."""

    message: Message
    parcel: Parcel
    waits: Incoming | None
    """What comes to this daemon, or to a session of it, once it is in the room."""
    task: Task | None = None
    """What it gives somebody to do."""


def digest(outgoing: Outgoing, instance: InstanceName | None) -> str:
    """The same for the same wish, whenever it was to expire: "in ten minutes" is another moment at each try."""
    said = [
        outgoing.room,
        outgoing.body,
        outgoing.kind.value,
        None if outgoing.to is None else str(outgoing.to),
        outgoing.in_reply_to,
        outgoing.task,
        outgoing.thread,
        None,  # where that moment was: digests of messages without one stay what they are
        outgoing.budget,
        instance,
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def check(outgoing: Outgoing, now: int) -> None:
    """Raises `ExchangeRefused` for what makes no sense, wherever it goes."""
    if not outgoing.body.strip():
        raise ExchangeRefused("invalid", "The message is empty.")
    size = len(outgoing.body.encode("utf-8", "replace"))
    if size > MOST_BODY:
        raise ExchangeRefused("invalid", f"The message has {size} bytes. More than {MOST_BODY} are a file.")
    if outgoing.expires_at is not None and outgoing.expires_at <= now:
        raise ExchangeRefused(
            "invalid", "expires_at (of a task its deadline): that moment is over already; nothing was sent."
        )
    if outgoing.kind is MetaKind.TASK and outgoing.to is None:
        raise ExchangeRefused("invalid", "to: a task is for somebody.")
    if outgoing.kind in (MetaKind.REFUSED, MetaKind.EXPIRED):
        raise ExchangeRefused("invalid", "kind: that is for daemons to say.")


def onward(caller: Caller, budget: int | None) -> tuple[int, int | None]:
    """How far from a person what the caller sends is, and how many turns may follow. Raises `ExchangeRefused`."""
    cause = caller.cause
    hop = (0 if cause is None else cause.hop) + (1 if caller.in_turn else 0)
    left = None if cause is None else cause.budget
    if hop > MOST_HOPS:
        raise ExchangeRefused("full", f"This is {hop} turns away from a person. More than {MOST_HOPS} do not follow.")
    if left is not None and left < 1:
        raise ExchangeRefused("full", "No further turn may follow from what this one answers: its budget is used up.")
    budgets = [each for each in (None if left is None else left - 1, budget) if each is not None]
    return hop, min(budgets, default=None)


def begins(outgoing: Outgoing, own: Address) -> bool:
    """Whether it asks for a turn of this daemon."""
    to = outgoing.to
    is_ours = to is not None and to.user == own.user and to.instance in (None, own.instance)
    return is_ours and outgoing.kind in STARTS


def is_for_ours(outgoing: Outgoing, own: Address) -> bool:
    """Whether this daemon, or a session that speaks through it, is to answer."""
    return outgoing.to is not None and outgoing.to.user == own.user and outgoing.kind in STARTS


def draft(caller: Caller, outgoing: Outgoing, own: Address, *, id: MessageId, now: int, encrypted: bool) -> Draft:  # noqa: A002
    """The message. Raises `ExchangeRefused`."""
    hop, budget = onward(caller, outgoing.budget)
    meta = Meta(
        id=id,
        kind=outgoing.kind,
        instance=caller.instance or own.instance,
        to=outgoing.to,
        in_reply_to=outgoing.in_reply_to,
        task=outgoing.task,
        hop=hop,
        budget=budget,
        expires_at=outgoing.expires_at,
    )
    parcel = _parcel(outgoing, meta, own.user)
    if content_size(parcel.content) > limit(encrypted=encrypted):
        raise ExchangeRefused("invalid", "The message takes more than an event can have. Send it as a file.")
    accepted = Message(meta=meta, room=outgoing.room, caller=caller.name, body=outgoing.body, accepted_at=now)
    waits = _waits(caller, outgoing, meta, parcel, own.user, now) if is_for_ours(outgoing, own) else None
    return Draft(accepted, parcel, waits, _task(accepted, own))


def _task(message: Message, own: Address) -> Task | None:
    meta = message.meta
    if meta.kind is not MetaKind.TASK or meta.to is None:
        return None
    by = Address(own.user, meta.instance)
    return assigned(meta, meta.to, message.room, message.body, by=by, now=message.accepted_at)


def _parcel(outgoing: Outgoing, meta: Meta, me: UserId) -> Parcel:
    to = [] if meta.to is None or meta.to.user == me else [meta.to.user]
    # News are quiet: they ring nobody's phone.
    content = message(prefixed(meta.kind, outgoing.body), notice=meta.kind is MetaKind.STATUS, mentions=to)
    return Parcel(
        txn=txn_id("message", meta.id),
        room=outgoing.room,
        content={**content, META_KEY: written(meta)},
        thread=outgoing.thread,
    )


def _waits(caller: Caller, outgoing: Outgoing, meta: Meta, parcel: Parcel, me: UserId, now: int) -> Incoming:
    return Incoming(
        event=EventId(f"~{meta.id}"),
        room=outgoing.room,
        sender=me,
        sent_at=now,
        kind=Kind.TEXT,
        body=outgoing.body,
        thread=outgoing.thread,
        meta=meta,
        by_agent=True,
        caller=caller.name,
        txn=parcel.txn,
    )
