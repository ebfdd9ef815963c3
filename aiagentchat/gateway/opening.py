"""Opens the gateway's places and serves at them: the half of `service.py` that imports the HTTP framework."""

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from aiagentchat.core.errors import ConfigError
from aiagentchat.egress.listen import listening
from aiagentchat.gateway.app import create_app
from aiagentchat.gateway.callers import Callers
from aiagentchat.gateway.door import Door, Place, Traffic
from aiagentchat.gateway.feed import Sessions, Streams
from aiagentchat.gateway.front import Front
from aiagentchat.gateway.service import SOCKET, Gateway, Parts
from aiagentchat.gateway.serving import listen_at
from aiagentchat.gateway.serving import serve as serve_at
from aiagentchat.gateway.tokens import FOLDER, OPERATOR, PORT, Tokens, caller_file

log = structlog.get_logger(__name__)


async def serve(gateway: Gateway, parts: Parts) -> None:
    """Serve until cancelled. Raises `ConfigError` where no place can be opened."""
    settings = parts.settings()
    folder = settings.data_dir / FOLDER
    names = [OPERATOR, PORT, *(caller_file(name) for name in settings.gateway.callers)]
    tokens = Tokens(folder, names, told=parts.told)
    tokens.prepare()
    callers = Callers(tokens=tokens, logins=parts.logins, settings=parts.settings, told=parts.told, clock=parts.clock)
    await callers.prepare()
    streams, traffic = Streams(parts.feed), Traffic()
    async with AsyncExitStack() as stack:
        front = Front(
            exchange=parts.exchange,
            callers=callers,
            streams=streams,
            sessions=Sessions(parts.directory),
            vitals=parts.vitals,
            agents=parts.agents,
            levels=parts.levels,
            meters=parts.meters,
            make_room=parts.make_room,
            by_alias=parts.by_alias,
            clock=parts.clock,
            traffic=traffic,
            put_file=parts.put_file,
        )
        app = await asyncio.to_thread(create_app, front)
        places = _open(stack, folder / SOCKET, settings.gateway.port)
        gateway.port = next((place.port for _, place in places if place.port), None)
        log.info("gateway.open", socket=str(folder / SOCKET), port=gateway.port)
        gateway.opened.set()
        async with asyncio.TaskGroup() as group:
            for listener, place in places:
                door = Door(app, place=place, callers=callers, traffic=traffic)
                group.create_task(serve_at(door, listener, closing=streams.close), name="gateway")


def _open(stack: AsyncExitStack, path: Path, port: int) -> list[tuple[socket.socket, Place]]:
    """The places. Raises `ConfigError` without the socket; without the port, it is served at the socket alone."""
    try:
        places = [(stack.enter_context(listening(path, None)), Place(user=os.geteuid()))]
    except OSError as error:
        raise ConfigError([f"{path} cannot be opened: {error.strerror}"]) from error
    if port:
        try:
            places.append((stack.enter_context(listen_at(port)), Place(port=port)))
        except OSError as error:
            log.error("gateway.no_port", port=port, error=error.strerror)  # noqa: TRY400
    return places
