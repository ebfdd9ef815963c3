"""Which conversation a message belongs to: that of its room, or of its thread, where threads have their own."""

from collections.abc import Sequence

from aiagentchat.core.commands import Command
from aiagentchat.core.effects import AcceptCommand
from aiagentchat.core.ids import EventId, SessionId, new_session_id
from aiagentchat.core.messages import Incoming
from aiagentchat.route.bot_commands.spec import Desk

THREAD = "thread"
"""`session_scope`, where threads have their own."""


def own_thread(desk: Desk, event: Incoming) -> EventId | None:
    """The thread whose conversation `event` belongs to; None: it belongs to that of the room."""
    room = desk.settings().room(event.room)
    return event.thread if room is not None and room.session_scope == THREAD else None


async def current(desk: Desk, event: Incoming) -> SessionId | None:
    """The conversation that `event` is part of; None where nothing was said before."""
    return await desk.sessions.current(event.room, own_thread(desk, event))


async def accept(desk: Desk, said: Sequence[Incoming]) -> list[AcceptCommand]:
    """These messages, as commands, each in its conversation."""
    begun: dict[EventId | None, SessionId] = {}
    accepted = []
    for each in said:
        thread = own_thread(desk, each)
        if thread not in begun:
            begun[thread] = await current(desk, each) or new_session_id()
        command = Command(
            event=each.event,
            room=each.room,
            sender=each.sender,
            text=each.body,
            session=begun[thread],
            queued_at=desk.clock.now_ms(),
            thread=each.thread,
        )
        accepted.append(AcceptCommand(command, of_thread=thread is not None))
    return accepted
