"""The tools that a run gets from its room: a server of the Model Context Protocol behind the run's way out.

It keeps nothing between two requests, so what the protocol needs of it is little: each request is one JSON-RPC message,
and each answer one more. By hand, because each start of a run waits for it. Whoever asks is what runs in the room, and
may say anything.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from aiagentchat import __version__
from aiagentchat.agents.claude_code.speaking import Speaking
from aiagentchat.core.agent_events import ROOM_SERVER, ROOM_TOOL
from aiagentchat.egress.decide import ROOM
from aiagentchat.render import file_words

PROTOCOL = "2025-06-18"
"""What is answered to a client that does not say which version it speaks."""
ADDRESS, TOKEN = "AIAGENTCHAT_ROOM", "AIAGENTCHAT_ROOM_TOKEN"
MOST_PATH, MOST_CAPTION = 4096, 10_000
PATIENCE_MS = 7 * 24 * 3_600_000
"""How long the CLI waits for a tool: as long as an approval may be waited for. The turn's own clock ends it earlier."""

_NOT_JSON, _NO_REQUEST, _NO_METHOD, _NO_TOOL = -32700, -32600, -32601, -32602
_SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": file_words.ABOUT_PATH},
        "caption": {"type": "string", "description": file_words.ABOUT_CAPTION},
    },
    "required": ["path"],
    "additionalProperties": False,
}
_TOOLS = [{"name": ROOM_TOOL, "description": file_words.ABOUT_TOOL, "inputSchema": _SCHEMA}]

Offer: TypeAlias = Callable[[str, str], Awaitable[tuple[str, bool]]]
"""Called with a path and a caption; what the agent is told, and whether that is a failure."""


def mcp_config() -> str:
    """What the CLI is told of the server, without a secret: it finds that in its environment."""
    server = {
        "type": "http",
        "url": f"${{{ADDRESS}}}",
        "headers": {"Authorization": f"Bearer ${{{TOKEN}}}"},
        "alwaysLoad": True,  # the model sees what it is for; without this it sees a name, and has to ask for more
        "timeout": PATIENCE_MS,  # without this it is 60 s, and some of the tools wait for a person
    }
    return json.dumps({"mcpServers": {ROOM_SERVER: server}})


def variables(token: str) -> dict[str, str]:
    """The environment that this needs. The port 0 stands for the one inside on which the way out is found."""
    return {ADDRESS: f"http://127.0.0.1:0{ROOM}", TOKEN: token}


class RoomTools:
    """Answers for one run."""

    def __init__(self, offer: Offer, speaking: Speaking | None = None) -> None:
        """`speaking`: the tools to speak with other agents; None: it has none."""
        self._offer = offer
        self._speaking = speaking

    async def answer(self, body: bytes) -> bytes | None:
        """What is said to one message; None where nothing is."""
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            return _error(None, _NOT_JSON, "This is no JSON.")
        match message:
            case {"jsonrpc": "2.0", "method": str(method), "id": int() | str() as request}:
                said = message.get("params")
                return await self._request(request, method, said if isinstance(said, dict) else {})
            case {"jsonrpc": "2.0"} if "id" not in message or "method" not in message:
                return None
            case _:
                return _error(None, _NO_REQUEST, "This is no request.")

    async def _request(self, request: int | str, method: str, said: Mapping[str, Any]) -> bytes:
        match method:
            case "initialize":
                return _result(request, _about(said))
            case "ping":
                return _result(request, {})
            case "tools/list":
                more = [] if self._speaking is None else self._speaking.listed()
                return _result(request, {"tools": [*_TOOLS, *more]})
            case "tools/call":
                return await self._call(request, said)
            case _:
                return _error(request, _NO_METHOD, "There is no such method.")

    async def _call(self, request: int | str, said: Mapping[str, Any]) -> bytes:
        name = said.get("name")
        if self._speaking is not None and isinstance(name, str) and self._speaking.knows(name):
            answer = await self._speaking.call(name, said.get("arguments"))
            return _told(request, answer.text, failed=answer.failed)
        if name != ROOM_TOOL:
            return _error(request, _NO_TOOL, "There is no such tool.")
        given = said.get("arguments")
        arguments = given if isinstance(given, dict) else {}
        path, caption = (_text(arguments.get("path"), MOST_PATH), _text(arguments.get("caption"), MOST_CAPTION))
        told, failed = await self._offer(path, caption) if path else (file_words.NO_PATH, True)
        return _told(request, told, failed=failed)


def _about(said: Mapping[str, Any]) -> dict[str, Any]:
    wanted = said.get("protocolVersion")
    return {
        "protocolVersion": wanted if isinstance(wanted, str) else PROTOCOL,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "aiagentchat", "version": __version__},
    }


def _text(value: object, most: int) -> str:
    return value if isinstance(value, str) and len(value) <= most else ""


def _told(request: int | str, text: str, *, failed: bool) -> bytes:
    return _result(request, {"content": [{"type": "text", "text": text}], "isError": failed})


def _result(request: int | str, result: Mapping[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request, "result": result}).encode()


def _error(request: int | str | None, code: int, text: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request, "error": {"code": code, "message": text}}).encode()
