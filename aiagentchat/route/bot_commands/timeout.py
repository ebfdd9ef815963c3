"""/timeout: what the running turn may take. The next one has the room's own time again."""

import re

from aiagentchat.core.commands import LONGEST_TURN, Command, CommandState, TurnTime
from aiagentchat.core.effects import Effect, SetTimeLimit
from aiagentchat.render import words
from aiagentchat.render.manual import Topic
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply
from aiagentchat.route.refusals import refuse

_FORM = re.compile(r"(\+?) ?([0-9]{1,7}) ?([smh])", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def timeout_command(desk: Desk) -> BotCommand:
    """Shows the time, or sets it: for the admins of the room, and for whoever asked for what runs."""

    async def run(asked: Asked) -> list[Effect]:
        queue = await desk.commands.queue(asked.room.id)
        running = next((command for command in queue if command.state is CommandState.RUNNING), None)
        if running is None:
            return reply(asked.event, words.NO_TURN_TO_TIME)
        time = await _time(desk, asked, running)
        if not asked.arguments:
            return reply(asked.event, words.time_left(time.limit, time.limit - time.elapsed, stands=time.stands))
        if asked.role is not Role.ADMIN and asked.event.sender != running.sender:
            return refuse(asked.event, "timeout", words.NOT_YOURS_TO_TIME)
        return _set(asked, running, time)

    return BotCommand(
        name="timeout",
        usage="/timeout +10m",
        summary="gives the running turn more time",
        role=Role.USER,
        run=run,
        topic=Topic.WORK,
        examples=("/timeout +10m", "/timeout 1h", "/timeout"),
    )


async def _time(desk: Desk, asked: Asked, running: Command) -> TurnTime:
    """As it stands now; a limit that was set a moment ago may not have reached the turn."""
    time = desk.turn_time(asked.room.id) or TurnTime(limit=asked.room.timeout, elapsed=0.0)
    limit = await desk.commands.time_limit(running.event)
    return time if limit is None else TurnTime(limit=limit, elapsed=time.elapsed, stands=time.stands)


def _set(asked: Asked, running: Command, time: TurnTime) -> list[Effect]:
    limit = limit_in(asked.arguments, round(time.limit))
    if limit is None:
        return reply(asked.event, words.time_not_understood(asked.arguments))
    if limit > LONGEST_TURN:
        return reply(asked.event, words.time_too_long(LONGEST_TURN))
    if limit <= time.elapsed:
        return reply(asked.event, words.time_too_short(time.elapsed))
    told = words.time_set(limit, limit - time.elapsed)
    return [SetTimeLimit(running.event, limit), *reply(asked.event, told)]


def limit_in(typed: str, before: int) -> int | None:
    """The limit that `typed` means (``+10m``, ``90s``, ``1h``), where it was `before`; None when it is no time."""
    form = _FORM.fullmatch(typed)
    if form is None:
        return None
    more, number, unit = form.groups()
    seconds = int(number) * _SECONDS[unit.lower()]
    if seconds == 0:
        return None
    return before + seconds if more else seconds
