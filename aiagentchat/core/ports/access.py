"""Who is let in: what a room's homeserver knows of people, and what the ledger and the settings make of it."""

from collections.abc import Sequence
from typing import Protocol

from aiagentchat.core.access import Grant, Hindrance
from aiagentchat.core.commands import Command
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.power import Powers


class Grants(Protocol):
    """Roles that were given in rooms. They change by the effects `GiveRole` and `TakeRole`."""

    async def in_room(self, room: RoomId, now: int) -> list[Grant]:
        """Those that hold at that moment (milliseconds), the oldest first."""
        ...


class Members(Protocol):
    """Who is in a room, and what power they have there."""

    def powers(self, room: RoomId) -> Powers | None:
        """What power comes from in a room that we are in; None while the homeserver has not told of the room."""
        ...

    async def is_in(self, room: RoomId, user: UserId) -> bool:
        """Whether `user` is a member now. Raises as `Outbound` does where that is not known and cannot be asked."""
        ...


class Doors(Protocol):
    """Looked at when a turn is about to start: much may have changed since its command was accepted."""

    async def hindrance(self, command: Command) -> Hindrance | None:
        """Why the command may not start now; None if it may. Answers in bounded time. Raises `StoreError`."""
        ...

    def admins(self, room: RoomId) -> Sequence[UserId]:
        """Who may answer in the turns of others: ids and rules on servers, in order."""
        ...
