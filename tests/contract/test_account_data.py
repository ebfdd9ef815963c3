"""What is kept for the account: the same promises from a real homeserver and from the one in memory."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from aiagentchat.core.errors import LoginFailed, Unreachable
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.matrix import AccountData
from aiagentchat.matrix.account_data import MatrixAccountData, server_now
from aiagentchat.matrix.client import Account, Client
from rig import homeserver as rig
from rig.people import People, people
from tests.fakes.account_data import FakeAccountData
from tests.fakes.accounts import MemoryAccounts

TYPE = "com.aiagentchat.test"


class World(Protocol):
    """An account with devices."""

    def device(self) -> AccountData:
        """The account's data as one more device sees it."""
        ...

    def without_login(self) -> AccountData:
        """As a device sees it that was logged out."""
        ...

    def without_homeserver(self) -> AccountData:
        """As one sees it while the homeserver is down."""
        ...


class FakeWorld:
    """In memory."""

    def __init__(self) -> None:
        self._data = FakeAccountData()

    def device(self) -> AccountData:
        return self._data

    def without_login(self) -> AccountData:
        self._data.fail(LoginFailed("who?"))
        return self._data

    def without_homeserver(self) -> AccountData:
        self._data.fail(Unreachable("nobody answers"))
        return self._data


class RealWorld:
    """A real homeserver."""

    def __init__(self, present: People, folder: Path) -> None:
        self._present = present
        self._account = present.account()
        self._clients: list[Client] = []
        self._down = rig.Homeserver(folder / "never started")

    def device(self) -> AccountData:
        again = self._present.homeserver.login(self._account.user_id)
        return self._data(self._present.homeserver.url, again.access_token)

    def without_login(self) -> AccountData:
        return self._data(self._present.homeserver.url, "revoked")

    def without_homeserver(self) -> AccountData:
        return self._data(self._down.url, self._account.access_token)

    def _data(self, url: str, token: str) -> AccountData:
        user = UserId(self._account.user_id)
        client = Client(Account(homeserver=url, user=user, device_name="test"), MemoryAccounts())
        client.nio.restore_login(user, "DEVICE", token)
        self._clients.append(client)
        return MatrixAccountData(client, user)

    async def close(self) -> None:
        self._down.close()
        for client in self._clients:
            await client.close()


@asynccontextmanager
async def _fake_world(_: pytest.FixtureRequest, __: Path) -> AsyncIterator[World]:
    yield FakeWorld()


@asynccontextmanager
async def _real_world(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[World]:
    async with people(request.getfixturevalue("homeserver")) as present:
        world = RealWorld(present, folder)
        try:
            yield world
        finally:
            await world.close()


@pytest.fixture(
    params=[
        pytest.param(_fake_world, id="fake"),
        pytest.param(_real_world, id="real", marks=pytest.mark.real),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with request.param(request, tmp_path) as made:
        yield made


async def test_what_nobody_wrote_is_empty(world: World) -> None:
    content, _ = await world.device().read(TYPE)

    assert content == {}


async def test_what_one_device_wrote_another_one_reads(world: World) -> None:
    said = {"installation": "a1", "renewed_at": 1_800_000_000_000, "host": None}
    await world.device().write(TYPE, said)
    content, _ = await world.device().read(TYPE)

    assert content == said


async def test_what_is_written_takes_the_place_of_what_was_there(world: World) -> None:
    device = world.device()
    await device.write(TYPE, {"a": 1})
    await device.write(TYPE, {"b": 2})
    other, _ = await device.read(f"{TYPE}.other")
    content, _ = await device.read(TYPE)
    await device.write(TYPE, {})
    emptied, _ = await device.read(TYPE)

    assert (content, other, emptied) == ({"b": 2}, {}, {})


async def test_a_homeserver_says_what_time_it_is_there(world: World) -> None:
    _, first = await world.device().read(TYPE)
    _, second = await world.device().read(TYPE)

    assert first is not None
    assert second is not None
    assert first <= second


@pytest.mark.real
async def test_the_real_one_has_our_time_when_it_runs_on_our_machine(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with _real_world(request, tmp_path) as world:
        _, now = await world.device().read(TYPE)

    assert now is not None
    assert abs(now / 1000 - time.time()) < 60


async def test_a_device_that_was_logged_out_is_told_so(world: World) -> None:
    with pytest.raises(LoginFailed):
        await world.without_login().read(TYPE)
    with pytest.raises(LoginFailed):
        await world.without_login().write(TYPE, {})


async def test_a_homeserver_that_is_down_is_unreachable(world: World) -> None:
    with pytest.raises(Unreachable):
        await world.without_homeserver().read(TYPE)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Sat, 21 Nov 2026 14:00:01 GMT", 1_795_269_601_000),
        ("Sat, 21 Nov 2026 14:00:01 -0000", 1_795_269_601_000),
        ("some day", None),
        ("", None),
        ("Sat, 41 Nov 2026 14:00:01 GMT", None),
    ],
)
def test_the_time_of_an_answer_is_read_as_http_writes_it(said: str, expected: int | None) -> None:
    assert server_now({"Date": said}) == expected


def test_an_answer_without_a_time_says_none() -> None:
    assert server_now({}) is None
