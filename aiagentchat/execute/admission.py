"""Whether a command that waited may start: much may have changed since it was accepted.

Whoever asked for it may have left, been removed, or lost the role; an agent may have asked for it in a time that is
over; and its room, or all rooms together, may have used up what they may spend. That is looked at now, and not known
better later: what runs is not ended by it. Where the homeserver must be asked and does not answer, the command waits in
its place, and the room with it; other rooms go on.
"""

from collections.abc import Callable
from typing import TypeAlias

import structlog

from aiagentchat.config.settings import Settings
from aiagentchat.core.access import Hindrance
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.ids import EventId, InstanceName, RoomId, txn_id
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.access import Doors
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.spending import Budget, Span, UsedUp, first_day, total, used_up
from aiagentchat.execute.rests import Rests
from aiagentchat.execute.turn import Ledgers
from aiagentchat.render import guard_words, spending
from aiagentchat.render.agent_words import out_of_time, turned_down
from aiagentchat.render.marks import mark_for_people
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

    def __init__(
        self,
        doors: Doors,
        *,
        ledgers: Ledgers,
        rests: Rests,
        settings: Callable[[], Settings],
        clock: Clock,
        unknown: Unknown,
        instance: InstanceName | None = None,
    ) -> None:
        """`unknown` is for all rooms, and outlives their executors; `instance` is what other agents know us by."""
        self._doors = doors
        self._instance = instance
        self._settings = settings
        self._ledgers = ledgers
        self._rests = rests
        self._clock = clock
        self._unknown = unknown

    async def admit(self, command: Command) -> bool:
        """Whether it may start now. One that may not has ended, or waits, and with it its room."""
        if command.meta is not None and command.meta.is_over(self._clock.now_ms()):
            log.info("command.expired", sender=command.sender)
            told = [*out_of_time(command, instance=self._instance), *mark_for_people(command, CommandState.CANCELLED)]
            await self._ledgers.commands.turn_away(command.event, told, self._clock.now_ms(), what="expired")
            return False
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
        if hindrance is not None:
            log.warning("command.turned_away", sender=command.sender, why=hindrance)
            await self._turn_away(command, guard_words.not_begun(command, hindrance), "turn")
            return False
        gone = await self.used_up(command.room)
        if gone is not None:
            await self._turn_away(command, gone, "budget")
        return gone is None

    async def used_up(self, room: RoomId) -> str | None:
        """That a budget is used up, and which, in a sentence for the room; None while there is some left."""
        gone = await self._used_up(room)
        if gone is None:
            return None
        log.warning("command.budget_used_up", span=gone.span, most=gone.most, everywhere=gone.everywhere)
        return spending.not_begun(gone, self._clock.now_ms())

    async def _used_up(self, room: RoomId) -> UsedUp | None:
        """The budget that is used up: the room's own, or that of all rooms together."""
        settings, now = self._settings(), self._clock.now_ms()
        found = settings.room(room)
        own = Budget() if found is None else found.budget
        if own.day or own.month:
            spent = {span: await self._ledgers.spending.room(room, first_day(span, now)) for span in Span}
            if (gone := used_up(own, spent, now)) is not None:
                return gone
        if settings.budget.day or settings.budget.month:
            spent = {
                span: total([*(await self._ledgers.spending.rooms(first_day(span, now))).values()]) for span in Span
            }
            return used_up(settings.budget, spent, now, everywhere=True)
        return None

    async def _turn_away(self, command: Command, why: str, what: str) -> None:
        told = turned_down(command, why, instance=self._instance) or [
            Parcel(
                txn=txn_id(command.event, "turned away"),
                room=command.room,
                content=message(why, notice=False, reply_to=command.shown_at),
                command=command.event,
            )
        ]
        parcels = [*told, *mark_for_people(command, CommandState.CANCELLED)]
        await self._ledgers.commands.turn_away(command.event, parcels, self._clock.now_ms(), what=what)
