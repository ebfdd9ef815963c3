"""Who is there: one entry for each instance in the state of the registry room. Pure.

docs/reference/protocol.md is its specification. An entry counts only where its state key carries its sender, and only
the homeserver's clock says how old it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aiagentchat.core.ids import InstanceName, UserId

INSTANCE = "com.aiagentchat.instance"
"""The type of its state event."""
HEARTBEAT_SECONDS = 60
TTL_SECONDS = 120
MOST_INSTANCES = 1000


class InstanceKind(StrEnum):
    """What it is."""

    DAEMON = "daemon"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One entry of the registry."""

    user: UserId
    """Who has sent the entry."""
    name: InstanceName
    kind: InstanceKind
    host: str
    rooms: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    status: str = "online"
    """`online`, `busy` or `offline`, as it says itself."""
    version: str = ""
    seen_at: int = 0
    """When its last sign of life was sent, in milliseconds by the homeserver's clock."""
    timed: bool = True
    """Whether its silence says that it is gone: not for one whose end the homeserver tells by itself (MSC4140)."""


def is_alive(instance: Instance, now: int) -> bool:
    """Whether it is there, at `now` by the homeserver's clock."""
    if instance.status == "offline":
        return False
    return not instance.timed or now - instance.seen_at <= TTL_SECONDS * 1000


def state_key(user: UserId, name: InstanceName) -> str:
    """Where the entry stands. It begins with `_`, so that rooms of every version let an account have several."""
    return f"_{user}/{name}"


Entries = Mapping[tuple[UserId, InstanceName], Instance]
