"""/sessions, /resume and /name: the conversations of a room, and the way back into one."""

from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import Effect, NameSession, NewSession
from aiagentchat.core.ids import new_session_id
from aiagentchat.core.sessions import find, name_typed
from aiagentchat.render import session_words
from aiagentchat.render.manual import Topic
from aiagentchat.route import conversations
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, Takes, reply

MOST_LISTED = 10
"""Conversations that /sessions shows."""
MOST_SEARCHED = 1000
"""The last used ones, among which /resume finds a name."""


def sessions_command(desk: Desk) -> BotCommand:
    """Lists the last used ones."""

    async def run(asked: Asked) -> list[Effect]:
        sessions = await desk.sessions.of_room(asked.room.id, MOST_LISTED)
        if not sessions:
            return reply(asked.event, session_words.NO_SESSIONS)
        current = await conversations.current(desk, asked.event)
        return reply(asked.event, session_words.sessions_listed(sessions, current, desk.clock.now_ms()))

    return BotCommand(
        name="sessions",
        usage="/sessions",
        summary="lists the last conversations",
        role=Role.VIEWER,
        run=run,
        topic=Topic.SESSIONS,
        takes=Takes.NOTHING,
    )


def resume_command(desk: Desk) -> BotCommand:
    """Commands that are accepted from now on belong to it; those that wait keep theirs."""

    async def run(asked: Asked) -> list[Effect]:
        event = asked.event
        if not asked.arguments:
            return reply(event, session_words.RESUME_USAGE)
        sessions = await desk.sessions.of_room(event.room, MOST_SEARCHED)
        found = find(asked.arguments, sessions)
        if found.several:
            return reply(event, session_words.several_sessions(asked.arguments, found.several))
        if found.session is None:
            return reply(event, session_words.no_such_session(asked.arguments, found.nearest))
        if found.session.id == await conversations.current(desk, event):
            return reply(event, session_words.resumed_already(found.session.name))
        queue = await desk.commands.queue(event.room)
        kept = sum(each.state is CommandState.QUEUED and each.session != found.session.id for each in queue)
        entered = NewSession(event.room, found.session.id, await conversations.own_thread(desk, event))
        return [entered, *reply(event, session_words.resumed(found.session, kept, desk.clock.now_ms()))]

    return BotCommand(
        name="resume",
        usage="/resume name",
        summary="goes back to a conversation",
        role=Role.USER,
        run=run,
        topic=Topic.SESSIONS,
        examples=("/resume fix-the-build",),
    )


def name_command(desk: Desk) -> BotCommand:
    """The conversation that we are in, also before anything was said in it."""

    async def run(asked: Asked) -> list[Effect]:
        event = asked.event
        if not asked.arguments:
            return reply(event, session_words.NAME_USAGE)
        name = name_typed(asked.arguments)
        if not name:
            return reply(event, session_words.not_a_name(asked.arguments))
        thread = await conversations.own_thread(desk, event)
        current = await conversations.current(desk, event)
        session = current or new_session_id()
        others = await desk.sessions.of_room(event.room, MOST_SEARCHED)
        if any(each.name == name and each.id != session for each in others):
            return reply(event, session_words.name_taken(name))
        before = await desk.sessions.get(session)
        entered = [] if current is not None else [NewSession(event.room, session, thread)]
        told = session_words.named(name, None if before is None else before.name)
        return [*entered, NameSession(event.room, session, name, thread), *reply(event, told)]

    return BotCommand(
        name="name",
        usage="/name new name",
        summary="renames this conversation",
        role=Role.USER,
        run=run,
        topic=Topic.SESSIONS,
        examples=("/name fix-the-build",),
    )
