"""What a room reads about tasks, and what agents read there of each other's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import MessageId, UserId, txn_id
from aiagentchat.core.meta import META_KEY, Address, Meta, MetaKind, prefixed, written
from aiagentchat.core.parcels import REACTION, Parcel, Urgency
from aiagentchat.core.tasks import STEPS, Ours, Task, TaskState, Why, Word, is_same
from aiagentchat.render.agent_words import OUT_OF_TIME, stopped_before_it_began
from aiagentchat.render.fences import code_span
from aiagentchat.render.hygiene import one_line, visible
from aiagentchat.render.marks import REACTIONS
from aiagentchat.render.message import message, reaction
from aiagentchat.render.session_words import ago
from aiagentchat.render.words import about, count, moment, person, quoted

MOST_LISTED = 20
"""Tasks that /tasks shows; of more it says how many."""
MOST_NAMED = 5
"""So many ids that begin alike are shown."""
_TITLE = 60
_NOTE = 120

SIGNS: Mapping[TaskState, str] = {
    TaskState.ASSIGNED: "📨",
    TaskState.ACCEPTED: "👀",
    TaskState.WORKING: "🔧",
    TaskState.DONE: "✅",
    TaskState.FAILED: "❌",
    TaskState.CANCELLED: "🛑",
    TaskState.REFUSED: "🚫",
    TaskState.EXPIRED: "⌛",
}
_RESULTS = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED})
_KINDS: Mapping[TaskState, MetaKind] = {TaskState.REFUSED: MetaKind.REFUSED, TaskState.EXPIRED: MetaKind.EXPIRED}

# ── news, which its thread and the other side read ────────────────────────────────────────────────────────────────

INTERRUPTED = "interrupted by a restart, outcome unknown; `/retry` takes it up again"
TIMED_OUT = "it took too long; `/retry` takes it up again"
NOT_BEGUN = "whoever gave it may not have it done here now"


def note_of_end(command: CommandState, end: TaskState, stopper: UserId | None) -> str:
    """Why a task ends with its command, beside what the answer says."""
    match end:
        case TaskState.FAILED:
            return {CommandState.INTERRUPTED: INTERRUPTED, CommandState.TIMED_OUT: TIMED_OUT}.get(command, "")
        case TaskState.EXPIRED:
            return OUT_OF_TIME
        case TaskState.REFUSED if stopper is not None:
            return stopped_before_it_began(stopper)
        case TaskState.REFUSED:
            return NOT_BEGUN
        case TaskState.CANCELLED if stopper is not None:
            return f"stopped by {person(stopper)}"
        case _:
            return ""


def expired_note(deadline: int, now: int) -> str:
    """Why a task was not begun any more."""
    return f"it was to be begun by {_when(deadline, now)}, so nothing was run"


def news(task: Task, word: Word) -> Parcel:
    """The parcel that tells the thread of `task` where it stands now, because of `word`."""
    ours, other = (task.by, task.to) if _speaks_as_giver(task, word) else (task.to, task.by)
    kind = MetaKind.ANSWER if _is_result(task, word) else _KINDS.get(task.state, MetaKind.STATUS)
    txn = txn_id(task.room, task.id, "news", task.command or "", task.state, str(word.at), word.note)
    meta = Meta(
        id=MessageId(f"m{txn}"),
        kind=kind,
        instance=ours.instance,
        to=other,
        in_reply_to=task.message,
        task=task.id,
        step=STEPS.get(task.state),
    )
    said = message(prefixed(kind, _news_text(task.state, word.note)), notice=kind is not MetaKind.ANSWER)
    return Parcel(
        txn=txn,
        room=task.room,
        content={**said, META_KEY: written(meta)},
        command=task.command,
        urgency=Urgency.NEEDED,
        thread=task.thread,
    )


def _speaks_as_giver(task: Task, word: Word) -> bool:
    if word.by is None:
        return task.ours is Ours.GIVEN
    return not is_same(word.by, task.to)


def _is_result(task: Task, word: Word) -> bool:
    """Whether a session here has come to an end with it: no turn works on that, so nothing else answers its message."""
    is_ours = word.by is not None and not _speaks_as_giver(task, word) and not is_same(task.by, task.to)
    return is_ours and task.ours is not Ours.TAKEN and task.state in _RESULTS


def expired(task: Task, now: int) -> list[Parcel]:
    """The parcels that tell that a task was not begun in time, and is not."""
    note = expired_note(task.deadline or now, now)
    told = news(replace(task, state=TaskState.EXPIRED), Word(state=TaskState.EXPIRED, at=now, note=note))
    if task.command is None:
        return [told]
    stopped = Parcel(
        txn=txn_id(task.command, "mark", CommandState.CANCELLED),
        room=task.room,
        type=REACTION,
        content=reaction(task.thread or task.command, REACTIONS[CommandState.CANCELLED]),
        command=task.command,
        urgency=Urgency.SPARE,
    )
    return [told, stopped]


def _news_text(state: TaskState, note: str) -> str:
    if state is TaskState.WORKING:
        return note or "working"
    told = f": {note}" if note else ""
    return f"{SIGNS[state]} {state}{told}"


def reminder(task: Task, why: Why, now: int) -> str:
    """Said in the thread when a task is reminded of."""
    stands = _stands(task, now)
    match why:
        case Why.DEADLINE:
            what = f"This is due {moment(task.deadline or now, now)}; it is {stands}."
        case Why.OVERDUE:
            what = f"This was due {ago(now - (task.deadline or now))}; it is {stands}."
        case _:
            what = f"Nothing was heard of this for {about((now - task.changed_at) / 1000)}; it is {stands}."
    return f"⏰ {what} `/tasks cancel {task.id}` ends it."


def remind(task: Task, why: Why, now: int, person_: UserId | None) -> Parcel:
    """The parcel with that; a person who has given the task is mentioned, so that the phone rings."""
    mentions = [] if person_ is None else [person_]
    said: dict[str, Any] = message(reminder(task, why, now), notice=False, mentions=mentions)
    ours = task.by if task.ours is Ours.GIVEN else task.to
    txn = txn_id(task.room, task.id, "reminder", why, str(task.reminded_at))
    meta = Meta(id=MessageId(f"m{txn}"), kind=MetaKind.STATUS, instance=ours.instance, task=task.id)
    return Parcel(txn=txn, room=task.room, content={**said, META_KEY: written(meta)}, thread=task.thread)


# ── what its taker reads ──────────────────────────────────────────────────────────────────────────────────────────


def briefing(task: Task, now: int, text: str) -> str:
    """What the agent reads of a task that it is to do."""
    due = "" if task.deadline is None else f" It is due {moment(task.deadline, now)}."
    return (
        f"[aiagentchat: what follows is task {task.id}.{due} What you say at the end is its result. If it takes long, "
        f"tell whoever gave it in between how far it is, with the tool update_task, if you have it.]\n\n{text}"
    )


# ── /tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────

NO_TASKS = (
    "No task is open here. `[TASK] @agent: what is to be done` gives one; `/tasks all` also lists those that are over."
)
NO_TASKS_EVER = "There was no task here yet. `[TASK] @agent: what is to be done` gives one."
TASKS_USAGE = (
    "`/tasks` lists the open ones, `/tasks all` also those that are over, `/tasks ID` shows one and "
    "`/tasks cancel ID` ends it. Nothing was changed."
)


def listed(tasks: Sequence[Task], now: int, *, everything: bool) -> str:
    """The answer to /tasks; the newest first."""
    if not tasks:
        return NO_TASKS_EVER if everything else NO_TASKS
    shown = tasks[:MOST_LISTED]
    lines = [f"- {_line(task, now)}" for task in shown]
    more = len(tasks) - len(shown)
    lines += [f"- … and {more} more"] if more > 0 else []
    head = f"{count(len(tasks), 'task')}, the newest first:" if everything else f"{count(len(tasks), 'open task')}:"
    ends = next((f", `/tasks cancel {task.id}` ends one" for task in shown if task.is_open), "")
    return "\n".join([head, "", *lines, "", f"`/tasks {shown[0].id}` shows one{ends}."])


def _line(task: Task, now: int) -> str:
    """Two lines on a phone."""
    due = "" if task.deadline is None or not task.is_open else f" · {_due(task.deadline, now)}"
    last = f"\n  {_note(task)}" if task.note and task.is_open else ""
    return f"{SIGNS[task.state]} {_title(task)}\n  `{task.id}` · {_name(task.to)} · {_stands(task, now)}{due}{last}"


def shown(task: Task, now: int) -> str:
    """The answer to /tasks with one of them."""
    lines = [
        f"{SIGNS[task.state]} {_title(task)}",
        "",
        f"- Stands: {_stands(task, now)}",
        f"- For: {_name(task.to)}{' (here)' if task.ours is Ours.TAKEN else ''}",
        f"- By: {_name(task.by)}, {ago(now - task.created_at)}",
    ]
    if task.deadline is not None:
        lines.append(f"- Due: {_when(task.deadline, now)}")
    if task.note:
        lines.append(f"- Last news: {_note(task)}")
    end = f"`/tasks cancel {task.id}` ends it." if task.is_open else _over(task)
    return "\n".join([*lines, "", end])


def _over(task: Task) -> str:
    if task.ours is Ours.TAKEN and task.state is not TaskState.DONE:
        return "It is over. `/retry` as a reply to it, or in its thread, takes it up again."
    return "It is over."


def _stands(task: Task, now: int) -> str:
    if task.state is TaskState.ASSIGNED:
        return f"not heard of yet, given {ago(now - task.created_at)}"
    heard = ago(now - task.changed_at)
    return f"{task.state}, heard of {heard}" if task.is_open else f"{task.state} {heard}"


def _due(deadline: int, now: int) -> str:
    return f"due in {about((deadline - now) / 1000)}" if deadline > now else f"was due {ago(now - deadline)}"


def _when(deadline: int, now: int) -> str:
    """A moment that may be past."""
    told = moment(deadline, now).removeprefix("at ")
    return told if deadline > now else told.partition(" (")[0]


def _title(task: Task) -> str:
    return f"**{code_span(one_line(visible(task.title), _TITLE))}**" if task.title else "*(its text is not here)*"


def _note(task: Task) -> str:
    return code_span(one_line(visible(task.note), _NOTE))  # of whoever has said it, and it cannot look like ours


def _name(address: Address) -> str:
    return person(UserId(str(address)))


def no_such_task(typed: str) -> str:
    """/tasks with an id that no task of the room has."""
    return f"No task here is called {quoted(typed)}, so nothing was done. `/tasks all` lists them."


def several_tasks(typed: str, tasks: Sequence[Task]) -> str:
    """/tasks with what several ids begin with."""
    named = ", ".join(code_span(task.id) for task in tasks[:MOST_NAMED])
    return f"{count(len(tasks), 'task')} begin with {quoted(typed)}: {named}. Type more of it; nothing was done."


def over_already(task: Task, now: int) -> str:
    """/tasks cancel, of one that has ended."""
    return f"{_title(task)} is {_stands(task, now)} already, so nothing was changed."


def not_ours(task: Task) -> str:
    """/tasks cancel, of one that others have given to others."""
    return f"{_title(task)} was given by {_name(task.by)} to {_name(task.to)}: they end it, and I have changed nothing."


def cancelling(task: Task, *, runs: bool) -> str:
    """/tasks cancel."""
    if task.ours is Ours.TAKEN:
        return f"Cancelled: {_title(task)}.{' What runs for it is ended.' if runs else ''}"
    return f"Cancelled: {_title(task)}. {_name(task.to)} is told in its thread."


def cancelled_by(user: UserId) -> str:
    """What the thread is told then."""
    return f"by {person(user)}"
