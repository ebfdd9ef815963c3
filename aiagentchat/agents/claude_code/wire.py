"""The lines that we write to the CLI. Each is one JSON object; a line that is none would kill it."""

import json
from typing import Any

from aiagentchat.core.ports.agent import Prompt


def initialize(request: str, instructions: str) -> bytes:
    """First line: the room's instructions join the system prompt here, without argv."""
    return _request(request, {"subtype": "initialize", "appendSystemPrompt": instructions})


def user(prompt: Prompt) -> bytes:
    """A prompt. `client_composed` keeps `@path` from reading files and `/word` from being the CLI's own command."""
    return _line(
        {
            "type": "user",
            "message": {"role": "user", "content": prompt.text},
            "uuid": prompt.uuid,
            "client_composed": True,
        }
    )


def interrupt(request: str) -> bytes:
    """End the turn; what is queued behind it inside the CLI too."""
    return _request(request, {"subtype": "interrupt", "cancel_queued": True})


def end_session(request: str) -> bytes:
    """Leave, in order."""
    return _request(request, {"subtype": "end_session"})


def usage(request: str) -> bytes:
    """Ask what the conversation has cost; without what would have to be read from the disk for it."""
    return _request(request, {"subtype": "get_usage", "skip_behaviors": True})


def permission(request: str, *, allow: bool, reason: str, tool_input: dict[str, Any]) -> bytes:
    """Answer a `can_use_tool`. The CLI's own suggestions are never sent back: they would widen its rules."""
    verdict = {"behavior": "allow", "updatedInput": tool_input} if allow else {"behavior": "deny", "message": reason}
    return _line(
        {"type": "control_response", "response": {"subtype": "success", "request_id": request, "response": verdict}}
    )


def unsupported(request: str) -> bytes:
    """Answer a control request that we do not know, so that the CLI does not wait."""
    return _line(
        {
            "type": "control_response",
            "response": {"subtype": "error", "request_id": request, "error": "not supported by this host"},
        }
    )


def _request(request: str, body: dict[str, Any]) -> bytes:
    return _line({"type": "control_request", "request_id": request, "request": body})


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode("ascii")
