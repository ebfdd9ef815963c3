"""Tokens that a real homeserver renews: what tests/fakes/login_server.py claims it does, and what we make of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiagentchat.core.errors import LoginFailed, StoreError
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Login
from aiagentchat.doctor.examination import Part, examine
from aiagentchat.doctor.rows import Verdict
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.sync import MatrixHomeserver
from aiagentchat.store.ledger import open_ledger
from rig import homeserver as rig
from tests.fakes.accounts import MemoryAccounts

pytestmark = pytest.mark.real

PATIENCE = 30.0
LOGIN, REFRESH = "/_matrix/client/v3/login", "/_matrix/client/v3/refresh"
DEVICES, WHOAMI = "/_matrix/client/v3/devices", "/_matrix/client/v3/account/whoami"


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rig.Homeserver]:
    """Its tokens are good for a second when they can be renewed, and for ever when they cannot."""
    config = {"refreshable_access_token_lifetime": "1s"}
    with rig.Homeserver(tmp_path_factory.mktemp("brief"), config=config) as server:
        yield server


class Mortal(MemoryAccounts):
    """May end a life before anything is kept, or right after it."""

    dies_before = dies_after = False

    async def save_login(self, login: Login) -> None:
        """Keep it, or die."""
        if self.dies_before:
            raise StoreError("the end")
        await super().save_login(login)
        if self.dies_after:
            raise StoreError("the end")


@asynccontextmanager
async def a_life(
    server: rig.Homeserver, account: rig.Account, accounts: MemoryAccounts, *, password: bool = False
) -> AsyncIterator[Client]:
    """A client that has logged in."""
    client = Client(
        Account(
            homeserver=server.url,
            user=UserId(account.user_id),
            device_name="test",
            password=account.password if password else None,
        ),
        accounts,
    )
    try:
        await client.log_in()
        yield client
    finally:
        await client.close()


async def ask(client: Client) -> object:
    return (await client.ask("who", "GET", WHOAMI)).content["device_id"]


async def worn_off(server: rig.Homeserver, token: str) -> None:
    """Wait until the homeserver asks this token for another one."""
    said = ""
    async with asyncio.timeout(PATIENCE):
        while not said:
            try:
                await asyncio.to_thread(server.request, "GET", WHOAMI, token=token)
            except rig.HomeserverFailed as failed:
                said = str(failed)
    assert '"soft_logout":true' in said


def log_in(server: rig.Homeserver, account: rig.Account) -> dict[str, Any]:
    """With a refresh token; what the homeserver says."""
    who = {"type": "m.id.user", "user": account.user_id}
    body = {"type": "m.login.password", "identifier": who, "password": account.password, "refresh_token": True}
    return server.request("POST", LOGIN, body)


def stored(account: rig.Account, said: dict[str, Any]) -> Login:
    """A login that is due."""
    return Login(
        user=UserId(account.user_id),
        device=said["device_id"],
        access_token=said["access_token"],
        refresh_token=said["refresh_token"],
        renew_at=0,
    )


def devices(server: rig.Homeserver, account: rig.Account) -> set[str]:
    """The account's devices, asked for by the one that it was registered with."""
    found = server.request("GET", DEVICES, token=account.access_token)["devices"]
    return {device["device_id"] for device in found} - {account.device_id}


def test_a_refresh_token_is_good_until_what_it_gave_is_used(brief: rig.Homeserver) -> None:
    first = log_in(brief, brief.register("promise"))
    lost = brief.request("POST", REFRESH, {"refresh_token": first["refresh_token"]})
    again = brief.request("POST", REFRESH, {"refresh_token": first["refresh_token"]})
    brief.request("GET", WHOAMI, token=again["access_token"])

    assert lost["refresh_token"] != again["refresh_token"]
    assert all(0 < said["expires_in_ms"] <= 1000 for said in (first, lost, again))
    with pytest.raises(rig.HomeserverFailed, match=r"HTTP 40[13].*M_(FORBIDDEN|UNKNOWN_TOKEN)"):
        brief.request("POST", REFRESH, {"refresh_token": first["refresh_token"]})


async def test_one_login_lasts_for_many_lives_of_its_tokens(brief: rig.Homeserver) -> None:
    account, accounts = brief.register("lasts"), MemoryAccounts()
    user = UserId(account.user_id)
    tokens = []
    async with a_life(brief, account, accounts, password=True) as client:
        for _ in range(3):
            tokens.append(client.nio.access_token)
            await worn_off(brief, tokens[-1])
            batch = await MatrixHomeserver(client, user).sync(None, timeout=1)
            assert batch.token
        device = accounts.kept[user].device
    async with a_life(brief, account, accounts) as client:  # and the password is not needed
        await worn_off(brief, client.nio.access_token)
        assert await ask(client) == device

    assert len({*tokens}) == 3
    assert devices(brief, account) == {device}


async def test_a_crash_before_the_new_tokens_are_kept_locks_nobody_out(brief: rig.Homeserver) -> None:
    account = brief.register("before")
    said = log_in(brief, account)
    accounts = Mortal(stored(account, said))
    accounts.dies_before = True
    with pytest.raises(StoreError):
        async with a_life(brief, account, accounts):
            pass
    accounts.dies_before = False
    await worn_off(brief, said["access_token"])

    async with a_life(brief, account, accounts) as client:
        assert await ask(client) == said["device_id"]
        await worn_off(brief, client.nio.access_token)
        assert await ask(client) == said["device_id"]


async def test_a_crash_after_the_new_tokens_are_kept_locks_nobody_out(brief: rig.Homeserver) -> None:
    account = brief.register("after")
    said = log_in(brief, account)
    accounts = Mortal(stored(account, said))
    accounts.dies_after = True
    with pytest.raises(StoreError):
        async with a_life(brief, account, accounts):
            pass
    accounts.dies_after = False

    assert accounts.kept[UserId(account.user_id)].access_token != said["access_token"]
    async with a_life(brief, account, accounts) as client:
        assert await ask(client) == said["device_id"]


async def test_a_refresh_token_that_was_given_up_is_followed_by_the_password_on_the_same_device(
    brief: rig.Homeserver,
) -> None:
    account = brief.register("restored")
    said = log_in(brief, account)
    newer = brief.request("POST", REFRESH, {"refresh_token": said["refresh_token"]})
    brief.request("GET", WHOAMI, token=newer["access_token"])
    await worn_off(brief, newer["access_token"])

    with pytest.raises(LoginFailed, match="MATRIX_PASSWORD"):
        async with a_life(brief, account, MemoryAccounts(stored(account, said))):
            pass
    async with a_life(brief, account, MemoryAccounts(stored(account, said)), password=True) as client:
        assert await ask(client) == said["device_id"]
    assert devices(brief, account) == {said["device_id"]}


@pytest.mark.parametrize("moment", ["while its token is good", "after it has worn off"])
async def test_a_device_that_somebody_logged_out_stays_out_whatever_could_be_renewed(
    brief: rig.Homeserver, moment: str
) -> None:
    account = brief.register(f"out-{len(moment)}")
    accounts = MemoryAccounts()
    async with a_life(brief, account, accounts, password=True) as client:
        token, device = client.nio.access_token, client.nio.device_id
        if moment == "after it has worn off":
            await worn_off(brief, token)
        path = f"{DEVICES}/{device}"
        who = {"type": "m.id.user", "user": account.user_id}
        proof = {"auth": {"type": "m.login.password", "identifier": who, "password": account.password}}
        brief.request("DELETE", path, proof, token=account.access_token)

        with pytest.raises(LoginFailed, match="logged out"):
            await MatrixHomeserver(client, UserId(account.user_id)).sync(None, timeout=1)
    assert devices(brief, account) == set()


async def test_the_doctor_uses_nothing_up(brief: rig.Homeserver, tmp_path: Path) -> None:
    account = brief.register("patient")
    said = log_in(brief, account)
    login = stored(account, said)
    settings = {
        "matrix": {"homeserver": brief.url, "user_id": account.user_id},
        "data_dir": "./data",
        "workspaces": "./rooms",
        "defaults": {"users": ["@you:localhost"]},
        "rooms": [],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "data").mkdir(mode=0o700)
    async with open_ledger(tmp_path / "data" / "aiagentchat.db") as ledger:
        await ledger.accounts.save_login(login)
    await worn_off(brief, said["access_token"])
    rows = await examine(tmp_path / "config.yaml", {}, parts=[Part.CHECKS], now_ms=lambda: 0)
    [row] = [row for row in rows if row.id == "matrix.login"]

    assert row.verdict is Verdict.NOT_APPLICABLE
    assert "renews it" in row.fix
    async with open_ledger(tmp_path / "data" / "aiagentchat.db") as ledger:
        assert await ledger.accounts.login(login.user) == login
    async with a_life(brief, account, MemoryAccounts(login)) as client:
        assert await ask(client) == said["device_id"]
