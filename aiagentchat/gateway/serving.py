"""uvicorn, held to our ways: it ends when its task does, takes no signals, and knows who is at the other end."""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

MOST_CONNECTIONS = 128
"""At one place; more are closed at once."""
HEADER_SECONDS = 10.0
"""How long a connection may take to say what it wants: for the first time once it is there, later once it has begun."""
IDLE_SECONDS = 30
"""How long a connection is kept between two requests."""
MOST_HEADER_BYTES = 16 * 1024
CLOSING_SECONDS = 1
"""How long requests that are under way may still take when the daemon ends."""

_PEER = struct.Struct("3i")


class GuardedProtocol(H11Protocol):
    """One connection."""

    _patience: asyncio.TimerHandle | None = None
    """Runs while we wait for the rest of what they have begun to say. uvicorn's own runs until the next byte alone."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "peer": peer_uid(transport.get_extra_info("socket"))}
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._be_patient()

    def data_received(self, data: bytes) -> None:
        """They say something: a request, a part of one, or what is left of one that was refused."""
        super().data_received(data)
        if self._is_at_work():
            self._rest()
        else:
            self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        """They have gone."""
        self._rest()
        super().connection_lost(exc)

    def _is_at_work(self) -> bool:
        """Whether we owe an answer: what comes of the request meanwhile, and how slowly, the door looks after."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _be_patient(self) -> None:
        """Not anew with each byte."""
        if self._patience is None:
            self._patience = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _rest(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def peer_uid(connection: Any) -> int | None:  # noqa: ANN401 - a transport's socket
    """The user at the other end of a unix socket; None for any other."""
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    uid: int = _PEER.unpack(said)[1]
    return uid


async def serve(app: ASGIApp, listener: socket.socket, *, closing: Callable[[], None]) -> None:
    """Serve at `listener` until cancelled. When this ends, the listener and every connection are closed.

    `closing` ends what would go on by itself.
    """
    config = Config(
        app,
        http=GuardedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        loop="asyncio",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=CLOSING_SECONDS,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
    )
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    # Not `Server.serve`: it takes the signals of the process, and leaves connections open when it is cancelled.
    await server.startup(sockets=[listener])
    try:
        await server.main_loop()
    finally:
        closing()
        with suppress(TimeoutError):
            await asyncio.wait_for(server.shutdown(sockets=[listener]), 3 * CLOSING_SECONDS)


def listen_at(port: int) -> socket.socket:
    """A socket on 127.0.0.1. Raises OSError where the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(MOST_CONNECTIONS)
    except OSError:
        listener.close()
        raise
    return listener
