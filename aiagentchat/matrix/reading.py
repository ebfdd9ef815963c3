"""Large answers of the homeserver, read with a bound on time and size.

They do not go through nio's own parsing: that takes 0.1 ms for each event, and does a whole answer in one go.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
import nio
import structlog
from nio.client.async_client import AsyncClient

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.messages import Kind
from aiagentchat.matrix.account_data import server_now
from aiagentchat.matrix.errors import TRANSPORT, fail
from aiagentchat.matrix.events import Step

MAX_SYNC_BYTES = 64 * 2**20
"""A longer answer is not read to its end."""
EVENTS_PER_BREATH = 50
"""After so many events the loop may do something else: a few milliseconds at most."""

log = structlog.get_logger(__name__)

_PIECE = 2**16
_OK = 200
_API = "/_matrix/client/v3"


class TooLarge(Unreachable):
    """The answer is longer than we read. Asking for less may help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the homeserver said."""

    body: Mapping[str, Any]
    now: int | None
    """Its clock, in milliseconds; None if it did not say."""


class Breath:
    """Lets the loop go on after every so many events."""

    def __init__(self) -> None:
        self._count = 0

    async def take(self) -> None:
        """One more event was read."""
        self._count += 1
        if self._count % EVENTS_PER_BREATH == 0:
            await asyncio.sleep(0)


async def get(client: AsyncClient, what: str, path: str, query: Mapping[str, str], *, within: float) -> Answer:
    """Ask for `path` with nio's connections and login. Raises as `Outbound` does.

    Whatever the other side does, cuts, silence, a byte a second or nonsense, it is an `Unreachable` after `within`
    seconds at the latest.
    """
    try:
        async with asyncio.timeout(within):
            headers = {"Authorization": f"Bearer {client.access_token}"}
            response = await client.send("GET", f"{_API}{path}?{urlencode(query)}", None, headers, timeout=within)
            async with response:
                raw = await _read(what, response)
                # On its way a 401 was read already, to see whether to log in again.
                body = _parsed(raw) if raw else await client.parse_body(response)
    except TRANSPORT as problem:
        raise Unreachable(f"{what}: {type(problem).__name__}") from problem
    if response.status != _OK:
        refused: Any = nio.ErrorResponse.from_dict(body)
        refused.transport_response = response
        fail(what, refused)
    if not isinstance(body, dict):
        raise Unreachable(f"{what}: an answer that makes no sense")
    return Answer(body, server_now(response.headers))


async def _read(what: str, response: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for piece in response.content.iter_chunked(_PIECE):
        raw += piece
        if len(raw) > MAX_SYNC_BYTES:
            raise TooLarge(f"{what}: more than {MAX_SYNC_BYTES} bytes")
    return bytes(raw)


def _parsed(raw: bytes) -> Any:  # noqa: ANN401 - any JSON, or None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def listed(value: object) -> list[object]:
    """`value` if it is a list; else what is as good as none."""
    return value if isinstance(value, list) else []


def mapped(value: object) -> Mapping[str, Any]:
    """`value` if it is an object; else what is as good as none."""
    return value if isinstance(value, dict) else {}


def tell_sealed(room: str, steps: Iterable[Step]) -> None:
    """Log how many of them cannot be read (yet)."""
    if sealed := sum(step.told is not None and step.told.kind is Kind.SEALED for step in steps):
        log.warning("event.sealed", room=room, count=sealed)
