"""What a fault is, for whoever runs them."""

from typing import Protocol

from rig.faults.lane import Lane


class Fault(Protocol):
    """One kind of trouble. Its docstring says what it does, and which invariants it attacks."""

    name: str
    group: str
    """Which faults may be judged together."""
    planned: int
    """Tries in a full run."""
    only_full: bool
    """Takes too long for a short one."""

    async def strike(self, lane: Lane) -> bool:
        """Let it happen once. False when it did not take place, or met nothing that it could harm."""
        ...

    def hindrance(self) -> str:
        """Why it cannot be done on this machine, "" when it can."""
        ...
