"""Who may do what in a room: the roles, what gives somebody one for a while, and what keeps a command from starting."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from aiagentchat.core.ids import RoomId, UserId


class Role(IntEnum):
    """Each may do what the one before may."""

    VIEWER = 1
    """Bot commands that only read."""
    USER = 2
    """Runs commands, stops turns, answers what the agent asks in a turn of their own."""
    ADMIN = 3
    """What changes a room for everybody, and answers in the turns of others."""


MOST_GRANTED = Role.USER
"""No grant is above this: who is an admin, only the operator says, in config.yaml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role that an admin gave to somebody in one room, beside what config.yaml says."""

    room: RoomId
    user: UserId
    role: Role
    by: UserId
    given_at: int
    """Milliseconds since the epoch, as is `until`."""
    until: int | None = None
    """From then on it is none; None: until somebody takes it back."""


def is_listed(user: UserId, listed: Collection[UserId]) -> bool:
    """Whether the id stands there to the letter, or the rule on its server (`@*:example.org`)."""
    return user in listed or _rule_for(user) in listed


def _rule_for(user: UserId) -> UserId | None:
    """A server is its whole name: everything behind the first colon."""
    name, colon, server = user.partition(":")
    return UserId(f"@*:{server}") if name.startswith("@") and len(name) > 1 and colon and server else None


class Hindrance(StrEnum):
    """Why a command that waits is not run."""

    LEFT = "left"
    """Whoever asked for it is not in the room (any more)."""
    NOT_ALLOWED = "not_allowed"
    """They have no role (any more) that runs commands."""
    UNKNOWN = "unknown"
    """The homeserver does not say; it may, later."""
