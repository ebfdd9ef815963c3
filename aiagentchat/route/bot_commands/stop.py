"""/stop: end the running turn, and with `all` what waits as well."""

from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import Effect
from aiagentchat.render import steering_words, words
from aiagentchat.render.manual import Topic
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.queue import doing, shown
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply, stop

ALL = "all"


def stop_command(desk: Desk) -> BotCommand:
    """Stops what runs, with what it was given; what waits goes on."""

    async def run(asked: Asked) -> list[Effect]:
        queue = await desk.commands.queue(asked.room.id)
        if not queue:
            return reply(asked.event, words.NOTHING_TO_STOP)
        # Between two turns nothing is running yet: then the one that would start next is meant.
        first, *others = [command for command in queue if command.host is None]
        drops_all = asked.arguments.strip().lower() == ALL
        dropped = others if drops_all else []
        ends = [effect for command in (first, *dropped) for effect in stop(command, asked.event.sender)]
        if first.state is CommandState.QUEUED:
            told = steering_words.stopped_before_it_ran(shown(desk, first), dropped=len(dropped))
        else:
            told = steering_words.stopping(
                shown(desk, first), doing(desk, asked), waiting=len(others) - len(dropped), dropped=len(dropped)
            )
        if asked.arguments and not drops_all:  # a brake is no place for a question
            told = f"{told} {steering_words.stop_alone(asked.arguments)}"
        return [*ends, *reply(asked.event, told)]

    return BotCommand(
        name="stop",
        usage="/stop",
        summary="ends the running turn; what waits goes on",
        role=Role.USER,
        run=run,
        topic=Topic.WORK,
        examples=("/stop", "/stop all"),
    )
