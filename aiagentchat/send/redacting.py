"""The last net: whatever goes into a room, whoever wrote it, goes without the secrets that we know.

What streams was looked at before (`execute/output.py`), where it is not yet cut into messages. Here are all the others:
questions, reports, quotes of what somebody typed, and what is cut into pages again.
"""

import html
import re
from typing import Any

from aiagentchat.core.files import is_text
from aiagentchat.core.ids import EventId, RoomId, TxnId
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.matrix import Outbound
from aiagentchat.core.redact import Redacting, Redactor
from aiagentchat.render.message import message

_BLOCK = re.compile(
    r"</?(?:p|br|hr|div|li|ul|ol|h[1-6]|pre|blockquote|table|thead|tbody|tr|td|th|summary|details)\b[^>]*>"
)
_TAG = re.compile(r"<[^>]*>")
_NEW = "m.new_content"
_TEXTS = ("body", "filename")
_HTML = ("format", "formatted_body")


class RedactingOutbound:
    """The Outbound port in front of another one."""

    def __init__(self, outbound: Outbound, redacting: Redacting) -> None:
        self._outbound = outbound
        self._redacting = redacting

    async def send(self, room: RoomId, type_: str, content: Content, txn: TxnId) -> EventId:
        """Put an event into the room, without secrets."""
        return await self._outbound.send(room, type_, without_secrets(content, self._redacting()), txn)

    async def redact(self, room: RoomId, event: EventId, reason: str, txn: TxnId) -> EventId:
        """Take what an event says out of the room."""
        return await self._outbound.redact(room, event, reason, txn)

    async def typing(self, room: RoomId, on: bool, seconds: float = 30.0) -> None:
        """Show or hide the typing indicator."""
        await self._outbound.typing(room, on, seconds)

    async def read_receipt(self, room: RoomId, event: EventId, thread: str | None = None) -> None:
        """Show that all was read up to the event."""
        await self._outbound.read_receipt(room, event, thread)

    async def join(self, room: RoomId) -> None:
        """Accept an invite."""
        await self._outbound.join(room)

    async def leave(self, room: RoomId) -> None:
        """Decline an invite, or leave."""
        await self._outbound.leave(room)

    async def find(self, room: RoomId, txn: TxnId, *, since: int) -> EventId | None:
        """The event of ours that was sent with this txn."""
        return await self._outbound.find(room, txn, since=since)

    async def upload(self, room: RoomId, data: bytes, *, name: str, mime: str) -> Content:
        """Keep a file on the homeserver; a text without secrets, anything else as it is."""
        redactor = self._redacting()
        if mime.startswith("text/") or is_text(data):
            data = redactor(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        return await self._outbound.upload(room, data, name=redactor(name), mime=mime)


def without_secrets(content: Content, redactor: Redactor) -> Content:
    """The content of an event with marks in its texts; the same object if there is nothing to hide.

    Ids stay as they are: whoever reads them must find them.
    """
    fresh = dict(content)
    for key in _TEXTS:
        if isinstance(fresh.get(key), str):
            fresh[key] = redactor(fresh[key])
    if isinstance(fresh.get("formatted_body"), str):
        fresh = _with_html(content, fresh, redactor)
    if isinstance(fresh.get(_NEW), dict):
        new = fresh[_NEW] = without_secrets(fresh[_NEW], redactor)
        if new is not content[_NEW]:
            fresh["body"] = f"* {new.get('body')}"
    return content if fresh == content else fresh


def _with_html(content: Content, fresh: dict[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Text and HTML say the same: what is a secret in one of them is in both, cut by signs and tags or not."""
    body, formatted = fresh["body"], fresh["formatted_body"]
    if body != content["body"] or redactor(formatted) != formatted:
        formatted = message(body, notice=False).get("formatted_body", "")
    # As a reader sees it, who sees no tags.
    seen = html.unescape(_TAG.sub("", _BLOCK.sub("\n", formatted)))
    if redactor(seen) != seen:
        body, formatted = redactor(seen), ""
    rest = {key: value for key, value in fresh.items() if key not in _HTML}
    return {**rest, "body": body, **({"format": fresh["format"], "formatted_body": formatted} if formatted else {})}
