"""/now: tell the running turn something, without ending it."""

import re

from aiagentchat.core.approvals import ApprovalKind
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.effects import AcceptCommand, Effect, PutParcel
from aiagentchat.core.ids import new_session_id
from aiagentchat.render import steering_words, words
from aiagentchat.render.marks import accepted
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply
from aiagentchat.route.questions import places_left

_NAME = re.compile(r"\A[/!]now(?:\s+|\Z)")


def now_command(desk: Desk) -> BotCommand:
    """Queues it before all that waits; the executor gives it to the turn that runs (`execute/steering.py`)."""

    async def run(asked: Asked) -> list[Effect]:
        event = asked.event
        if not asked.arguments:
            return reply(event, steering_words.NOW_USAGE)
        if await places_left(desk, event) == 0:
            return reply(event, words.queue_full(desk.settings().max_queue))
        queue = await desk.commands.queue(event.room)
        running = next((command for command in queue if command.state is CommandState.RUNNING), None)
        command = Command(
            event=event.event,
            room=event.room,
            sender=event.sender,
            text=asked.arguments,
            session=await desk.sessions.current(event.room) or new_session_id(),
            queued_at=desk.clock.now_ms(),
            urgent=True,
            about=event.target,
        )
        waits = running is not None and await _is_asking(desk, running)
        told = reply(event, steering_words.NOW_AFTER_ANSWER) if waits else []
        return [AcceptCommand(command), PutParcel(accepted(event.event, event.room)), *told]

    return BotCommand(
        name="now", usage="/now text", summary="tells the running turn something more", role=Role.USER, run=run
    )


def text_of(body: str) -> str:
    """What a changed message tells the turn, whether it still begins with /now or not."""
    return _NAME.sub("", body)


async def _is_asking(desk: Desk, running: Command) -> bool:
    return any(asked.kind is ApprovalKind.TOOL for asked in await desk.approvals.open_of(running.event))
