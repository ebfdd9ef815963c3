"""/new_session: leave the conversation, keep the files."""

from dataclasses import replace

from aiagentchat.core.effects import AcceptCommand, Effect, NewSession
from aiagentchat.core.ids import SessionId, new_session_id
from aiagentchat.render import session_words
from aiagentchat.render.manual import Topic
from aiagentchat.route import conversations
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply
from aiagentchat.route.catch_up import OFFER_AFTER_MS


def new_session_command(desk: Desk) -> BotCommand:
    """Commands that are accepted from now on belong to a new conversation; those that wait keep the old one.

    What is typed behind it is the first of them.
    """

    async def run(asked: Asked) -> list[Effect]:
        event, text = asked.event, asked.arguments
        if text and event.late_ms >= OFFER_AFTER_MS:
            return reply(event, session_words.TOO_LATE)
        old = await conversations.current(desk, event)
        known = None if old is None else await desk.sessions.get(old)
        new = new_session_id()
        entered = NewSession(event.room, new, await conversations.own_thread(desk, event))
        told = reply(event, session_words.new_session(known.name if known else None, is_asked=bool(text)))
        if not text:
            return [entered, *told]
        first = await conversations.queue(desk, event, await _first(desk, asked, new))
        is_queued = any(isinstance(effect, AcceptCommand) for effect in first)
        return [entered, *first, *told] if is_queued else first

    return BotCommand(
        name="new_session",
        usage="/new_session text",
        summary="starts a new conversation",
        role=Role.USER,
        run=run,
        topic=Topic.SESSIONS,
        examples=("/new_session", "/new_session read the README and say what is missing"),
    )


async def _first(desk: Desk, asked: Asked, session: SessionId) -> AcceptCommand:
    [accepted] = await conversations.accept(desk, [replace(asked.event, body=asked.arguments)])
    return replace(accepted, command=replace(accepted.command, session=session))
