"""The tasks of a room by what was said there, as a daemon follows them, with the fields that its gateway gives. Pure.

Whoever may take part in a room may speak of tasks here: which accounts a daemon hears is for its settings to say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiagentchat.cli.exchange.exits import BY_CODE, Exit, NotDone
from aiagentchat.cli.exchange.wishes import Json
from aiagentchat.core.ids import RoomId, TaskId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Address, Meta, MetaKind, Step, read_meta, typed
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.tasks import (
    Ours,
    Task,
    TaskState,
    Word,
    has_typed,
    heard,
    joined,
    moved,
    note_of,
    opened,
    state_after,
    supposed,
    typed_meta,
)
from aiagentchat.exchange.tasks import MOST_LISTED, no_task, not_yours, over
from aiagentchat.matrix.events import read
from aiagentchat.render.hygiene import as_written
from aiagentchat.render.task_words import news

_NOBODY = UserId("")
"""Whose events are read otherwise than all others': what a login says has not the mark that a daemon's has."""


def followed(events: Iterable[object], room: str, me: Address) -> dict[TaskId, Task]:
    """What has become of the tasks of a room, by events in their order; what was heard of first is first."""
    found: dict[TaskId, Task] = {}
    of_people: dict[TaskId, Incoming] = {}
    for source in events:
        event = read(RoomId(room), source, _NOBODY).told
        if event is None or event.kind not in (Kind.TEXT, Kind.NOTICE):
            continue
        if isinstance(event.meta, Meta):
            _hear(replace(event, body=as_written(event.body)), event.meta, found, of_people, me)
        elif not event.by_agent and typed(event.body).kind is MetaKind.TASK:
            # Whom it is for is known when somebody takes it.
            of_people[typed_meta(event.event).task or TaskId("")] = event
    return found


def _hear(
    event: Incoming, meta: Meta, found: dict[TaskId, Task], of_people: Mapping[TaskId, Incoming], me: Address
) -> None:
    if meta.kind is MetaKind.TASK and meta.to is not None:
        given = opened(event, meta, meta.to, me)
        found[given.id] = joined(found.get(given.id), given)
    name, word = meta.task or meta.in_reply_to, heard(event, meta)
    if name is None or word is None:
        return
    known = found.get(TaskId(name)) or _taken(event, meta, of_people, me)
    if known is not None:
        found[known.id] = moved(known, word)


def _taken(event: Incoming, meta: Meta, of_people: Mapping[TaskId, Incoming], me: Address) -> Task | None:
    """A task of which these are the first news: its giving is further back, or a person has typed it."""
    task = supposed(event, meta, me)
    given = None if task is None else of_people.get(task.id)
    if task is None or given is None:
        return task
    if not has_typed(given, task):
        return None
    return joined(task, opened(given, typed_meta(given.event), task.to, me))


def listed(tasks: dict[TaskId, Task], *, everything: bool) -> Sequence[Json]:
    """The newest first: those that are open, or all of them."""
    return [view(task) for task in reversed(tasks.values()) if everything or task.is_open][:MOST_LISTED]


def view(task: Task) -> dict[str, Any]:
    """As the gateway shows it."""
    return {
        "id": task.id,
        "room": task.room,
        "thread": task.thread,
        "title": task.title,
        "by": str(task.by),
        "to": str(task.to),
        "ours": task.ours.value,
        "state": task.state.value,
        "note": task.note,
        "deadline": task.deadline,
        "command": None,
        "created_at": task.created_at,
        "changed_at": task.changed_at,
    }


def speaks_of(event: Json, task: str) -> bool:
    """Whether an event says something about that task."""
    meta = read_meta(event.get("content"))
    return isinstance(meta, Meta) and task in (meta.task, meta.id)


def concerns(event: Json, me: Address) -> bool:
    """Whether we have said it, or it is for us."""
    meta = read_meta(event.get("content"))
    return event.get("sender") == me.user or (
        isinstance(meta, Meta) and meta.to is not None and meta.to.user == me.user
    )


def told(before: Task | None, task: str, step: Step, note: str, *, us: Address, now: int) -> tuple[Task, Parcel]:
    """The task once we have said what has become of it, and what says so in its thread. Raises NotDone."""
    if before is None:
        raise NotDone(no_task(TaskId(task)), Exit.UNKNOWN)
    state = state_after(step)
    if not before.is_open and state is not TaskState.ACCEPTED:
        raise NotDone(over(before), BY_CODE["conflict"])
    is_ours = us == before.to or (state is TaskState.CANCELLED and before.by.user == us.user)
    if not is_ours:
        raise NotDone(not_yours(before, state), BY_CODE["not_allowed"])
    word = Word(state=state, at=max(now, before.changed_at + 1), note=note_of(note), by=us)
    after = moved(before, word)
    if after is before:
        raise NotDone(over(before), BY_CODE["conflict"])
    # No turn of ours answers it, so we say its result as a session does. Said again after a connection that broke, it
    # follows from the same moment, and so has the same transaction.
    ours = replace(after, ours=Ours.WATCHED, by=before.by if us == before.to else us)
    return after, news(ours, replace(word, at=before.changed_at))
