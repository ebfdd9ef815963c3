"""/version: which aiagentchat this is."""

from aiagentchat.core.effects import Effect
from aiagentchat.render import words
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Takes, reply


def version_command(desk: Desk) -> BotCommand:
    """Says the version."""

    async def run(asked: Asked) -> list[Effect]:
        return reply(asked.event, words.version(desk.version))

    return BotCommand(
        name="version",
        usage="/version",
        summary="says which version runs",
        role=Role.VIEWER,
        run=run,
        takes=Takes.NOTHING,
    )
