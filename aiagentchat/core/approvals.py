"""A question that a person must answer before something runs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiagentchat.core.ids import ApprovalId, EventId, RoomId, UserId


class ApprovalState(StrEnum):
    """Every state but OPEN is final."""

    OPEN = "open"
    ALLOWED = "allowed"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class ApprovalKind(StrEnum):
    """What a yes starts."""

    TOOL = "tool"
    """The agent waits to use a tool."""
    RESUME = "resume"
    """The daemon was restarted while a TOOL question was open: a yes is a new turn in which it is answered once."""
    OFFER = "offer"
    """Messages that were too old to be run unasked: a yes runs them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One question, bound to exactly what the room was shown."""

    id: ApprovalId
    room: RoomId
    command: EventId
    """The command whose turn asks; of an offer the oldest message."""
    tool: str
    expires_at: int
    """Milliseconds since the epoch; unanswered then means denied."""
    state: ApprovalState = ApprovalState.OPEN
    decided_by: UserId | None = None
    reason: str = ""
    kind: ApprovalKind = ApprovalKind.TOOL
    digest: str = ""
    """Of the tool and its input: what a yes is about (`request_digest`)."""
    shown: str = ""
    """What the room was shown, as Markdown, so that it can be shown again."""
    events: tuple[EventId, ...] = ()
    """The messages that an OFFER is about, in order."""


def request_digest(tool: str, input_: Mapping[str, Any]) -> str:
    """What two requests to use a tool are compared by: the same tool and the same input, to the letter."""
    text = json.dumps([tool, input_], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
