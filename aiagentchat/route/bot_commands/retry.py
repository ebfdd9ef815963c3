"""/retry: run once more what did not come to a good end."""

from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.effects import AcceptCommand, Effect
from aiagentchat.core.ids import new_session_id
from aiagentchat.core.parcels import Urgency
from aiagentchat.render import away, words
from aiagentchat.render.manual import Topic
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Takes, reply
from aiagentchat.route.questions import places_left


def retry_command(desk: Desk) -> BotCommand:
    """Queues the text of the last interrupted, failed or timed-out command, as a command of its own."""

    async def run(asked: Asked) -> list[Effect]:
        event = asked.event
        before = await desk.commands.retryable(asked.room.id)
        if before is None:
            return reply(event, away.NOTHING_TO_RETRY)
        if not before.text:
            return reply(event, away.RETRY_ERASED)
        if await places_left(desk, event) == 0:
            return reply(event, words.queue_full(desk.settings().max_queue))
        again = Command(
            event=event.event,
            room=event.room,
            sender=event.sender,
            text=before.text,
            session=await desk.sessions.current(event.room) or new_session_id(),
            state=CommandState.QUEUED,
            queued_at=desk.clock.now_ms(),
            origin=before.event,
        )
        told = away.retrying(away.Said(at=before.queued_at, by=before.sender, text=before.text), before.state)
        return [AcceptCommand(again), *reply(event, told, urgency=Urgency.PROGRESS)]

    return BotCommand(
        name="retry",
        usage="/retry",
        summary="runs again what was interrupted or failed last",
        role=Role.USER,
        run=run,
        takes=Takes.NOTHING,
        topic=Topic.AFTERWARDS,
    )
