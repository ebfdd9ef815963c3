"""The way into a room, over nio."""

from collections.abc import Awaitable
from typing import Any

import nio
import stamina

from aiagentchat.core.errors import Refused, Unreachable
from aiagentchat.core.ids import EventId, RoomId, TxnId
from aiagentchat.core.parcels import Content
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.errors import PASSING, TRANSPORT, TRIES, TRY_SECONDS, fail


class MatrixOutbound:
    """The Outbound port. Never puts plain text into an encrypted room."""

    def __init__(self, client: Client) -> None:
        self._client = client.nio

    async def send(self, room: RoomId, type_: str, content: Content, txn: TxnId) -> EventId:
        """Put an event into the room."""
        known = self._client.rooms.get(room)
        if known is not None and known.encrypted:
            raise Refused(f"room {room} is encrypted, and this version cannot encrypt")
        answer = await _ask("send", self._client.room_send(room, type_, dict(content), tx_id=txn))
        if not isinstance(answer, nio.RoomSendResponse):
            fail("send", answer)
        return EventId(answer.event_id)

    async def typing(self, room: RoomId, on: bool, seconds: float = 30.0) -> None:
        """Show or hide the typing indicator."""
        answer = await _ask("typing", self._client.room_typing(room, on, timeout=int(seconds * 1000)))
        if not isinstance(answer, nio.RoomTypingResponse):
            fail("typing", answer)

    async def read_receipt(self, room: RoomId, event: EventId) -> None:
        """Show that the event was read."""
        answer = await _ask("receipt", self._client.update_receipt_marker(room, event))
        if not isinstance(answer, nio.UpdateReceiptMarkerResponse):
            fail("receipt", answer)

    @stamina.retry(on=PASSING, attempts=TRIES, timeout=TRY_SECONDS)
    async def join(self, room: RoomId) -> None:
        """Accept an invite. Tried again while the homeserver does not answer: nobody asks us a second time."""
        answer = await _ask("join", self._client.join(room))
        if not isinstance(answer, nio.JoinResponse):
            fail("join", answer)


async def _ask(what: str, request: Awaitable[Any]) -> Any:  # noqa: ANN401 - nio's responses have no common type
    try:
        return await request
    except TRANSPORT as problem:
        raise Unreachable(f"{what}: {type(problem).__name__}") from problem
