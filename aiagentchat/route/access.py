"""Who may do what, where. Pure, deny by default, never by display names.

A role comes from config.yaml (exact ids, or a rule on one whole server) or from a grant of an admin, whichever gives
more; the power levels of the room, where the operator asks for some, can only take away from that. Ids are compared to
the letter: `@Anna:hs` is not `@anna:hs`, and neither is one in which a letter only looks the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiagentchat.config.settings import PowerNeeded, RoomSettings, Settings
from aiagentchat.core.access import MOST_GRANTED, Grant, Role, is_listed
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.power import Powers

__all__ = ["Role", "Roles", "may_invite", "role_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Who may do what in one room, at one moment."""

    room: RoomSettings
    grants: Mapping[UserId, Grant] = field(default_factory=dict)
    """Those that hold."""
    powers: Powers | None = None
    """None where nobody knows them: then nobody has any."""

    def of(self, user: UserId) -> Role | None:
        """The role in force; None for a stranger."""
        return self.narrowed(user, self.given(user))

    def given(self, user: UserId) -> Role | None:
        """The role by config.yaml and grants, whatever power levels say."""
        listed, grant = role_of(user, self.room), self.grants.get(user)
        granted = None if grant is None else min(grant.role, MOST_GRANTED)
        return max(filter(None, (listed, granted)), default=None)

    def narrowed(self, user: UserId, role: Role | None) -> Role | None:
        """What is left of a role: each needs the power that it asks for, and that of the roles below it."""
        if role is None or self.room.power == PowerNeeded():
            return role
        power = self.power(user)
        reached = None
        for step in Role:
            needed = self.needed(step)
            if step > role or (needed is not None and (power is None or power < needed)):
                break
            reached = step
        return reached

    def power(self, user: UserId) -> int | None:
        """The power of the user in the room; None if it is not known."""
        return None if self.powers is None else self.powers.of(user)

    def needed(self, role: Role) -> int | None:
        """The power that this role asks for by itself; None: none."""
        needed: int | None = getattr(self.room.power, role.name.lower())
        return needed

    def all_needed(self) -> dict[Role, int]:
        """The power of every role that asks for some."""
        return {role: level for role in Role if (level := self.needed(role)) is not None}

    def is_by_rule(self, user: UserId) -> bool:
        """Whether config.yaml gives the user a role only as one of everybody on their server."""
        room = self.room
        return role_of(user, room) is not None and user not in room.admins | room.users | room.viewers


def role_of(user: UserId, room: RoomSettings) -> Role | None:
    """The highest role that config.yaml gives."""
    if is_listed(user, room.admins):
        return Role.ADMIN
    if is_listed(user, room.users):
        return Role.USER
    return Role.VIEWER if is_listed(user, room.viewers) else None


def may_invite(user: UserId, room: RoomId, settings: Settings) -> bool:
    """An invite is accepted into a room that is ours, or from somebody whom config.yaml lets run commands somewhere.

    Into one that is ours by whomever: the operator has named the room, and who invites us there gets nothing by it.
    """
    return settings.room(room) is not None or settings.is_named(user)
