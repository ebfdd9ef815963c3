"""/tasks: what was given to agents here, what has become of it, and ending it."""

from collections.abc import Sequence

from aiagentchat.core.audit import AuditKind, Deed
from aiagentchat.core.effects import Effect, MoveTask, NoteDeed
from aiagentchat.core.tasks import Ours, Task, TaskState, Word
from aiagentchat.render import task_words, words
from aiagentchat.render.manual import Topic
from aiagentchat.route import tasks
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply
from aiagentchat.route.refusals import refuse

MOST_SEARCHED = 1000
"""The newest ones, among which an id is found by its beginning."""


def tasks_command(desk: Desk) -> BotCommand:
    """Everybody may look; whoever may run commands may end one: a brake is for everybody."""

    async def run(asked: Asked) -> Sequence[Effect]:
        match asked.arguments.split():
            case [] | ["all"] as typed:
                return await _list(desk, asked, everything=bool(typed))
            case ["cancel", *typed] if len(typed) <= 1:
                return await _cancel(desk, asked, "".join(typed))
            case [typed]:
                found = await _find(desk, asked, typed)
                told = found if isinstance(found, str) else task_words.shown(found, desk.clock.now_ms())
                return reply(asked.event, told)
            case _:
                return reply(asked.event, task_words.TASKS_USAGE)

    return BotCommand(
        name="tasks",
        usage="/tasks",
        summary="lists the work given to agents here",
        role=Role.VIEWER,
        run=run,
        topic=Topic.WORK,
        examples=("/tasks", "/tasks t3fa9c1", "/tasks cancel t3fa9c1", "/tasks all"),
    )


async def _list(desk: Desk, asked: Asked, *, everything: bool) -> list[Effect]:
    found = await desk.tasks.listed([asked.room.id], everything=everything, limit=MOST_SEARCHED)
    return reply(asked.event, task_words.listed(found, desk.clock.now_ms(), everything=everything))


async def _find(desk: Desk, asked: Asked, typed: str) -> Task | str:
    """The task whose id begins so, or why there is none. Nothing typed in the thread of a task means that."""
    if not typed:
        thread = asked.event.thread
        found = None if thread is None else await desk.tasks.of_thread(asked.room.id, thread)
        return found or task_words.TASKS_USAGE
    every = await desk.tasks.listed([asked.room.id], everything=True, limit=MOST_SEARCHED)
    some = [task for task in every if task.id.startswith(typed)]
    if len(some) > 1 and (exact := [task for task in some if task.id == typed]):
        return exact[0]
    if len(some) > 1:
        return task_words.several_tasks(typed, some)
    return some[0] if some else task_words.no_such_task(typed)


async def _cancel(desk: Desk, asked: Asked, typed: str) -> Sequence[Effect]:
    event, now = asked.event, desk.clock.now_ms()
    if asked.role is Role.VIEWER:
        return refuse(event, "/tasks cancel", words.VIEWER_MAY_NOT_RUN)
    task = await _find(desk, asked, typed)
    if isinstance(task, str):
        return reply(event, task)
    if not task.is_open:
        return reply(event, task_words.over_already(task, now))
    word = Word(state=TaskState.CANCELLED, at=now, note=task_words.cancelled_by(event.sender))
    match task.ours:
        case Ours.WATCHED:
            return reply(event, task_words.not_ours(task))
        case Ours.TAKEN:
            ends = await tasks.cancel(desk, task, word, event.sender)
            return [*ends, *reply(event, task_words.cancelling(task, runs=task.state is TaskState.WORKING))]
        case _:
            deed = Deed(kind=AuditKind.STOPPED, room=event.room, actor=event.sender, subject=task.id)
            moved = MoveTask(room=task.room, task=task.id, word=word, tell=True)
            return [moved, NoteDeed(deed), *reply(event, task_words.cancelling(task, runs=False))]
