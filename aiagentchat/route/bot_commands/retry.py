"""/retry: run once more what did not come to a good end."""

from collections.abc import Sequence
from dataclasses import replace

from aiagentchat.core.commands import Command
from aiagentchat.core.effects import Effect
from aiagentchat.core.parcels import Urgency
from aiagentchat.render import away, words
from aiagentchat.render.manual import Topic
from aiagentchat.route import conversations, tasks
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.forget import answered
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply
from aiagentchat.route.conversations import places_left
from aiagentchat.route.refusals import refuse

MOST_OFFERED = 5
"""So many can be meant by a number."""
MOST_LOOKED_AT = 100
"""So far back a reply can reach, and what is one's own is looked for."""


def retry_command(desk: Desk) -> BotCommand:
    """Queues the text of a command that ended badly, as a command of its own.

    In the thread of a task that is the task, which any user may take up again if a program has given it.
    """

    async def run(asked: Asked) -> Sequence[Effect]:
        event = asked.event
        ended = await desk.commands.retryable(asked.room.id, MOST_LOOKED_AT)
        own = [each for each in ended if asked.role is Role.ADMIN or each.sender == event.sender]
        task = None if event.thread is None else await desk.tasks.of_thread(event.room, event.thread)
        if event.target is not None:
            meant = await answered(desk, event, event.target)
            ended, own = ([each for each in some if meant and each.event == meant.event] for some in (ended, own))
            if not ended:
                return reply(event, away.NOT_TO_RETRY)
        elif task is not None and task.command is not None:  # in its thread it is what is meant
            ended = [each for each in ended if each.event == task.command]
            own = [each for each in ended if each in own or each.is_of_program]  # nobody else can speak for a program
        if not own:
            return refuse(event, "retry", away.NOT_YOURS_TO_RETRY) if ended else reply(event, away.NOTHING_TO_RETRY)
        before = _numbered(own, asked.arguments)
        if before is None:
            return reply(event, away.which_to_retry([_said(each) for each in own[:MOST_OFFERED]]))
        if not before.text:
            return reply(event, away.RETRY_ERASED)
        if await places_left(desk, event) == 0:
            return reply(event, words.queue_full(desk.settings().max_queue))
        [accepted] = await conversations.accept(desk, [replace(event, body=before.text)])
        taken_up = replace(accepted.command, origin=before.event, own=before.own, about=before.about, meta=before.meta)
        again = await tasks.again(desk, replace(accepted, command=taken_up), before)
        told = away.retrying(_said(before), before.state, was_begun=before.started_at is not None)
        return [again, *reply(event, told, urgency=Urgency.PROGRESS)]

    return BotCommand(
        name="retry",
        usage="/retry",
        summary="runs again what was cut off or failed last",
        role=Role.USER,
        run=run,
        examples=("/retry", "/retry 2"),
        topic=Topic.AFTERWARDS,
    )


def _numbered(own: Sequence[Command], typed: str) -> Command | None:
    """The one that is meant: the newest without a number; None for what is the number of none."""
    if not typed:
        return own[0]
    numbers = {str(number): each for number, each in enumerate(own[:MOST_OFFERED], 1)}
    return numbers.get(typed)


def _said(command: Command) -> away.Said:
    return away.Said(at=command.queued_at, by=command.sender, text=command.text)
