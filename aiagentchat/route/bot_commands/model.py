"""/model: which model the turns of a room use, until somebody changes it."""

from collections.abc import Sequence

from aiagentchat.core.effects import Effect, SetModel
from aiagentchat.core.models import DEFAULT, meant
from aiagentchat.render import session_words, words
from aiagentchat.render.manual import Topic
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.agent import configured_models
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply
from aiagentchat.route.refusals import refuse


def model_command(desk: Desk) -> BotCommand:
    """Shows it, or sets it: for the admins of the room, who answer for what it costs."""

    async def run(asked: Asked) -> Sequence[Effect]:
        event, room, typed = asked.event, asked.room, asked.arguments
        if not typed:
            return reply(event, session_words.model_shown(await desk.rooms.model(room.id), room.model))
        if asked.role is not Role.ADMIN:
            return refuse(event, "/model", words.only_admins("model"))
        wanted = meant(typed, configured_models(desk, room))
        if wanted.model is None:
            return reply(event, session_words.no_such_model(typed, wanted.nearest))
        if wanted.model == DEFAULT:
            return [SetModel(room.id, None), *reply(event, session_words.model_reset(room.model))]
        return [SetModel(room.id, wanted.model), *reply(event, session_words.model_set(wanted.model))]

    return BotCommand(
        name="model",
        usage="/model name",
        summary="shows or sets the model",
        role=Role.USER,
        run=run,
        topic=Topic.ROOM,
        examples=("/model", "/model opus", "/model default"),
    )
