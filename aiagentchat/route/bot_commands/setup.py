"""/setup, where the room is ours already: what it is, and how it ends. How it begins is in `route.lobby`."""

from collections.abc import Sequence

from aiagentchat.config.settings import slug_wish
from aiagentchat.core.effects import Effect
from aiagentchat.render import words
from aiagentchat.route import making
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, refused, reply


def setup_command(desk: Desk) -> BotCommand:
    """Takes a room away that was made in chat."""

    async def run(asked: Asked) -> Sequence[Effect]:
        room, event = asked.room, asked.event
        if asked.arguments != making.REMOVE:
            slug = await desk.rooms.slug(room.id, slug_wish(room))
            folder = desk.settings().workspace_of(room, slug).name
            return reply(event, words.already_set_up(folder, room.made_by))
        if room.made_by is None:
            return reply(event, words.SETUP_IN_CONFIG)
        if asked.role is not Role.ADMIN and event.sender != room.made_by:
            return [refused(event, "/setup remove"), *reply(event, words.SETUP_NOT_YOURS_TO_REMOVE)]
        return making.unmake(desk, event, room)

    return BotCommand(
        name="setup",
        usage="/setup folder",
        summary="makes a room that I was invited into mine",
        role=Role.USER,
        run=run,
        examples=("/setup", "/setup backend", "/setup remove"),
    )
