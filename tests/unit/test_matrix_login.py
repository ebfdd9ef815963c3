"""A login that wears off is renewed without anybody noticing; one that was ended is one clear sentence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from aiagentchat.core.errors import LoginFailed, RateLimited, Unreachable
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Login
from aiagentchat.matrix.client import Account, Client
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.clock import FakeClock
from tests.fakes.login_server import PASSWORD, USER, LoginServer, login_server

ME = UserId(USER)
WHOAMI = "/_matrix/client/v3/account/whoami"


@pytest.fixture
async def server() -> AsyncIterator[LoginServer]:
    async with login_server() as running:
        yield running


def account(server: LoginServer, *, token: str | None = None, password: str | None = PASSWORD) -> Account:
    return Account(homeserver=server.url, user=ME, device_name="test", token=token, password=password)


@asynccontextmanager
async def a_client(
    server: LoginServer, *stored: Login, token: str | None = None, password: str | None = None, **more: Any
) -> AsyncIterator[tuple[Client, MemoryAccounts]]:
    """A client, not logged in."""
    accounts = MemoryAccounts(*stored)
    client = Client(account(server, token=token, password=password), accounts, **more)
    try:
        yield client, accounts
    finally:
        await client.close()


async def ask(client: Client) -> object:
    """Any request that needs a login."""
    return (await client.ask("who", "GET", WHOAMI)).content["device_id"]


def stored(token: str) -> Login:
    return Login(user=ME, device="D1", access_token=token)


# ── at the start ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_token_is_used_and_its_device_kept(server: LoginServer) -> None:
    async with a_client(server, token=server.token("given", "D7")) as (client, accounts):
        await client.log_in()

    assert accounts.kept[ME] == Login(user=ME, device="D7", access_token="given")
    assert server.logins == []


async def test_a_password_logs_in_on_the_device_of_the_last_life(server: LoginServer) -> None:
    async with a_client(server, stored("gone"), password=PASSWORD) as (client, accounts):
        await client.log_in()

    assert server.logins == ["D1"]
    assert accounts.kept[ME] == Login(user=ME, device="D1", access_token="token-1")


@pytest.mark.parametrize("state", ["logged out", "worn off"])
async def test_a_device_whose_keys_are_lost_is_given_up_with_the_one_login_of_the_start(
    server: LoginServer, state: str
) -> None:
    server.token("old")
    server.wear_off() if state == "worn off" else server.log_out()
    lost = ["D1"]

    async def is_lost(device: str) -> bool:
        return device in lost

    async with a_client(server, stored("old"), password=PASSWORD, is_lost=is_lost) as (client, accounts):
        await client.log_in()
        made = accounts.kept[ME].device
        assert server.logins == [""]
        assert await ask(client) == made != "D1"

        lost.append(made)  # what becomes of the file while we are in is another matter
        server.wear_off()
        assert await ask(client) == made
    assert server.logins == ["", made]


async def test_a_stored_login_that_has_worn_off_is_renewed_and_kept(server: LoginServer) -> None:
    server.token("old")
    server.wear_off()
    async with a_client(server, stored("old"), password=PASSWORD) as (client, accounts):
        await client.log_in()

        assert await ask(client) == "D1"
    assert server.logins == ["D1"]
    assert accounts.kept[ME].access_token == "token-1"


async def test_a_token_that_has_worn_off_is_replaced_on_its_device(server: LoginServer) -> None:
    server.token("given")
    server.wear_off()
    async with a_client(server, stored("given"), token="given", password=PASSWORD) as (client, _):
        await client.log_in()

    assert server.logins == ["D1"]


@pytest.mark.parametrize("token", [None, "unknown"])
async def test_without_a_way_in_one_sentence_says_what_to_set(server: LoginServer, token: str | None) -> None:
    async with a_client(server, token=token) as (client, _):
        with pytest.raises(LoginFailed, match=r"MATRIX_ACCESS_TOKEN.*MATRIX_PASSWORD"):
            await client.log_in()


async def test_a_wrong_password_is_said_to_be_one(server: LoginServer) -> None:
    async with a_client(server, password="wrong") as (client, _):
        with pytest.raises(LoginFailed, match="MATRIX_PASSWORD"):
            await client.log_in()


@pytest.mark.parametrize("password", ["wrong", PASSWORD])
async def test_a_start_logs_in_once_whatever_comes_of_it(server: LoginServer, password: str) -> None:
    server.token("old")
    server.wear_off()
    server.stillborn = True
    async with a_client(server, stored("old"), password=password) as (client, _):
        with pytest.raises(LoginFailed):
            await client.log_in()

    assert server.attempts == 1


async def test_a_password_of_somebody_else_is_refused(server: LoginServer) -> None:
    server.user = "@other:hs"
    async with a_client(server, password=PASSWORD) as (client, accounts):
        with pytest.raises(
            LoginFailed, match=r"MATRIX_PASSWORD belongs to @other:hs, but matrix.user_id is @claude:hs"
        ):
            await client.log_in()

    assert accounts.kept == {}


async def test_a_login_that_is_answered_with_nonsense_is_to_be_tried_again(server: LoginServer) -> None:
    server.gives_nonsense = True
    async with a_client(server, password=PASSWORD) as (client, accounts):
        with pytest.raises(Unreachable):
            await client.log_in()

    assert accounts.kept == {}


async def test_a_token_of_somebody_else_is_refused(server: LoginServer) -> None:
    server.token("theirs")
    accounts = MemoryAccounts()
    others = Account(homeserver=server.url, user=UserId("@other:hs"), device_name="test", token="theirs")
    client = Client(others, accounts)
    with pytest.raises(LoginFailed, match="belongs to @claude:hs"):
        await client.log_in()
    await client.close()

    assert accounts.kept == {}


# ── while it runs ─────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def logged_in(
    server: LoginServer, *, password: str | None = PASSWORD
) -> AsyncIterator[tuple[Client, MemoryAccounts]]:
    async with a_client(server, stored(server.token("first")), password=password) as (client, accounts):
        await client.log_in()
        server.asked.clear()
        yield client, accounts


async def test_a_login_that_wears_off_is_renewed_on_the_same_device_within_the_request(server: LoginServer) -> None:
    async with logged_in(server) as (client, accounts):
        server.wear_off()

        assert await ask(client) == "D1"
        assert accounts.kept[ME] == Login(user=ME, device="D1", access_token="token-1")
    assert server.asked == [("whoami", "first"), ("whoami", "token-1")]


async def test_nio_goes_on_with_the_new_token(server: LoginServer) -> None:
    async with logged_in(server) as (client, _):
        server.wear_off()
        answer = await client.nio.room_send("!r", "m.room.message", {"body": "x"}, tx_id="t")

        assert answer.event_id == "$sent"
        assert client.nio.access_token == "token-1"


async def test_many_requests_that_meet_it_log_in_once(server: LoginServer) -> None:
    async with logged_in(server) as (client, _):
        server.wear_off()
        devices = await asyncio.gather(*[ask(client) for _ in range(10)])

    assert devices == ["D1"] * 10
    assert server.logins == ["D1"]


async def test_it_may_wear_off_again_once_it_was_good_for_something(server: LoginServer) -> None:
    async with logged_in(server) as (client, _):
        for _ in range(3):
            server.wear_off()
            assert await ask(client) == "D1"

    assert server.logins == ["D1"] * 3


async def test_a_homeserver_that_gives_useless_tokens_is_not_asked_for_ever(server: LoginServer) -> None:
    async with logged_in(server) as (client, _):
        server.wear_off()
        server.stillborn = True
        for _ in range(3):
            with pytest.raises(LoginFailed):
                await ask(client)

    assert server.logins == ["D1"]


@pytest.mark.parametrize("end", ["log_out", "wear_off"])
async def test_without_a_password_it_is_one_sentence(server: LoginServer, end: str) -> None:
    async with logged_in(server, password=None) as (client, _):
        getattr(server, end)()

        with pytest.raises(LoginFailed, match=r"logged out.*MATRIX_ACCESS_TOKEN.*MATRIX_PASSWORD"):
            await ask(client)


async def test_a_device_that_was_logged_out_on_purpose_stays_out(server: LoginServer) -> None:
    async with logged_in(server) as (client, _):
        server.log_out()

        with pytest.raises(LoginFailed) as ended:
            await ask(client)
    assert ended.value.exit_code == 3
    assert server.logins == []


async def test_a_limit_on_logins_is_waited_for_and_nobody_logs_in_meanwhile(server: LoginServer) -> None:
    clock = FakeClock()
    accounts = MemoryAccounts(stored(server.token("first")))
    client = Client(account(server), accounts, now_ms=clock.now_ms, monotonic=clock.monotonic)
    await client.log_in()
    server.wear_off()
    server.busy_for_ms = 333_000
    waits = []
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Unreachable) as later:
                await ask(client)
            waits.append(later.value.retry_after)
            clock.advance(111)
    server.busy_for_ms = None
    device = await ask(client)
    await client.close()

    assert waits == [333, 222, 111]
    assert [line["wait_s"] for line in logs if line["event"] == "matrix.login_limited"] == [333]
    assert server.attempts == 2
    assert device == "D1"


async def test_a_password_that_was_changed_is_one_sentence(server: LoginServer) -> None:
    async with a_client(server, stored(server.token("first")), password="old one") as (client, _):
        await client.log_in()
        server.wear_off()

        with pytest.raises(LoginFailed, match="MATRIX_PASSWORD"):
            await ask(client)


async def test_a_password_that_is_refused_is_tried_once_by_all_who_meet_it(server: LoginServer) -> None:
    async with a_client(server, stored(server.token("first")), password="old one") as (client, _):
        await client.log_in()
        server.wear_off()
        ends = await asyncio.gather(*[ask(client) for _ in range(5)], return_exceptions=True)

        assert [type(end) for end in ends] == [LoginFailed] * 5
    assert server.attempts == 1


async def test_an_upload_that_meets_it_is_to_be_sent_again(server: LoginServer) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"

    async with logged_in(server) as (client, _):
        server.wear_off()
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.nio.send("POST", "/upload", pieces(), {"Authorization": "Bearer first"})

        assert await ask(client) == "D1"
    assert server.logins == ["D1"]


async def test_a_login_that_cannot_be_reached_is_tried_again_by_whoever_asked(server: LoginServer) -> None:
    async with logged_in(server) as (client, _):
        client.nio.homeserver = "http://127.0.0.1:1"

        with pytest.raises(Unreachable):
            await ask(client)


@pytest.mark.parametrize(("token", "password"), [("given", None), (None, PASSWORD)])
async def test_a_start_without_a_homeserver_is_to_be_tried_again(
    server: LoginServer, token: str | None, password: str | None
) -> None:
    server.url = "http://127.0.0.1:1"
    async with a_client(server, token=token, password=password) as (client, accounts):
        with pytest.raises(Unreachable):
            await client.log_in()

    assert accounts.kept == {}


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"<html>", b"\xff\xfe\x00", b"[]", b'"M_UNKNOWN_TOKEN"', b"[" * 100_000, b'{"errcode": []}'],
    ids=lambda said: repr(said[:20]),
)
async def test_a_401_that_is_not_the_homeservers_ends_no_login(server: LoginServer, nonsense: bytes) -> None:
    async with logged_in(server) as (client, _):
        server.nonsense = nonsense
        with pytest.raises(Unreachable):
            await ask(client)
        server.nonsense = None

        assert await ask(client) == "D1"
    assert server.logins == []


async def test_a_refusal_because_it_is_too_much_is_counted_whatever_was_asked(server: LoginServer) -> None:
    async with a_client(server, stored(server.token("first")), password=PASSWORD) as (client, _):
        await client.log_in()
        server.wants_quiet = True
        with pytest.raises(RateLimited):
            await ask(client)
        at_a_question = client.refusals
        server.wear_off()
        server.wants_quiet, server.busy_for_ms = False, 333_000
        with pytest.raises(Unreachable):
            await ask(client)

        assert (at_a_question, client.refusals) == (1, 2)
