"""/help: what one can type here."""

from collections.abc import Sequence

from aiagentchat.core.effects import Effect
from aiagentchat.render import words
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, reply


def help_command(others: Sequence[BotCommand]) -> BotCommand:
    """Lists `others` and itself."""

    async def run(asked: Asked) -> list[Effect]:
        return reply(asked.event, words.help_text([(each.usage, each.summary) for each in (command, *others)]))

    command = BotCommand(name="help", usage="/help", summary="shows this list", role=Role.VIEWER, run=run)
    return command
