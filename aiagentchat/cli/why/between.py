"""What was sent through the daemon, and the work that was given with it: their rows, and how they have ended. Pure."""

from collections.abc import Iterator

from aiagentchat.cli.why.row import Row
from aiagentchat.core.exchange import MessageState
from aiagentchat.core.meta import STARTS
from aiagentchat.core.tasks import TaskState
from aiagentchat.render.words import duration
from aiagentchat.store.life import Given, Sent

_UNDER_WAY = {
    MessageState.SENT: "has not been given it yet, as far as its receipts tell",
    MessageState.DELIVERED: "has got it, and not begun yet",
    MessageState.READ: "has begun, and not answered yet",
}
_AT_WORK = (TaskState.ASSIGNED, TaskState.ACCEPTED, TaskState.WORKING)


def rows_of_sent(sent: Sent) -> Iterator[Row]:
    """How far it has come."""
    to = f", to {sent.to}" if sent.to else ""
    yield Row(at=sent.accepted_at, what="accepted", more=f"{sent.kind} {sent.id} of {sent.caller}{to}", text=sent.body)
    if sent.sent_at is not None:
        yield Row(at=sent.sent_at, what="in the room", more=f"as {sent.event}")
    if sent.delivered_at is not None:
        yield Row(at=sent.delivered_at, what="delivered")
    if sent.read_at is not None:
        yield Row(at=sent.read_at, what="read")
    if sent.ended_at is not None:
        by = f"by {sent.answer_event}" if sent.answer_event else "by this daemon"
        yield Row(at=sent.ended_at, what=str(sent.state), more=by, text=sent.answer or sent.why)


def rows_of_task(task: Given) -> Iterator[Row]:
    """When it was given, and how it stands."""
    yield Row(at=task.created_at, what="task", more=f"{task.id} for {task.to}, by {task.by}", text=task.title)
    if task.state is not TaskState.ASSIGNED:
        yield Row(at=task.changed_at, what=f"task {task.state}", text=task.note)


def verdict_of_sent(sent: Sent, now: int) -> tuple[bool, str]:
    """Whether it was answered, and the sentence."""
    match sent.state:
        case MessageState.ANSWERED:
            took = duration((sent.ended_at or sent.accepted_at) - sent.accepted_at)
            return (
                True,
                f"Answered by {sent.answer_event or 'a message that is not known'}, {took} after it was accepted.",
            )
        case MessageState.REFUSED if sent.event is None:
            return False, f"Not sent: {sent.parcel_why or 'it was refused'}."
        case MessageState.REFUSED:
            return (
                False,
                f"Not answered because it was refused by {sent.answer_event or 'this daemon'} (--content: why).",
            )
        case MessageState.EXPIRED:
            return False, "Not answered because nobody had begun it when its time was over (expires_at)."
        case MessageState.ACCEPTED:
            since = duration(now - sent.accepted_at)
            return False, (
                f"Not sent yet: its parcel is {sent.parcel or 'not kept any more'} since {since}; see "
                "outbox.rate_limited, outbox.unreachable and outbox.failed in the log."
            )
        case _ if sent.to is None or sent.kind not in STARTS:
            return True, f"It is in the room as {sent.event}, and asks nobody for an answer."
        case state:
            return False, f"Not answered yet: {sent.to} {_UNDER_WAY[state]}."


def verdict_of_task(task: Given, now: int) -> tuple[bool, str]:
    """Whether it is done, and the sentence."""
    since = duration(now - task.changed_at)
    if task.state in _AT_WORK:
        return False, f"Not done yet: {task.to} has it as {task.state} since {since}."
    return task.state is TaskState.DONE, f"The task has ended as {task.state}, {since} ago."
