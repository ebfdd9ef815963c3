"""The way out of one run: a unix socket, and behind it the model or, where the room may, other hosts.

Who speaks here is what the room runs, and may say anything. Nothing that it says leads beyond what its settings allow:
which room it is follows from the socket, who may use that from the token, and where a request goes from
`egress/decide.py`. Each connection is served by itself; none can take down another, or the gate.
"""

import asyncio
import contextlib
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import assert_never

import aiohttp
import structlog

from aiagentchat.core.isolation import Network
from aiagentchat.egress import answers
from aiagentchat.egress.answers import Refusal, host_silent, shown
from aiagentchat.egress.client import Client, CutError, Ears, Meter, RefusedError
from aiagentchat.egress.decide import Allowed, Asked, AskModel, AskRoom, Door, Forward, Hello, Tunnel, decide
from aiagentchat.egress.forward import forward, hung_up, tunnel
from aiagentchat.egress.internet import Outside, reach
from aiagentchat.egress.limits import Limits, Pace, Traffic
from aiagentchat.egress.listen import listening
from aiagentchat.egress.upstream import Upstream, ask_model, session

ACCEPT_PAUSE_SECONDS = 1.0
"""When the system has no connection to give, say for want of file descriptors."""
MOST_LOGGED = 20
"""Different hosts that the log names for one run."""

_TOO_MANY_TYPE, _TOO_MANY_TEXT = answers.TOO_MANY.for_model()
_TOO_MANY = b"HTTP/1.1 503 \r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
    _TOO_MANY_TYPE,
    len(_TOO_MANY_TEXT),
    _TOO_MANY_TEXT,
)

log = structlog.get_logger(__name__)


class Gate:
    """Serves from `async with gate.serving()` on until the end of the block."""

    def __init__(  # noqa: PLR0913 - all that is different between two runs, in the one place that says it
        self,
        *,
        socket: Path,
        token: str,
        upstream: Callable[[], Upstream | None],
        network: Network,
        hosts: tuple[str, ...],
        on_blocked: Callable[[str], None],
        outside: Outside,
        uid: int | None = None,
        limits: Limits | None = None,
        room: Callable[[bytes], Awaitable[bytes | None]] | None = None,
    ) -> None:
        """`upstream` is asked at each request: a key that was replaced applies to the next one; None: there is none.

        `room` answers what is asked of the room's tools; it never raises.
        """
        if not token:
            raise ValueError("without a token every run could use this gate")
        self._socket = socket
        self._uid = uid
        self._token = token
        self._upstream = upstream
        self._network = network
        self._hosts = hosts
        self._on_blocked = on_blocked
        self._outside = outside
        self._limits = limits or Limits()
        self._room = room
        self._meter = Meter()
        self._requests = Pace(self._limits.requests_per_second, self._limits.requests_at_once)
        self._arrivals = Pace(self._limits.requests_per_second, self._limits.requests_at_once)
        self._connections = 0
        self._logged: set[str] = set()

    @property
    def traffic(self) -> Traffic:
        """What went through so far."""
        return self._meter.read()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """The socket is there and answers, until the block ends; then it is gone, and so is everybody on it.

        OSError where no socket can be made.
        """
        failure: Exception | None = None
        with listening(self._socket, self._uid) as listener:
            async with session(self._limits.connect_seconds) as http, asyncio.TaskGroup() as group:
                accepting = group.create_task(self._accept(listener, http), name="egress accept")
                try:
                    yield
                except Exception as error:  # noqa: BLE001 - not ours: it goes on as it is, and in no group
                    failure = error
                finally:
                    accepting.cancel()
        if failure is not None:
            raise failure

    # --- connections

    async def _accept(self, listener: socket.socket, http: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError as error:
                    log.warning("egress.not_accepted", error=type(error).__name__)
                    await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                    continue
                if self._connections >= self._limits.connections:
                    self._turn_away(connection)
                else:
                    self._connections += 1
                    group.create_task(self._connected(connection, http), name="egress connection")
                await self._in_turn(self._arrivals)
                await asyncio.sleep(0)  # accepting does not wait while there is somebody: let the others have a go

    def _turn_away(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.send(_TOO_MANY)
        if self._is_new("too many"):
            log.warning("egress.busy", connections=self._limits.connections)

    async def _connected(self, connection: socket.socket, http: aiohttp.ClientSession) -> None:
        try:
            reader = Ears()
            protocol = asyncio.StreamReaderProtocol(reader)
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_unix_connection(lambda: protocol, sock=connection)
            client = Client(
                reader,
                asyncio.StreamWriter(transport, protocol, reader, loop),
                limits=self._limits,
                meter=self._meter,
            )
            try:
                await self._serve(client, http)
            finally:
                await client.cut()
        except Exception as error:  # noqa: BLE001 - one connection must not end the others
            self._log_fault(error)
        finally:
            connection.close()
            self._connections -= 1

    async def _serve(self, client: Client, http: aiohttp.ClientSession) -> None:
        with contextlib.suppress(CutError):
            while await self._next(client, http):
                pass
            await client.leave()

    # --- requests

    async def _next(self, client: Client, http: aiohttp.ClientSession) -> bool:
        """Serve one request; whether another one may follow."""
        of_model = True
        try:
            request = await client.request()
            if request is None:
                return False
            self._meter.requests += 1
            await self._in_turn(self._requests)
            asked = Asked(
                method=request.method,
                target=request.target,
                headers=list(request.headers),
                http_version=request.http_version,
            )
            of_model = asked.target.startswith(b"/")
            await self._act(client, asked, http)
        except RefusedError as error:
            self._note(error.refusal)
            await client.tell(error.refusal, of_model=of_model)
        return client.goes_on

    async def _in_turn(self, pace: Pace) -> None:
        """Wait, if there were so many lately. Who has hung up meanwhile is noticed when he is answered."""
        wait = pace.take(asyncio.get_running_loop().time())
        if wait > 0:
            if self._is_new("too often"):
                log.warning("egress.slowed", per_second=self._limits.requests_per_second)
            await asyncio.sleep(wait)

    async def _act(self, client: Client, asked: Asked, http: aiohttp.ClientSession) -> None:
        upstream = self._upstream()
        also = None if upstream is None else upstream.shown_by_run
        door = Door(token=self._token, also=also, network=self._network, hosts=self._hosts)
        decision = decide(asked, door)
        if isinstance(decision, Refusal):
            raise RefusedError(decision)
        try:
            work = partial(self._carry_out, client, asked, decision, upstream, http)
            # A tool of the room may wait for a person, as long as that is waited for.
            await client.while_here(work, idle=isinstance(decision, AskRoom))
        except TimeoutError:
            if isinstance(decision, Tunnel | Forward):
                raise RefusedError(host_silent(decision.target)) from None
            raise RefusedError(answers.MODEL_SILENT) from None

    async def _carry_out(
        self, client: Client, asked: Asked, decision: Allowed, upstream: Upstream | None, http: aiohttp.ClientSession
    ) -> None:
        seconds = self._limits.connect_seconds
        match decision:
            case Hello():
                await client.greet()
            case AskRoom():
                await self._ask_room(client)
            case AskModel() if upstream is None:
                raise RefusedError(answers.NO_KEY)
            case AskModel(target):
                assert upstream is not None
                most = self._limits.body_bytes
                await ask_model(client, asked, target, upstream=upstream, http=http, most=most)
            case Tunnel(target, how):
                async with hung_up(await reach(self._outside, target, how, seconds=seconds)) as streams:
                    await tunnel(client, streams)
            case Forward(target, how):
                async with hung_up(await reach(self._outside, target, how, seconds=seconds)) as streams:
                    await forward(client, asked, decision, streams, header_bytes=self._limits.header_bytes)
            case _:
                assert_never(decision)

    async def _ask_room(self, client: Client) -> None:
        if self._room is None:
            raise RefusedError(answers.NO_ROOM)
        try:
            async with asyncio.timeout(self._limits.header_seconds):
                body = b"".join([part async for part in client.body(self._limits.room_bytes)])
        except TimeoutError:
            raise RefusedError(answers.TOO_SLOW) from None
        await client.say(await self._room(body))

    # --- what is noted

    def _note(self, refusal: Refusal) -> None:
        if refusal.blocked is None:
            return
        self._meter.blocked += 1
        host = shown(refusal.blocked)
        self._on_blocked(host)
        if self._is_new(host):
            log.info("egress.blocked", host=host)

    def _is_new(self, what: str) -> bool:
        """Whether to log it: a run that asks a thousand times does not fill the log."""
        if what in self._logged or len(self._logged) >= MOST_LOGGED:
            return False
        self._logged.add(what)
        return True

    def _log_fault(self, error: Exception) -> None:
        """Where, not what: texts of errors quote what they stumbled over."""
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        place = traceback.extract_tb(error.__traceback__)[-1:]
        where = "".join(f"{Path(each.filename).name}:{each.lineno}" for each in place)
        log.error("egress.broken", error=type(error).__name__, where=where)
