"""How the daemon is, for `/health`, `/status` and `/metrics`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiagentchat.core.ids import InstanceName, UserId

STALE_SECONDS = 180.0
"""Without a word from the homeserver for so long, the daemon counts as cut off: longer than any sync waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """At one moment."""

    version: str
    user: UserId
    instance: InstanceName | None = None
    uptime: float = 0.0
    """Seconds, as is the next."""
    sync_age: float | None = None
    """Since the last sync; None: there was none."""
    sync_failures: int = 0
    """In a row."""
    waiting: int = 0
    """Parcels that are not sent."""
    limited: bool = False
    """Whether the homeserver's limit holds parcels back."""
    sealed: int = 0
    """Messages whose key is missing."""
    store_works: bool = True
    runs: int = 0
    """Turns that run now."""
    commands: Mapping[str, int] = field(default_factory=dict)
    """By their state, as are the messages."""
    messages: Mapping[str, int] = field(default_factory=dict)
    history_position: int = 0

    @property
    def is_connected(self) -> bool:
        """Whether the homeserver answers."""
        return self.sync_age is not None and self.sync_age < STALE_SECONDS and self.sync_failures == 0

    @property
    def is_healthy(self) -> bool:
        """Whether all is well."""
        return self.is_connected and self.store_works
