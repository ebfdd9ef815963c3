"""/help: what one can type here, all of it or one bot command."""

from collections.abc import Sequence

from aiagentchat.core.effects import Effect
from aiagentchat.render import manual, words
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, reply
from aiagentchat.route.decide import nearest

ALL = "all"


def help_command(others: Sequence[BotCommand]) -> BotCommand:
    """Explains `others` and itself."""

    async def run(asked: Asked) -> list[Effect]:
        return reply(asked.event, _told(asked.arguments, {each.name: each for each in (command, *others)}))

    command = BotCommand(
        name="help",
        usage="/help",
        summary="shows what I know; with a name, how that is used",
        role=Role.VIEWER,
        run=run,
        examples=("/help", "/help stop", "/help all"),
    )
    return command


def _told(arguments: str, known: dict[str, BotCommand]) -> str:
    entries = [command.entry for command in known.values()]
    if not arguments:
        return manual.overview(entries)
    name = arguments.split(maxsplit=1)[0].lstrip("/!").lower()
    if name in known:
        return manual.explained(known[name].entry)
    return manual.listing(entries) if name == ALL else words.unknown_command(name, nearest(name, known))
