"""A model that answers one thing: it commits, and says that it has. For a program that must have somebody to ask."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

COMMITTED = "Committed."
_COMMIT = "git -c user.name=a -c user.email=a@b commit --allow-empty -m x; true"
_MOST_BODY = 8 * 2**20


@asynccontextmanager
async def one_answer(socket: Path) -> AsyncGenerator[int, None]:
    """Serve the Messages API at a unix socket that everybody may use, and at the port of this machine that is given."""
    app = web.Application(client_max_size=_MOST_BODY)
    app.router.add_post("/v1/messages", _answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.UnixSite(runner, str(socket)).start()
        await asyncio.to_thread(socket.chmod, 0o666)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[-1][1]
    finally:
        await runner.cleanup()


async def _answer(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    block = _block(asked)
    stop = "tool_use" if block["type"] == "tool_use" else "end_turn"
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked.get("model", ""), "usage": usage}
    if not asked.get("stream"):
        whole = {**message, "content": [block], "stop_reason": stop, "stop_sequence": None}
        return web.json_response(whole)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for event in _events(message, block, stop, usage):
        await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    return response


def _block(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A tool is used where there is one, and it has not been used yet."""
    tools = {tool.get("name") for tool in asked.get("tools", ())}
    said = [message["content"] for message in asked.get("messages", ()) if isinstance(message.get("content"), list)]
    done = any(part.get("type") == "tool_result" for parts in said for part in parts)
    if "Bash" in tools and not done:
        return {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": _COMMIT}}
    return {"type": "text", "text": COMMITTED}


def _events(
    message: Mapping[str, Any], block: Mapping[str, Any], stop: str, usage: Mapping[str, int]
) -> list[dict[str, Any]]:
    if block["type"] == "tool_use":
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        empty = {**block, "text": ""}
        delta = {"type": "text_delta", "text": block["text"]}
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]
