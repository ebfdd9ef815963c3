"""A room is serial, rooms are parallel, the machine is finite."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from aiagentchat.core.commands import TurnTime
from aiagentchat.core.ids import RoomId
from aiagentchat.execute.recovery import report_interrupted, report_leftovers
from aiagentchat.execute.room import RoomExecutor, Workshop

LONGEST_NAP = 30.0
"""Seconds after which the tables are looked at again, also when nobody rings."""

log = structlog.get_logger(__name__)


class Scheduler:
    """Starts an executor for each room that has work, at most `max_parallel` at once; the longest waiting go first."""

    def __init__(self, workshop: Workshop, *, max_parallel: int, alive_at: Callable[[], Awaitable[int | None]]) -> None:
        self._shop = workshop
        self._alive_at = alive_at
        self._active: dict[RoomId, RoomExecutor] = {}
        self._waiting = False
        self._idle = asyncio.Event()
        self.max_parallel = max_parallel
        self.draining = False
        """Whether no new turn is begun: what is accepted waits for the next life."""

    async def run(self) -> None:
        """Serve until cancelled. Nothing of the agent is left running when this returns."""
        commands = self._shop.ledgers.commands
        await report_leftovers(self._shop.ledgers, self._shop.clock, await self._shop.runs.end_leftovers())
        await report_interrupted(
            self._shop.ledgers,
            self._shop.clock,
            alive_at=await self._alive_at(),
            wants_words=self._shop.wants_words,
            instance=self._shop.instance,
        )
        async with self._shop.runs.open(), asyncio.TaskGroup() as group:
            while True:
                for executor in self._active.values():
                    executor.nudge.set()
                now = self._shop.clock.now_ms()
                work = [room for room in await commands.rooms_with_work(now) if room not in self._active]
                rests = {room: rest for room in work if (rest := self._shop.rests.left(room))}
                waiting = [room for room in work if room not in rests]
                free = 0 if self.draining else max(0, self.max_parallel - len(self._active))
                for room in waiting[:free]:
                    self._start(group, room)
                self._waiting = len(waiting) > free
                idle = self._shop.runs.end_idle()
                held = await commands.next_held(now)
                soonest = [LONGEST_NAP, *rests.values(), *([] if idle is None else [max(idle, 0.0)])]
                soonest += [] if held is None else [(held - now) / 1000]
                await commands.bell.wait(min(soonest))

    def turn_time(self, room: RoomId) -> TurnTime | None:
        """How the room's running turn stands with its time; None while none runs."""
        executor = self._active.get(room)
        return None if executor is None else executor.turn_time()

    async def drain(self) -> None:
        """Begin no new turn, and return when none runs. For as long as those that run may take."""
        self.draining = True
        while self._active:
            self._idle.clear()
            await self._idle.wait()

    def _start(self, group: asyncio.TaskGroup, room: RoomId) -> None:
        executor = RoomExecutor(room, self._shop)
        self._active[room] = executor
        group.create_task(self._serve(executor), name=f"room {room}")

    async def _serve(self, executor: RoomExecutor) -> None:
        try:
            await executor.run(others_wait=lambda: self._waiting or self.draining)
        finally:
            del self._active[executor.room]
            if not self._active:
                self._idle.set()
            self._shop.ledgers.commands.bell.ring()
