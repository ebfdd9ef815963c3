"""/cost: what this room has used, and for admins what all their rooms have."""

from collections.abc import Sequence

from aiagentchat.core.access import is_listed
from aiagentchat.core.effects import Effect
from aiagentchat.core.ids import RoomId
from aiagentchat.core.spending import Span, Spent, first_day
from aiagentchat.render import spending, words
from aiagentchat.render.manual import Topic
from aiagentchat.render.spending import RoomCost
from aiagentchat.route import conversations
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply
from aiagentchat.route.refusals import refuse


def cost_command(desk: Desk) -> BotCommand:
    """Adds up what the ends of turns have counted."""

    async def run(asked: Asked) -> Sequence[Effect]:
        match asked.arguments.lower():
            case "":
                return reply(asked.event, await _of_room(desk, asked))
            case "all" if asked.role is Role.ADMIN:
                return reply(asked.event, await _of_all(desk, asked))
            case "all":
                return refuse(asked.event, "/cost", words.only_admins("cost all"))
            case _:
                return reply(asked.event, spending.cost_not_understood(asked.arguments))

    return BotCommand(
        name="cost",
        usage="/cost",
        summary="says what was used: session, day, month",
        role=Role.VIEWER,
        run=run,
        topic=Topic.AFTERWARDS,
        examples=("/cost", "/cost all"),
    )


async def _of_room(desk: Desk, asked: Asked) -> str:
    room, now = asked.room, desk.clock.now_ms()
    session = await conversations.current(desk, asked.event)
    known = None if session is None else await desk.sessions.get(session)
    spent = {
        "session": Spent() if session is None else await desk.spending.session(session),
        "today": await desk.spending.room(room.id, first_day(Span.DAY, now)),
        "this month": await desk.spending.room(room.id, first_day(Span.MONTH, now)),
    }
    return spending.cost_text("" if known is None else known.name, spent, room.budget, now, is_billed=desk.is_billed())


async def _of_all(desk: Desk, asked: Asked) -> str:
    """Only of rooms that whoever asks is an admin of: who made a room in chat learns nothing of the others."""
    settings, now, user = desk.settings(), desk.clock.now_ms(), asked.event.sender
    today = await desk.spending.rooms(first_day(Span.DAY, now))
    month = await desk.spending.rooms(first_day(Span.MONTH, now))
    sees_all = user in settings.admins
    names: dict[RoomId, str] = {
        room.id: room.name for room in settings.rooms if sees_all or is_listed(user, room.admins)
    }
    if sees_all:  # also those that are gone
        names |= {room: room for room in month if room not in names}
    dearest = sorted(names, key=lambda room: -month.get(room, Spent()).cost_micro_usd)
    rooms = [
        RoomCost(name=names[room], today=today.get(room, Spent()), month=month.get(room, Spent())) for room in dearest
    ]
    return spending.all_costs_text(rooms, settings.budget if sees_all else None, now, is_billed=desk.is_billed())
