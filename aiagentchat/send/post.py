"""How far messages between agents have come: others read it off our receipts, and we off theirs.

"Delivered" is a receipt for all of a room, "read" is one for a thread of it (docs/reference/protocol.md). An instance
of this account gets neither from its homeserver, and so is told directly.
"""

from collections.abc import Sequence

from aiagentchat.core.commands import Command
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import MAIN, Incoming, Kind, Receipt
from aiagentchat.core.meta import Meta
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.messages import Messages
from aiagentchat.core.ports.voice import Signals

_SAID = (Kind.TEXT, Kind.NOTICE, Kind.FILE, Kind.EDIT)


class RoomPost:
    """The Post port."""

    def __init__(self, *, signals: Signals, messages: Messages, me: UserId, clock: Clock) -> None:
        self._signals = signals
        self._messages = messages
        self._me = me
        self._clock = clock
        self._landed: dict[RoomId, EventId] = {}
        """The last message for us in each room of which its sender was told."""

    async def landed(self, events: Sequence[Incoming]) -> None:
        """Tell whoever has sent us something that we have it."""
        for event in _last_of_each_room(events, self._me):
            if self._landed.get(event.room) != event.event:
                self._landed[event.room] = event.event
                if event.sender != self._me:
                    self._signals.read(event.room, event.event)
        await self._tell_ourselves([self._receipt(event.room, event.event) for event in events if self._is_own(event)])

    async def heard(self, event: Incoming) -> None:
        """What it may be to a message of ours, the ledger knows."""
        is_reply = event.kind is Kind.TEXT and event.target is not None and not event.by_agent
        if is_reply or (event.kind in _SAID and isinstance(event.meta, Meta)):
            await self._messages.heard(event, self._clock.now_ms())

    async def begun(self, command: Command) -> None:
        """Tell whoever has sent the command that its turn begins."""
        # The first event of a thread stands outside of it.
        thread = MAIN if command.thread in (None, command.event) else command.thread
        if command.caller is not None or command.sender == self._me:
            await self._tell_ourselves([self._receipt(command.room, command.event, thread)])
        elif command.meta is not None:
            self._signals.read(command.room, command.event, thread)

    async def received(self, receipts: Sequence[Receipt]) -> None:
        """Others have read so far."""
        await self._messages.received(receipts, self._clock.now_ms())

    async def _tell_ourselves(self, receipts: Sequence[Receipt]) -> None:
        if receipts:
            await self.received(receipts)

    def _is_own(self, event: Incoming) -> bool:
        return event.caller is not None and event.is_for(self._me)

    def _receipt(self, room: RoomId, event: EventId, thread: str | None = None) -> Receipt:
        return Receipt(room=room, event=event, user=self._me, thread=thread, at=self._clock.now_ms())


def _last_of_each_room(events: Sequence[Incoming], me: UserId) -> Sequence[Incoming]:
    """The last message of each room that is for this account."""
    return [*{event.room: event for event in events if event.is_for(me)}.values()]
