"""/stop: end the running turn."""

from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import Effect
from aiagentchat.render import words
from aiagentchat.render.manual import Topic
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply, stop


def stop_command(desk: Desk) -> BotCommand:
    """Stops what runs; what waits goes on."""

    async def run(asked: Asked) -> list[Effect]:
        queue = await desk.commands.queue(asked.room.id)
        if not queue:
            return reply(asked.event, words.NOTHING_TO_STOP)
        # Between two turns nothing is running yet: then the one that would start next is meant.
        queued = sum(command.state is CommandState.QUEUED for command in queue[1:])
        return [*stop(queue[0], asked.event.sender), *reply(asked.event, words.stopping(queued))]

    return BotCommand(
        name="stop",
        usage="/stop",
        summary="ends the running turn; what waits goes on",
        role=Role.USER,
        run=run,
        topic=Topic.WORK,
    )
