"""What a crash, or the daemon's own end, cut short is reported, and never run again by itself."""

import structlog

from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.ids import txn_id
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports import Clock, Commands
from aiagentchat.execute.room import mark
from aiagentchat.render import words
from aiagentchat.render.message import message

log = structlog.get_logger(__name__)


async def report_interrupted(commands: Commands, clock: Clock) -> int:
    """End every command that is marked as running. Called once at start, before anything runs. Returns how many."""
    now = clock.now_ms()
    running = await commands.running()
    for command in running:
        seconds = max(0, now - (command.started_at or now)) // 1000
        told = Parcel(
            txn=txn_id(command.event, "interrupted"),
            room=command.room,
            content=message(words.interrupted_by_restart(seconds), notice=False, reply_to=command.event),
            command=command.event,
        )
        record = TurnRecord(duration_ms=seconds * 1000)
        parcels = [told, mark(command, CommandState.INTERRUPTED)]
        await commands.finish(command.event, CommandState.INTERRUPTED, record, parcels, now)
        log.warning("command.interrupted", room=command.room, command=command.event, seconds=seconds)
    return len(running)
