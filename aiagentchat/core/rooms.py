"""Rooms that are not in config.yaml: those that were made in chat, and those that we were only invited into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiagentchat.core.ids import RoomId, UserId

DIRECT = "direct"
"""The body of an invite into a direct chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeRoom:
    """A room that somebody has made one of ours."""

    room: RoomId
    folder: str
    """What its folder was to be called; `Made.slugs` has what it is called."""
    by: UserId
    at: int
    """Milliseconds since the epoch."""
    direct: bool = False
    """A direct chat: it is for `by` alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRoom:
    """A room that we are in, and that is not one of ours (any more): until somebody makes it one, or until then."""

    room: RoomId
    by: UserId
    """Whose invite it was, or who took the room away."""
    since: int
    """Milliseconds since the epoch, as is `until`. What was said since then is run when the room is made …"""
    until: int
    """When we leave."""
    keeps: bool
    """… if this is true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """All of them, as the ledger has them."""

    rooms: tuple[MadeRoom, ...] = ()
    waiting: tuple[WaitingRoom, ...] = ()
    slugs: Mapping[RoomId, str] = field(default_factory=dict)
    """The folder names of all rooms that ever had one, also in config.yaml. None is ever given to another room."""

    def owner_of(self, folder: str) -> RoomId | None:
        """Whose folder this is, or was."""
        return next((room for room, slug in self.slugs.items() if slug == folder), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomWish:
    """A room that the operator wants to have."""

    name: str
    topic: str = ""
    is_public: bool = False
    invite: Sequence[UserId] = ()
