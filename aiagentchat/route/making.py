"""How a room becomes one of ours without config.yaml: what `/setup` and an invite into a direct chat bring about."""

import re
from collections.abc import Sequence
from dataclasses import replace

import structlog

from aiagentchat.config.fields import is_name
from aiagentchat.config.folders import exists
from aiagentchat.config.made import with_made
from aiagentchat.config.rooms import derived_name
from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.effects import AwaitRoom, Effect, MakeRoom, UnmakeRoom
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.messages import Incoming
from aiagentchat.core.rooms import Made, MadeRoom, WaitingRoom
from aiagentchat.render import words
from aiagentchat.route.bot_commands.spec import Desk, reply, reply_in_room

REMOVE = "remove"
"""`/setup remove` takes the room away, so no folder is called so."""
MOST_MADE = 100
"""So many rooms can be made in chat; more have to be in config.yaml."""
MOST_DIRECT = 5
"""So many direct chats of one person are rooms by themselves."""
REGRET_MS = 10 * 60_000
"""After a room was taken away we stay for so long, in case it was a mistake."""
_MOST_NAMES = 100
"""So many names are tried for the folder of a direct chat."""
_LONGEST_NAME = 48

log = structlog.get_logger(__name__)


async def make(desk: Desk, event: Incoming, wanted: str) -> Sequence[Effect]:
    """`event` asks that its room be one of ours, with a folder of this name, or with any."""
    made = await desk.rooms.made()
    room = MadeRoom(
        room=event.room,
        folder=wanted or made.slugs.get(event.room) or derived_name(event.room),
        by=event.sender,
        at=desk.clock.now_ms(),
    )
    why_not = _why_not(desk, made, room)
    if why_not is not None:
        return reply(event, why_not)
    return [MakeRoom(room, event.event), *reply(event, words.setup_done(room.folder, room.by))]


async def make_direct(desk: Desk, event: Incoming) -> Sequence[Effect] | None:
    """`event` invites us into a direct chat, which is one of our rooms by that. None: it cannot be."""
    made = await desk.rooms.made()
    if sum(each.direct and each.by == event.sender for each in made.rooms) >= MOST_DIRECT:
        return None
    room = MadeRoom(
        room=event.room,
        folder=made.slugs.get(event.room) or _free_name(desk.settings(), made, event.sender, event.room),
        by=event.sender,
        at=desk.clock.now_ms(),
        direct=True,
    )
    if _why_not(desk, made, room) is not None:
        return None
    return [MakeRoom(room, event.event), *reply_in_room(event, words.direct_made(room.folder, room.by))]


def unmake(desk: Desk, event: Incoming, room: RoomSettings) -> Sequence[Effect]:
    """`event` asks that its room be none of ours any more."""
    now = desk.clock.now_ms()
    # Nothing that is said meanwhile is for us: only another `/setup` is.
    waiting = WaitingRoom(room=room.id, by=event.sender, since=now, until=now + REGRET_MS, keeps=False)
    told = reply(event, words.setup_removed(REGRET_MS // 1000))
    return [UnmakeRoom(room.id, event.sender), AwaitRoom(waiting), *told]


def _why_not(desk: Desk, made: Made, room: MadeRoom) -> str | None:
    """Why there cannot be this room; None if there can."""
    before, owner = made.slugs.get(room.room), made.owner_of(room.folder)
    if not is_name(room.folder) or room.folder == REMOVE:
        return words.setup_not_a_name(room.folder)
    if before not in (None, room.folder):
        return words.setup_keeps(before)
    if owner not in (None, room.room):
        return words.setup_taken(room.folder)
    if len(made.rooms) >= MOST_MADE:
        return words.setup_too_many(MOST_MADE)
    settings = desk.settings()
    if desk.held.isolation is Isolation.NONE and settings.rooms:
        return words.SETUP_ONLY_ONE
    slugs = {**made.slugs, room.room: room.folder}
    fuller, problems = with_made(settings, replace(made, rooms=(*made.rooms, room), slugs=slugs))
    if fuller.room(room.room) is None:
        log.warning("room.not_made", by=room.by, folder=room.folder, problems=problems)
        return words.SETUP_NO_FOLDER
    return None


def _free_name(settings: Settings, made: Made, user: UserId, room: RoomId) -> str:
    """After the user. Not one of a folder that somebody has put there for another room."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", user[1:].partition(":")[0].lower())[:_LONGEST_NAME].strip("-_") or "direct"
    names = [plain, *(f"{plain}-{number}" for number in range(2, _MOST_NAMES + 1))]
    free = (name for name in names if made.owner_of(name) is None and not exists(settings.workspaces / name))
    return next(free, derived_name(room))
