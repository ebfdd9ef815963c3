"""The agent's processes: at most one per room, kept warm for a while, and each with a parent.

A warm run answers in a fraction of the time of a cold one (`make bench`), and keeps its memory. So idle runs are
ended after `warm_ttl`, and the longest idle ones earlier when there are more than `max_warm`.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from aiagentchat.core.ids import RoomId
from aiagentchat.core.ports.agent import Agent, AgentRun, RunSpec
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import RunRecord, RunRecords
from aiagentchat.process.leftovers import end_leftovers

CLOSE_SECONDS = 16.0
"""Longer than the whole stop ladder."""
EMPTY_ANSWERS = 2
"""After so many in a row a run is replaced: something is wrong with it that a fresh one may not have."""
SHUTDOWN_SECONDS = 6.0
"""How long all runs together may take to leave when the daemon ends; an obedient one takes a tenth of a second."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Kept:
    """A run and what it may be used for."""

    run: AgentRun
    served: asyncio.Task[None]
    fingerprint: str
    idle_since: float | None = None
    """Monotonic seconds; None while a turn uses it."""
    empty: int = 0
    """Turns in a row, up to now, that came to a good end without a word or a deed."""


class Runs:
    """Hands out a run per room and takes it back."""

    def __init__(self, *, records: RunRecords, boot_id: str, clock: Clock, warm_ttl: float, max_warm: int) -> None:
        self._records = records
        self._boot_id = boot_id
        self._clock = clock
        self._kept: dict[RoomId, Kept] = {}
        self._leaving: dict[RoomId, asyncio.Task[None]] = {}
        """Idle runs on their way out: nobody waits for them but the same room's next turn."""
        self._group: asyncio.TaskGroup | None = None
        self.warm_ttl = warm_ttl
        self.max_warm = max_warm

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """The life of all runs: on the way out every one is closed, whatever happened."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                yield
            finally:
                self._group = None
                await self._close_all()

    async def take(self, agent: Agent, spec: RunSpec) -> AgentRun:
        """The room's warm run if it fits `spec`, else a new one. Raises AgentUnavailable."""
        fingerprint = await agent.fingerprint(spec)
        if (leaving := self._leaving.get(spec.room)) is not None:
            await asyncio.wait([leaving])  # two processes in one conversation would mix it up
        kept = self._kept.get(spec.room)
        if kept is not None and kept.fingerprint == fingerprint and kept.run.alive:
            kept.idle_since = None
            return kept.run
        if kept is not None:
            await self.drop(spec.room)
        run = await agent.open(spec)
        # Before there is a process: what the daemon does not live to end can be found by it.
        await self._records.begun(
            RunRecord(run=run.id, room=spec.room, boot_id=self._boot_id, uid=spec.uid, started_at=self._clock.now_ms())
        )
        assert self._group is not None, "runs are handed out only while open"
        # A context of its own: the run outlives the command that it was started for, whose ids would stay on its log.
        served = self._group.create_task(
            self._serve(run, spec), name=f"run of {spec.room}", context=contextvars.Context()
        )
        self._kept[spec.room] = Kept(run, served, fingerprint)
        return run

    async def _serve(self, run: AgentRun, spec: RunSpec) -> None:
        try:
            await run.serve()
            await self._records.ended(run.id)
        except Exception:
            # One room's agent must not end the others; its turn has been told by the run itself.
            log.exception("run.broken", room=spec.room)

    async def end_leftovers(self) -> dict[RoomId, int]:
        """End what an earlier life left running; how many processes there were, by room. For before the first run."""
        counts: dict[RoomId, int] = {}
        left = await self._records.left()
        here = [record for record in left if record.boot_id == self._boot_id]
        found = await end_leftovers({record.run: record.uid for record in here}) if here else {}
        for record in left:
            if count := found.get(record.run, 0):
                log.warning("run.leftovers_ended", room=record.room, run=record.run, count=count)
                counts[record.room] = counts.get(record.room, 0) + count
            await self._records.ended(record.run)
        return counts

    async def give_back(self, room: RoomId, *, empty: bool = False) -> None:
        """The turn is over: end what it left running, and keep the run if that could be proven.

        A run that has answered `empty` again is not kept: the next turn takes the conversation up in a fresh one.
        """
        kept = self._kept.get(room)
        if kept is None:
            return
        kept.empty = kept.empty + 1 if empty else 0
        if kept.empty >= EMPTY_ANSWERS:
            log.warning("run.replaced", room=room, empty=kept.empty)
            await self.drop(room)
            return
        if not kept.run.alive or not await kept.run.settle():
            await self.drop(room)
            return
        kept.idle_since = self._clock.monotonic()

    async def drop(self, room: RoomId) -> None:
        """End the room's run, if it has one."""
        kept = self._kept.pop(room, None)
        if kept is not None:
            await self._close(kept, room)

    async def _close(self, kept: Kept, room: RoomId) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await kept.run.close()
        except TimeoutError:
            log.warning("run.not_closed", room=room)
        except Exception:
            log.exception("run.not_closed", room=room)
        finally:
            kept.served.cancel()  # for a run that did not leave; whoever cancels `serve` ends it the hard way
            self._leaving.pop(room, None)

    def held(self, room: RoomId) -> AgentRun | None:
        """The room's run, whatever it may be used for; None if it has none."""
        kept = self._kept.get(room)
        return None if kept is None else kept.run

    def is_warm(self, room: RoomId) -> bool:
        """Whether the room has a living process."""
        kept = self._kept.get(room)
        return kept is not None and kept.run.alive

    def count(self) -> int:
        """How many processes of agents live, with a turn or without."""
        return sum(kept.run.alive for kept in self._kept.values())

    def end_idle(self) -> float | None:
        """Begin to end what has been idle for too long. Returns the seconds until there is more to do, None if never.

        Nobody waits for it: a run that is slow to leave must not keep other rooms from starting.
        """
        now = self._clock.monotonic()
        idle = sorted((kept.idle_since, room) for room, kept in self._kept.items() if kept.idle_since is not None)
        surplus = max(0, len(idle) - self.max_warm)
        for index, (since, room) in enumerate(idle):
            if index >= surplus and now - since < self.warm_ttl:
                return since + self.warm_ttl - now
            log.info("run.idle_ended", room=room, idle_s=round(now - since, 1))
            assert self._group is not None, "runs are ended only while open"
            self._leaving[room] = self._group.create_task(
                self._close(self._kept.pop(room), room), name=f"end run of {room}"
            )
        return None

    async def _close_all(self) -> None:
        # What is not gone by then is ended the hard way, when the group cancels the tasks that serve it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_SECONDS), asyncio.TaskGroup() as group:
                for room in list(self._kept):
                    group.create_task(self.drop(room), name=f"end run of {room}")
