"""How the daemon is, for `/health`, `/ready`, `/status` and `/metrics`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiagentchat.core.ids import InstanceName, UserId

STALE_SECONDS = 180.0
"""Without a word from the homeserver for so long, the daemon counts as cut off: longer than any sync waits."""
NOT_HEARD = "the homeserver was not heard yet"


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
    sync_restarts: int = 0
    """How often the homeserver was lost and came back, since the start, as the next two."""
    waiting: int = 0
    """Parcels that are not sent."""
    limited: bool = False
    """Whether the homeserver's limit holds parcels back."""
    refusals: int = 0
    """How often the homeserver has answered, whatever was asked, that we ask too much."""
    store_works: bool = True
    store_stalls: int = 0
    """How often writing had to wait."""
    runs: int = 0
    """Turns that run now."""
    commands: Mapping[str, int] = field(default_factory=dict)
    """By their state, as are the messages."""
    messages: Mapping[str, int] = field(default_factory=dict)
    history_position: int = 0
    agents: Mapping[str, bool] = field(default_factory=dict)
    """Whether the programs of the agents that rooms have can be started."""

    @property
    def is_connected(self) -> bool:
        """Whether the homeserver answers."""
        return self.sync_age is not None and self.sync_age < STALE_SECONDS and self.sync_failures == 0

    @property
    def is_healthy(self) -> bool:
        """Whether all is well."""
        return self.is_connected and self.store_works

    @property
    def is_ready(self) -> bool:
        """Whether a message that comes now would be answered."""
        return not self.missing

    @property
    def missing(self) -> list[str]:
        """What is not as it must be, in words. One failed sync is nothing yet: the last one may be a second old."""
        missing = []
        if self.sync_age is None:
            missing.append(NOT_HEARD)
        elif self.sync_age >= STALE_SECONDS:
            missing.append(f"the homeserver was not heard for {self.sync_age:.0f} s")
        if not self.store_works:
            missing.append("the database cannot be written")
        missing += [
            f"the program of agent {name} cannot be started, or does not answer"
            for name, there in self.agents.items()
            if not there
        ]
        return missing
