"""Being logged out by a real homeserver, softly and for good: what tests/fakes/login_server.py claims it does."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from aiagentchat.core.errors import LoginFailed
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.ports.ledger import Login
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.outbound import MatrixOutbound
from aiagentchat.matrix.sync import MatrixHomeserver
from rig import homeserver as rig
from tests.fakes.accounts import MemoryAccounts

pytestmark = pytest.mark.real

LIFETIME_SECONDS = 1
PATIENCE = 30.0
DEVICES = "/_matrix/client/v3/devices"


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rig.Homeserver]:
    """Every login wears off after a second."""
    config = {"session_lifetime": f"{LIFETIME_SECONDS}s"}
    with rig.Homeserver(tmp_path_factory.mktemp("forgetful"), config=config) as server:
        yield server


@asynccontextmanager
async def logged_in(
    server: rig.Homeserver, account: rig.Account, *, password: str | None
) -> AsyncIterator[tuple[Client, MemoryAccounts]]:
    user = UserId(account.user_id)
    accounts = MemoryAccounts(Login(user=user, device=account.device_id, access_token=account.access_token))
    client = Client(Account(homeserver=server.url, user=user, device_name="test", password=password), accounts)
    try:
        await client.log_in()
        yield client, accounts
    finally:
        await client.close()


async def worn_off(server: rig.Homeserver, token: str) -> str:
    """Wait until the homeserver asks this token for a new login; what it says."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await asyncio.to_thread(server.request, "GET", DEVICES, token=token)
            except rig.HomeserverFailed as failed:
                return str(failed)


async def test_a_login_that_wears_off_is_renewed_on_the_same_device_while_everything_goes_on(
    forgetful: rig.Homeserver,
) -> None:
    account = forgetful.register("wears-off")
    async with logged_in(forgetful, account, password=account.password) as (client, accounts):
        said = await worn_off(forgetful, client.nio.access_token)
        homeserver = MatrixHomeserver(client, UserId(account.user_id))
        batch = await homeserver.sync(None, timeout=1)
        kept = accounts.kept[UserId(account.user_id)]

        assert '"soft_logout":true' in said
        assert batch.token
        assert kept.device == account.device_id
        assert kept.access_token not in ("", account.access_token)


async def test_a_login_that_wears_off_without_a_password_is_one_sentence(forgetful: rig.Homeserver) -> None:
    account = forgetful.register("no-password")
    async with logged_in(forgetful, account, password=None) as (client, _):
        await worn_off(forgetful, account.access_token)

        with pytest.raises(LoginFailed, match="MATRIX_PASSWORD"):
            await MatrixHomeserver(client, UserId(account.user_id)).sync(None, timeout=1)


async def test_a_device_that_somebody_logged_out_stays_out_and_every_part_hears_of_it(
    homeserver: rig.Homeserver,
) -> None:
    account = homeserver.register("logged-out")
    other = homeserver.login("logged-out")
    async with logged_in(homeserver, account, password=account.password) as (client, _):
        homeserver.request("POST", "/_matrix/client/v3/logout", {}, token=account.access_token)

        with pytest.raises(LoginFailed, match="MATRIX_ACCESS_TOKEN"):
            await MatrixHomeserver(client, UserId(account.user_id)).sync(None, timeout=1)
        with pytest.raises(LoginFailed, match="MATRIX_ACCESS_TOKEN"):
            await MatrixOutbound(client).typing(RoomId("!any:localhost"), True)
    devices = homeserver.request("GET", DEVICES, token=other.access_token)["devices"]
    assert [device["device_id"] for device in devices] == [other.device_id]


async def test_an_account_that_was_closed_is_one_sentence(homeserver: rig.Homeserver) -> None:
    account = homeserver.register("closed")
    async with logged_in(homeserver, account, password=account.password) as (client, _):
        who = {"type": "m.id.user", "user": account.user_id}
        proof = {"type": "m.login.password", "identifier": who, "password": account.password}
        path = "/_matrix/client/v3/account/deactivate"
        homeserver.request("POST", path, {"auth": proof}, token=account.access_token)

        with pytest.raises(LoginFailed):
            await MatrixHomeserver(client, UserId(account.user_id)).sync(None, timeout=1)
