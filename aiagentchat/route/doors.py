"""Puts together what decides who may: the settings, the grants of the ledger, and what the homeserver tells."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog

from aiagentchat.config.settings import PowerNeeded, RoomSettings, Settings
from aiagentchat.core.access import Hindrance
from aiagentchat.core.commands import Command
from aiagentchat.core.errors import MatrixError
from aiagentchat.core.ids import CallerName, RoomId, UserId
from aiagentchat.core.ports.access import Grants, Members
from aiagentchat.core.ports.clock import Clock
from aiagentchat.route.access import Role, Roles

MayBegin: TypeAlias = Callable[[CallerName, RoomId], Awaitable[bool]]

log = structlog.get_logger(__name__)


async def _whoever_came_in(_: CallerName, __: RoomId) -> bool:
    """Where nobody else can say: whoever let the caller in has asked whether it may."""
    return True


class Doorkeeper:
    """The Doors port, and the roles for routing. Asked again each time: whatever changes holds at once."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        grants: Grants,
        members: Members,
        clock: Clock,
        may_begin: MayBegin = _whoever_came_in,
    ) -> None:
        """`may_begin` says whether a caller of the gateway may begin turns in a room now."""
        self._may_begin = may_begin
        self._settings = settings
        self._grants = grants
        self._members = members
        self._clock = clock

    async def roles(self, room: RoomSettings) -> Roles | None:
        """Who may do what in the room; None while that cannot be known: its power levels count, and nobody told them.

        Nothing is asked for here: the first sync of a life tells them, and whoever waits for it waits for that.
        """
        powers = self._members.powers(room.id)
        if powers is None and room.power != PowerNeeded():
            return None
        grants = await self._grants.in_room(room.id, self._clock.now_ms())
        return Roles(room=room, grants={grant.user: grant for grant in grants}, powers=powers)

    async def hindrance(self, command: Command) -> Hindrance | None:
        """Why the command may not start now. Whoever asked must be in the room, and have a role that runs commands.

        A caller of our gateway has sent it in our own name, so neither is asked of it.
        """
        room = self._settings().room(command.room)
        if room is None:
            return None  # the turn says so itself
        if command.caller is not None:
            return None if await self._may_begin(command.caller, command.room) else Hindrance.NOT_ALLOWED
        roles = await self.roles(room)
        if roles is None:
            return Hindrance.UNKNOWN
        role = roles.of(command.sender)
        if role is None or role < Role.USER:
            return Hindrance.NOT_ALLOWED
        try:
            return None if await self._members.is_in(command.room, command.sender) else Hindrance.LEFT
        except MatrixError as error:
            log.warning("membership.unknown", sender=command.sender, error=str(error))
            return Hindrance.UNKNOWN

    def admins(self, room: RoomId) -> Sequence[UserId]:
        """Who may answer in the turns of others, by config.yaml; without those whose power does not reach."""
        found = self._settings().room(room)
        if found is None:
            return ()
        roles = Roles(room=found, powers=self._members.powers(room))
        return tuple(user for user in sorted(found.admins) if "*" in user or roles.of(user) is Role.ADMIN)
