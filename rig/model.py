"""A stand-in for the Anthropic Messages API on loopback, for the real CLI to talk to.

It answers by the script in the prompt (`rig.script`); without one it is the demo's offline model (`rig.offline`). It
keeps every request, so that a test can see what left the CLI. Give the CLI `ANTHROPIC_BASE_URL=<model.url>` and any
key. As a program (`python -m rig.model --port 0`) it prints its address and serves until it is told to end.
"""

import argparse
import asyncio
import json
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from rig import offline
from rig.script import Asked, ScriptError, Step, asked, scripted

STARTS_WITHIN = 10.0
"""Seconds for the thread to listen, and to end."""
PIECE = 2000
"""Characters of text in one event of the stream, when a step does not say."""
MOST_BYTES = 256 * 2**20
"""The largest request that it reads."""

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_USAGE = {
    "input_tokens": 1000,
    "cache_creation_input_tokens": 200,
    "cache_read_input_tokens": 3000,
    "output_tokens": 50,
}


@dataclass(slots=True, kw_only=True)
class Request:
    """One request that reached the model."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    raw: str
    body: Any
    """Parsed JSON, None when there was none."""
    at: float = field(default_factory=time.monotonic)
    state: Literal["open", "answered", "left"] = "open"
    """`left`: the client went away before the answer was complete."""

    @property
    def session(self) -> str:
        """The CLI's session id."""
        return self.headers.get("x-claude-code-session-id", "")

    @property
    def system(self) -> str:
        """The system prompt as one text."""
        blocks = (self.body or {}).get("system", "")
        return blocks if isinstance(blocks, str) else "\n".join(block.get("text", "") for block in blocks)

    @property
    def asked(self) -> Asked:
        """What the newest typed message is, and what happened since."""
        return asked(self.body or {})

    def has(self, text: str) -> bool:
        """Whether the text is anywhere in the body."""
        return json.dumps(text, ensure_ascii=False)[1:-1] in self.raw


class Model:
    """Made by `model_server` (this event loop) or `model_thread` (its own). Safe to use from any thread."""

    def __init__(self) -> None:
        self.url = ""
        self._requests: list[Request] = []
        self._changed = threading.Condition()
        self._errors: Counter[str] = Counter()
        self._rehearsed: dict[str, Sequence[Step]] = {}

    def rehearse(self, text: str, *steps: Step) -> None:
        """Answer messages that hold `text` so: for pictures, in which a script has no place."""
        self._rehearsed[text] = steps

    def requests(self, containing: str = "") -> list[Request]:
        """The Messages requests so far whose body holds the text."""
        return [request for request in self.all_requests() if "/messages" in request.path and request.has(containing)]

    def all_requests(self) -> list[Request]:
        """Every HTTP request so far, whatever it asked."""
        with self._changed:
            return list(self._requests)

    async def until_request(
        self, containing: str, *, count: int = 1, state: str = "", timeout: float = 30.0
    ) -> list[Request]:
        """Wait for so many requests that hold the text (and are in that state), without sleeping."""
        return await asyncio.to_thread(self._wait, containing, count, state, timeout)

    def _wait(self, containing: str, count: int, state: str, timeout: float) -> list[Request]:
        def found() -> list[Request]:
            return [request for request in self.requests(containing) if state in ("", request.state)]

        with self._changed:
            if self._changed.wait_for(lambda: len(found()) >= count, timeout):
                return found()
        seen = [f"{request.state} {request.asked.text[:100]!r}" for request in self.requests()[-20:]]
        raise AssertionError(f"the model waited {timeout:g} s for {count} × {containing!r}; it saw {seen}")

    # --- HTTP

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_post("/v1/messages", self._recorded)
        app.router.add_get("/requests", self._shown)
        app.router.add_route("*", "/{anything:.*}", self._recorded)
        return app

    async def _shown(self, http: web.Request) -> web.Response:
        """`requests` for whoever is in another process: the bodies of those that hold the text `containing`."""
        return web.json_response([request.raw for request in self.requests(http.query.get("containing", ""))])

    async def _recorded(self, http: web.Request) -> web.StreamResponse:
        raw = (await http.read()).decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in http.headers.items()}
        request = Request(method=http.method, path=http.path_qs, headers=headers, raw=raw, body=_parsed(raw))
        self._note(request, "open")
        try:
            response = await self._answer(http, request)
        except (ConnectionError, asyncio.CancelledError):
            self._note(request, "left")
            raise
        self._note(request, "answered")
        return response

    def _note(self, request: Request, state: Literal["open", "answered", "left"]) -> None:
        with self._changed:
            if state == "open":
                self._requests.append(request)
            request.state = state
            self._changed.notify_all()

    async def _answer(self, http: web.Request, request: Request) -> web.StreamResponse:
        if http.path == "/v1/messages/count_tokens":
            return web.json_response({"input_tokens": len(json.dumps(request.body)) // 4 + 1})
        if http.path != "/v1/messages" or not isinstance(request.body, dict):
            return web.Response() if http.method == "HEAD" else _error(404, "no such route here")
        what = request.asked
        try:
            step = scripted(what) or self._by_heart(what) or _unscripted(request.body, what)
        except ScriptError as error:
            return _error(400, str(error))
        await asyncio.sleep(step.before)
        if step.error and self._still_fails(f"{request.session} {what.place} {what.answered}", step):
            return _error(step.error, step.message, type_=step.type, headers=step.headers)
        if step.error:
            step = step.then or step
        if step.hang == "headers":
            await asyncio.Event().wait()
        return await _say(http, request.body, step)

    def _by_heart(self, what: Asked) -> Step | None:
        steps = next((steps for text, steps in self._rehearsed.items() if text in what.text), ())
        return steps[what.answered] if what.answered < len(steps) else None

    def _still_fails(self, where: str, step: Step) -> bool:
        self._errors[where] += 1
        return self._errors[where] <= step.times


def _parsed(raw: str) -> object:
    try:
        parsed: object = json.loads(raw)
    except ValueError:
        return None
    return parsed


def _unscripted(body: Mapping[str, Any], what: Asked) -> Step:
    """The offline model, for the conversation itself; small questions on the side (a title …) carry no tools."""
    return offline.answer(what) if body.get("tools") else Step(text="A conversation")


def _error(
    status: int, message: str, *, type_: str = "", headers: Mapping[str, str] | None = None
) -> web.StreamResponse:
    error = {"type": type_ or _ERROR_TYPES.get(status, "api_error"), "message": message or f"scripted {status}"}
    return web.json_response({"type": "error", "error": error}, status=status, headers=headers)


def _blocks(step: Step) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if step.thinking:
        blocks.append({"type": "thinking", "thinking": step.thinking, "signature": "c2lnbmVk"})
    if step.words or not step.tool_uses:
        blocks.append({"type": "text", "text": step.words})
    blocks += (
        {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex}", "name": use.tool, "input": use.input}
        for use in step.tool_uses
    )
    return blocks


async def _say(http: web.Request, body: Mapping[str, Any], step: Step) -> web.StreamResponse:
    blocks = _blocks(step)
    usage = {**_USAGE, **step.usage}
    stop = step.stop_reason or ("tool_use" if step.tool_uses else "end_turn")
    message = {"id": f"msg_{uuid.uuid4().hex}", "type": "message", "role": "assistant", "model": body.get("model")}
    if not body.get("stream"):
        if step.hang:
            await asyncio.Event().wait()
        ended = {"stop_reason": stop, "stop_sequence": None, "usage": usage}
        return web.json_response({**message, "content": blocks, **ended})

    stream = _Stream(http, step)
    await stream.open()
    begun: dict[str, object] = {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    await stream.send("message_start", message={**message, **begun})
    await stream.trouble("start")
    if step.sse_error:
        await stream.send("error", error={"type": step.sse_error, "message": "scripted, inside the stream"})
        return stream.response
    for index, block in enumerate(blocks):
        await stream.send_block(index, block)
    delta = {"stop_reason": stop, "stop_sequence": None}
    await stream.send("message_delta", delta=delta, usage={"output_tokens": usage["output_tokens"]})
    await stream.send("message_stop")
    return stream.response


class _Stream:
    """One streamed answer: server-sent events, and the trouble that the step asks for."""

    def __init__(self, http: web.Request, step: Step) -> None:
        self.response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **step.headers})
        self._http = http
        self._step = step

    async def open(self) -> None:
        await self.response.prepare(self._http)

    async def send(self, name: str, **data: object) -> None:
        await self.response.write(f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode())

    async def trouble(self, where: Literal["start", "mid"]) -> None:
        if self._step.hang == where:
            await asyncio.Event().wait()
        if self._step.drop == where:
            assert self._http.transport
            self._http.transport.abort()
            raise ConnectionResetError("dropped, as the script says")

    async def send_block(self, index: int, block: Mapping[str, Any]) -> None:
        match block["type"]:
            case "text":
                await self._begin(index, {"type": "text", "text": ""})
                await self._send_text(index, block["text"])
            case "thinking":
                await self._begin(index, {"type": "thinking", "thinking": "", "signature": ""})
                await self._delta(index, type="thinking_delta", thinking=block["thinking"])
                await self._delta(index, type="signature_delta", signature=block["signature"])
            case _:
                await self._begin(index, {**block, "input": {}})
                for piece in _pieces(json.dumps(block["input"]), PIECE):
                    await self._delta(index, type="input_json_delta", partial_json=piece)
        await self.send("content_block_stop", index=index)

    async def _send_text(self, index: int, text: str) -> None:
        pieces = _pieces(text, self._step.chunk or PIECE)
        if "mid" in (self._step.hang, self._step.drop) and len(pieces) == 1:
            pieces = _pieces(text, len(text) // 2 + 1)
        for number, piece in enumerate(pieces):
            if number == len(pieces) // 2:
                await self.trouble("mid")
            await self._delta(index, type="text_delta", text=piece)
            await asyncio.sleep(self._step.delay)

    async def _begin(self, index: int, block: Mapping[str, Any]) -> None:
        await self.send("content_block_start", index=index, content_block=block)

    async def _delta(self, index: int, **delta: object) -> None:
        await self.send("content_block_delta", index=index, delta=delta)


def _pieces(text: str, size: int) -> Sequence[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


@asynccontextmanager
async def model_server(port: int = 0, host: str = "127.0.0.1") -> AsyncGenerator[Model, None]:
    """A model on this event loop, until the block ends. Requests that hang are cut off then."""
    model = Model()
    runner = web.AppRunner(model.application(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        model.url = f"http://{host}:{runner.addresses[0][1]}"
        yield model
    finally:
        await runner.cleanup()


@contextmanager
def model_thread(port: int = 0) -> Iterator[Model]:
    """A model on a thread of its own, for several event loops or none."""
    started: list[tuple[Model, asyncio.AbstractEventLoop, asyncio.Event]] = []
    ready = threading.Event()

    async def serve() -> None:
        async with model_server(port) as model:
            stop = asyncio.Event()
            started.append((model, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="model", daemon=True)
    thread.start()
    assert ready.wait(STARTS_WITHIN), "the model did not start"
    model, loop, stop = started[0]
    try:
        yield model
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(STARTS_WITHIN)


async def _serve(port: int, host: str) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with model_server(port, host) as model:
        print(model.url, flush=True)
        await ended.wait()


def main() -> None:
    """Serve until SIGINT or SIGTERM. The first line on stdout is the address."""
    parser = argparse.ArgumentParser(prog="python -m rig.model", description="An offline Messages API on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="where it listens; in a container of its own: 0.0.0.0")
    chosen = parser.parse_args()
    asyncio.run(_serve(chosen.port, chosen.host))


if __name__ == "__main__":
    main()
