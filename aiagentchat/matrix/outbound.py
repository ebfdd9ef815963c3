"""The way into a room, over nio."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

import nio

from aiagentchat.core.errors import Refused, StoreError, Unreachable
from aiagentchat.core.ids import EventId, RoomId, TxnId
from aiagentchat.core.parcels import MESSAGE, REACTION, TXN_KEY, Content
from aiagentchat.core.ports.matrix import NOT_SEALED
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.crypto.attachments import encrypted
from aiagentchat.matrix.crypto.machine import Machine
from aiagentchat.matrix.crypto.opening import ENCRYPTED
from aiagentchat.matrix.crypto.sharing import MayRead
from aiagentchat.matrix.errors import TRANSPORT, error, fail
from aiagentchat.matrix.media import UploadLimit
from aiagentchat.render.message import fitted, shows_nothing

FIND_PAGE = 100
"""Events of our own that one request of a search asks for."""
FIND_PAGES = 20
"""Requests that a search may take: what lies behind two thousand events of ours is not found."""
UPLOAD_SECONDS = 120.0
"""How long an upload may take."""

_ENCRYPTION = "m.room.encryption"
_FOUND = 200


Encrypts: TypeAlias = Callable[[RoomId], MayRead | None]
"""Which devices get the keys of what is said in a room; None: all of its members'."""


class MatrixOutbound:
    """The Outbound port. Never puts plain text into an encrypted room; without a machine, nothing at all."""

    def __init__(self, client: Client, machine: Machine | None = None, may_read: Encrypts = lambda _: None) -> None:
        self._account = client
        self._client = client.nio
        self._machine = machine
        self._may_read = may_read
        self._limit = UploadLimit(client)

    async def send(self, room: RoomId, type_: str, content: Content, txn: TxnId) -> EventId:
        """Put an event into the room."""
        if await self._is_encrypted(room):
            type_, content = await self._sealed(room, type_, content)
        answer = await _ask("send", self._client.room_send(room, type_, dict(content), tx_id=txn))
        if not isinstance(answer, nio.RoomSendResponse):
            fail("send", answer)
        return EventId(answer.event_id)

    async def redact(self, room: RoomId, event: EventId, reason: str, txn: TxnId) -> EventId:
        """Take what an event says out of the room. Redactions are not encrypted, in no room."""
        answer = await _ask("redact", self._client.room_redact(room, event, reason=reason, tx_id=txn))
        if not isinstance(answer, nio.RoomRedactResponse):
            fail("redact", answer)
        return EventId(answer.event_id)

    async def typing(self, room: RoomId, on: bool, seconds: float = 30.0) -> None:
        """Show or hide the typing indicator."""
        answer = await _ask("typing", self._client.room_typing(room, on, timeout=int(seconds * 1000)))
        if not isinstance(answer, nio.RoomTypingResponse):
            fail("typing", answer)

    async def read_receipt(self, room: RoomId, event: EventId, thread: str | None = None) -> None:
        """Show that all was read up to the event. nio knows no receipt without a thread."""
        path = f"/_matrix/client/v3/rooms/{quote(room, safe='')}/receipt/m.read/{quote(event, safe='')}"
        await self._account.ask("receipt", "POST", path, {} if thread is None else {"thread_id": thread})

    async def join(self, room: RoomId) -> None:
        """Accept an invite."""
        answer = await _ask("join", self._client.join(room))
        if not isinstance(answer, nio.JoinResponse):
            fail("join", answer)

    async def leave(self, room: RoomId) -> None:
        """Decline an invite, or leave."""
        answer = await _ask("leave", self._client.room_leave(room))
        if not isinstance(answer, nio.RoomLeaveResponse):
            fail("leave", answer)

    async def find(self, room: RoomId, txn: TxnId, *, since: int) -> EventId | None:
        """The event of ours that was sent with this txn, as far back as `since` and FIND_PAGES reach."""
        me = self._client.user_id
        wanted = {"senders": [me], "types": [MESSAGE, REACTION, ENCRYPTED]}
        query = {"dir": "b", "limit": str(FIND_PAGE), "filter": json.dumps(wanted, separators=(",", ":"))}
        path = f"/_matrix/client/v3/rooms/{quote(room, safe='')}/messages"
        for _ in range(FIND_PAGES):
            page = (await self._account.ask("find", "GET", f"{path}?{urlencode(query)}")).content
            events = [event for event in page.get("chunk", ()) if event.get("sender") == me]
            for event in events:
                if _was_sent_with(event, self._content(room, event), txn):
                    return EventId(event["event_id"])
            is_older = any(event.get("origin_server_ts", since) < since for event in events)
            if is_older or "end" not in page:
                return None
            query["from"] = str(page["end"])
        return None

    async def _sealed(self, room: RoomId, type_: str, content: Content) -> tuple[str, Content]:
        """What is sent in the place of an event, so that no server reads what is said."""
        if self._machine is None:
            raise Refused(f"room {room} is encrypted, and there are no keys to encrypt with", ours=True)
        if type_ == REACTION:
            # Servers count them, so they are not encrypted. Nothing that was said may stand in one.
            if set(content) - {"m.relates_to", TXN_KEY} or not shows_nothing(content):
                raise Refused(f"room {room} is encrypted, and this reaction would show a text", ours=True)
            return type_, content
        if _shows_file(content):
            raise Refused(f"room {room} is encrypted, and the file is not", errcode=NOT_SEALED, ours=True)
        fitting = fitted(content, encrypted=True)
        try:
            return ENCRYPTED, await self._machine.encrypt(room, type_, fitting, self._may_read(room))
        except StoreError as problem:
            raise Unreachable(str(problem)) from problem  # the disk may have room again in a moment

    async def upload(self, room: RoomId, data: bytes, *, name: str, mime: str) -> Content:
        """Keep a file on the homeserver."""
        await self._limit.require(len(data))
        if not await self._is_encrypted(room):
            return {"url": await self._upload(data, name=name, mime=mime)}
        sealed, keys = await encrypted(data)
        return {"file": {**keys, "url": await self._upload(sealed, name=None, mime="application/octet-stream")}}

    async def _upload(self, data: bytes, *, name: str | None, mime: str) -> str:
        # nio's own limit does not hold for uploads.
        upload = self._client.upload(io.BytesIO(data), content_type=mime, filename=name, filesize=len(data))
        answer, _ = await _ask("upload", asyncio.wait_for(upload, UPLOAD_SECONDS))
        if not isinstance(answer, nio.UploadResponse):
            fail("upload", answer)
        return str(answer.content_uri)

    def _content(self, room: RoomId, event: Mapping[str, Any]) -> Content:
        """What an event of ours says."""
        if event.get("type") == ENCRYPTED and self._machine is not None:
            return self._machine.peek(room, event)
        return event.get("content") or {}

    async def _is_encrypted(self, room: RoomId) -> bool:
        """As the sync says; before it has told of the room, the homeserver is asked."""
        known = self._account.rooms.known(room)
        if known is not None:
            return known
        answer = await _ask("state", self._client.room_get_state_event(room, _ENCRYPTION))
        if answer.transport_response.status == _FOUND:
            await self._account.rooms.encrypted(room)
            return True
        # nio takes every answer but a 404 for the content of the event.
        problem = answer if isinstance(answer, nio.ErrorResponse) else nio.ErrorResponse.from_dict(answer.content)
        if problem.status_code == "M_NOT_FOUND":
            return False
        problem.transport_response = answer.transport_response
        raise error("state", problem)


def _was_sent_with(event: Mapping[str, Any], content: Content, txn: TxnId) -> bool:
    """By the mark in its content; or, for the device that sent it, by what the homeserver remembers."""
    unsigned = event.get("unsigned") or {}
    return txn in (content.get(TXN_KEY), unsigned.get("transaction_id"))


def _shows_file(content: Content) -> bool:
    """Whether it leads to a file that the homeserver can read."""
    info = content.get("info")
    return "url" in content or (isinstance(info, Mapping) and "thumbnail_url" in info)


async def _ask(what: str, request: Awaitable[Any]) -> Any:  # noqa: ANN401 - nio's responses have no common type
    try:
        return await request
    except TRANSPORT as problem:
        raise Unreachable(f"{what}: {type(problem).__name__}") from problem
