"""A message in a thread, as the Matrix specification has it (Client-Server API, "Threading")."""

from typing import Any

from aiagentchat.core.ids import EventId
from aiagentchat.core.parcels import Content


def in_thread(content: Content, root: EventId, *, after: EventId | None = None) -> dict[str, Any]:
    """`content` in the thread that begins with `root`.

    A reply stays one. What is none says which message of the thread stands before it (`after`, as far as we know), for
    clients that know no threads: they show it as a reply.
    """
    answered = (content.get("m.relates_to") or {}).get("m.in_reply_to")
    relation = {
        "rel_type": "m.thread",
        "event_id": root,
        "is_falling_back": answered is None,
        "m.in_reply_to": {"event_id": after or root} if answered is None else answered,
    }
    return {**content, "m.relates_to": relation}
