"""Who may do what, where. Pure, deny by default: exact user ids from config.yaml, never display names."""

from enum import IntEnum

from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.ids import RoomId, UserId


class Role(IntEnum):
    """Each may do what the one before may."""

    VIEWER = 1
    """Bot commands that only read."""
    USER = 2
    """Runs commands, stops turns, answers approvals."""
    ADMIN = 3
    """What changes a room for everybody."""


def role_of(user: UserId, room: RoomSettings) -> Role | None:
    """The highest role of a user; None for a stranger."""
    if user in room.admins:
        return Role.ADMIN
    if user in room.users:
        return Role.USER
    return Role.VIEWER if user in room.viewers else None


def may_invite(user: UserId, room: RoomId, settings: Settings) -> bool:
    """An invite is accepted into a room that is ours, or from somebody whom config.yaml lets run commands somewhere."""
    return settings.room(room) is not None or settings.is_named(user)
