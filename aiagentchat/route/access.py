"""Who may do what, where. Pure, deny by default: exact user ids from config.yaml, never display names."""

from collections.abc import Iterable
from enum import IntEnum

from aiagentchat.config.settings import RoomSettings
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


def may_invite(user: UserId, room: RoomId, rooms: Iterable[RoomSettings]) -> bool:
    """An invite is accepted into a configured room, or from somebody who may run commands somewhere."""
    return any(known.id == room or user in known.users or user in known.admins for known in rooms)
