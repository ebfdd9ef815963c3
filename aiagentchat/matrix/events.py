"""Raw Matrix events → `Incoming`. Pure, and safe with any JSON: what does not have the right shape is nothing to us."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind

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

Source = Mapping[str, Any]


def timeline(room: RoomId, sources: Iterable[Source], me: UserId) -> tuple[Incoming, ...]:
    """What was said in a batch of a room's timeline, in order.

    When the batch holds our own invite or join, what was said before it was not said to us.
    """
    seen: list[Incoming] = []
    for source in sources:
        if _enters(source, me):
            seen = []
        elif (one := incoming(room, source)) is not None:
            seen.append(one)
    return tuple(seen)


def enters(sources: Iterable[Source], me: UserId) -> bool:
    """Whether this account came into the room in this batch: then nothing before it is missing."""
    return any(_enters(source, me) for source in sources)


def incoming(room: RoomId, source: Source) -> Incoming | None:
    """One event, or None if it is nothing that we act upon."""
    match source:
        case {
            "type": str(type_),
            "event_id": str(event),
            "sender": str(sender),
            "content": dict(content),
        }:
            pass
        case _:
            return None
    sent_at = source.get("origin_server_ts")
    found = _content(type_, content, source)
    if found is None:
        return None
    kind, body, target = found
    return Incoming(
        event=EventId(event),
        room=room,
        sender=UserId(sender),
        sent_at=sent_at if isinstance(sent_at, int) and 0 <= sent_at <= _MAX_INTEGER else 0,
        kind=kind,
        body=body,
        target=target,
        mentions=_mentions(content),
    )


def invite(room: RoomId, states: Iterable[Source], me: UserId, token: str) -> Incoming | None:
    """The invite into `room`; stripped state has no event id, so the sync token makes one."""
    for state in states:
        match state:
            case {
                "type": "m.room.member",
                "state_key": str(key),
                "sender": str(sender),
                "content": {"membership": "invite"},
            } if key == me:
                return Incoming(
                    event=EventId(f"invite {room} {token}"),
                    room=room,
                    sender=UserId(sender),
                    sent_at=0,
                    kind=Kind.INVITE,
                )
            case _:
                continue
    return None


def _content(type_: str, content: Source, source: Source) -> tuple[Kind, str, EventId | None] | None:
    match type_, content:
        case "m.reaction", {"m.relates_to": {"key": str(key), "event_id": str(target)}}:
            return Kind.REACTION, key, EventId(target)
        case "m.room.redaction", _:
            redacted = content.get("redacts", source.get("redacts"))
            return (Kind.REDACTION, "", EventId(redacted)) if isinstance(redacted, str) else None
        case "m.room.message", {
            "m.relates_to": {"rel_type": "m.replace", "event_id": str(target)},
            "m.new_content": {"body": str(body)},
        }:
            return Kind.EDIT, body, EventId(target)
        case "m.room.message", {"msgtype": str(msgtype), "body": str(body)} if msgtype in _KINDS:
            target_or_none = _answered(content)
            return _KINDS[msgtype], body if target_or_none is None else _without_quote(body), target_or_none
        case _:
            return None


def _answered(content: Source) -> EventId | None:
    match content:
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


def _mentions(content: Source) -> frozenset[UserId]:
    match content:
        case {"m.mentions": {"user_ids": list(users)}} if len(users) <= _MAX_MENTIONS:
            return frozenset(UserId(user) for user in users if isinstance(user, str))
        case _:
            return frozenset()


def _enters(source: Source, me: UserId) -> bool:
    match source:
        case {"type": "m.room.member", "state_key": str(key), "content": {"membership": str(after)}} if key == me:
            before = source.get("unsigned")
            before = before.get("prev_content") if isinstance(before, dict) else None
            was = before.get("membership") if isinstance(before, dict) else None
            # A join after an invite is not an entrance: what was typed in between was typed to us.
            return after == "invite" or (after == "join" and was not in ("join", "invite"))
        case _:
            return False
