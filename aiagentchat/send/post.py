"""How far messages between agents have come: others read it off our receipts, and we off theirs.

"Delivered" is a receipt for a thread of a room, "read" is one for all of it (docs/reference/protocol.md). An instance
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
        for room, told in _for_us(events, self._me).items():
            last = [*told.values()][-1].event
            if self._landed.get(room) != last:
                self._landed[room] = last
                for event in told.values():
                    self._signals.read(room, event.event, event.thread)
        own = [event for event in events if event.caller is not None and event.is_for(self._me)]
        await self._tell_ourselves([self._receipt(each.room, each.event, each.thread or MAIN) for each in own])

    async def heard(self, event: Incoming) -> bool:
        """What it may be to a message of ours, the ledger knows."""
        is_reply = event.kind is Kind.TEXT and event.target is not None and not event.by_agent
        if is_reply or (event.kind in _SAID and isinstance(event.meta, Meta)):
            await self._messages.heard(event, self._clock.now_ms())
        if not is_reply or event.target is None:
            return False
        # Asked of the ledger, and not of what has changed now: before a crash it may have been heard, and not settled.
        answered = await self._messages.by_event(event.target)
        return answered is not None and answered.answer_event == event.event

    async def begun(self, command: Command) -> None:
        """Tell whoever has sent the command that its turn begins.

        A room takes the messages of agents in their order: with all that were sent before this one it has begun, too.
        """
        if command.caller is not None:
            await self._tell_ourselves([self._receipt(command.room, command.event)])
        elif command.meta is not None and command.origin is None:
            self._signals.begun(command.room, command.event)

    async def received(self, receipts: Sequence[Receipt]) -> None:
        """Others have read so far."""
        await self._messages.received(receipts, self._clock.now_ms())

    async def _tell_ourselves(self, receipts: Sequence[Receipt]) -> None:
        if receipts:
            await self.received(receipts)

    def _receipt(self, room: RoomId, event: EventId, thread: str | None = None) -> Receipt:
        return Receipt(room=room, event=event, user=self._me, thread=thread, at=self._clock.now_ms())


def _for_us(events: Sequence[Incoming], me: UserId) -> dict[RoomId, dict[EventId | None, Incoming]]:
    """The last message in each thread that others have sent to this account; what came last stands last."""
    found: dict[RoomId, dict[EventId | None, Incoming]] = {}
    for event in events:
        if event.sender != me and event.is_for(me):
            threads = found.setdefault(event.room, {})
            threads.pop(event.thread, None)
            threads[event.thread] = event
    return found
