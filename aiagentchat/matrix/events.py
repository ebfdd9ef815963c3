"""Raw Matrix events → `Incoming`. Pure, and safe with any JSON: what does not have the right shape is nothing to us."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiagentchat.core.files import FileKeys, MediaFile, clean_type
from aiagentchat.core.ids import EventId, RoomId, TxnId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Read, has_meta, read_meta
from aiagentchat.core.parcels import TXN_KEY
from aiagentchat.core.rooms import DIRECT

BY_ANOTHER_PROGRAM = "somebody else has used our account"
_SAID = (Kind.TEXT, Kind.NOTICE, Kind.FILE, Kind.MALFORMED, Kind.EDIT, Kind.REACTION)
_SPOKEN = (Kind.TEXT, Kind.FILE, Kind.SEALED)
_KINDS = {
    "m.text": Kind.TEXT,
    "m.emote": Kind.TEXT,
    "m.notice": Kind.NOTICE,
    "m.image": Kind.FILE,
    "m.file": Kind.FILE,
    "m.audio": Kind.FILE,
    "m.video": Kind.FILE,
}
_MAX_INTEGER = 2**53 - 1
"""The largest integer of canonical JSON; old rooms may carry larger ones, which the ledger cannot keep."""
_MAX_MENTIONS = 100
"""More mentions than this in one message are not kept."""
MAX_RAW = 65_536
"""Bytes that are kept of an event that could not be read: as large as the specification lets one be."""
TYPES = (
    "m.room.message",
    "m.room.encrypted",
    "m.room.encryption",
    "m.room.create",
    "m.room.member",
    "m.room.power_levels",
    "m.room.redaction",
    "m.room.tombstone",
    "m.reaction",
)
"""What the homeserver is asked for."""

Source = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a timeline, as far as it is anything to us."""

    told: Incoming | None
    cuts: bool = False
    """Whether this account came in by it: what was said before it was not said to us."""


Reads: TypeAlias = Callable[[RoomId, object, UserId], Step]
"""`read`, or something that can read more."""


def said_to_us(steps: Iterable[Step]) -> tuple[Incoming, ...]:
    """What is left of a part of a room's timeline, in order.

    What was said before we came was not said to us, unless we were there before and left in between. Of that it is left
    who has said something.
    """
    told: list[Incoming] = []
    ours = 0
    for step in steps:
        if step.cuts:
            told[ours:] = _before(told[ours:])
        if step.told is not None:
            told.append(step.told)
            ours = len(told) if step.told.kind is Kind.LEFT else ours
    return tuple(told)


def _before(events: Iterable[Incoming]) -> list[Incoming]:
    """Who has said something in these, each with the last of it."""
    last = {event.sender: event for event in events if event.kind in (*_SPOKEN, Kind.BEFORE)}
    return [event if event.kind is Kind.BEFORE else _was_before(event) for event in last.values()]


def _was_before(event: Incoming) -> Incoming:
    return Incoming(
        event=EventId(f"before {event.event}"),
        room=event.room,
        sender=event.sender,
        sent_at=event.sent_at,
        kind=Kind.BEFORE,
        body=event.event,
    )


def came_in(steps: Iterable[Step]) -> bool:
    """Whether this account came into the room here and was not in it before: then nothing before is missing."""
    for step in steps:
        if step.cuts:
            return True
        if step.told is not None and step.told.kind is Kind.LEFT:
            return False
    return False


def read(room: RoomId, source: object, me: UserId) -> Step:
    """One event. Nothing for what we do not act upon, and for what has no id or no sender."""
    match source:
        case {"type": str(type_), "event_id": str(event), "sender": str(sender)}:
            pass
        case _:
            return Step(None)
    assert isinstance(source, Mapping)
    found, cuts = _moved(source, me) if _is_ours(source, me) else (_content(type_, source), False)
    if sender == me and _is_said(type_, source, found) and not _is_by_us(source):
        found = Kind.FORGED, BY_ANOTHER_PROGRAM, None
    if found is None:
        return Step(None, cuts)
    kind, body, target = found
    content = source.get("content")
    told = Incoming(
        event=EventId(event),
        room=room,
        sender=UserId(sender),
        sent_at=sent_at(source),
        kind=kind,
        body=body,
        target=target,
        thread=_thread(content),
        mentions=_mentions(content),
        raw=_raw(source) if kind is Kind.MALFORMED else None,
        file=media_file(content) if kind is Kind.FILE else None,
        meta=_meta(content),
        by_agent=sender != me and _is_by_agent(content),
        txn=_txn(content) if sender == me else None,
    )
    return Step(told, cuts)


def forged(room: RoomId, source: Source, how: str) -> Incoming:
    """What names somebody as its sender who has not said it."""
    event, sender = EventId(str(source.get("event_id"))), UserId(str(source.get("sender")))
    return Incoming(event=event, room=room, sender=sender, sent_at=sent_at(source), kind=Kind.FORGED, body=how)


def _is_said(type_: str, source: Source, found: "_Found | None") -> bool:
    """Whether it is something that somebody says, of whatever kind, and was not taken back."""
    if found is None:
        return type_ == "m.room.message" and source.get("content") not in ({}, None)
    return found[0] in _SAID


def _is_by_us(source: Source) -> bool:
    """Whether it has the mark of all that we send: without it, another program has a token of our account."""
    return _txn(source.get("content")) is not None


def _txn(content: object) -> TxnId | None:
    match content:
        case {**said} if isinstance(txn := said.get(TXN_KEY), str):
            return TxnId(txn)
        case _:
            return None


def _meta(content: object) -> Read | None:
    """What an agent says about its message, or, in a change of one, about what it reads now."""
    said = _as_it_reads(content)
    return read_meta(said) if has_meta(said) else None


def _as_it_reads(content: object) -> object:
    match content:
        case {"m.relates_to": {"rel_type": "m.replace"}, "m.new_content": {**new}} if has_meta(new):
            return new
        case _:
            return content


def _is_by_agent(content: object) -> bool:
    """Whether it has a mark of a program, of whatever shape: nobody types one."""
    if not isinstance(content, Mapping):
        return False
    return TXN_KEY in content or has_meta(content) or has_meta(content.get("m.new_content"))


def sent_at(source: object) -> int:
    """When it was sent, in milliseconds; 0 when the event does not say so in a way that can be kept."""
    match source:
        case {"origin_server_ts": int(moment)} if 0 <= moment <= _MAX_INTEGER:
            return moment
        case _:
            return 0


def left(room: RoomId, sources: Iterable[object], me: UserId, token: str) -> Incoming:
    """That we are out of `room`: by the last event about us, or, where there is none, by the token that tells of it."""
    ours = [source for source in sources if isinstance(source, Mapping) and _is_ours(source, me)]
    match ours[-1:]:
        case [
            {"event_id": str(event), "sender": str(sender), "content": {"membership": "leave" | "ban" as after}} as by
        ]:
            how, at = _how(after, sender, me), sent_at(by)
        case _:
            event, sender, how, at = f"left {room} {token}", me, "leave", 0
    return Incoming(event=EventId(event), room=room, sender=UserId(sender), sent_at=at, kind=Kind.LEFT, body=how)


def invite(room: RoomId, states: Iterable[object], me: UserId, token: str) -> Incoming | None:
    """The invite into `room`; stripped state has no event id, so the sync token makes one."""
    for state in states:
        match state:
            case {
                "type": "m.room.member",
                "state_key": str(key),
                "sender": str(sender),
                "content": {"membership": "invite", **more},
            } if key == me:
                return Incoming(
                    event=EventId(f"invite {room} {token}"),
                    room=room,
                    sender=UserId(sender),
                    sent_at=0,
                    kind=Kind.INVITE,
                    body=DIRECT if more.get("is_direct") is True else "",
                )
            case _:
                continue
    return None


_Found = tuple[Kind, str, EventId | None]


def _content(type_: str, source: Source) -> _Found | None:
    content = source.get("content")
    match type_, content:
        case "m.room.message", _:
            return _message(content)
        case "m.reaction", {"m.relates_to": {"key": str(key), "event_id": str(target)}}:
            return Kind.REACTION, key, EventId(target)
        case "m.room.redaction", {**more}:
            # Which of the two counts depends on the room's version; a homeserver gives both alike, or one.
            named = {value for value in (more.get("redacts"), source.get("redacts")) if isinstance(value, str)}
            return (Kind.REDACTION, "", EventId(*named)) if len(named) == 1 else None
        case "m.room.tombstone", {**more} if source.get("state_key") == "":
            replacement = more.get("replacement_room")
            return Kind.TOMBSTONE, replacement if isinstance(replacement, str) else "", None
        case _:
            return None


def _message(content: object) -> _Found | None:
    match content:
        case {"m.relates_to": {"rel_type": "m.replace", **relation}, **more}:
            match relation, more:
                case {"event_id": str(target)}, {"m.new_content": {"body": str(body)}}:
                    return Kind.EDIT, body, EventId(target)
                case _:
                    return Kind.MALFORMED, "", None
        case {"msgtype": str(msgtype), "body": str(body)}:
            if msgtype not in _KINDS:
                return None
            kind, target_or_none = _KINDS[msgtype], _answered(content)
            said = _caption(content, body) if kind is Kind.FILE else body
            return kind, said if target_or_none is None else _without_quote(said), target_or_none
        case _:
            # Redaction leaves an empty content.
            return None if content == {} else (Kind.MALFORMED, "", None)


def _caption(content: object, body: str) -> str:
    """What is said about a file: the body, where that is not its name (MSC2530)."""
    match content:
        case {"filename": str(name)} if name != body:
            return body
        case _:
            return ""


def media_file(content: object) -> MediaFile | None:
    """The file that a message shows; None where it does not say where that is, or not how it is opened."""
    match content:
        case {"file": {"url": str(url), **sealed}, "body": str(body), **more}:
            keys = _keys(sealed)
            if keys is None:
                return None
        case {"url": str(url), "body": str(body), **more}:
            keys = None
        case _:
            return None
    name, info = more.get("filename"), more.get("info")
    mime, size = (info.get("mimetype"), info.get("size")) if isinstance(info, Mapping) else (None, None)
    return MediaFile(
        name=name if isinstance(name, str) and name else body,
        mime=clean_type(mime if isinstance(mime, str) else ""),
        size=size if isinstance(size, int) and 0 <= size <= _MAX_INTEGER else None,
        url=url,
        keys=keys,
    )


def _keys(sealed: Mapping[Any, object]) -> FileKeys | None:
    match sealed:
        case {"key": {"k": str(key)}, "iv": str(iv), "hashes": {"sha256": str(sha256)}}:
            return FileKeys(key=key, iv=iv, sha256=sha256)
        case _:
            return None


def _thread(content: object) -> EventId | None:
    match content:
        case {"m.relates_to": {"rel_type": "m.thread", "event_id": str(root)}}:
            return EventId(root)
        case _:
            return None


def _answered(content: object) -> EventId | None:
    match content:
        case {"m.relates_to": {"rel_type": "m.thread", "is_falling_back": True}}:
            return None  # said in a thread, and shown as a reply by clients that know no threads
        case {"m.relates_to": {"m.in_reply_to": {"event_id": str(target)}}}:
            return EventId(target)
        case _:
            return None


def _without_quote(body: str) -> str:
    """Without the quoted lines that older clients put before a reply (removed from the spec in v1.13)."""
    if not body.startswith("> <@"):
        return body
    lines = body.split("\n")
    while lines and lines[0].startswith(">"):
        lines.pop(0)
    return "\n".join(lines).lstrip("\n")


def _mentions(content: object) -> frozenset[UserId]:
    match content:
        case {"m.mentions": {"user_ids": list(users)}} if len(users) <= _MAX_MENTIONS:
            return frozenset(UserId(user) for user in users if isinstance(user, str))
        case _:
            return frozenset()


def _is_ours(source: Source, me: UserId) -> bool:
    return source.get("type") == "m.room.member" and source.get("state_key") == me


def _moved(source: Source, me: UserId) -> tuple[_Found | None, bool]:
    """What an event about our own membership tells, and whether we came in by it."""
    match source:
        case {"unsigned": {"prev_content": {"membership": str(was)}}}:
            pass
        case _:
            was = ""
    match source:
        case {"content": {"membership": "invite"}}:
            return None, was != "invite"  # another invite takes nothing back of what was said after the first one
        case {"content": {"membership": "join"}} if was != "join":
            # A join after an invite is not an entrance: what was typed in between was typed to us.
            return (Kind.JOINED, "", None), was != "invite"
        case {"sender": str(sender), "content": {"membership": "leave" | "ban" as after}} if was in ("join", ""):
            return (Kind.LEFT, _how(after, sender, me), None), False
        case _:
            return None, False


def _how(after: str, sender: str, me: UserId) -> str:
    if after == "ban":
        return "ban"
    return "leave" if sender == me else "kick"


def _raw(source: Source) -> str | None:
    try:
        text = json.dumps(source, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:  # C code counts otherwise when it writes than when it reads
        return None
    return text.encode("utf-8", "replace")[:MAX_RAW].decode("utf-8", "ignore")
