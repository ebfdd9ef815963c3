"""Files that callers put into rooms: as text in the arguments of a tool, and from there into the outbox."""

import base64
import binascii
from collections.abc import Callable

import structlog

from aiagentchat.core.exchange import Caller, Scope
from aiagentchat.core.files import MOST_UNSENT
from aiagentchat.core.ids import RoomId, new_message_id, txn_id
from aiagentchat.core.parcels import Attachment, Parcel
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Outbox
from aiagentchat.exchange.tool_fields import Field, Fields
from aiagentchat.exchange.tools import Given, Told
from aiagentchat.render.file_message import file_message

MIB = 2**20
MOST_FILE = 2 * MIB
"""Bytes of a file that comes in the arguments of a tool."""
MOST_CONTENT = 4 * (MOST_FILE // 3 + 1)
MOST_CAPTION = 2_000

IN_ARGUMENTS: Fields = {
    "name": Field(about="What the file is called", required=True, most=200),
    "content": Field(about="What is in it, as base64", required=True, most=MOST_CONTENT),
    "caption": Field(about="A short sentence that is shown with it", most=MOST_CAPTION),
}
"""How whoever is not on this machine gives us a file."""

_NO_BASE64 = "Not sent: `content` is no base64."
_NOTHING = "Not sent: the file is empty."
_TOO_LARGE = f"Not sent: a file may have {MOST_FILE // MIB} MB here."
_WAITS = "Not sent: files wait in this room because the homeserver cannot be reached, and there is no room for more."
_MAY_NOT = "Not sent: you may not send into this room."
_SENT = "The file is on its way into the room."

log = structlog.get_logger(__name__)


class Filing:
    """Takes files of callers, as `exchange.tools.PutFile`."""

    def __init__(self, outbox: Outbox, clock: Clock, most: Callable[[], int]) -> None:
        """`most` is what a file may have, in MiB."""
        self._outbox = outbox
        self._clock = clock
        self._most = most

    async def __call__(self, caller: Caller, room: RoomId, given: Given) -> Told:
        """Put it into the outbox."""
        if not caller.may(Scope.SEND, room):
            return Told(_MAY_NOT, failed=True)
        try:
            data = base64.b64decode(given["content"], validate=True)
        except (binascii.Error, ValueError):
            return Told(_NO_BASE64, failed=True)
        most = min(MOST_FILE, self._most() * MIB)
        if not data or len(data) > most:
            return Told(_TOO_LARGE if data else _NOTHING, failed=True)
        if await self._outbox.attached(room) + len(data) > MOST_UNSENT * self._most() * MIB:
            return Told(_WAITS, failed=True)
        parcel = Parcel(
            txn=txn_id("file", new_message_id()),
            room=room,
            content=file_message(given["name"], data, given.get("caption", "")),
            attachment=Attachment(data),
        )
        await self._outbox.put([parcel], self._clock.now_ms())
        log.info("gateway.file_sent", caller=caller.name, room=room, bytes=len(data))
        return Told(_SENT)
