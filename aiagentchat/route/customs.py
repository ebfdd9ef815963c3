"""The commands of a room's project, by name."""

from aiagentchat.config.settings import RoomSettings, slug_wish
from aiagentchat.core.custom_commands import called
from aiagentchat.process import custom_commands
from aiagentchat.route.bot_commands.spec import Desk

__all__ = ["called", "names"]


async def names(desk: Desk, room: RoomSettings) -> tuple[str, ...]:
    """Those that lie in the workspace now. Where it is not made yet, there are none."""
    slug = await desk.rooms.slug(room.id, slug_wish(room))
    return custom_commands.names(desk.settings().workspace_of(room, slug))
