"""The login is kept sealed, hidden from the moment on in which it is known, and got anew if its key is lost."""

import asyncio
import base64
import dataclasses
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from aiagentchat.app.connect import STRANGER_SECONDS, KnownAccounts, connected, registry_room, vault_of
from aiagentchat.app.live import Live
from aiagentchat.config.load import load
from aiagentchat.config.schema import Registry
from aiagentchat.config.secrets import load_secrets
from aiagentchat.core.errors import ConfigError, StoreKeyError
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Login
from aiagentchat.matrix.client import Account, Client
from aiagentchat.store.ledger import open_ledger
from aiagentchat.store.vault import KEY_FILE
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.clock import FakeClock
from tests.fakes.login_server import PASSWORD, USER, login_server
from tests.fakes.wire import tell, wire

ME = UserId(USER)


def live_in(folder: Path, environ: Mapping[str, str], url: str = "http://127.0.0.1:1") -> Live:
    settings = {
        "matrix": {"homeserver": url, "user_id": USER},
        "data_dir": "./data",
        "workspaces": "./rooms",
        "defaults": {"users": ["@anna:hs"]},
        "rooms": [{"id": "!a:hs", "name": "a"}],
    }
    (folder / "config.yaml").write_text(json.dumps(settings))
    (folder / "data").mkdir(exist_ok=True)
    return Live(load(folder / "config.yaml", environ), load_secrets(environ), dict(environ))


async def test_a_login_is_hidden_as_soon_as_it_is_stored_or_read(tmp_path: Path) -> None:
    stored, fresh = "a stored token", "a fresh token"
    live = live_in(tmp_path, {})
    accounts = KnownAccounts(MemoryAccounts(Login(user=ME, device="D", access_token=stored)), live)
    await accounts.login(ME)
    await accounts.save_login(Login(user=ME, device="D", access_token=fresh, refresh_token="the next one"))

    gone = "[redacted: MATRIX_ACCESS_TOKEN]"
    shown = live.redactor()(f"{stored}, {fresh}, the next one")
    assert shown == f"{gone}, {gone}, [redacted: MATRIX_REFRESH_TOKEN]"


async def test_the_key_that_is_made_is_in_data_dir_and_hidden(tmp_path: Path) -> None:
    live = live_in(tmp_path, {})
    vault_of(live).seal("a", b"x")

    key = (tmp_path / "data" / KEY_FILE).read_text().strip()
    assert live.redactor()(key) == "[redacted: AIAGENTCHAT_STORE_KEY]"


async def test_the_key_that_is_given_is_used(tmp_path: Path) -> None:
    given = base64.b64encode(bytes(32)).decode()
    live = live_in(tmp_path, {"AIAGENTCHAT_STORE_KEY": given})
    sealed = vault_of(live).seal("a", b"x")

    assert vault_of(live).open("a", sealed) == b"x"
    assert not (tmp_path / "data" / KEY_FILE).exists()


async def _log_in(live: Live, clock: FakeClock | None = None) -> str:
    async with (
        open_ledger(live.settings.database, vault=vault_of(live)) as ledger,
        connected(live, ledger, ME, clock or FakeClock()) as client,
    ):
        return str(client.nio.device_id)


async def test_a_lost_key_is_one_sentence_or_a_new_login(tmp_path: Path) -> None:
    async with login_server() as server:
        with_password = live_in(tmp_path, {"MATRIX_PASSWORD": PASSWORD}, server.url)
        await _log_in(with_password)
        (tmp_path / "data" / KEY_FILE).unlink()

        with pytest.raises(StoreKeyError, match=r"store\.key is not there.*set MATRIX_PASSWORD"):
            await _log_in(live_in(tmp_path, {}, server.url))
        assert not (tmp_path / "data" / KEY_FILE).exists()
        await _log_in(with_password)
        assert server.logins == ["", ""]
        await _log_in(live_in(tmp_path, {}, server.url))
        assert server.logins == ["", ""]


async def test_a_device_whose_keys_are_gone_is_not_logged_in_again(tmp_path: Path) -> None:
    async with login_server() as server:
        live = live_in(tmp_path, {"MATRIX_PASSWORD": PASSWORD}, server.url)
        await _log_in(live)
        server.log_out()
        await _log_in(live)
        assert server.logins == ["", "NEW"]  # it had no keys yet
        async with open_ledger(live.settings.database, vault=vault_of(live)) as ledger:
            await ledger.keyring.keep_device_key(ME, "NEW", "the key that it had")
        server.log_out()
        await _log_in(live)

        assert server.logins == ["", "NEW", ""]


async def test_a_token_is_in_no_address(tmp_path: Path) -> None:
    async with login_server() as server:
        server.token("syt_the_token_of_claude")
        await _log_in(live_in(tmp_path, {"MATRIX_ACCESS_TOKEN": "syt_the_token_of_claude"}, server.url))

        assert server.addresses
        assert [address for address in server.addresses if "syt_" in address or "access_token" in address] == []


async def test_a_given_refresh_token_renews_the_given_token(tmp_path: Path) -> None:
    async with login_server() as server:
        server.token("given")
        server.refresh_token("given too")
        server.wear_off()
        environ = {"MATRIX_ACCESS_TOKEN": "given", "MATRIX_REFRESH_TOKEN": "given too"}
        live = live_in(tmp_path, environ, server.url)
        await _log_in(live)

        assert server.refreshes == ["given too"]
        assert live.redactor()("renewed-1 refresh-of-1").count("[redacted: ") == 2


# ── whoever answers ──


@asynccontextmanager
async def _answering(status: int, body: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """Something that answers everything so; its address, and what it was asked."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, body=body, content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _logging_in(live: Live, clock: FakeClock) -> "AsyncIterator[asyncio.Task[str]]":
    """A daemon that logs in meanwhile."""
    async with asyncio.TaskGroup() as group:
        yield group.create_task(_log_in(live, clock))


async def _wait_in_vain(live: Live, clock: FakeClock) -> None:
    async with _logging_in(live, clock):
        while clock.monotonic() < STRANGER_SECONDS:
            await clock.pass_nap()


@pytest.mark.parametrize("environ", [{"MATRIX_ACCESS_TOKEN": "syt_x"}, {"MATRIX_PASSWORD": PASSWORD}])
@pytest.mark.parametrize(
    ("status", "body"), [(404, b"<h1>Not found</h1>"), (200, b"<html>"), (200, b"{}"), (405, b""), (501, b"")]
)
async def test_what_answers_and_is_no_homeserver_is_one_sentence_after_a_minute(
    tmp_path: Path, environ: Mapping[str, str], status: int, body: bytes
) -> None:
    clock = FakeClock()
    async with _answering(status, body) as (url, asked):
        live = live_in(tmp_path, environ, url)
        with pytest.raises(ExceptionGroup) as ended, capture_logs() as logs:
            await _wait_in_vain(live, clock)

    assert ended.group_contains(
        ConfigError, match=r"^matrix\.homeserver: http.*answers, but not as a homeserver does .*write the address"
    )
    told = [line for line in logs if line["event"] == "matrix.unreachable"]
    assert len(told) == len(asked) - 1
    assert all("is matrix.homeserver right?" in line["error"] for line in told)


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_proxy_whose_homeserver_is_away_is_waited_for(tmp_path: Path, status: int) -> None:
    clock = FakeClock()
    async with (
        _answering(status, b"<html>") as (url, _),
        _logging_in(live_in(tmp_path, {"MATRIX_ACCESS_TOKEN": "syt_x"}, url), clock) as waiting,
    ):
        while clock.monotonic() < 10 * STRANGER_SECONDS:
            await clock.pass_nap()

        assert not waiting.done()
        waiting.cancel()


async def test_a_limit_on_logins_is_waited_for_as_long_as_the_homeserver_says(tmp_path: Path) -> None:
    clock = FakeClock()
    async with login_server() as server:
        server.busy_for_ms = 333_000
        async with _logging_in(live_in(tmp_path, {"MATRIX_PASSWORD": PASSWORD}, server.url), clock):
            wait = await clock.until_asleep()
            server.busy_for_ms = None
            clock.advance(wait)

        assert wait == 333
        assert server.attempts == 2


@pytest.mark.parametrize(
    ("named", "answer", "found"),
    [
        pytest.param(None, None, None, id="there is none"),
        pytest.param("!agents", None, "!agents", id="an id"),
        pytest.param("#agents:hs", {"room_id": "!agents", "servers": []}, "!agents", id="an alias"),
        pytest.param("#agents:hs", {"errcode": "M_NOT_FOUND", "error": "no"}, None, id="an alias that nobody knows"),
    ],
)
async def test_the_registry_room_is_found_by_its_id_or_alias(
    tmp_path: Path, named: str | None, answer: Mapping[str, object] | None, found: str | None
) -> None:
    settings = dataclasses.replace(live_in(tmp_path, {}).settings, registry=Registry(room=named))
    async with wire() as server:
        server.answers = [tell(answer, status=404 if answer and "errcode" in answer else 200)]
        client = Client(Account(homeserver=server.url, user=ME, device_name="test"), MemoryAccounts())
        client.nio.restore_login(USER, "DEVICE", "token")
        try:
            with capture_logs() as logs:
                assert await registry_room(settings, client) == found
        finally:
            await client.close()
    assert [line["event"] for line in logs] == (["config.alias_unknown"] if named and not found else [])
