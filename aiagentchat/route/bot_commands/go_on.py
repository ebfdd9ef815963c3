"""/continue: agents may go on in a room in which they were halted. Only people can say so: no program's text is one."""

import structlog

from aiagentchat.core.effects import Effect, LetAgentsGoOn
from aiagentchat.render import guard_words
from aiagentchat.render.manual import Topic
from aiagentchat.route import guarding
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Takes, reply

log = structlog.get_logger(__name__)


def continue_command(desk: Desk) -> BotCommand:
    """Lifts the halt, and has the turns of agents counted anew."""

    async def run(asked: Asked) -> list[Effect]:
        found = await guarding.standing(desk, asked.room.id)
        if found.halt is None:
            return reply(asked.event, guard_words.nothing_to_continue(found, asked.room.exchange))
        log.info("exchange.continued", by=asked.event.sender)
        lifted = LetAgentsGoOn(asked.room.id, asked.event.sender)
        return [lifted, *reply(asked.event, guard_words.goes_on(asked.room.exchange))]

    return BotCommand(
        name="continue",
        usage="/continue",
        summary="lets agents go on that were halted here",
        role=Role.USER,
        run=run,
        takes=Takes.NOTHING,
        topic=Topic.ROOM,
    )
