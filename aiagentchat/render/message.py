"""Markdown → the content of Matrix events. Numbers are integers, text is valid, `m.mentions` is always there."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiagentchat.core.ids import EventId, UserId
from aiagentchat.core.meta import META_KEY
from aiagentchat.core.parcels import REACTION_KEYS, Content
from aiagentchat.render.folding import folded_html, is_foldable, plain
from aiagentchat.render.hygiene import clean, no_ping, shown
from aiagentchat.render.markdown import needs_html, to_html
from aiagentchat.render.words import NOTHING

MAX_CONTENT_BYTES = 60_000
"""A homeserver refuses events over 65,536 bytes; ids, hashes and signatures take their part of that."""
MAX_ENCRYPTED_BYTES = 45_000
"""The same for what is encrypted, which makes it a third larger; with 48,353 bytes of text it still was taken."""
PAGE_BYTES = 8_000
"""How much text goes into one message. An edit carries the text three times (twice as text, once as HTML), encryption
makes it a third larger, and each of up to 60 edits is kept by the homeserver in full."""


_HTML = ("format", "formatted_body")


def message(
    markdown: str,
    *,
    notice: bool,
    reply_to: EventId | None = None,
    mentions: Sequence[UserId] = (),
    fold: bool = False,
) -> dict[str, Any]:
    """The content of an `m.room.message`.

    `body` is the Markdown itself, which reads well without any client's help. HTML comes along where it shows more and
    the message, as an edit, stays within `MAX_CONTENT_BYTES`; text of up to `PAGE_BYTES` alone always does. With `fold`
    it has the tool lines in a fold at its end.
    """
    marked = shown(clean(markdown))
    text = plain(marked)
    content: dict[str, Any] = {
        "msgtype": "m.notice" if notice else "m.text",
        "body": no_ping(text) if text.strip() else NOTHING,
        "m.mentions": {"user_ids": list(dict.fromkeys(mentions))} if mentions else {},
    }
    if reply_to is not None:
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": reply_to}}
    rendered = folded_html(marked) if fold and is_foldable(marked) else to_html(text)
    formatted = {**content, "format": "org.matrix.custom.html", "formatted_body": rendered}
    return formatted if needs_html(text, rendered) and fits(formatted) else content


def edit(new_content: Content, target: EventId) -> dict[str, Any]:
    """The content that replaces the text of `target` by `new_content`.

    The fallback, for clients that do not know edits, is plain. An edit rings nobody, and it answers what the first
    version answered: the specification wants no relation in the new content. What an agent must know of the message
    stands in both.
    """
    return {
        **_meta(new_content),
        "msgtype": new_content["msgtype"],
        "body": f"* {new_content['body']}",
        "m.mentions": {},
        "m.new_content": {key: value for key, value in new_content.items() if key != "m.relates_to"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": target},
    }


def _meta(content: Content) -> dict[str, Any]:
    return {META_KEY: content[META_KEY]} if META_KEY in content else {}


def reaction(target: EventId, key: str) -> dict[str, Any]:
    """The content of an `m.reaction`."""
    return {"m.relates_to": {"rel_type": "m.annotation", "event_id": target, "key": key}}


def content_size(content: Mapping[str, Any]) -> int:
    """The bytes that `content` takes as canonical JSON."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return len(text.encode("utf-8"))


def fits(content: Content) -> bool:
    """Whether a homeserver takes `content`, also as an edit of an earlier message."""
    return content_size(edit(content, EventId("$" + "x" * 255))) <= limit(encrypted=False)


def limit(*, encrypted: bool) -> int:
    """How many bytes the content of an event may have."""
    return MAX_ENCRYPTED_BYTES if encrypted else MAX_CONTENT_BYTES


def fitted(content: Content, *, encrypted: bool) -> Content:
    """`content`, without its HTML where that makes it too large; what is too large then is for the sender to see."""
    try:
        if content_size(content) <= limit(encrypted=encrypted):
            return content
    except ValueError:
        return content  # half a character, or a number that is none: refused for that
    bare = _without_html(content)
    new = bare.get("m.new_content")
    return bare if new is None else {**bare, "m.new_content": _without_html(new)}


def _without_html(content: Content) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in _HTML}


def shows_nothing(content: Content) -> bool:
    """Whether a reaction, which is never encrypted, is one of ours that has no text in it."""
    relation = content.get("m.relates_to")
    return isinstance(relation, dict) and relation.get("key") in REACTION_KEYS
