"""Which conversation a message belongs to: that of its room, or of its thread, where threads have their own."""

import re
from collections.abc import Sequence

from aiagentchat.core.commands import Command
from aiagentchat.core.effects import AcceptCommand, Effect, PutParcel
from aiagentchat.core.ids import EventId, SessionId, new_session_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.meta import Meta
from aiagentchat.core.parcels import Urgency
from aiagentchat.render import marks, words
from aiagentchat.route import tasks
from aiagentchat.route.bot_commands.spec import Desk, reply

THREAD = "thread"
"""`session_scope`, where threads have their own."""

_NEW_SESSION = re.compile(r"\A[/!]new_session\s+")


async def own_thread(desk: Desk, event: Incoming) -> EventId | None:
    """The thread whose conversation `event` belongs to; None: it belongs to that of the room. A task has its own."""
    if event.thread is None:
        return None
    room = desk.settings().room(event.room)
    is_own = room is not None and room.session_scope == THREAD
    return event.thread if is_own or await desk.tasks.of_thread(event.room, event.thread) is not None else None


async def current(desk: Desk, event: Incoming) -> SessionId | None:
    """The conversation that `event` is part of; None where nothing was said before."""
    return await desk.sessions.current(event.room, await own_thread(desk, event))


async def accept(desk: Desk, said: Sequence[Incoming]) -> list[AcceptCommand]:
    """These messages, as commands, each in its conversation."""
    begun: dict[EventId | None, SessionId] = {}
    accepted = []
    for each in said:
        thread = await own_thread(desk, each)
        is_first = False
        if thread not in begun:
            known = await current(desk, each)
            is_first = known is None
            begun[thread] = known or new_session_id()
        command = Command(
            event=each.event,
            room=each.room,
            sender=each.sender,
            text=each.body,
            session=begun[thread],
            queued_at=desk.clock.now_ms(),
            thread=each.thread,
            # A conversation that begins in a thread begins with what the thread is about.
            about=each.target or (thread if is_first else None),
            meta=each.meta if isinstance(each.meta, Meta) else None,
            caller=each.caller,
        )
        made = AcceptCommand(command, of_thread=thread is not None)
        task = tasks.given_by(each, desk.own)
        accepted.append(made if task is None else await tasks.as_task(desk, made, task))
    return accepted


async def places_left(desk: Desk, event: Incoming) -> int:
    """How many commands the queue of the event's room still takes."""
    settings = desk.settings()
    in_room = settings.max_queue - len(await desk.commands.queue(event.room))
    return max(0, min(in_room, settings.max_queue_total - await desk.commands.open()))


async def queue(desk: Desk, event: Incoming, accepted: AcceptCommand) -> list[Effect]:
    """Queue what a bot command asks the agent for, as a message would be; where there is no place, say so."""
    if await places_left(desk, event) == 0:
        return reply(event, words.queue_full(desk.settings().max_queue))
    before = len(await desk.commands.queue(event.room))
    waits = reply(event, words.queue_place(before), key="place", urgency=Urgency.SPARE) if before else []
    return [accepted, PutParcel(marks.accepted(event.event, event.room)), *waits]


def asked_in(text: str) -> str:
    """What `text`, which a message was changed to, asks the agent for: a new session may stand before it."""
    return _NEW_SESSION.sub("", text).strip()
