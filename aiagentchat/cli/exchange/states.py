"""How far a message has come, by what was said after it in its room, and by the read receipts there. Pure.

docs/reference/protocol.md has the rules ("States").
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aiagentchat.cli.exchange.said import said, sent_at
from aiagentchat.cli.exchange.wishes import Json
from aiagentchat.core.exchange import MessageState
from aiagentchat.core.ids import EventId, MessageId, RoomId, UserId
from aiagentchat.core.messages import MAIN, Receipt
from aiagentchat.core.meta import Address, Meta, MetaKind, Step, address, read_meta, unprefixed
from aiagentchat.core.tasks import is_same
from aiagentchat.render.hygiene import as_written

TYPED = "it is as a person types it; what follows, cchat read shows"


def place_of(newest_first: Sequence[Json], id_: str, me: str) -> int | None:
    """Where among events the message with this id is, be it the event's or the protocol's; None: nowhere.

    Anybody can say something under an id that was used before: so ours comes first, and then what was said first.
    """
    places = (place for place, event in enumerate(newest_first) if _is_called(event, id_))
    return max(places, key=lambda place: (newest_first[place].get("sender") == me, place), default=None)


def _is_called(event: Json, id_: str) -> bool:
    if said(event, "") is None:
        return False
    meta, unsigned = read_meta(event["content"]), event.get("unsigned")
    # What was said without meta has its id in the transaction, of which the homeserver tells nobody but us.
    txn = unsigned.get("transaction_id") if isinstance(unsigned, Mapping) else None
    return id_ in (event.get("event_id"), meta.id if isinstance(meta, Meta) else txn and f"m{txn}")


def standing(event: Json, room: str, later: Sequence[Json], receipts: Iterable[Receipt], now: int) -> dict[str, Any]:
    """The message that an event is, as it stands at `now`; `later` is what was said after it, in its order."""
    read, name, at = read_meta(event["content"]), str(event.get("event_id", "")), sent_at(event)
    meta = read if isinstance(read, Meta) else Meta(id=MessageId(name))
    stands: dict[str, Any] = {"state": MessageState.SENT.value, "why": "" if meta is read else TYPED}
    if meta.to is not None:
        stands = _begun(event, meta, meta.to, later, receipts)
        stands |= outcome(later, meta.id, str(meta.to), name) or _lapsed(meta, stands["state"], now)
    return {
        "id": meta.id,
        "room": room,
        "caller": str(event.get("sender", "")),
        "kind": meta.kind.value,
        "to": None if meta.to is None else str(meta.to),
        "instance": meta.instance,
        "in_reply_to": meta.in_reply_to,
        "task": meta.task,
        "hop": meta.hop,
        "budget": meta.budget,
        "body": unprefixed(meta.kind, str(event["content"]["body"])),
        "event_id": name,
        "answer": "",
        "answer_event_id": None,
        "expires_at": meta.expires_at,
        "accepted_at": at,
        "sent_at": at,
        "delivered_at": None,
        "read_at": None,
        "ended_at": None,
        "why": "",
        **stands,
    }


def _begun(event: Json, meta: Meta, to: Address, later: Sequence[Json], receipts: Iterable[Receipt]) -> dict[str, Any]:
    """How far whom it is for has come with it. What a receipt says is true at its moment, and may be so for longer."""
    message = said(event, "") or {}
    threads = (None, message.get("thread") or MAIN, message.get("event_id"))
    there = {event.get("event_id"), *(each.get("event_id") for each in later)}
    ours = [each for each in receipts if each.user == to.user and each.thread in threads and each.event in there]
    read = [each.at for each in ours if each.says is MessageState.READ]
    read += [sent_at(each) for each in later if _says_begun(each, meta, to)]
    delivered = [each.at for each in ours if each.says is MessageState.DELIVERED] + read
    state = MessageState.READ if read else MessageState.DELIVERED if delivered else MessageState.SENT
    return {
        "state": state.value,
        "delivered_at": min(delivered, default=None),
        "read_at": min(read, default=None),
    }


def _says_begun(event: Json, message: Meta, to: Address) -> bool:
    meta = _meta_from(event, to)
    if meta is None or meta.in_reply_to != message.id:
        return False
    return meta.kind is MetaKind.STATUS and meta.step is Step.PROGRESS


def _lapsed(meta: Meta, state: str, now: int) -> dict[str, Any]:
    """What follows where nobody has begun with it in time: what a daemon makes of that, too."""
    if meta.expires_at is None or state == MessageState.READ:
        return {}
    from aiagentchat.exchange.expiry import GRACE_MS, NOT_TAKEN

    is_over = now > meta.expires_at + GRACE_MS
    return {"state": MessageState.EXPIRED.value, "why": NOT_TAKEN, "ended_at": meta.expires_at} if is_over else {}


def outcome(events: Iterable[Json], id_: str, to: str, event_id: str) -> dict[str, Any] | None:
    """What came back to a message, when it is whole. A person answers by a reply to its event."""
    whom = address(to)
    parts: dict[int, tuple[str, str]] = {}
    ended_at = None
    for event in events if whom else ():
        name = str(event.get("event_id", ""))
        if _is_reply(event, event_id, whom):
            text = str(event["content"]["body"])
            return {"state": "answered", "answer": text, "answer_event_id": name, "ended_at": sent_at(event)}
        meta = _meta_from(event, whom)
        if meta is None or meta.in_reply_to != id_:
            continue
        text = as_written(str(_as_it_reads(event["content"]).get("body", "")))
        if meta.kind in (MetaKind.REFUSED, MetaKind.EXPIRED):
            return {"state": meta.kind.value, "why": text, "answer_event_id": name, "ended_at": sent_at(event)}
        if meta.kind is MetaKind.ANSWER:
            parts[meta.part] = unprefixed(meta.kind, text), parts.get(meta.part, ("", name))[1]
            ended_at = sent_at(event) if meta.last and ended_at is None else ended_at
    if ended_at is None:
        return None
    answer = "\n\n".join(text for _, (text, _) in sorted(parts.items()))
    return {
        "state": "answered",
        "answer": answer,
        "answer_event_id": parts[max(parts)][1],
        "ended_at": ended_at,
    }


def _meta_from(event: Json, whom: Address | None) -> Meta | None:
    """What a message says about itself, if it comes from whom another one was for."""
    content = event.get("content")
    if event.get("type") != "m.room.message" or not isinstance(content, Mapping) or whom is None:
        return None
    meta = read_meta(_as_it_reads(content))
    if not isinstance(meta, Meta) or event.get("sender") != whom.user:
        return None
    return meta if is_same(Address(whom.user, meta.instance), whom) else None


def _as_it_reads(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The content, or what an edit makes of it."""
    new = content.get("m.new_content")
    return new if isinstance(new, Mapping) else content


def _is_reply(event: Json, target: str, whom: Address | None) -> bool:
    """Whether a person answers that event with it."""
    message = said(event, "")
    if message is None or whom is None or message["sender"] != whom.user or message["by_agent"]:
        return False
    # In a thread clients that know none are shown a reply that nobody has meant.
    is_meant = event["content"]["m.relates_to"].get("is_falling_back") is not True if message["reply_to"] else False
    return is_meant and message["kind"] == "text" and message["reply_to"] == target


def receipts(answer: Json, room: str) -> Iterator[Receipt]:
    """How far others say that they have read there, in the answer to a sync."""
    for event in listed(answer, "rooms", "join", room, "ephemeral", "events"):
        content = event.get("content")
        for name, kinds in content.items() if event.get("type") == "m.receipt" and isinstance(content, dict) else ():
            read = kinds.get("m.read") if isinstance(kinds, dict) else None
            for user, how in read.items() if isinstance(read, dict) else ():
                thread, at = (how.get("thread_id"), how.get("ts")) if isinstance(how, dict) else (0, 0)
                if isinstance(thread, str | None):
                    moment = at if isinstance(at, int) else 0
                    yield Receipt(room=RoomId(room), event=EventId(name), user=UserId(user), thread=thread, at=moment)


def listed(answer: Json, *keys: str) -> list[Json]:
    """The objects of a list in the answer to a sync."""
    found: Any = answer
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
