"""A question that a person must answer before something runs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from aiagentchat.core.ids import ApprovalId, EventId, RoomId, SessionId, UserId

ASK_USER = "AskUserQuestion"
"""The agent's own way to ask the room something."""
LEAVE_PLAN = "ExitPlanMode"
"""How the agent shows its plan, and asks whether to carry it out."""
DIGEST_SHOWN = 8
"""So much of a request's digest is shown, and is enough to name it."""


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
    CHOICE = "choice"
    """The agent asks the room something: the answer is one of its choices, or some, or words."""
    PLAN = "plan"
    """The agent has a plan, and waits to carry it out."""

    @property
    def in_turn(self) -> bool:
        """Whether a turn waits for the answer."""
        return self in (ApprovalKind.TOOL, ApprovalKind.CHOICE, ApprovalKind.PLAN)


class PlanAnswer(IntEnum):
    """What a plan may be answered with, by the numbers that the room is shown."""

    CARRY_OUT = 1
    ACCEPT_EDITS = 2
    """As CARRY_OUT, and edits are not asked about for the rest of the turn."""
    KEEP_PLANNING = 3


@dataclass(frozen=True, slots=True)
class Picked:
    """What somebody has answered to a question with choices."""

    numbers: tuple[int, ...] = ()
    """Of the choices, from 1."""
    text: str = ""
    """In words of their own."""


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
    options: tuple[str, ...] = ()
    """Of a CHOICE, as the room was shown them."""
    many: bool = False
    """Whether more than one of them may be chosen."""
    picked: Picked | None = None
    """What was chosen, of a CHOICE or a PLAN that was ALLOWED."""
    rule: "Rule | None" = None
    """What ♾️ would allow from now on; None: it is no answer to this question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is allowed without a question for as long as a conversation lasts: exactly this, and nothing like it."""

    session: SessionId
    digest: str
    """Of what is allowed (`scope_of`): requests with the same one are allowed."""
    shown: str
    """What that is, in one line of Markdown."""
    by: UserId | None = None
    """Who has allowed it; None while nobody has."""


class Scope(StrEnum):
    """How much ♾️ allows."""

    COMMAND = "command"
    """This command, to the letter."""
    FILE = "file"
    """This tool, on this file."""
    REQUEST = "request"
    """This tool with this input, to the letter."""


def request_digest(tool: str, input_: Mapping[str, Any]) -> str:
    """What two requests to use a tool are compared by: the same tool and the same input, to the letter."""
    text = json.dumps([tool, input_], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


_FILES: Mapping[str, str] = {
    "Edit": "file_path",
    "MultiEdit": "file_path",
    "Write": "file_path",
    "NotebookEdit": "notebook_path",
}
"""Tools that change one file, and where they say which."""
_TOLD = ("description", "timeout")
"""What a command comes with and does not change what it does: the agent words it anew each time."""


def scope_of(tool: str, input_: Mapping[str, Any]) -> tuple[Scope, str]:
    """How much ♾️ allows of this request, and the digest that other requests are compared with."""
    file = input_.get(_FILES.get(tool, ""))
    if isinstance(file, str) and file:
        return Scope.FILE, request_digest(f"{Scope.FILE} {tool}", {"file": file})
    if tool == "Bash" and isinstance(input_.get("command"), str):
        said = {key: value for key, value in input_.items() if key not in _TOLD}
        return Scope.COMMAND, request_digest(f"{Scope.COMMAND} {tool}", said)
    return Scope.REQUEST, request_digest(f"{Scope.REQUEST} {tool}", input_)
