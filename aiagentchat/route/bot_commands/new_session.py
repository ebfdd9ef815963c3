"""/new_session: forget the conversation, keep the files."""

from aiagentchat.core.effects import Effect, NewSession
from aiagentchat.core.ids import new_session_id
from aiagentchat.render import words
from aiagentchat.render.manual import Topic
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, reply


def new_session_command() -> BotCommand:
    """Commands that are accepted from now on belong to a new conversation; those that wait keep the old one."""

    async def run(asked: Asked) -> list[Effect]:
        return [NewSession(asked.room.id, new_session_id()), *reply(asked.event, words.NEW_SESSION_STARTED)]

    return BotCommand(
        name="new_session",
        usage="/new_session",
        summary="starts a new conversation",
        role=Role.USER,
        run=run,
        topic=Topic.SESSIONS,
    )
