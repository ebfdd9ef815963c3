"""Events of a timeline as messages of a history, with the fields that the gateway gives them. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiagentchat.core.meta import META_KEY, Meta, has_meta, read_meta
from aiagentchat.core.parcels import TXN_KEY

_FILES = frozenset({"m.file", "m.image", "m.audio", "m.video"})


def said(event: Mapping[str, Any], room: str) -> dict[str, Any] | None:
    """One message; None for what is none, such as an edit."""
    content = event.get("content")
    if event.get("type") != "m.room.message" or not isinstance(content, Mapping):
        return None
    relates = content.get("m.relates_to")
    relates = relates if isinstance(relates, Mapping) else {}
    body, kind = content.get("body"), str(content.get("msgtype", ""))
    if relates.get("rel_type") == "m.replace" or not isinstance(body, str):
        return None
    reply = relates.get("m.in_reply_to")
    meta = read_meta(content)
    return {
        "position": 0,
        "event_id": str(event.get("event_id", "")),
        "room": room,
        "sender": str(event.get("sender", "")),
        "sent_at": event.get("origin_server_ts", 0),
        "kind": "file" if kind in _FILES else "notice" if kind == "m.notice" else "text",
        "body": body,
        "thread": relates.get("event_id") if relates.get("rel_type") == "m.thread" else None,
        "reply_to": reply.get("event_id") if isinstance(reply, Mapping) else None,
        "meta": dict(content[META_KEY]) if isinstance(meta, Meta) else None,
        "by_agent": has_meta(content) or isinstance(content.get(TXN_KEY), str),
        "edited_at": None,
    }


def folded(events: Iterable[Mapping[str, Any]], room: str) -> list[dict[str, Any]]:
    """The messages among events that are in their order, as they read after their edits.

    Also after one that stands behind these events, where the homeserver has put that into the message: it is the last.
    """
    messages: dict[str, dict[str, Any]] = {}
    final: set[str] = set()
    for event in events:
        if event.get("type") != "m.room.message":
            continue
        message = said(event, room)
        if message is not None:
            now = edited(message, _bundled(event))
            messages[message["event_id"]] = now
            if now is not message:
                final.add(message["event_id"])
            continue
        target = edits(event)
        if target in messages and target not in final:
            messages[target] = edited(messages[target], event)
    return list(messages.values())


def _bundled(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The last edit of a message, as a homeserver tells of it; empty: it tells of none."""
    found: Any = event
    for key in ("unsigned", "m.relations", "m.replace"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) and edits(found) == event.get("event_id") else {}


def edits(event: Mapping[str, Any]) -> str:
    """The id of the message that this is an edit of; empty: it is none."""
    return _edit(event)[0]


def edited(message: dict[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """The message as it reads after that edit of it: the same, if that is somebody else's, which means nothing."""
    if message["sender"] != event.get("sender"):
        return message
    content = event["content"]
    meta = dict(content[META_KEY]) if isinstance(read_meta(content), Meta) else message["meta"]
    return {**message, "body": _edit(event)[1], "meta": meta, "edited_at": event.get("origin_server_ts")}


def redacts(event: Mapping[str, Any]) -> str:
    """The id of the event that this deletes, of whichever version the room is; empty: it deletes nothing."""
    if event.get("type") != "m.room.redaction":
        return ""
    content = event.get("content")
    said_inside = content.get("redacts") if isinstance(content, Mapping) else None
    target = said_inside if isinstance(said_inside, str) else event.get("redacts")
    return target if isinstance(target, str) else ""


def sent_at(event: Mapping[str, Any]) -> int:
    """When it was sent, in milliseconds by the homeserver's clock; 0: that does not say."""
    at = event.get("origin_server_ts")
    return at if isinstance(at, int) else 0


def _edit(event: Mapping[str, Any]) -> tuple[str, str]:
    content = event.get("content")
    if not isinstance(content, Mapping):
        return "", ""
    relates, new = content.get("m.relates_to"), content.get("m.new_content")
    if not isinstance(relates, Mapping) or not isinstance(new, Mapping) or not isinstance(new.get("body"), str):
        return "", ""
    return str(relates.get("event_id", "")), new["body"]
