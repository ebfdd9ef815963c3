"""What an agent says while it works on a turn, in our words.

The wire of each agent is translated into these at its edge (`agents/`), so that a new kind of line, or a new agent,
changes nothing here. A turn yields exactly one `TurnEnded`, and it is the last event.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from aiagentchat.core.commands import TurnRecord
from aiagentchat.core.ids import SessionId

ROOM_SERVER, ROOM_TOOL = "room", "send_file"


def room_tool(name: str) -> str:
    """What the agent calls a tool that we give it."""
    return f"mcp__{ROOM_SERVER}__{name}"


SEND_FILE = room_tool(ROOM_TOOL)
"""What the tool is called by which the agent puts a file into the room (`FileOffered`). It needs no approval."""
SEEN_IN_THE_ROOM = frozenset({SEND_FILE, *map(room_tool, ("send", "ask", "assign_task", "update_task"))})
"""Tools whose use is seen in the room by what they put there: no line of the answer says it a second time."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The agent has taken the prompt. The session exists from here on."""

    session: SessionId


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Some more of what the agent says to the room."""

    text: str


@dataclass(frozen=True, slots=True)
class TextBlockEnded:
    """What was said since the last one is complete, and will not be taken back."""


@dataclass(frozen=True, slots=True)
class TextRetracted:
    """What was said since the last complete block was cut off by a fault, and will be said again."""


@dataclass(frozen=True, slots=True)
class ToolUsed:
    """The agent uses a tool: shown as one quiet line."""

    tool: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Thought:
    """What the model thought, whole; not meant for the room unless the room asks for it."""

    text: str


class PlanState(StrEnum):
    """How far a step of a plan is."""

    TODO = "todo"
    DOING = "doing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One thing that the agent wants to do."""

    text: str
    state: PlanState


@dataclass(frozen=True, slots=True)
class PlanChanged:
    """All that the agent wants to do now; it takes the place of what it had said of that before."""

    steps: tuple[PlanStep, ...]


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """The agent wants to use a tool and waits for `AgentRun.answer`."""

    request: str
    tool: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApprovalWithdrawn:
    """The agent no longer waits for the answer to `request`."""

    request: str


@dataclass(frozen=True, slots=True)
class Folded:
    """What was given to the running turn (`AgentRun.fold`) was read in it: it is a part of it, and ends with it."""

    uuid: str


@dataclass(frozen=True, slots=True)
class NotFolded:
    """What was given to the running turn was dropped unread, because the turn is ended."""

    uuid: str


@dataclass(frozen=True, slots=True)
class ApiRetry:
    """The model's API failed; the agent tries again by itself."""

    attempt: int
    most: int
    status: int | None
    """The HTTP status, None when there was no answer."""


@dataclass(frozen=True, slots=True)
class UsageLimited:
    """The account may not use the model before this is reset; what was asked last is refused, and ends the turn."""

    resets_at: int | None
    """Milliseconds since the epoch; None when the API does not say."""


@dataclass(frozen=True, slots=True)
class LimitReached:
    """The run has used all that it may (`core.isolation.RunLimits`). It goes on until somebody ends the turn."""

    limit: str
    """The name of the field in `RunLimits`."""
    most: int
    """Its value."""


@dataclass(frozen=True, slots=True)
class CostSoFar:
    """What the turn has cost up to now, in micro-USD. Only of a run that was asked for it (`RunSpec.tells_cost`)."""

    cost_micro_usd: int


@dataclass(frozen=True, slots=True)
class HostBlocked:
    """Something in the run wanted to reach a host that the room may not."""

    host: str


@dataclass(frozen=True, slots=True)
class FileOffered:
    """The agent wants a file of the workspace put into the room; `AgentRun.reply` tells it what has come of it."""

    request: str
    path: str
    """As the agent says it."""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """Something that we do not know. Counted, never fatal."""

    kind: str


class Ending(StrEnum):
    """How a turn came to its end, as the agent sees it."""

    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class Failure(StrEnum):
    """Why a turn failed, as far as a room needs to know."""

    UNKNOWN = "unknown"
    AUTHENTICATION = "authentication"
    BILLING = "billing"
    RATE_LIMIT = "rate_limit"
    USAGE_LIMIT = "usage_limit"
    OVERLOADED = "overloaded"
    MODEL = "model"
    TOO_LONG = "too_long"
    BUDGET = "budget"
    API = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded:
    """The turn is over."""

    ending: Ending
    failure: Failure | None = None
    text: str = ""
    """The agent's own last text; shown when nothing was streamed."""
    record: TurnRecord = field(default_factory=TurnRecord)


AgentEvent: TypeAlias = (
    TurnStarted
    | TextDelta
    | TextBlockEnded
    | TextRetracted
    | ToolUsed
    | Thought
    | PlanChanged
    | ApprovalAsked
    | ApprovalWithdrawn
    | Folded
    | NotFolded
    | ApiRetry
    | UsageLimited
    | LimitReached
    | CostSoFar
    | HostBlocked
    | FileOffered
    | Unrecognised
    | TurnEnded
)
