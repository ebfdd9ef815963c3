"""/queue: what runs and what waits, and taking out of it."""

import re
from collections.abc import Sequence

from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.effects import Effect
from aiagentchat.render import guard_words, steering_words, words
from aiagentchat.render.manual import Topic
from aiagentchat.render.steering_words import Shown
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply, stop
from aiagentchat.route.refusals import refuse

_DROP = re.compile(r"drop\s+#?([0-9]{1,6})")


def queue_command(desk: Desk) -> BotCommand:
    """Everybody may look. Whoever may run commands takes out what is his, an admin whatever waits."""

    async def run(asked: Asked) -> list[Effect]:
        queue = await desk.commands.queue(asked.room.id)
        if not asked.arguments:
            return reply(asked.event, _list(desk, asked, queue))
        if asked.role is Role.VIEWER:
            return refuse(asked.event, "/queue", words.VIEWER_MAY_NOT_RUN)
        waiting = [command for command in queue if command.state is CommandState.QUEUED]
        if (drop := _DROP.fullmatch(asked.arguments)) is not None:
            return _drop(desk, asked, waiting, int(drop[1]))
        if asked.arguments == "clear":
            return _clear(asked, waiting)
        return reply(asked.event, steering_words.QUEUE_USAGE)

    return BotCommand(
        name="queue",
        usage="/queue",
        summary="shows what runs and what waits here",
        role=Role.VIEWER,
        run=run,
        topic=Topic.WORK,
        examples=("/queue", "/queue drop 2", "/queue clear"),
    )


def shown(desk: Desk, command: Command) -> Shown:
    """As people are told of it."""
    since = command.started_at or command.queued_at
    waited = max(0, desk.clock.now_ms() - since)
    return Shown(text=command.text, by=command.sender, since_ms=waited, asker=guard_words.asker(command))


def doing(desk: Desk, asked: Asked) -> str:
    """The last tool line of what runs in the room."""
    time = desk.turn_time(asked.room.id)
    return "" if time is None else time.doing


def _list(desk: Desk, asked: Asked, queue: Sequence[Command]) -> str:
    if not queue:
        return steering_words.QUEUE_EMPTY
    running = next((each for each in queue if each.state is CommandState.RUNNING and each.host is None), None)
    return steering_words.queue_text(
        None if running is None else shown(desk, running),
        doing(desk, asked),
        [shown(desk, each) for each in queue if each.host is not None],
        [shown(desk, each) for each in queue if each.state is CommandState.QUEUED],
    )


def _drop(desk: Desk, asked: Asked, waiting: Sequence[Command], place: int) -> list[Effect]:
    if not 1 <= place <= len(waiting):
        return reply(asked.event, steering_words.no_such_place(place, len(waiting)))
    command = waiting[place - 1]
    if not _may_drop(asked, command):
        return refuse(asked.event, "/queue drop", steering_words.not_yours_to_drop(command.sender))
    told = steering_words.dropped(shown(desk, command))
    return [*stop(command, asked.event.sender), *reply(asked.event, told)]


def _clear(asked: Asked, waiting: Sequence[Command]) -> list[Effect]:
    mine = [command for command in waiting if _may_drop(asked, command)]
    if not mine:
        return reply(asked.event, steering_words.NOTHING_DROPPED)
    ends = [effect for command in mine for effect in stop(command, asked.event.sender)]
    return [*ends, *reply(asked.event, steering_words.cleared(len(mine), len(waiting) - len(mine)))]


def _may_drop(asked: Asked, command: Command) -> bool:
    """What programs have asked for is nobody's own, and a brake is for everybody."""
    return asked.role is Role.ADMIN or command.sender == asked.event.sender or command.is_of_program
