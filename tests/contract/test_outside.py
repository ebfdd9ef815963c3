"""Names, addresses and connections: the fake keeps what the real internet promises."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest

from aiagentchat.egress.internet import LOOKUPS, Internet, Outside
from tests.fakes.outside import FakeOutside

LOOPBACK = ip_address("127.0.0.1")
NO_NAME = f"{'x' * 64}.example"
"""Which no resolver has to be asked about."""


@pytest.fixture
async def server() -> AsyncIterator[int]:
    """The port of somebody who says hello to whoever comes."""

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as running:
        yield running.sockets[0].getsockname()[1]


@pytest.fixture(params=["fake", "real"])
def outside(request: pytest.FixtureRequest, server: int) -> Outside:
    if request.param == "real":
        return Internet()
    return FakeOutside({"localhost": ["127.0.0.1"]}, {("127.0.0.1", server): server})


async def test_a_name_leads_to_addresses(outside: Outside) -> None:
    assert LOOPBACK in await outside.addresses("localhost")


async def test_a_name_that_there_is_not_leads_nowhere(outside: Outside) -> None:
    assert list(await outside.addresses(NO_NAME)) == []


async def test_more_names_are_looked_up_than_at_once(outside: Outside) -> None:
    found = await asyncio.gather(*(outside.addresses("localhost") for _ in range(3 * LOOKUPS)))

    assert all(LOOPBACK in each for each in found)


async def test_a_lookup_that_nobody_waits_for_any_more_gives_back_its_place(outside: Outside) -> None:
    for _ in range(2 * LOOKUPS):
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(outside.addresses("localhost"))
            await asyncio.sleep(0)
            looking.cancel()

    assert LOOPBACK in await outside.addresses("localhost")


async def test_this_machine_knows_its_addresses(outside: Outside) -> None:
    assert LOOPBACK in outside.own()


async def test_an_address_is_dialled(outside: Outside, server: int) -> None:
    reader, writer = await outside.dial(LOOPBACK, server)

    assert await reader.read() == b"hello"
    writer.close()
    await writer.wait_closed()


async def test_where_nobody_listens_there_is_no_connection(outside: Outside) -> None:
    with pytest.raises(ConnectionRefusedError):
        await outside.dial(LOOPBACK, 1)
