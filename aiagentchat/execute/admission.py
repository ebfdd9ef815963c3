"""Whether a command that waited may start: much may have changed since it was accepted.

Whoever asked for it may have left, been removed, or lost the role. That is looked at now, and not known better later:
what runs is not ended by it. Where the homeserver must be asked and does not answer, the command waits in its place,
and the room with it; other rooms go on.
"""

from typing import TypeAlias

import structlog

from aiagentchat.core.access import Hindrance
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.ids import EventId, RoomId, txn_id
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.access import Doors
from aiagentchat.core.ports.clock import Clock
from aiagentchat.execute.rests import Rests
from aiagentchat.execute.turn import Ledgers
from aiagentchat.render import words
from aiagentchat.render.marks import mark
from aiagentchat.render.message import message

ASK_AGAIN = 10.0
"""Seconds until the homeserver is asked again."""
ASK_FOR = 3600.0
"""For so long: then the command is not run, and the room is told."""

Unknown: TypeAlias = dict[RoomId, tuple[EventId, float]]
"""The command of a room of which it is not known whether it may start, and since when (monotonic seconds)."""

log = structlog.get_logger(__name__)


class Admission:
    """Lets the commands of a room begin, or turns them away."""

    def __init__(self, doors: Doors, *, ledgers: Ledgers, rests: Rests, clock: Clock, unknown: Unknown) -> None:
        """`unknown` is for all rooms, and outlives their executors."""
        self._doors = doors
        self._ledgers = ledgers
        self._rests = rests
        self._clock = clock
        self._unknown = unknown

    async def admit(self, command: Command) -> bool:
        """Whether it may start now. One that may not has ended, or waits, and with it its room."""
        hindrance = await self._doors.hindrance(command)
        if hindrance is Hindrance.UNKNOWN:
            now = self._clock.monotonic()
            asked, since = self._unknown.get(command.room, (command.event, now))
            since = since if asked == command.event else now
            self._unknown[command.room] = command.event, since
            if now - since < ASK_FOR:
                self._rests.hold(command.room, ASK_AGAIN)
                return False
        self._unknown.pop(command.room, None)
        if hindrance is None:
            return True
        log.warning("command.turned_away", sender=command.sender, why=hindrance)
        told = Parcel(
            txn=txn_id(command.event, "turned away"),
            room=command.room,
            content=message(words.turned_away(command.sender, hindrance), notice=False, reply_to=command.shown_at),
            command=command.event,
        )
        parcels = [told, mark(command, CommandState.CANCELLED)]
        await self._ledgers.commands.turn_away(command.event, parcels, self._clock.now_ms())
        return False
