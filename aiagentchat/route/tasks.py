"""Tasks in a room: which message gives one, and what follows from the news of one.

A message that gives us a task becomes a command as any other does (`conversations.accept`), in the conversation of its
own thread, which it begins. Whatever agents say about tasks is followed here, whoever takes them.
"""

from collections.abc import Sequence
from dataclasses import replace

from aiagentchat.core.commands import Command
from aiagentchat.core.effects import AcceptCommand, Effect, MoveTask, OpenTask, PutParcel
from aiagentchat.core.ids import TaskId, UserId, new_session_id
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Address, Meta, MetaKind, read_meta, typed, unprefixed
from aiagentchat.core.tasks import (
    OPEN,
    Ours,
    Task,
    TaskState,
    Word,
    has_typed,
    heard,
    is_same,
    joined,
    opened,
    supposed,
    typed_meta,
)
from aiagentchat.render.hygiene import as_written
from aiagentchat.route.access import Roles
from aiagentchat.route.bot_commands.spec import Desk, stop

_ENDS = {MetaKind.REFUSED: TaskState.REFUSED, MetaKind.EXPIRED: TaskState.EXPIRED}


def given_by(event: Incoming, us: Address) -> Task | None:
    """The task that `event`, which asks us for something, gives us; None: it is no task."""
    meta = event.meta if isinstance(event.meta, Meta) else None
    if meta is None and typed(event.body).kind is MetaKind.TASK:
        meta = typed_meta(event.event)
    if meta is None or meta.kind is not MetaKind.TASK:
        return None
    body = event.body if event.meta is None else as_written(event.body)
    return opened(replace(event, body=body), meta, us, us)


async def as_task(desk: Desk, accepted: AcceptCommand, task: Task) -> AcceptCommand:
    """The command that is to do the task: it belongs to the conversation of its thread."""
    thread = task.thread
    session = await desk.sessions.current(task.room, thread) or new_session_id()
    text = unprefixed(MetaKind.TASK, accepted.command.text)
    command = replace(accepted.command, text=text, thread=thread, session=session)
    return replace(accepted, command=command, of_thread=True, task=task)


async def again(desk: Desk, accepted: AcceptCommand, before: Command) -> AcceptCommand:
    """`accepted` takes up `before` again; if that was to do a task, it does."""
    task = await desk.tasks.of_command(before.event)
    if task is None:
        return accepted
    again_ = await as_task(desk, accepted, task)
    meta = again_.command.meta
    timeless = (
        None if meta is None else replace(meta, expires_at=None)
    )  # whoever takes it up again knows what time it is
    return replace(again_, command=replace(again_.command, meta=timeless))


async def news(desk: Desk, event: Incoming, effects: Sequence[Effect], roles: Roles) -> list[Effect]:
    """What follows for tasks from what an agent says. `effects` is what follows from it otherwise."""
    meta = event.meta
    if not isinstance(meta, Meta) or event.kind not in (Kind.TEXT, Kind.NOTICE):
        return []
    event = replace(event, body=as_written(event.body))
    if meta.kind is MetaKind.TASK:
        return _given(desk, event, meta, effects, roles)
    name, word = meta.task or meta.in_reply_to, heard(event, meta)
    if name is None or word is None:
        return []
    task = await desk.tasks.get(event.room, TaskId(name))
    if task is None:
        found = supposed(event, meta, desk.own) if roles.of(event.sender) is not None else None
        if found is None:
            return []
        return [OpenTask(await _as_typed(desk, found)), MoveTask(room=found.room, task=found.id, word=word)]
    if task.ours is Ours.TAKEN and word.state is TaskState.CANCELLED and is_giver(word, task):
        return await cancel(desk, task, word, event.sender)
    return [MoveTask(room=task.room, task=task.id, word=word)]


async def _as_typed(desk: Desk, task: Task) -> Task:
    """A task of which the first news come. If a person has typed it, for somebody else, it was none until now."""
    given = None if task.thread is None else await desk.inbox.get(task.thread)
    if given is None or not has_typed(given, task):
        return task
    return joined(task, opened(given, typed_meta(given.event), task.to, desk.own))


def _given(desk: Desk, event: Incoming, meta: Meta, effects: Sequence[Effect], roles: Roles) -> list[Effect]:
    """A task of somebody's: for others, or for us and not accepted."""
    if meta.to is None or roles.of(event.sender) is None:
        return []
    task = opened(event, meta, meta.to, desk.own)
    if task.ours is not Ours.TAKEN:
        return [OpenTask(task)]
    ended = next((state for each in effects if (state := _refusal(each, meta)) is not None), None)
    if ended is None:
        return []  # it was accepted, or is none of our business
    return [OpenTask(task), MoveTask(room=task.room, task=task.id, word=Word(state=ended, at=event.sent_at))]


def _refusal(effect: Effect, meta: Meta) -> TaskState | None:
    """What `effect` answers to a message that begins nothing."""
    if not isinstance(effect, PutParcel):
        return None
    said = read_meta(effect.parcel.content)
    return _ENDS.get(said.kind) if isinstance(said, Meta) and said.in_reply_to == meta.id else None


def is_giver(word: Word, task: Task) -> bool:
    """Whether the news are of whoever gave the task, and not of whoever does it."""
    return word.by is not None and word.by.user == task.by.user and not is_same(word.by, task.to)


async def cancel(desk: Desk, task: Task, word: Word, by: UserId) -> list[Effect]:
    """End it, whatever it stands at. What works on it here is ended, too."""
    if task.state not in OPEN:
        return []
    confirmed = replace(word, by=None)
    command = None if task.command is None else await desk.commands.get(task.command)
    moved = MoveTask(room=task.room, task=task.id, word=confirmed, tell=True)
    return [moved, *([] if command is None else stop(command, by))]
