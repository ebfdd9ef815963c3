"""The gateway as a service of the daemon. Nothing here imports the HTTP framework before the daemon runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import ConfigError
from aiagentchat.core.health import GatewayHealth, GatewayState
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.directory import Directory
from aiagentchat.core.ports.exchange import Exchange
from aiagentchat.core.ports.gateway import GatewayTokens
from aiagentchat.exchange.tools import PutFile
from aiagentchat.gateway.vitals import Vitals
from aiagentchat.observability.metrics import Levels, Meters

if TYPE_CHECKING:
    from aiagentchat.gateway.feed import Feed
    from aiagentchat.gateway.front import ByAlias, MakeRoom
SOCKET = "operator.sock"
"""In the gateway's folder."""
APART = frozenset({Isolation.STRICT, Isolation.USERS})
"""Where what runs in a room is kept from the ports of this machine, or from the tokens."""

log = structlog.get_logger(__name__)


def is_wanted(settings: Settings, isolation: Isolation) -> bool:
    """Whether there is a gateway: as config.yaml says, or else where runs are kept apart from it."""
    said = settings.gateway.enabled
    return isolation in APART if said is None else said


async def load(settings: Settings) -> None:
    """Import what serves, where there may be a gateway as far as is known before it was tried how runs are kept in.

    A start has to wait for others meanwhile; later, the first turn would wait for it.
    """
    if is_wanted(settings, Isolation.STRICT if settings.isolation == "auto" else Isolation(settings.isolation)):
        await asyncio.to_thread(_loaded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the gateway asks."""

    exchange: Exchange
    feed: "Feed"
    directory: Directory
    logins: GatewayTokens
    vitals: Callable[[], Awaitable[Vitals]]
    """All but the agents."""
    agents: Callable[[], Awaitable[Mapping[str, bool]]]
    """Whether the programs of the agents that rooms have can be started."""
    levels: Callable[[Vitals], Awaitable[Levels]]
    """The numbers of this moment; those that are counted as things happen are with `meters`."""
    meters: Meters
    make_room: "MakeRoom"
    by_alias: "ByAlias"
    settings: Callable[[], Settings]
    told: Callable[[str, str], None]
    """Hears of every token, so that it is hidden wherever somebody writes it."""
    clock: Clock
    put_file: PutFile | None = None
    """Takes files that callers send by a tool; None: nobody does."""


class Gateway:
    """Serves until cancelled, at the operator's socket and, unless it is 0, at the port."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.port: int | None = None
        """Where it listens; None: at the socket alone, or not yet."""
        self.opened = asyncio.Event()
        """Set once it listens."""
        self.failed = False
        """Whether it could not be opened."""

    def health(self) -> GatewayHealth:
        """How it is."""
        if self.failed:
            return GatewayHealth(state=GatewayState.NOT_OPEN)
        if not self.opened.is_set():
            return GatewayHealth(state=GatewayState.OPENING)
        wanted = self._parts.settings().gateway.port
        return GatewayHealth(
            state=GatewayState.OPEN, port=self.port, lacks=wanted if wanted and self.port is None else None
        )

    async def run(self) -> None:
        """Serve. What cannot be opened is logged, and the daemon goes on without it."""
        opening = await asyncio.to_thread(_loaded)
        try:
            await opening.serve(self, self._parts)
        except ConfigError as error:
            self.failed = True
            log.error("gateway.not_open", problems=error.problems)  # noqa: TRY400
            await asyncio.Event().wait()


def _loaded() -> Any:  # noqa: ANN401 - a module
    """The half that knows HTTP."""
    from aiagentchat.gateway import opening

    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it would print what programs send
    return opening
