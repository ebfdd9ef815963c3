"""What the gateway keeps between lives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiagentchat.core.exchange import Scope
from aiagentchat.core.ids import CallerName, RoomId


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenToken:
    """A token that a login gave. The token itself is not kept."""

    digest: str
    caller: CallerName
    scopes: Mapping[RoomId, frozenset[Scope]] = field(default_factory=dict)
    everywhere: frozenset[Scope] = frozenset()
    created_at: int
    """Milliseconds since the epoch, as is the other."""
    expires_at: int


class GatewayTokens(Protocol):
    """The tokens that logins gave."""

    async def give(self, token: GivenToken) -> None:
        """Keep it. Those that have expired by its `created_at` are forgotten."""
        ...

    async def valid(self, now: int) -> list[GivenToken]:
        """Those that have not expired at that moment, the oldest first."""
        ...
