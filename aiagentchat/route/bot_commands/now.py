"""/now: tell the running turn something, without ending it."""

import re
from dataclasses import replace

from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.effects import Effect, PutParcel
from aiagentchat.render import steering_words, words
from aiagentchat.render.manual import Topic
from aiagentchat.render.marks import accepted
from aiagentchat.route import conversations
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply

_NAME = re.compile(r"\A[/!]now(?:\s+|\Z)")


def now_command(desk: Desk) -> BotCommand:
    """Queues it before all that waits; the executor gives it to the turn that runs (`execute/steering.py`)."""

    async def run(asked: Asked) -> list[Effect]:
        event = asked.event
        if not asked.arguments:
            return reply(event, steering_words.NOW_USAGE)
        if await conversations.places_left(desk, event) == 0:
            return reply(event, words.queue_full(desk.settings().max_queue))
        queue = await desk.commands.queue(event.room)
        running = next((command for command in queue if command.state is CommandState.RUNNING), None)
        [taken] = await conversations.accept(desk, [replace(event, body=asked.arguments)])
        waits = running is not None and await _is_asking(desk, running)
        told = reply(event, steering_words.NOW_AFTER_ANSWER) if waits else []
        return [
            replace(taken, command=replace(taken.command, urgent=True)),
            PutParcel(accepted(event.event, event.room)),
            *told,
        ]

    return BotCommand(
        name="now",
        usage="/now text",
        summary="tells the running turn something more",
        role=Role.USER,
        run=run,
        topic=Topic.WORK,
        examples=("/now use the other branch",),
    )


def text_of(body: str) -> str:
    """What a changed message tells the turn, whether it still begins with /now or not."""
    return _NAME.sub("", body)


async def _is_asking(desk: Desk, running: Command) -> bool:
    return any(asked.kind.in_turn for asked in await desk.approvals.open_of(running.event))
