"""What callers ask for about tasks: a part of `core.ports.exchange.Exchange`."""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from aiagentchat.core.effects import MoveTask, RequestStop
from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import Caller, Message, Outgoing, Scope
from aiagentchat.core.ids import MessageId, RoomId, TaskId, new_task_id
from aiagentchat.core.meta import Address, MetaKind, Step
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.tasks import TaskChange, Tasks
from aiagentchat.core.tasks import Ours, Task, TaskState, Word, is_same, moved, note_of, state_after

MOST_LISTED = 200


class Send(Protocol):
    """`core.ports.exchange.Exchange.send`. A message of kind task writes down the task with itself."""

    async def __call__(self, caller: Caller, outgoing: Outgoing, *, key: str | None = None) -> Message:
        """Accept it."""
        ...


class TaskExchange:
    """Tasks, for callers."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        send: Send,
        message: Callable[[MessageId], Awaitable[Message | None]],
        rooms: Callable[[], Collection[RoomId]],
        own: Callable[[], Address],
        clock: Clock,
    ) -> None:
        """`message` finds what we have sent; `rooms` are all that are ours, `own` is this daemon's address."""
        self._tasks = tasks
        self._send = send
        self._message = message
        self._rooms = rooms
        self._own = own
        self._clock = clock

    async def tasks(self, caller: Caller, room: RoomId | None = None, *, everything: bool = False) -> Sequence[Task]:
        """Tasks of the rooms that the caller may read, the newest first: those that are open, or all of them."""
        rooms = [each for each in self._rooms() if caller.may(Scope.READ, each) and room in (None, each)]
        if room is not None and not rooms:
            raise ExchangeRefused("unknown", _NO_ROOM)
        return await self._tasks.listed(rooms, everything=everything, limit=MOST_LISTED)

    async def assign_task(
        self,
        caller: Caller,
        room: RoomId,
        to: Address,
        text: str,
        *,
        deadline: int | None = None,
        key: str | None = None,
    ) -> Task:
        """Give work to somebody."""
        if not text.strip():
            raise ExchangeRefused("invalid", "A task needs a text that says what is to be done; nothing was sent.")
        wanted = Outgoing(
            room=room, body=text, kind=MetaKind.TASK, to=to, task=_task_id(caller, key), expires_at=deadline
        )
        message = await self._send(caller, wanted, key=key)
        found = await self._tasks.get(message.room, message.meta.task or TaskId(message.id))
        if found is None:
            raise ExchangeRefused("conflict", "That key was used for a message that is no task.")
        return found

    async def update_task(self, caller: Caller, room: RoomId, task: TaskId, step: Step, note: str) -> Task:
        """Say what has become of a task that the caller has given, or works on."""
        before = await self._tasks.get(room, task) if caller.may(Scope.READ, room) else None
        if before is None:
            raise ExchangeRefused("unknown", no_task(task))
        state = state_after(step)
        if not before.is_open and state is not TaskState.ACCEPTED:
            raise ExchangeRefused("conflict", over(before))
        own = self._own()
        us = Address(own.user, caller.instance or own.instance)
        if not caller.may(Scope.SEND, room) or not await self._may(caller, before, us, state):
            raise ExchangeRefused("not_allowed", not_yours(before, state))
        now = self._clock.now_ms()
        by = None if caller.is_operator and state is TaskState.CANCELLED else us
        word = Word(state=state, at=max(now, before.changed_at), note=note_of(note), by=by)
        if moved(before, word) is before:
            raise ExchangeRefused("conflict", over(before))
        changes: list[TaskChange] = [MoveTask(room=room, task=task, word=word, tell=True)]
        if state is TaskState.CANCELLED and before.ours is Ours.TAKEN and before.command is not None:
            changes.append(RequestStop(before.command, own.user))
        await self._tasks.change(changes, now)
        return await self._tasks.get(room, task) or before

    async def _may(self, caller: Caller, task: Task, us: Address, state: TaskState) -> bool:
        """Whether the caller may say so: as who does the task, or, to end it, as who gave it or runs the daemon."""
        if _works_on(caller, task, us):
            return True
        if state is not TaskState.CANCELLED:
            return False
        if caller.is_operator:
            return task.ours is not Ours.WATCHED
        # Callers share the daemon's address, so only the message that gave the task says which of them has.
        if task.message is None or not is_same(us, task.by):
            return False
        given = await self._message(task.message)
        return given is not None and given.caller == caller.name


_NO_ROOM = "There is no such room that you may read."


def _task_id(caller: Caller, key: str | None) -> TaskId:
    """The same for what is asked again with the same key."""
    if key is None:
        return new_task_id()
    asked = f"{caller.name}\0{key}".encode("utf-8", "surrogatepass")
    return TaskId(f"t{hashlib.sha256(asked).hexdigest()[:12]}")


def _works_on(caller: Caller, task: Task, us: Address) -> bool:
    """Whether the caller is who does the task. What speaks for the daemon's own instance alone is not: its runs do."""
    if caller.home is None:
        return us == task.to if caller.instance is not None else caller.is_operator and is_same(us, task.to)
    # A run speaks of what its room works on: there is one such task at a time.
    is_ours = is_same(us, task.to) and task.ours is Ours.TAKEN
    return is_ours and caller.home == task.room and task.state is TaskState.WORKING


def no_task(task: TaskId) -> str:
    """Nobody knows of it, as far as the caller may know."""
    return f"There is no task {task} in this room that you may know of."


def over(task: Task) -> str:
    """It stands where nothing more is to be said of it, or that was said already."""
    return f"Task {task.id} is {task.state} already, so nothing was changed."


def not_yours(task: Task, state: TaskState) -> str:
    """It is for others to say that of it."""
    if state is TaskState.CANCELLED:
        return f"You have not given task {task.id}, and do not work on it, so you may not end it; nothing was changed."
    return f"Only {task.to}, who does task {task.id}, may say that it is {state}."
