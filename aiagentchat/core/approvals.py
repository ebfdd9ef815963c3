"""A question of the agent that a person must answer before a tool runs."""

from dataclasses import dataclass
from enum import StrEnum

from aiagentchat.core.ids import ApprovalId, EventId, RoomId, UserId


class ApprovalState(StrEnum):
    """Every state but OPEN is final."""

    OPEN = "open"
    ALLOWED = "allowed"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One request to use a tool, bound to exactly what the room was shown."""

    id: ApprovalId
    room: RoomId
    command: EventId
    tool: str
    expires_at: int
    """Milliseconds since the epoch; unanswered then means denied."""
    state: ApprovalState = ApprovalState.OPEN
    decided_by: UserId | None = None
    reason: str = ""
