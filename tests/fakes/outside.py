"""An internet of loopback servers; tests/contract/test_outside.py holds it to the real one."""

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from aiagentchat.egress.internet import Streams
from aiagentchat.egress.rules import Address


class FakeOutside:
    """Names lead to addresses, and pairs of address and port to a port of 127.0.0.1."""

    def __init__(
        self,
        names: Mapping[str, Sequence[str]] | None = None,
        servers: Mapping[tuple[str, int], int] | None = None,
        own: Sequence[str] = ("127.0.0.1",),
    ) -> None:
        self._names = {name: [ip_address(each) for each in found] for name, found in (names or {}).items()}
        self._servers = {(ip_address(address), port): there for (address, port), there in (servers or {}).items()}
        self._own = frozenset(ip_address(each) for each in own)
        self.asked: list[str] = []
        """The names that were looked up."""
        self.dialled: list[str] = []
        """The addresses that were tried."""

    async def addresses(self, name: str) -> Sequence[Address]:
        """Where a name leads."""
        self.asked.append(name)
        return self._names.get(name, ())

    def own(self) -> frozenset[Address]:
        """The addresses of this machine."""
        return self._own

    async def dial(self, address: Address, port: int) -> Streams:
        """A connection to the server that stands for this address."""
        self.dialled.append(str(address))
        there = self._servers.get((address, port))
        if there is None:
            raise ConnectionRefusedError
        return await asyncio.open_connection("127.0.0.1", there)
