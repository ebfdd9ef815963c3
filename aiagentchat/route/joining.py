"""What somebody types in short succession is one command: the first of it is held, and the others are joined to it.

What an agent or a caller sends is not typed, and each message of theirs is answered on its own.
"""

from collections.abc import Sequence
from dataclasses import replace

from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.ids import EventId
from aiagentchat.route.bot_commands.spec import Desk

LONGEST_MS = 60_000
"""Whoever goes on and on is answered after so long."""
MOST_PARTS = 20
"""Messages of one command."""


def held(command: Command, queue: Sequence[Command], room: RoomSettings) -> Command:
    """The command, held for what its sender may type next, as the room has it."""
    if not room.debounce or not _is_typed(command):
        return command
    first = _first(command, queue)
    latest = (command if first is None else first).queued_at + LONGEST_MS
    return replace(command, held_until=min(command.queued_at + round(room.debounce * 1000), latest))


async def joined_to(desk: Desk, command: Command, queue: Sequence[Command]) -> EventId | None:
    """The command of the queue that this one becomes a part of, if there is one."""
    first = _first(command, queue) if _is_typed(command) else None
    if first is None or len(await desk.commands.parts(first.event)) >= MOST_PARTS:
        return None
    return first.event


def _first(command: Command, queue: Sequence[Command]) -> Command | None:
    """The last one that is held for its sender, in the same conversation."""
    mine = [each for each in queue if (each.sender, each.session) == (command.sender, command.session)]
    return next((each for each in reversed(mine) if _is_held(each, command.queued_at)), None)


def _is_held(command: Command, now: int) -> bool:
    return command.state is CommandState.QUEUED and now < command.held_until


def _is_typed(command: Command) -> bool:
    return command.meta is None and command.caller is None
