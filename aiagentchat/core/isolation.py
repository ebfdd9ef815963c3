"""How a run is kept apart from other rooms, from the daemon and from the network; and how much it may use."""

from dataclasses import dataclass
from enum import StrEnum


class Isolation(StrEnum):
    """A way to keep a run in, the best first (docs/explanation/security.md says what each holds back)."""

    STRICT = "strict"
    """bubblewrap: namespaces of its own, nothing visible but the room's."""
    USERS = "users"
    """A uid of the room's own, Landlock and seccomp; for a daemon that runs as root."""
    LANDLOCK = "landlock"
    """The daemon's uid, held by Landlock and seccomp."""
    NONE = "none"
    """Nothing holds it."""

    def is_at_least(self, other: "Isolation") -> bool:
        """Whether this one holds back what `other` does."""
        return LADDER.index(self) <= LADDER.index(other)


LADDER = tuple(Isolation)
"""From the best to the worst: the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Held:
    """What runs are kept in on this machine."""

    isolation: Isolation
    landlock_abi: int = 0
    """What the kernel's Landlock can hold; 0 without it."""


class Network(StrEnum):
    """Which hosts a run can reach. The model's API is always reached, through the daemon."""

    API = "api"
    ALLOWLIST = "allowlist"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What one run may use. Reaching a limit ends the turn. 0 means no limit of this kind."""

    processes: int = 512
    """Processes and threads."""
    memory: int = 4096
    """MiB of the whole tree."""
    file_size: int = 2048
    """MiB of one file."""
    workspace_size: int = 20_480
    """MiB of the workspace; looked at while a turn runs."""
    output: int = 256
    """MiB of what the agent's program writes in one turn, whatever of that a room reads."""
    niceness: int = 5
    """0 to 19: how much the run gives way to everything else on the machine."""
