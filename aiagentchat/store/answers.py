"""How messages that we have sent end: by an answer, whole once its last part is there, by a refusal, or too late.

What others answer comes by their events. What this daemon, or a session that speaks through it, answers to callers
here is known by the parcels, when they have arrived: nobody sends us those events back as something new.
"""

import json
from collections.abc import Sequence

from aiagentchat.core.exchange import MOST_ANSWER, MOST_PARTS, Message, MessageState
from aiagentchat.core.ids import CallerName, EventId, MessageId, RoomId, TxnId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Address, Meta, MetaKind, Step, read_meta, recalled, unprefixed
from aiagentchat.core.tasks import is_same
from aiagentchat.render.hygiene import as_written
from aiagentchat.store.database import Row, Transaction
from aiagentchat.store.queries import statements

CUT = " […]"
"""The end of an answer that is longer than we keep; the room has all of it."""

_MESSAGES = statements("messages")

_ENDINGS = {MetaKind.REFUSED: MessageState.REFUSED, MetaKind.EXPIRED: MessageState.EXPIRED}


async def hear(transaction: Transaction, said: Incoming, now: int) -> Message | None:
    """What one thing that was said changes; the message if its state has changed."""
    message = await _answered(transaction, said)
    to = None if message is None else message.meta.to
    if message is None or message.room != said.room or to is None:
        return None
    instance = said.meta.instance if isinstance(said.meta, Meta) else None
    if not is_same(Address(said.sender, instance), to):
        return None
    event = said.target if said.kind is Kind.EDIT and said.target is not None else said.event
    return await _take(transaction, message, said.meta, said.body, event=event, at=said.sent_at, now=now)


async def hear_ourselves(transaction: Transaction, txn: TxnId, event: EventId, now: int) -> Message | None:
    """The parcel has arrived as `event`: it may be a part of our own answer to a caller's message.

    It is, where it belongs to the command that this message is, or is said by the session that the message is for; what
    else never became a command can only be refused.
    """
    rows = await transaction.run(_MESSAGES["own_answer"], txn=txn, event=event)
    content = json.loads(rows[0]["content"]) if rows else None
    meta = read_meta(content)
    if content is None or not isinstance(meta, Meta) or meta.in_reply_to is None:
        return None
    message = first(await transaction.run(_MESSAGES["get"], id=meta.in_reply_to))
    if message is None or message.room != rows[0]["room_id"] or message.event is None:
        return None
    asked = await transaction.run(_MESSAGES["is_asked_here"], event=message.event)
    if not asked or not _moves(meta):
        return None
    if rows[0]["command"] != message.event and meta.kind not in _ENDINGS:
        to = message.meta.to
        # Nobody but the session can speak as it; what is for the daemon is answered by its turns, whoever speaks as it.
        if asked[0]["is_command"] or to is None or to.instance is None or to.instance != meta.instance:
            return None
    place = EventId(rows[0]["place"])
    return await _take(transaction, message, meta, str(content.get("body", "")), event=place, at=now, now=now)


async def _take(
    transaction: Transaction, message: Message, read: object, body: str, *, event: EventId, at: int, now: int
) -> Message | None:
    if message.ended_at is not None:
        return None
    meta = read if isinstance(read, Meta) else None
    # What a person types is taken to the letter.
    body = body if meta is None else as_written(body)
    if meta is not None and meta.kind is MetaKind.STATUS:
        return first(await transaction.run(_MESSAGES["begun"], id=message.id, now=now))
    if meta is not None and meta.kind in _ENDINGS:
        why = unprefixed(meta.kind, body)
        return await close(transaction, message.id, _ENDINGS[meta.kind], why, now, event=event)
    part, last = (0, True) if meta is None else (meta.part, meta.last)
    await transaction.run(
        _MESSAGES["keep_part"],
        message=message.id,
        part=part,
        event=event,
        body=unprefixed(MetaKind.ANSWER, body),
        said_at=at,
        last=int(last),
        # There is always a place for the end.
        most=MOST_PARTS + int(last),
    )
    return await _whole(transaction, message.id, now)


async def close(
    transaction: Transaction,
    message: MessageId,
    state: MessageState,
    why: str,
    now: int,
    *,
    event: EventId | None = None,
) -> Message | None:
    """End it as refused or expired; the message if it was not over."""
    rows = await transaction.run(_MESSAGES["close"], id=message, state=state.value, why=why, event=event, now=now)
    if not rows:
        return None
    txn = rows[0]["txn_id"]
    await transaction.run(_MESSAGES["withdraw"], txn=txn, why=state.value, now=now)
    await transaction.run(_MESSAGES["settle_withdrawn"], txn=txn, now=now)
    await transaction.run(_MESSAGES["forget_parts"], message=message)
    return message_of(rows[0])


async def _answered(transaction: Transaction, said: Incoming) -> Message | None:
    """The message of ours that it may be an answer to."""
    if isinstance(said.meta, Meta):
        if not _moves(said.meta) or said.meta.in_reply_to is None:
            return None
        return first(await transaction.run(_MESSAGES["get"], id=said.meta.in_reply_to))
    if said.by_agent or said.kind is not Kind.TEXT or said.target is None:
        return None
    return first(await transaction.run(_MESSAGES["by_event"], event=said.target))


def _moves(meta: Meta) -> bool:
    """Whether it may change the state of the message that it answers. That it was begun, a session cannot say else."""
    is_begun = meta.kind is MetaKind.STATUS and meta.step is Step.PROGRESS
    return is_begun or meta.kind is MetaKind.ANSWER or meta.kind in _ENDINGS


async def _whole(transaction: Transaction, message: MessageId, now: int) -> Message | None:
    """The message with its answer, if that is there to its end."""
    parts = await transaction.run(_MESSAGES["parts"], message=message)
    ends = [row for row in parts if row["last"]]
    if not ends:
        return None
    answer = "\n\n".join(row["body"] for row in parts if row["body"])
    if len(answer) > MOST_ANSWER:
        answer = answer[: MOST_ANSWER - len(CUT)] + CUT
    rows = await transaction.run(_MESSAGES["answer"], id=message, answer=answer, event=ends[-1]["event_id"], now=now)
    await transaction.run(_MESSAGES["forget_parts"], message=message)
    return first(rows)


def first(rows: Sequence[Row]) -> Message | None:
    return message_of(rows[0]) if rows else None


def message_of(row: Row) -> Message:
    meta = recalled(row["meta"])
    assert isinstance(meta, Meta)
    return Message(
        meta=meta,
        room=RoomId(row["room_id"]),
        caller=CallerName(row["caller"]),
        body=row["body"],
        state=MessageState(row["state"]),
        why=row["why"],
        event=None if row["event_id"] is None else EventId(row["event_id"]),
        answer=row["answer"],
        answer_event=None if row["answer_event"] is None else EventId(row["answer_event"]),
        accepted_at=row["accepted_at"],
        sent_at=row["sent_at"],
        delivered_at=row["delivered_at"],
        read_at=row["read_at"],
        ended_at=row["ended_at"],
    )
