"""A task: work that somebody has given to an agent. It is a thread, whose first event gives it. Pure.

    assigned ──▶ accepted ──▶ working ──▶ done
        │            │           ├──────▶ failed
        │            └───────────┴──────▶ cancelled
        └──▶ refused, expired, cancelled

Both sides keep it, each in its own ledger, by what the messages of its thread say. Whatever is heard late, twice or out
of order changes nothing: each word moves a task only where its sender may move it from where it stands. Two moves lead
out of an end, and both are the taker's alone: it takes up again what came to no good end, and a result that was on its
way when the giver cancelled stands.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import EventId, MessageId, RoomId, TaskId
from aiagentchat.core.messages import Incoming
from aiagentchat.core.meta import Address, Meta, MetaKind, Step, typed

MOST_TITLE = 80
"""Characters of a title: the first line of what gives a task."""
MOST_NOTE = 300
"""Characters that are kept of the last news."""
LEAST_LEAD_MS = 30_000
"""A reminder that would come later before the deadline is not worth it."""
MOST_LEAD_MS = 3_600_000
"""How long before the deadline the reminder comes at the earliest; less where little time was given."""
QUIET_MS = 4 * 3_600_000
"""After so long without news it is asked once what has become of a task."""


_NO_ID = re.compile(r"[^A-Za-z0-9_-]")
_SPOKEN_TO = re.compile(r"\A@[^\s:]+:[^\s:]+(?::[0-9]+)?[:,]?\s+")
"""Whom a person gives a task to, before what is to be done."""


class TaskState(StrEnum):
    """Where a task stands."""

    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    EXPIRED = "expired"


_ENDS = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED})

MOVES: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.ASSIGNED: _ENDS | {TaskState.ACCEPTED, TaskState.WORKING, TaskState.REFUSED, TaskState.EXPIRED},
    TaskState.ACCEPTED: _ENDS | {TaskState.WORKING, TaskState.REFUSED, TaskState.EXPIRED},
    TaskState.WORKING: _ENDS,
    TaskState.DONE: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
    TaskState.REFUSED: frozenset(),
    TaskState.EXPIRED: frozenset(),
}
OPEN = frozenset({TaskState.ASSIGNED, TaskState.ACCEPTED, TaskState.WORKING})
NOT_BEGUN = frozenset({TaskState.ASSIGNED, TaskState.ACCEPTED})
BAD_ENDS = frozenset({TaskState.FAILED, TaskState.CANCELLED, TaskState.REFUSED, TaskState.EXPIRED})
"""What its taker may take up again (`/retry`)."""


def may_move(before: TaskState, after: TaskState) -> bool:
    """Whether a task may go from `before` to `after`."""
    return after in MOVES[before]


class Ours(StrEnum):
    """What a task is to us."""

    GIVEN = "given"
    TAKEN = "taken"
    WATCHED = "watched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task."""

    id: TaskId
    room: RoomId
    thread: EventId | None
    title: str
    by: Address
    to: Address
    ours: Ours
    state: TaskState = TaskState.ASSIGNED
    note: str = ""
    """The last news of it."""
    deadline: int | None = None
    """Milliseconds since the epoch, as are the others."""
    remind_at: int | None = None
    reminded_at: int | None = None
    command: EventId | None = None
    """The command that works on it here."""
    created_at: int = 0
    changed_at: int = 0
    message: MessageId | None = None
    """The message that has given it; None while only others' news of it are known."""

    @property
    def is_open(self) -> bool:
        """Whether something may still become of it without anybody taking it up again."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """News of a task: where it stands now, by whom."""

    state: TaskState
    at: int
    """Milliseconds: by the homeserver's clock for what was said in a room, by ours for the rest."""
    note: str = ""
    by: Address | None = None
    """Who says so. None: this daemon, because of a person who may, or of what became of its command."""


# ── what messages say ─────────────────────────────────────────────────────────────────────────────────────────────


def typed_meta(event: EventId) -> Meta:
    """What a person means by a message that begins with `[TASK]`: it has an id that everybody finds in the same way."""
    digest = hashlib.sha256(event.encode("utf-8", "replace")).hexdigest()[:12]
    return Meta(id=MessageId(_NO_ID.sub("_", event)[-64:]), kind=MetaKind.TASK, task=TaskId(f"t{digest}"))


def title_of(body: str) -> str:
    """What a task is called: the first line of what gives it."""
    text = _SPOKEN_TO.sub("", typed(body).text.strip(), count=1)
    return _cut(text.partition("\n")[0], MOST_TITLE)


def note_in(body: str, state: TaskState) -> str:
    """What is new in the text of a message that says that a task is `state`, without saying that again."""
    text = typed(body).text
    if state is not TaskState.WORKING:
        text = re.sub(rf"\A\W*{state.value}\b[:.]?\s*", "", text, count=1, flags=re.IGNORECASE)
    return note_of(text)


def note_of(text: str) -> str:
    """What is kept of news."""
    return _cut(text, MOST_NOTE)


def _cut(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def opened(event: Incoming, meta: Meta, to: Address, here: Address) -> Task:
    """The task that `event` gives to somebody. `here` is this daemon."""
    by = Address(event.sender, meta.instance)
    task = Task(
        id=meta.task or TaskId(meta.id),
        room=event.room,
        thread=event.thread or event.event,
        title=title_of(event.body),
        by=by,
        to=to,
        ours=_ours(by, to, here),
        deadline=meta.expires_at,
        created_at=event.sent_at,
        changed_at=event.sent_at,
        message=meta.id,
    )
    return armed(task)


def assigned(meta: Meta, to: Address, room: RoomId, body: str, *, by: Address, now: int) -> Task:
    """The task that a message of ours gives to somebody, before it is in the room."""
    return armed(
        Task(
            id=meta.task or TaskId(meta.id),
            room=room,
            thread=None,
            title=title_of(body),
            by=by,
            to=to,
            ours=Ours.GIVEN,
            deadline=meta.expires_at,
            created_at=now,
            changed_at=now,
            message=meta.id,
        )
    )


def supposed(event: Incoming, meta: Meta, here: Address) -> Task | None:
    """What news of a task that we do not know say about it: its taker tells its giver. None: not enough."""
    word = heard(event, meta)
    if meta.task is None or meta.to is None or event.thread is None or word is None:
        return None
    if word.state is TaskState.CANCELLED:  # its giver may have said so, and it is over in any case
        return None
    to = Address(event.sender, meta.instance)
    return Task(
        id=meta.task,
        room=event.room,
        thread=event.thread,
        title="",
        by=meta.to,
        to=to,
        ours=_ours(meta.to, to, here),
        created_at=event.sent_at,
    )


def has_typed(event: Incoming, task: Task) -> bool:
    """Whether a person gave `task` by `event`, as its taker says, who may name any event of any room."""
    return (
        event.room == task.room
        and event.sender == task.by.user
        and not isinstance(event.meta, Meta)
        and typed(event.body).kind is MetaKind.TASK
        and typed_meta(event.event).task == task.id
        and (not event.mentions or task.to.user in event.mentions)
    )


def _ours(by: Address, to: Address, here: Address) -> Ours:
    if is_same(to, here):
        return Ours.TAKEN
    return Ours.GIVEN if by.user == here.user else Ours.WATCHED


def is_same(one: Address, other: Address) -> bool:
    """Whether both may be the same: an address without an instance is any of its account's."""
    return one.user == other.user and (None in (one.instance, other.instance) or one.instance == other.instance)


_BY_STEP: Mapping[Step, TaskState] = {
    Step.ACCEPTED: TaskState.ACCEPTED,
    Step.PROGRESS: TaskState.WORKING,
    Step.DONE: TaskState.DONE,
    Step.FAILED: TaskState.FAILED,
    Step.CANCELLED: TaskState.CANCELLED,
}
STEPS: Mapping[TaskState, Step] = {state: step for step, state in _BY_STEP.items()}
"""How each state is said, where it is a step of the task."""


def state_after(step: Step) -> TaskState:
    """Where a task stands after it."""
    return _BY_STEP[step]


def heard(event: Incoming, meta: Meta) -> Word | None:
    """The news that a message brings of a task; None: none."""
    state = _state_in(meta)
    if state is None:
        return None
    is_told = meta.kind is not MetaKind.ANSWER  # an answer is no news: it is the result
    note = note_in(event.body, state) if is_told else ""
    return Word(state=state, at=event.sent_at, note=note, by=Address(event.sender, meta.instance))


def _state_in(meta: Meta) -> TaskState | None:
    match meta.kind:
        case MetaKind.STATUS | MetaKind.ANSWER if meta.step is not None:
            return _BY_STEP[meta.step]
        case MetaKind.ANSWER:
            return TaskState.WORKING
        case MetaKind.REFUSED:
            return TaskState.REFUSED
        case MetaKind.EXPIRED:
            return TaskState.EXPIRED
        case MetaKind.STATUS | MetaKind.MESSAGE | MetaKind.TASK | MetaKind.QUESTION:
            return None
        case _:
            assert_never(meta.kind)


# ── what follows ──────────────────────────────────────────────────────────────────────────────────────────────────


def joined(known: Task | None, given: Task) -> Task:
    """What is known of a task once its giving is heard, perhaps for the second time, or after the first news of it."""
    if known is None:
        return given
    if known.message is None:  # what was supposed by news: as far as they came from whom it is given to, they hold
        if not is_same(known.to, given.to):
            return given
        kept = replace(given, state=known.state, note=known.note, changed_at=max(known.changed_at, given.changed_at))
        return armed(replace(kept, to=known.to))
    if known.message != given.message or known.by.user != given.by.user:
        return known  # somebody uses an id that is taken
    if given.ours is Ours.TAKEN and known.ours is Ours.GIVEN:  # we have given it to ourselves
        return armed(replace(known, ours=Ours.TAKEN, state=given.state, thread=given.thread, to=given.to))
    return replace(known, thread=known.thread or given.thread)


def moved(task: Task, word: Word) -> Task:
    """The task after these news; the same one where they change nothing."""
    is_taker = word.by is None or is_same(word.by, task.to)
    is_giver = word.by is None or word.by.user == task.by.user
    if word.state is task.state:
        if not (task.is_open and is_taker and word.at >= task.changed_at and word.note and word.note != task.note):
            return task
        return armed(replace(task, note=word.note, changed_at=word.at))
    if not _may_be_moved(task, word, is_taker=is_taker, is_giver=is_giver):
        return task
    note = word.note or (task.note if word.state in OPEN and task.is_open else "")
    to = word.by if word.by is not None and is_taker and task.to.instance is None else task.to
    # What is taken up again after its deadline has none any more.
    deadline = None if not task.is_open and task.deadline is not None and task.deadline <= word.at else task.deadline
    changed_at = max(task.changed_at, word.at)
    return armed(replace(task, state=word.state, note=note, to=to, deadline=deadline, changed_at=changed_at))


def _may_be_moved(task: Task, word: Word, *, is_taker: bool, is_giver: bool) -> bool:
    if may_move(task.state, word.state):
        return is_taker or (is_giver and word.state is TaskState.CANCELLED)
    if not is_taker:
        return False
    if task.state is TaskState.CANCELLED and word.state in (TaskState.DONE, TaskState.FAILED):
        return word.by is not None  # it had come to its end before it heard that it was cancelled
    # Said again by a replayed event this would be older than the end that it comes after.
    return task.state in BAD_ENDS and word.state is TaskState.ACCEPTED and word.at > task.changed_at


def state_of(command: CommandState) -> TaskState:
    """What a task comes to when its command is `command`."""
    match command:
        case CommandState.QUEUED:
            return TaskState.ACCEPTED
        case CommandState.RUNNING:
            return TaskState.WORKING
        case CommandState.DONE:
            return TaskState.DONE
        case CommandState.FAILED | CommandState.TIMED_OUT | CommandState.INTERRUPTED:
            return TaskState.FAILED
        case CommandState.CANCELLED:
            return TaskState.CANCELLED
        case CommandState.REJECTED:
            return TaskState.REFUSED
        case _:
            assert_never(command)


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Why(StrEnum):
    """Why somebody is reminded of a task."""

    DEADLINE = "deadline"
    """It comes near."""
    OVERDUE = "overdue"
    """It has passed."""
    SILENCE = "silence"
    """Nothing was heard for long."""


@dataclass(frozen=True, slots=True)
class Reminder:
    """When, and why."""

    at: int
    why: Why


def has_lapsed(task: Task, now: int) -> bool:
    """Whether it was not begun in time, and so is not begun any more. Only its taker can say so."""
    return task.state in NOT_BEGUN and task.deadline is not None and now >= task.deadline


def reminds(task: Task) -> bool:
    """Whether it is for us to remind of it: as whoever gave it, or for a person who gave it to us."""
    if task.ours is Ours.TAKEN:
        return task.by.instance is None or task.by.user == task.to.user
    return task.ours is Ours.GIVEN


def next_reminder(task: Task) -> Reminder | None:
    """When it is next to be reminded of: once before its deadline, once when that has passed, once in each silence."""
    if not task.is_open or not reminds(task):
        return None
    found = [Reminder(task.changed_at + QUIET_MS, Why.SILENCE)] if _is_news(task, task.changed_at + 1) else []
    if task.deadline is not None:
        lead = min((task.deadline - task.created_at) // 4, MOST_LEAD_MS)
        if lead >= LEAST_LEAD_MS and _is_news(task, task.deadline - lead):
            found.append(Reminder(task.deadline - lead, Why.DEADLINE))
        elif _is_news(task, task.deadline):
            found.append(Reminder(task.deadline, Why.OVERDUE))
    return min(found, key=lambda reminder: reminder.at, default=None)


def _is_news(task: Task, since: int) -> bool:
    """Whether nobody was reminded of it since then."""
    return task.reminded_at is None or task.reminded_at < since


def armed(task: Task) -> Task:
    """The task with the moment at which something is to be done about it."""
    reminder = next_reminder(task)
    moments = [] if reminder is None else [reminder.at]
    if task.ours is Ours.TAKEN and task.state in NOT_BEGUN and task.deadline is not None:
        moments.append(task.deadline)
    return replace(task, remind_at=min(moments, default=None))
