"""The service that looks after tasks by the clock: it reminds of those that are due or silent, and ends those that were
not begun in time.

What is due is a moment in the ledger, so a restart forgets nothing. Each task is reminded of at most once before its
deadline, once after it, and once in each silence (`core.tasks.next_reminder`).
"""

import structlog

from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.tasks import Tasks
from aiagentchat.core.tasks import Ours, Task, has_lapsed, next_reminder
from aiagentchat.render import task_words

BATCH = 50
"""Tasks that are looked at before others get their turn."""
LONGEST_NAP = 60.0
LEAST_NAP = 1.0

log = structlog.get_logger(__name__)


class Reminders:
    """Of all rooms."""

    def __init__(self, *, tasks: Tasks, clock: Clock) -> None:
        self._tasks = tasks
        self._clock = clock

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            nap = await self.round()
            await self._tasks.bell.wait(nap)

    async def round(self) -> float:
        """Do what is due. Returns for how many seconds nothing is."""
        now = self._clock.now_ms()
        for task in await self._tasks.due(now, BATCH):
            await self._look_at(task, now)
        due = await self._tasks.next_due()
        return LONGEST_NAP if due is None else min(max((due - now) / 1000, LEAST_NAP), LONGEST_NAP)

    async def _look_at(self, task: Task, now: int) -> None:
        if task.ours is Ours.TAKEN and has_lapsed(task, now):
            if await self._tasks.expire(task, task_words.expired(task, now), now):
                log.warning("task.expired", room=task.room, task=task.id, late_ms=now - (task.deadline or now))
            return
        reminder = next_reminder(task)
        if reminder is None or reminder.at > now:
            await self._tasks.reminded(task, [], now)  # it has moved since that moment was noted
            return
        if await self._tasks.reminded(task, [task_words.remind(task, reminder.why, now, _person(task))], now):
            log.info("task.reminded", room=task.room, task=task.id, why=reminder.why)


def _person(task: Task) -> UserId | None:
    """Who has given it to us by hand."""
    return task.by.user if task.ours is Ours.TAKEN and task.by.instance is None else None
