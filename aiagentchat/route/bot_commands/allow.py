"""/allow: an admin lets somebody into the room, for a while or until it is taken back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aiagentchat.config.fields import is_user
from aiagentchat.core.access import MOST_GRANTED, Grant
from aiagentchat.core.effects import Effect, GiveRole, TakeRole
from aiagentchat.core.ids import UserId
from aiagentchat.render import away, words
from aiagentchat.route.access import Role, role_of
from aiagentchat.route.bot_commands.spec import Asked, BotCommand, Desk, reply
from aiagentchat.route.catch_up import ANNOUNCE_AFTER_MS

LONGEST_DAYS = 365
"""For longer than that nobody is let in by a time; without one it is until it is taken back."""

_FORM = re.compile(
    r"(?P<remove>remove\s+)?(?P<user>@\S+)"
    r"(?:\s+(?P<role>[a-z]+?))??(?:\s+for\s+(?P<number>[0-9]{1,7})\s*(?P<unit>[mhd]))?",
    re.ASCII,
)
_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_ROLES = {role.name.lower(): role for role in Role}


@dataclass(frozen=True, slots=True)
class Wish:
    """What /allow with somebody asks for."""

    user: UserId
    role: Role = Role.USER
    lasts_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """What /allow remove asks for."""

    user: UserId


def allow_command(desk: Desk) -> BotCommand:
    """Grants are added to what config.yaml says; they are in force with the next event."""

    async def run(asked: Asked) -> Sequence[Effect]:
        now = desk.clock.now_ms()
        if not asked.arguments:
            grants = [*asked.roles.grants.values()]
            return reply(asked.event, words.grants_listed(grants, now) if grants else words.NO_GRANTS)
        match wish_in(asked.arguments):
            case str(problem):
                return reply(asked.event, problem)
            case Removal(user):
                return _remove(asked, user)
            case wish:
                return _give(asked, wish, now)

    return BotCommand(
        name="allow",
        usage="/allow ID",
        summary="lets somebody in, or lists who was",
        role=Role.ADMIN,
        run=run,
        examples=("/allow", "/allow ID", "/allow ID viewer for 2h", "/allow remove ID"),
    )


def wish_in(typed: str) -> Wish | Removal | str:
    """What was typed behind /allow; a sentence where that makes no sense."""
    form = _FORM.fullmatch(typed)
    if form is None:
        return words.allow_not_understood(typed)
    user, role, number = form["user"], form["role"], form["number"]
    if not is_user(user) or "*" in user:
        return words.allow_not_a_user(user)
    if form["remove"]:
        return words.allow_not_understood(typed) if role or number else Removal(UserId(user))
    if role is not None and role not in _ROLES:
        return words.allow_not_understood(typed)
    wanted = Role.USER if role is None else _ROLES[role]
    if wanted > MOST_GRANTED:
        return words.NOBODY_IS_MADE_ADMIN
    lasts = None if number is None else int(number) * _MS[form["unit"]]
    if lasts is not None and not 0 < lasts <= LONGEST_DAYS * _MS["d"]:
        return words.allow_too_long(number + form["unit"], LONGEST_DAYS)
    return Wish(UserId(user), wanted, lasts)


def _give(asked: Asked, wish: Wish, now: int) -> list[Effect]:
    event, listed = asked.event, role_of(wish.user, asked.room)
    if event.late_ms >= ANNOUNCE_AFTER_MS:
        return reply(event, away.ALLOW_TOO_LATE)
    if listed is not None and listed >= wish.role:
        return reply(event, words.allowed_already(wish.user, listed))
    grant = Grant(
        room=asked.room.id,
        user=wish.user,
        role=wish.role,
        by=event.sender,
        given_at=now,
        until=None if wish.lasts_ms is None else now + wish.lasts_ms,
    )
    told = words.allowed(grant, now)
    left = asked.roles.narrowed(wish.user, wish.role)
    if left is not wish.role:
        told = f"{told} {words.but_power(left)}"
    return [GiveRole(grant), *reply(event, told)]


def _remove(asked: Asked, user: UserId) -> list[Effect]:
    event, listed = asked.event, role_of(user, asked.room)
    if user not in asked.roles.grants:
        return reply(event, words.not_allowed_before(user, listed))
    return [TakeRole(asked.room.id, user, event.sender), *reply(event, words.disallowed(user, listed))]
