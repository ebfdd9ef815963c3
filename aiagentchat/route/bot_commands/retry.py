"""/retry: run once more what did not come to a good end."""

from dataclasses import replace

from aiagentchat.core.effects import Effect
from aiagentchat.core.parcels import Urgency
from aiagentchat.render import away, words
from aiagentchat.route import conversations
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply
from aiagentchat.route.conversations import places_left


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
        [accepted] = await conversations.accept(desk, [replace(event, body=before.text)])
        again = replace(
            accepted, command=replace(accepted.command, origin=before.event, own=before.own, about=before.about)
        )
        told = away.retrying(away.Said(at=before.queued_at, by=before.sender, text=before.text), before.state)
        return [again, *reply(event, told, urgency=Urgency.PROGRESS)]

    return BotCommand(
        name="retry",
        usage="/retry",
        summary="runs again what was interrupted or failed last",
        role=Role.USER,
        run=run,
    )
