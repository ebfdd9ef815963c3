"""A token is renewed before it wears off, without the password, and nothing that can happen then locks us out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from aiagentchat.core.errors import LoginFailed, StoreError, Unreachable
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Login
from aiagentchat.matrix.client import REFRESH_PAUSE_SECONDS, REFRESH_RETRY_SECONDS, Account, Client
from aiagentchat.matrix.grants import renewal
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.login_server import PASSWORD, USER, LoginServer, login_server

ME = UserId(USER)
WHOAMI = "/_matrix/client/v3/account/whoami"
LIFETIME = 300.0
DUE = 240.0
"""Seconds after which a token of that lifetime is renewed."""


class FullDisk(MemoryAccounts):
    """From a moment on nothing is kept: the life ends there."""

    is_full = False

    async def save_login(self, login: Login) -> None:
        """Keep it, or not."""
        if self.is_full:
            raise StoreError("disk full")
        await super().save_login(login)


@pytest.fixture
async def server() -> AsyncIterator[LoginServer]:
    async with login_server() as running:
        running.lifetime_ms = round(LIFETIME * 1000)
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@asynccontextmanager
async def a_life(
    server: LoginServer,
    clock: FakeClock,
    accounts: MemoryAccounts,
    *,
    password: str | None = None,
    token: str | None = None,
    refresh_token: str | None = None,
) -> AsyncIterator[Client]:
    """A client that has logged in."""
    account = Account(
        homeserver=server.url,
        user=ME,
        device_name="test",
        token=token,
        refresh_token=refresh_token,
        password=password,
    )
    client = Client(account, accounts, now_ms=clock.now_ms, monotonic=clock.monotonic)
    try:
        await client.log_in()
        yield client
    finally:
        await client.close()


async def ask(client: Client) -> object:
    """Any request that needs a login."""
    return (await client.ask("who", "GET", WHOAMI)).content["device_id"]


def renewable(server: LoginServer) -> Login:
    """The login of an earlier life, which can be renewed."""
    token, refresh = server.token("first"), server.refresh_token("refresh")
    return Login(user=ME, device="D1", access_token=token, refresh_token=refresh, renew_at=START_MS + round(DUE * 1000))


def renewed(number: int, at: float) -> Login:
    """What the refresh with this number gives, so many seconds after the start."""
    return Login(
        user=ME,
        device="D1",
        access_token=f"renewed-{number}",
        refresh_token=f"refresh-of-{number}",
        renew_at=START_MS + round((at + DUE) * 1000),
    )


async def test_a_login_asks_for_a_refresh_token_and_keeps_what_it_gets(server: LoginServer, clock: FakeClock) -> None:
    accounts = MemoryAccounts()
    async with a_life(server, clock, accounts, password=PASSWORD):
        pass

    assert accounts.kept[ME] == Login(
        user=ME,
        device="NEW",
        access_token="token-1",
        refresh_token="refresh-1",
        renew_at=START_MS + round(DUE * 1000),
    )


async def test_a_homeserver_that_gives_none_is_fine(server: LoginServer, clock: FakeClock) -> None:
    server.lifetime_ms = None
    accounts = MemoryAccounts()
    async with a_life(server, clock, accounts, password=PASSWORD) as client:
        clock.advance(10 * LIFETIME)
        await ask(client)

    assert (accounts.kept[ME].refresh_token, accounts.kept[ME].renew_at) == (None, None)
    assert server.refreshes == []


async def test_a_token_is_renewed_before_it_wears_off_and_not_earlier(server: LoginServer, clock: FakeClock) -> None:
    accounts = MemoryAccounts(renewable(server))
    async with a_life(server, clock, accounts, password=PASSWORD) as client:
        clock.advance(DUE - 1)
        await ask(client)
        early = list(server.refreshes)
        clock.advance(1)
        answers = [await ask(client) for _ in range(3)]

        assert early == []
        assert answers == ["D1"] * 3
        assert server.refreshes == ["refresh"]
        assert accounts.kept[ME] == renewed(1, DUE)
        assert client.nio.access_token == "renewed-1"
        clock.advance(DUE)
        await ask(client)
    assert server.refreshes == ["refresh", "refresh-of-1"]
    assert accounts.kept[ME] == renewed(2, 2 * DUE)
    assert server.logins == []


async def test_who_is_told_of_logins_is_told_of_the_one_of_each_life_and_of_no_renewal(
    server: LoginServer, clock: FakeClock
) -> None:
    told: list[str] = []

    async def took_up(login: Login) -> None:
        told.append(login.device)

    account, accounts = Account(homeserver=server.url, user=ME, device_name="test", password=PASSWORD), MemoryAccounts()
    for _ in range(2):
        client = Client(account, accounts, took_up=took_up, now_ms=clock.now_ms, monotonic=clock.monotonic)
        await client.log_in()
        for _ in range(3):
            clock.advance(DUE)
            await ask(client)
        await client.close()

    assert len(server.refreshes) == 6
    assert told == [accounts.kept[ME].device] * 2


async def test_a_later_life_renews_what_an_earlier_one_has_kept(server: LoginServer, clock: FakeClock) -> None:
    accounts = MemoryAccounts(renewable(server))
    server.wear_off()
    clock.advance(10 * LIFETIME)
    async with a_life(server, clock, accounts, password=PASSWORD) as client:
        assert await ask(client) == "D1"

    assert (server.refreshes, server.logins) == (["refresh"], [])


async def test_a_soft_logout_is_answered_with_the_refresh_token(server: LoginServer, clock: FakeClock) -> None:
    accounts = MemoryAccounts(renewable(server))
    async with a_life(server, clock, accounts, password=PASSWORD) as client:
        server.wear_off()

        assert await ask(client) == "D1"
    assert (server.refreshes, server.logins) == (["refresh"], [])
    assert accounts.kept[ME] == renewed(1, 0)


@pytest.mark.parametrize("how", ["due", "worn off", "due and worn off"])
async def test_many_requests_share_one_refresh(server: LoginServer, clock: FakeClock, how: str) -> None:
    async with a_life(server, clock, MemoryAccounts(renewable(server)), password=PASSWORD) as client:
        if "due" in how:
            clock.advance(DUE)
        if "worn off" in how:
            server.wear_off()
        devices = await asyncio.gather(*[ask(client) for _ in range(10)])

    assert devices == ["D1"] * 10
    assert (server.refreshes, server.logins) == (["refresh"], [])


# ── crashes ──


async def test_an_answer_that_could_not_be_kept_is_asked_for_again_by_the_next_life(
    server: LoginServer, clock: FakeClock
) -> None:
    accounts = FullDisk(renewable(server))
    async with a_life(server, clock, accounts) as client:
        accounts.is_full = True
        clock.advance(DUE)
        with pytest.raises(StoreError):
            await ask(client)

        assert client.nio.access_token == "first"  # what is not kept is not used
    accounts.is_full = False
    server.wear_off()
    async with a_life(server, clock, accounts) as client:
        assert await ask(client) == "D1"
    assert server.refreshes == ["refresh", "refresh"]
    assert accounts.kept[ME] == renewed(2, DUE)


async def test_an_answer_that_was_kept_and_not_used_serves_the_next_life(server: LoginServer, clock: FakeClock) -> None:
    accounts = MemoryAccounts(renewable(server))
    async with a_life(server, clock, accounts) as client:
        await client._refresh()

        assert server.asked[-1] == ("whoami", "first")
    async with a_life(server, clock, accounts) as client:
        assert await ask(client) == "D1"
    assert server.refreshes == ["refresh"]


# ── a homeserver that does not renew ──


async def test_a_refusal_while_the_token_is_good_costs_nothing_and_is_not_asked_for_again(
    server: LoginServer, clock: FakeClock
) -> None:
    async with a_life(server, clock, MemoryAccounts(renewable(server)), password=PASSWORD) as client:
        server.renewable.clear()
        for _ in range(3):
            clock.advance(DUE)
            assert await ask(client) == "D1"

    assert (server.refreshes, server.logins) == (["refresh"], [])


async def test_a_refusal_is_followed_by_one_login(server: LoginServer, clock: FakeClock) -> None:
    accounts = MemoryAccounts(renewable(server))
    async with a_life(server, clock, accounts, password=PASSWORD) as client:
        server.renewable.clear()
        server.wear_off()
        devices = await asyncio.gather(*[ask(client) for _ in range(5)])

        assert devices == ["D1"] * 5
    assert (server.refreshes, server.logins) == (["refresh"], ["D1"])
    assert accounts.kept[ME].refresh_token == "refresh-1"


async def test_without_a_password_a_refusal_is_one_sentence(server: LoginServer, clock: FakeClock) -> None:
    async with a_life(server, clock, MemoryAccounts(renewable(server))) as client:
        server.renewable.clear()
        server.wear_off()

        with pytest.raises(LoginFailed, match=r"MATRIX_ACCESS_TOKEN.*MATRIX_PASSWORD"):
            await ask(client)


async def test_a_device_that_was_logged_out_stays_out_also_when_its_token_was_due(
    server: LoginServer, clock: FakeClock
) -> None:
    async with a_life(server, clock, MemoryAccounts(renewable(server)), password=PASSWORD) as client:
        server.log_out()
        clock.advance(DUE)

        with pytest.raises(LoginFailed, match="logged out"):
            await ask(client)
    assert server.logins == []


@pytest.mark.parametrize(("status", "pause"), [(500, REFRESH_RETRY_SECONDS), (429, 7.0)])
async def test_a_refresh_that_fails_now_is_tried_again_later_and_nobody_waits_for_it(
    server: LoginServer, clock: FakeClock, status: int, pause: float
) -> None:
    async with a_life(server, clock, MemoryAccounts(renewable(server)), password=PASSWORD) as client:
        clock.advance(DUE)
        server.refresh_status = status
        with capture_logs() as logs:
            answers = [await ask(client) for _ in range(3)]
        tries = len(server.refreshes)
        server.refresh_status = 200
        clock.advance(pause)
        await ask(client)

        assert answers == ["D1"] * 3
        assert tries == 1
        assert [line["event"] for line in logs] == ["matrix.not_renewed"]
        assert client.nio.access_token == "renewed-2"
    assert server.logins == []


@pytest.mark.parametrize(("status", "retry_after"), [(500, 0.0), (429, 7.0)])
async def test_a_worn_off_token_that_cannot_be_renewed_now_is_no_reason_to_log_in(
    server: LoginServer, clock: FakeClock, status: int, retry_after: float
) -> None:
    async with a_life(server, clock, MemoryAccounts(renewable(server)), password=PASSWORD) as client:
        server.wear_off()
        server.refresh_status = status
        with pytest.raises(Unreachable) as later:
            await ask(client)
        server.refresh_status = 200

        assert later.value.retry_after == retry_after
        assert await ask(client) == "D1"
    assert server.logins == []


async def test_a_homeserver_that_gives_useless_tokens_is_asked_once_in_each_way(
    server: LoginServer, clock: FakeClock
) -> None:
    async with a_life(server, clock, MemoryAccounts(renewable(server)), password=PASSWORD) as client:
        server.wear_off()
        server.stillborn = True
        for _ in range(3):
            with pytest.raises(LoginFailed):
                await ask(client)

    assert (server.refreshes, server.logins) == (["refresh"], ["D1"])


async def test_tokens_without_a_life_are_not_renewed_with_every_request(server: LoginServer, clock: FakeClock) -> None:
    server.lifetime_ms = 0
    async with a_life(server, clock, MemoryAccounts(), password=PASSWORD) as client:
        for _ in range(5):
            await ask(client)
        clock.advance(REFRESH_PAUSE_SECONDS)
        await ask(client)

    assert len(server.refreshes) == 2


@pytest.mark.parametrize(
    ("lifetime_ms", "after"),
    [
        pytest.param(3_600_000, 3_540_000, id="a minute before the end"),
        pytest.param(5_000, 4_000, id="a short life: after four fifths"),
        pytest.param(0, 0, id="no life"),
        pytest.param(None, None, id="it does not say"),
        pytest.param(True, None, id="no number"),
        pytest.param("5", None, id="a text"),
        pytest.param(-1, None, id="nonsense"),
    ],
)
def test_when_a_token_is_renewed(lifetime_ms: object, after: int | None) -> None:
    assert renewal(lifetime_ms, START_MS) == (None if after is None else START_MS + after)


# ── tokens that are given ──


async def test_a_given_pair_is_where_it_begins_and_what_became_of_it_is_taken_later(
    server: LoginServer, clock: FakeClock
) -> None:
    accounts = MemoryAccounts()
    given = {"token": server.token("given"), "refresh_token": server.refresh_token("given too")}
    async with a_life(server, clock, accounts, **given) as client:
        server.wear_off()
        assert await ask(client) == "D1"

        assert accounts.kept[ME] == renewed(1, 0)
    async with a_life(server, clock, accounts, **given) as client:
        assert await ask(client) == "D1"
        assert client.nio.access_token == "renewed-1"
    assert server.refreshes == ["given too"]


async def test_a_given_pair_is_taken_when_the_stored_login_was_ended(server: LoginServer, clock: FakeClock) -> None:
    accounts = MemoryAccounts(Login(user=ME, device="D1", access_token="gone", refresh_token="gone too"))
    given = {"token": server.token("given", "D2"), "refresh_token": server.refresh_token("given too", "D2")}
    async with a_life(server, clock, accounts, **given) as client:
        assert await ask(client) == "D2"

    assert accounts.kept[ME] == Login(user=ME, device="D2", access_token="given", refresh_token="given too")


async def test_a_given_token_alone_is_taken_before_a_stored_login(server: LoginServer, clock: FakeClock) -> None:
    accounts = MemoryAccounts(renewable(server))
    async with a_life(server, clock, accounts, token=server.token("given", "D2")) as client:
        assert await ask(client) == "D2"

    assert accounts.kept[ME] == Login(user=ME, device="D2", access_token="given")
