"""The hosts outside: where a name leads, and the connection there.

The two are apart, so that what is dialled is the very address that was checked: a name that leads somewhere else when
it is asked for again gains nothing.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Protocol, TypeAlias

import psutil

from aiagentchat.egress.answers import host_silent, host_unknown, host_unreachable, inside
from aiagentchat.egress.client import CHUNK_BYTES, RefusedError
from aiagentchat.egress.rules import Address, Reach, Target, is_public

LOOKUPS = 4
"""Names that are looked up at once; each takes a thread."""

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Outside(Protocol):
    """Names, addresses and connections."""

    async def addresses(self, name: str) -> Sequence[Address]:
        """Where a name leads, the best first; nothing if nowhere."""
        ...

    def own(self) -> frozenset[Address]:
        """The addresses of this machine."""
        ...

    async def dial(self, address: Address, port: int) -> Streams:
        """A connection to exactly this address. OSError if there is none."""
        ...


class Internet:
    """The real one, for one gate."""

    def __init__(self) -> None:
        # Not the threads that all rooms share: names whose servers never answer would take them from the others. And
        # threads that nobody waits for, because the daemon does not stay for them when it ends.
        self._free = asyncio.Semaphore(LOOKUPS)

    async def addresses(self, name: str) -> Sequence[Address]:
        """As the system finds them."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[Address]] = loop.create_future()

        def settle(addresses: Sequence[Address]) -> None:
            self._free.release()
            if not found.done():
                found.set_result(addresses)

        def look() -> None:
            addresses = _look_up(name)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, addresses)

        threading.Thread(target=look, name="egress lookup", daemon=True).start()
        return await found

    def own(self) -> frozenset[Address]:
        """Those of every interface, at this moment."""
        every = (entry for entries in psutil.net_if_addrs().values() for entry in entries)
        inet = (entry.address for entry in every if entry.family in (socket.AF_INET, socket.AF_INET6))
        return frozenset(ip_address(address.partition("%")[0]) for address in inet)

    async def dial(self, address: Address, port: int) -> Streams:
        """By TCP."""
        return await asyncio.open_connection(str(address), port, limit=CHUNK_BYTES)


def _look_up(name: str) -> Sequence[Address]:
    try:
        infos = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(ip_address(str(address[0])) for *_, address in infos)


async def reach(outside: Outside, target: Target, how: Reach, *, seconds: float) -> Streams:
    """A connection to the host, at one of those addresses that may be dialled. `RefusedError` if there is none."""
    try:
        async with asyncio.timeout(seconds):
            address = target.address
            found = await outside.addresses(target.host) if address is None else (address,)
            if not found:
                raise RefusedError(host_unknown(target))
            allowed = found if how is Reach.ANYWHERE else _public(found, outside.own())
            if not allowed:
                raise RefusedError(inside(target))
            for each in allowed:
                with contextlib.suppress(OSError):
                    return await outside.dial(each, target.port)
    except TimeoutError:
        raise RefusedError(host_silent(target)) from None
    raise RefusedError(host_unreachable(target))


def _public(found: Sequence[Address], own: frozenset[Address]) -> Sequence[Address]:
    return [each for each in found if is_public(each) and each not in own]
