"""How often agents have begun turns, and where they may not any more.

Both change by effects: `AgentTurn` together with the command that it is, `HaltAgents`, `LetAgentsGoOn`.
"""

from collections.abc import Sequence
from typing import Protocol

from aiagentchat.core.guards import Halt, Standing
from aiagentchat.core.ids import RoomId


class Guards(Protocol):
    """The ledger of them."""

    async def standing(self, room: RoomId, pair: str, since: int) -> Standing:
        """How the room stands, and the pair in it: turns that began after that moment (milliseconds)."""
        ...

    async def halt(self, room: RoomId) -> Halt | None:
        """Since when, and why, agents begin nothing more there; None where they may."""
        ...

    async def halts(self) -> Sequence[Halt]:
        """Of all rooms, the oldest first."""
        ...
