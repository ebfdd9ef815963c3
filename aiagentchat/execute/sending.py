"""What the agent puts into the room as a file: from beneath the workspace, so many and so large."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from aiagentchat.core.commands import Command
from aiagentchat.core.errors import NotOpened
from aiagentchat.core.files import MOST_FILES, MOST_UNSENT
from aiagentchat.core.ids import txn_id
from aiagentchat.core.parcels import Attachment, Parcel
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Outbox
from aiagentchat.execute.output import Output
from aiagentchat.process.beneath import Why, read_beneath
from aiagentchat.render import file_words
from aiagentchat.render.file_message import file_message

MIB = 2**20
MOST_TRIES = 5 * MOST_FILES
"""So often a turn may try: what runs in the room can ask as fast as it likes, and each try is looked at and logged."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What the agent is told."""

    text: str
    failed: bool = False


def beneath(workspace: Path, path: str) -> str:
    """The path as it is from the workspace; agents also say whole ones."""
    inner = path.removeprefix(f"{workspace}/")
    while inner.startswith("./"):
        inner = inner[2:]
    return inner


class Sending:
    """Of one turn."""

    def __init__(
        self,
        command: Command,
        output: Output,
        *,
        outbox: Outbox,
        clock: Clock,
        most: int,
        small: Callable[[bytes], Awaitable[bytes | None]] | None = None,
    ) -> None:
        """`most` is in MiB; `small` makes the thumbnail of a picture, and never raises."""
        self._command = command
        self._output = output
        self._outbox = outbox
        self._clock = clock
        self._most = most
        self._small = small
        self._sent = self._tried = 0

    async def send(self, path: str, caption: str) -> Told:
        """Put the file into the outbox, below what was said until now."""
        if not path:
            return Told(file_words.NO_PATH, failed=True)
        self._tried += 1
        if self._sent >= MOST_FILES or self._tried > MOST_TRIES:
            return Told(file_words.too_many_sent(MOST_FILES), failed=True)
        inner = beneath(self._output.workspace, path)
        try:
            data = await asyncio.to_thread(read_beneath, self._output.workspace, inner, self._most * MIB)
        except NotOpened as error:
            log.warning("file.not_sent", why=error.why)
            too_large = error.why == Why.SIZE
            told = file_words.too_large_to_send(self._most) if too_large else file_words.not_opened(inner, error.why)
            return Told(told, failed=True)
        if await self._outbox.attached(self._command.room) + len(data) > MOST_UNSENT * self._most * MIB:
            return Told(file_words.TOO_MUCH_WAITS, failed=True)
        self._sent += 1
        thumbnail = None if self._small is None else await self._small(data)
        parcel = Parcel(
            txn=txn_id(self._command.event, "file", str(self._sent)),
            room=self._command.room,
            content=file_message(Path(inner).name, data, caption, thumbnail=thumbnail),
            command=self._command.event,
            attachment=Attachment(data, thumbnail),
        )
        await self._outbox.put([*self._output.break_off(), parcel], self._clock.now_ms())
        log.info("file.sent", bytes=len(data))
        return Told(file_words.SENT)
