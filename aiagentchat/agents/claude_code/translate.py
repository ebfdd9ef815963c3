"""The CLI's lines → our events. Pure: state in, events out; no line can make it raise.

The text of an answer arrives twice: in pieces (`stream_event`) and whole (`assistant`, one line per content block).
Pieces are shown as they come; of the whole only what the pieces did not say is added. So nothing is lost when the CLI
falls back to a request without streaming, and nothing is said twice when it does not.
"""

import json
from typing import Any

from aiagentchat.agents.claude_code.plans import Plans
from aiagentchat.core.agent_events import (
    AgentEvent,
    ApiRetry,
    ApprovalAsked,
    ApprovalWithdrawn,
    CostSoFar,
    Ending,
    Failure,
    Folded,
    NotFolded,
    TextBlockEnded,
    TextDelta,
    TextRetracted,
    Thought,
    TurnEnded,
    TurnStarted,
    Unrecognised,
    UsageLimited,
)
from aiagentchat.core.commands import TurnRecord
from aiagentchat.core.ids import SessionId

NOT_FOUND = "No conversation found"
COST = "-cost-"
"""In the id of a request that asks what the conversation has cost."""
IN_USE = "is already in use"

_QUIET = frozenset(
    {
        "assistant.thinking",
        "assistant.redacted_thinking",
        "system.status",
        "system.session_state_changed",
        "system.task_started",
        "system.task_notification",
        "system.task_updated",
        "system.task_progress",
        "system.background_tasks_changed",
        "system.thinking_tokens",
        "system.informational",
        "system.permission_denied",
        "system.model_fallback",
        "system.compact_boundary",
        "command_lifecycle",
        "conversation_reset",
        "control_response",
        "user",
    }
)
"""Kinds that we know and have no use for yet."""
LINE_BYTES = 256
"""What a line counts as at least: to read one takes time, however short it is."""
MOST_KINDS = 20
"""Of those that we do not know, so many are told apart in a turn."""
_KIND_CHARACTERS = 80
"""Of a kind that we do not know: it is logged."""
_LAST_SECOND = 253_402_300_799
"""A moment after the year 9999 is none."""
_MOST = 2**53
"""Counts beyond this are none; a database would not take them."""

_FAILURES = {
    "authentication_failed": Failure.AUTHENTICATION,
    "billing_error": Failure.BILLING,
    "rate_limit": Failure.RATE_LIMIT,
    "rate_limit_error": Failure.RATE_LIMIT,
    "usage_limit_reached": Failure.USAGE_LIMIT,
    "overloaded": Failure.OVERLOADED,
    "overloaded_error": Failure.OVERLOADED,
    "model_not_found": Failure.MODEL,
    "not_found_error": Failure.MODEL,
    "authentication_error": Failure.AUTHENTICATION,
    "permission_error": Failure.AUTHENTICATION,
    "prompt_too_long": Failure.TOO_LONG,
    "request_too_large": Failure.TOO_LONG,
    "error_max_budget_usd": Failure.BUDGET,
}
_STATUSES = {
    401: Failure.AUTHENTICATION,
    403: Failure.AUTHENTICATION,
    404: Failure.MODEL,
    413: Failure.TOO_LONG,
    429: Failure.RATE_LIMIT,
    529: Failure.OVERLOADED,
}


class Translator:
    """Translates the lines of one turn."""

    def __init__(self, uuid: str = "") -> None:
        self._uuid = uuid
        self.read = 0
        """Bytes of the lines so far."""
        self._unknown: set[str] = set()
        self.session_lost = False
        self.declined: list[str] = []
        """Requests of the CLI that we cannot serve: somebody must tell it, or it waits."""
        self._streamed = ""
        self._error = ""
        self._running = False
        self._lost_line = False
        self._limited = False
        self._plans = Plans()
        self._kept: frozenset[str] = frozenset()
        """What a shorter conversation goes on with: the CLI tells some of that once more."""
        self._cost_asked = False
        self._cost_stale = False
        self._cost_before: int | None = None

    @property
    def wants_cost(self) -> bool:
        """Whether something has happened since it was asked what the turn costs, and nobody waits for the answer."""
        return self._cost_stale and not self._cost_asked

    def cost_asked(self) -> None:
        """Somebody asks now. The first answer is what the conversation had cost before the turn."""
        self._cost_asked, self._cost_stale = True, False

    def line(self, raw: bytes) -> list[AgentEvent]:
        """The events in a line of stdout."""
        self.read += max(LINE_BYTES, len(raw))
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            return [Unrecognised("not json")]
        if not isinstance(value, dict):
            return [Unrecognised("no object")]
        return self.value(value)

    def is_news(self, kind: str) -> bool:
        """Whether a kind that we do not know is worth a word: whatever speaks there may make them up."""
        if kind in self._unknown or len(self._unknown) >= MOST_KINDS:
            return False
        self._unknown.add(kind)
        return True

    def too_long(self, size: int = 0) -> list[AgentEvent]:
        """A line of so many bytes was dropped for its length: if it was the result, `idle` will have to do."""
        self.read += size
        self._lost_line = True
        return [Unrecognised("line too long")]

    def value(self, value: dict[str, Any]) -> list[AgentEvent]:
        """The events in a parsed line."""
        self._cost_stale = self._cost_stale or value.get("type") in ("assistant", "user")
        match value:
            case {"type": "stream_event" | "assistant" | "user", "parent_tool_use_id": str()}:
                return []  # a subagent talks to its agent, not to the room
            case {"type": "stream_event", "event": {"type": str(kind)} as event}:
                return self._stream(kind, event)
            case {"type": "assistant", "message": {"content": list(blocks)}}:
                return self._assistant(value, blocks)
            case {"type": "result"}:
                return self._result(value)
            case {"type": "system", "subtype": str(kind)}:
                return self._system(kind, value)
            case {"type": "control_request" | "control_response"}:
                return self._control(value)
            case {"type": "rate_limit_event"}:
                return self._rate_limit(_mapping(value.get("rate_limit_info")))
            case {"type": "command_lifecycle", "command_uuid": str(uuid), "state": str(state)}:
                return self._lifecycle(state) if uuid == self._uuid else _lifecycle_of_another(uuid, state)
            case {"type": "control_cancel_request", "request_id": str(request)}:
                return [ApprovalWithdrawn(request)]
            case {"type": str(kind)}:
                return self._tool_result(value) or _unknown(kind)
            case _:
                return [Unrecognised("no type")]

    def _tool_result(self, value: dict[str, Any]) -> list[AgentEvent]:
        match value:
            case {"type": "user", "message": {"content": [{"tool_use_id": str(use)}, *_]}}:
                return self._plans.result(use, value.get("tool_use_result"))
            case _:
                return []

    def _assistant(self, value: dict[str, Any], blocks: list[Any]) -> list[AgentEvent]:
        if value.get("error"):
            # The CLI's own report of a failed request: the result says the same, and foreign words stay out.
            self._error = _string(value["error"])
            return []
        if _string(value.get("uuid")) in self._kept:
            return []
        return [event for block in blocks for event in self._block(block)]

    def _control(self, value: dict[str, Any]) -> list[AgentEvent]:
        match value:
            case {"request_id": str(request), "request": {"subtype": str(kind)} as ask}:
                return self._request(request, kind, ask)
            case {"response": {"request_id": str(request)} as answer} if COST in request:
                return self._cost_answered(_mapping(answer.get("response")))
            case _:
                return _unknown(_string(value["type"]))

    def _request(self, request: str, kind: str, ask: dict[str, Any]) -> list[AgentEvent]:
        if kind == "can_use_tool":
            return [ApprovalAsked(request, _string(ask.get("tool_name")) or "?", _mapping(ask.get("input")))]
        self.declined.append(request)
        return _unknown(f"control_request.{kind}")

    def _cost_answered(self, usage: dict[str, Any]) -> list[AgentEvent]:
        """The conversation's cost runs on over turns, as in a result. A program that does not know it says nothing."""
        total = _micros(_mapping(usage.get("session")).get("total_cost_usd"))
        self._cost_asked = False
        if self._cost_before is None:
            self._cost_before = total
            return []
        return [CostSoFar(max(0, total - self._cost_before))]

    def _lifecycle(self, state: str) -> list[AgentEvent]:
        """A prompt that ends without a result: cancelled before it began, or answered in an earlier life."""
        match state:
            case "cancelled":
                return [TurnEnded(ending=Ending.INTERRUPTED)]
            case "completed":
                return [TurnEnded(ending=Ending.COMPLETED)]
            case _:
                return []

    def _rate_limit(self, info: dict[str, Any]) -> list[AgentEvent]:
        """Of a subscription; most of them only say that all is well."""
        if info.get("status") != "rejected":
            return []
        self._limited = True
        seconds = _integer(info.get("resetsAt"))
        return [UsageLimited(seconds * 1000 if 0 < seconds <= _LAST_SECOND else None)]

    def _stream(self, kind: str, event: dict[str, Any]) -> list[AgentEvent]:
        match event:
            case {"type": "message_start"} if self._streamed:
                # Streamed, and never told whole: the request failed on the way and is made again. The CLI closes what
                # it has begun to stream, so a `message_stop` means nothing.
                self._streamed = ""
                return [TextRetracted()]
            case {"delta": {"type": "text_delta", "text": str(text)}}:
                self._streamed += text
                return [TextDelta(text)] if text else []
            case {"type": "error"}:
                return _unknown(f"stream.{kind}")
            case _:
                pass
        return []

    def _block(self, block: object) -> list[AgentEvent]:
        match block:
            case {"type": "text", "text": str(text)}:
                return self._text(text)
            case {"type": "tool_use", "name": str(name), "input": dict(used), **rest}:
                return self._plans.used(str(rest.get("id")), name, used)
            case {"type": "thinking", "thinking": str(text)} if text.strip():
                return [Thought(text)]
            case {"type": str(kind)}:
                return _unknown(f"assistant.{kind}")
            case _:
                return [Unrecognised("assistant block without a type")]

    def _text(self, text: str) -> list[AgentEvent]:
        said, self._streamed = self._streamed, ""
        if text.startswith(said):
            rest = text[len(said) :]
            return [*([TextDelta(rest)] if rest else []), TextBlockEnded()]
        if said.startswith(text):
            return [TextBlockEnded()]  # an aborted message, cut shorter than what was streamed
        return [TextRetracted(), TextDelta(text), TextBlockEnded()]

    def _system(self, kind: str, value: dict[str, Any]) -> list[AgentEvent]:
        match value:
            case {"subtype": "init", "session_id": str(session)}:
                return [TurnStarted(SessionId(session))]
            case {"subtype": "api_retry"}:
                status = value.get("error_status")
                self._error = _string(value.get("error"))
                return [
                    ApiRetry(
                        _integer(value.get("attempt")),
                        _integer(value.get("max_retries")),
                        status if isinstance(status, int) else None,
                    )
                ]
            case {"subtype": "compact_boundary", "compact_metadata": {"preserved_messages": {"uuids": list(uuids)}}}:
                self._kept = frozenset(_strings(uuids))
                return []
            case {"subtype": "session_state_changed", "state": "running"}:
                self._running = True
                return []
            case {"subtype": "session_state_changed", "state": "idle"} if self._running and self._lost_line:
                return [TurnEnded(ending=Ending.COMPLETED)]
            case _:
                return _unknown(f"system.{kind}")

    def _result(self, value: dict[str, Any]) -> list[AgentEvent]:
        if any(NOT_FOUND in error for error in _strings(value.get("errors"))):
            self.session_lost = True
        usage = _mapping(value.get("usage"))
        record = TurnRecord(
            duration_ms=_integer(value.get("duration_ms")),
            cost_micro_usd=_cost(value),
            input_tokens=sum(
                _integer(usage.get(key))
                for key in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
            ),
            output_tokens=_integer(usage.get("output_tokens")),
        )
        # What was read in this turn beside its own prompt: said before as well, but here for certain.
        folded = [Folded(uuid) for uuid in _strings(value.get("user_message_uuids")) if uuid != self._uuid]
        return [*folded, self._end(value, record)]

    def _end(self, value: dict[str, Any], record: TurnRecord) -> TurnEnded:
        if _string(value.get("terminal_reason")).startswith("aborted"):
            return TurnEnded(ending=Ending.INTERRUPTED, record=record)
        # Never by subtype: an API failure comes as subtype "success" with is_error true.
        if value.get("is_error"):
            failure = self._failure(value)
            if self._limited and failure is Failure.RATE_LIMIT:
                failure = Failure.USAGE_LIMIT
            return TurnEnded(ending=Ending.FAILED, failure=failure, record=record)
        return TurnEnded(ending=Ending.COMPLETED, text=_string(value.get("result")), record=record)

    def _failure(self, value: dict[str, Any]) -> Failure:
        for name in (value.get("error"), value.get("api_error"), value.get("api_error_type"), self._error):
            if isinstance(name, str) and name in _FAILURES:
                return _FAILURES[name]
        for name in (value.get("terminal_reason"), value.get("subtype")):
            if isinstance(name, str) and name in _FAILURES:
                return _FAILURES[name]
        status = value.get("api_error_status")
        if isinstance(status, int):
            return _STATUSES.get(status, Failure.API)
        if value.get("terminal_reason") == "api_error":
            return Failure.API
        return Failure.UNKNOWN


def _lifecycle_of_another(uuid: str, state: str) -> list[AgentEvent]:
    """A message that was sent while the turn runs."""
    match state:
        case "started":
            return [Folded(uuid)]
        case "cancelled":
            return [NotFolded(uuid)]
        case _:
            return []


def _unknown(kind: str) -> list[AgentEvent]:
    return [] if kind in _QUIET else [Unrecognised(kind[:_KIND_CHARACTERS])]


def _cost(result: dict[str, Any]) -> int:
    """Of this turn: `total_cost_usd` runs on over turns, processes and resumes."""
    models = _mapping(result.get("model_usage_since_last_result"))
    return _micros(sum(_number(_mapping(used).get("costUSD")) for used in models.values()))


def _micros(dollars: object) -> int:
    return min(_MOST, round(_number(dollars) * 1_000_000))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _integer(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else 0


def _number(value: object) -> float:
    """Python's JSON knows numbers that are none (NaN), and integers that no float can hold."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST else 0.0
