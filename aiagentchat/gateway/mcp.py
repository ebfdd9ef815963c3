"""`/mcp` of the gateway: the tools of agents over streamable HTTP, for whoever has a token.

Who asks, and that the request comes from no web page, was found out before this is asked. The library of the protocol
is imported by the first request: it takes about as long, and as much memory, as all else that the gateway is made of,
and most daemons are never asked here.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from aiagentchat.core.exchange import Caller
from aiagentchat.core.ports.exchange import Exchange
from aiagentchat.exchange.tools import Desk, PutFile

PATH = "/mcp"
INSTANCE_HEADER = "Aiagentchat-Instance"
"""As which session of `/events` the caller speaks; whoever finds the caller of a request looks at it."""

CallerOf: TypeAlias = Callable[[Request], Caller]
"""Whoever asks. Raises what the app makes an answer of."""


class Mcp:
    """The application behind the path."""

    def __init__(
        self,
        exchange: Exchange,
        caller_of_request: CallerOf,
        *,
        now_ms: Callable[[], int],
        put_file: PutFile | None = None,
    ) -> None:
        """Without `put_file` there is no tool for files."""
        self._exchange = exchange
        self._caller_of = caller_of_request
        self._now_ms = now_ms
        self._put_file = put_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        if request.method != "POST":
            # Nothing is ever said here that nobody has asked for, so there is no stream to wait at.
            refusal = PlainTextResponse("Only POST.", status_code=405, headers={"Allow": "POST"})
            await refusal(scope, receive, send)
            return
        desk = Desk(
            exchange=self._exchange, caller=self._caller_of(request), now_ms=self._now_ms, put_file=self._put_file
        )
        speaking = await asyncio.to_thread(_loaded)
        await speaking.answer(desk, scope, receive, send)


def mount(
    app: FastAPI,
    exchange: Exchange,
    caller_of_request: CallerOf,
    *,
    now_ms: Callable[[], int],
    put_file: PutFile | None = None,
) -> None:
    """Give the app this path."""
    # A route and no mount, which would send everybody on to the path with a slash at its end.
    endpoint: Any = Mcp(exchange, caller_of_request, now_ms=now_ms, put_file=put_file)  # an application of its own
    app.router.add_route(PATH, endpoint)


def _loaded() -> Any:  # noqa: ANN401 - a module
    """The half that knows the protocol."""
    from aiagentchat.gateway import mcp_protocol

    return mcp_protocol
