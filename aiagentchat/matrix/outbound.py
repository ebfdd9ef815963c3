"""The way into a room, over nio."""

from collections.abc import Awaitable
from typing import Any

import nio

from aiagentchat.core.errors import Refused, Unreachable
from aiagentchat.core.ids import EventId, RoomId, TxnId
from aiagentchat.core.parcels import Content
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.errors import TRANSPORT, error, fail

_ENCRYPTION = "m.room.encryption"
_FOUND = 200


class MatrixOutbound:
    """The Outbound port. Never puts plain text into an encrypted room."""

    def __init__(self, client: Client) -> None:
        self._client = client.nio

    async def send(self, room: RoomId, type_: str, content: Content, txn: TxnId) -> EventId:
        """Put an event into the room."""
        if await self._is_encrypted(room):
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

    async def join(self, room: RoomId) -> None:
        """Accept an invite."""
        answer = await _ask("join", self._client.join(room))
        if not isinstance(answer, nio.JoinResponse):
            fail("join", answer)

    async def _is_encrypted(self, room: RoomId) -> bool:
        """As the sync says; before it has told of the room, the homeserver is asked."""
        known = self._client.rooms.get(room)
        if known is not None:
            return bool(known.encrypted)
        answer = await _ask("state", self._client.room_get_state_event(room, _ENCRYPTION))
        if answer.transport_response.status == _FOUND:
            return True
        # nio takes every answer but a 404 for the content of the event.
        problem = answer if isinstance(answer, nio.ErrorResponse) else nio.ErrorResponse.from_dict(answer.content)
        if problem.status_code == "M_NOT_FOUND":
            return False
        problem.transport_response = answer.transport_response
        raise error("state", problem)


async def _ask(what: str, request: Awaitable[Any]) -> Any:  # noqa: ANN401 - nio's responses have no common type
    try:
        return await request
    except TRANSPORT as problem:
        raise Unreachable(f"{what}: {type(problem).__name__}") from problem
