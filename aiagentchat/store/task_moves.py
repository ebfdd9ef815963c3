"""Tasks: what `core.tasks` says of each piece of news is written down together with whatever the news follow from."""

from collections.abc import Sequence
from dataclasses import replace

from aiagentchat.core.audit import Detail
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.effects import MoveTask, OpenTask
from aiagentchat.core.ids import EventId, InstanceName, MessageId, RoomId, TaskId, UserId
from aiagentchat.core.meta import Address
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.tasks import NOT_BEGUN, Ours, Task, TaskState, Word, armed, joined, moved, state_of
from aiagentchat.render import task_words
from aiagentchat.store.database import Row, Transaction
from aiagentchat.store.outbox import put_parcels
from aiagentchat.store.queries import statements

MOST_WATCHED = 500
"""Open tasks of others that are kept for a room: of more, nothing is known here."""

_TASKS = statements("tasks")


async def change(transaction: Transaction, effect: OpenTask | MoveTask, now: int) -> Detail | None:
    """Apply it. None: nothing was changed."""
    if isinstance(effect, OpenTask):
        return {} if await _open(transaction, effect.task) else None
    return await _move(transaction, effect, now)


async def take(transaction: Transaction, given: Task, command: Command, now: int) -> None:
    """The command that is to do a task was accepted, or not; its thread is told. Also for what is taken up again."""
    task = replace(given, state=TaskState.ASSIGNED, note="")
    await _open(transaction, task)
    word = Word(state=state_of(command.state), at=max(now, given.changed_at + 1))
    move = MoveTask(room=given.room, task=given.id, word=word, tell=True, command=command.event)
    await _move(transaction, move, now)


async def _open(transaction: Transaction, given: Task) -> bool:
    known = await _get(transaction, given.room, given.id)
    if known is None and given.ours is Ours.WATCHED:
        [row] = await transaction.run(_TASKS["watched"], room=given.room)
        if row["count"] >= MOST_WATCHED:
            return False
    kept = joined(known, given)
    if kept == known:
        return False
    await _keep(transaction, kept)
    return True


async def _move(transaction: Transaction, effect: MoveTask, now: int) -> Detail | None:
    before = await _get(transaction, effect.room, effect.task)
    if before is None:
        return None
    after = moved(before, effect.word)
    if after is before:
        return None
    after = after if effect.command is None else replace(after, command=effect.command)
    await _keep(transaction, after)
    if effect.tell:
        await put_parcels(transaction, [task_words.news(after, effect.word)], now)
    return {}


async def follow(transaction: Transaction, command: EventId, now: int, *, unbegun: TaskState | None = None) -> None:
    """The command may have come to an end: its task has, too, and its thread is told.

    `unbegun` is what it comes to if its command was never begun, where it was turned away. An agent is told of that by
    the answer to its message, which is one, too (`render.agent_words.turned_down`).
    """
    for row in await transaction.run(_TASKS["of_command"], command=command):
        if row["command_state"] is None:
            continue
        task, state, by_agent = task_of(row), CommandState(row["command_state"]), bool(row["by_agent"])
        stopper = None if row["stop_by"] is None else UserId(row["stop_by"])
        end = state_of(state)
        if state is CommandState.CANCELLED and task.state in NOT_BEGUN:
            end = unbegun or (TaskState.REFUSED if by_agent else end)
        word = Word(state=end, at=now, note=task_words.note_of_end(state, end, stopper))
        after = moved(task, word)
        if after.state is task.state:
            continue
        await _keep(transaction, after)
        if not (by_agent and end in (TaskState.REFUSED, TaskState.EXPIRED)):
            await put_parcels(transaction, [task_words.news(after, word)], now)


async def expire(transaction: Transaction, task: Task, now: int) -> bool:
    """It was not begun in time. False if it was, or has ended; what is told, and its command, are the caller's."""
    known = await _get(transaction, task.room, task.id)
    if known is None:
        return False
    note = task_words.expired_note(known.deadline or now, now)
    after = moved(known, Word(state=TaskState.EXPIRED, at=now, note=note))
    if after.state is known.state:
        return False
    await _keep(transaction, after)
    return True


async def reminded(transaction: Transaction, task: Task, parcels: Sequence[Parcel], now: int) -> bool:
    """It is reminded of, or looked at again later. False if it is not as `task` has it."""
    if await _get(transaction, task.room, task.id) != task:
        return False
    await _keep(transaction, armed(replace(task, reminded_at=now) if parcels else task))
    await put_parcels(transaction, parcels, now)
    return True


async def _get(transaction: Transaction, room: RoomId, task: TaskId) -> Task | None:
    rows = await transaction.run(_TASKS["get"], room=room, task=task)
    return task_of(rows[0]) if rows else None


async def _keep(transaction: Transaction, task: Task) -> None:
    await transaction.run(
        _TASKS["keep"],
        id=task.id,
        room=task.room,
        thread=task.thread,
        title=task.title,
        by_user=task.by.user,
        by_instance=task.by.instance,
        to_user=task.to.user,
        to_instance=task.to.instance,
        ours=task.ours.value,
        state=task.state.value,
        note=task.note,
        deadline=task.deadline,
        remind_at=task.remind_at,
        reminded_at=task.reminded_at,
        command=task.command,
        created_at=task.created_at,
        changed_at=task.changed_at,
        message=task.message,
    )


def task_of(row: Row) -> Task:
    """The task that a row is."""
    return Task(
        id=TaskId(row["id"]),
        room=RoomId(row["room_id"]),
        thread=None if row["thread"] is None else EventId(row["thread"]),
        title=row["title"],
        by=_address(row["by_user"], row["by_instance"]),
        to=_address(row["to_user"], row["to_instance"]),
        ours=Ours(row["ours"]),
        state=TaskState(row["state"]),
        note=row["note"],
        deadline=row["deadline"],
        remind_at=row["remind_at"],
        reminded_at=row["reminded_at"],
        command=None if row["command"] is None else EventId(row["command"]),
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        message=None if row["message"] is None else MessageId(row["message"]),
    )


def _address(user: str, instance: str | None) -> Address:
    return Address(UserId(user), None if instance is None else InstanceName(instance))
