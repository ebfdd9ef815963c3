"""/agent: the agent's own commands, of a fixed list; and which ones the project brings along."""

from collections.abc import Sequence
from dataclasses import replace

from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.agent_commands import OWN, own_command
from aiagentchat.core.effects import Effect
from aiagentchat.render import session_words, words
from aiagentchat.render.manual import Topic
from aiagentchat.route import conversations, customs
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply
from aiagentchat.route.catch_up import OFFER_AFTER_MS
from aiagentchat.route.refusals import refuse


def agent_command(desk: Desk) -> BotCommand:
    """Queued as a message is: it runs in the conversation, when it is its turn."""

    async def run(asked: Asked) -> Sequence[Effect]:
        event, typed = asked.event, asked.arguments
        if not typed:
            custom = await customs.names(desk, asked.room)
            return reply(event, session_words.agent_commands(OWN, custom))
        wanted = own_command(typed, configured_models(desk, asked.room))
        if not wanted.own:
            return reply(event, session_words.no_such_own(typed, wanted.nearest))
        if wanted.changes_model and asked.role is not Role.ADMIN:
            return refuse(event, "/agent model", words.only_admins("agent model"))
        if event.late_ms >= OFFER_AFTER_MS:
            return reply(event, session_words.TOO_LATE)
        [accepted] = await conversations.accept(desk, [replace(event, body=f"/agent {wanted.own}")])
        accepted = replace(accepted, command=replace(accepted.command, own=wanted.own))
        return await conversations.queue(desk, event, accepted)

    return BotCommand(
        name="agent",
        usage="/agent compact",
        summary="runs a command of the agent's own",
        role=Role.USER,
        run=run,
        topic=Topic.SESSIONS,
        examples=("/agent compact", "/agent context", "/agent"),
    )


def configured_models(desk: Desk, room: RoomSettings) -> list[str]:
    """Names of models that the operator has chosen."""
    agents = desk.settings().agents.values()
    return [name for name in (room.model, *(agent.model for agent in agents)) if name]
