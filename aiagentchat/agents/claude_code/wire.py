"""The lines that we write to the CLI. Each is one JSON object; a line that is none would kill it."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from aiagentchat.core.ports.agent import Block, Prompt


def initialize(request: str, instructions: str) -> bytes:
    """First line: the room's instructions join the system prompt here, without argv."""
    return _request(request, {"subtype": "initialize", "appendSystemPrompt": instructions})


def user(prompt: Prompt) -> bytes:
    """A prompt. `client_composed` keeps `@path` from reading files and `/word` from being the CLI's own command.

    Only one of our fixed list goes without it, and nothing that somebody typed with it.
    """
    content = f"/{prompt.own}" if prompt.own else _content(prompt)
    composed = {} if prompt.own else {"client_composed": True}
    return _line({"type": "user", "message": {"role": "user", "content": content}, "uuid": prompt.uuid, **composed})


def _content(prompt: Prompt) -> str | list[dict[str, Any]]:
    """Pictures and documents come before the text that speaks of them, as the API advises."""
    if not prompt.blocks:
        return prompt.text
    return [*map(_block, prompt.blocks), {"type": "text", "text": prompt.text}]


def _block(block: Block) -> dict[str, Any]:
    data = base64.b64encode(block.data).decode("ascii")
    kind = "image" if block.mime.startswith("image/") else "document"
    return {"type": kind, "source": {"type": "base64", "media_type": block.mime, "data": data}}


def interrupt(request: str) -> bytes:
    """End the turn; what is queued behind it inside the CLI too."""
    return _request(request, {"subtype": "interrupt", "cancel_queued": True})


def set_permission_mode(request: str, mode: str) -> bytes:
    """Ask about so much from now on."""
    return _request(request, {"subtype": "set_permission_mode", "mode": mode})


def end_session(request: str) -> bytes:
    """Leave, in order."""
    return _request(request, {"subtype": "end_session"})


def usage(request: str) -> bytes:
    """Ask what the conversation has cost; without what would have to be read from the disk for it."""
    return _request(request, {"subtype": "get_usage", "skip_behaviors": True})


def permission(
    request: str, *, allow: bool, reason: str, tool_input: Mapping[str, Any], accept_edits: bool = False
) -> bytes:
    """Answer a `can_use_tool`. The CLI's own suggestions are never sent back: they would widen its rules.

    With `accept_edits` it asks no more about edits, until it is given another mode.
    """
    verdict: dict[str, Any] = {"behavior": "deny", "message": reason}
    if allow:
        verdict = {"behavior": "allow", "updatedInput": dict(tool_input)}
        if accept_edits:
            verdict["updatedPermissions"] = [{"type": "setMode", "mode": "acceptEdits", "destination": "session"}]
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
