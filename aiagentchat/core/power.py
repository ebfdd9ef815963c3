"""How much power somebody has in a room, from the room's state. What makes no sense is never taken for power.

Up to room version 11 the levels say it, and whoever made a room without levels has 100. From version 12 on those who
made the room are above all levels, and do not stand in them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiagentchat.core.ids import UserId

MOST_LEVEL = 2**53 - 1
"""The largest integer of canonical JSON; its negative is the least."""
ABOVE_ALL = MOST_LEVEL + 1
"""The power of those who made a room, where that is above every level."""

_CREATORS_ARE_ABOVE = 12
"""The first room version of which that holds."""
_SENDER_IS_CREATOR = 11
"""The first room version of which the creation does not name who made the room: it is whoever sent it."""
_MAKERS_LEVEL = 100
"""What whoever made a room has while it has no levels."""
_VERSION = re.compile(r"[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """The state of a room that power comes from. It is the homeserver's, and may be anything."""

    create: Mapping[str, Any]
    """The whole event that made the room; empty if nobody has it."""
    levels: Mapping[str, Any] | None
    """The content of `m.room.power_levels`; None if the room has none."""

    def of(self, user: UserId) -> int | None:
        """The power of `user`; None if the state does not say it in a way that makes sense."""
        return power_of(user, self.create, self.levels)


def power_of(user: UserId, create: Mapping[str, Any], levels: Mapping[str, Any] | None) -> int | None:
    """The power of `user`, as `Powers` has it. Safe with any JSON."""
    made, sender = create.get("content"), create.get("sender")
    if not isinstance(made, dict) or not isinstance(sender, str):
        return None
    version = _version(made.get("room_version", "1"))
    if version >= _CREATORS_ARE_ABOVE and user in (sender, *_named(made.get("additional_creators"))):
        return ABOVE_ALL
    if levels is None:
        maker = made.get("creator") if 0 < version < _SENDER_IS_CREATOR else sender
        return _MAKERS_LEVEL if maker == user else 0
    users = levels.get("users", {})
    if not isinstance(users, dict):
        return None
    return level(users[user] if user in users else levels.get("users_default", 0))


def level(value: object) -> int | None:
    """A level as it stands in the state. Text, fractions and what is too large were levels once: they are none here."""
    return value if type(value) is int and abs(value) <= MOST_LEVEL else None


def _version(value: object) -> int:
    """The number of a room version; 0 for one that has a name, about which nothing is known."""
    return int(value) if isinstance(value, str) and _VERSION.fullmatch(value) else 0


def _named(value: object) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
