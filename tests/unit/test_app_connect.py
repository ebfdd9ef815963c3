"""The login is kept sealed, hidden from the moment on in which it is known, and got anew if its key is lost."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from aiagentchat.app.connect import KnownAccounts, connected, vault_of
from aiagentchat.app.live import Live
from aiagentchat.config.load import load
from aiagentchat.config.secrets import load_secrets
from aiagentchat.core.errors import StoreKeyError
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Login
from aiagentchat.store.ledger import open_ledger
from aiagentchat.store.vault import KEY_FILE
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.clock import FakeClock
from tests.fakes.login_server import PASSWORD, USER, login_server

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
    told: list[str] = []

    async def note(login: Login) -> None:
        told.append(login.device)

    accounts = KnownAccounts(MemoryAccounts(Login(user=ME, device="D", access_token=stored)), live, note)
    await accounts.login(ME)
    await accounts.save_login(Login(user=ME, device="D", access_token=fresh))

    gone = "[redacted: MATRIX_ACCESS_TOKEN]"
    assert live.redactor()(f"{stored}, {fresh}") == f"{gone}, {gone}"
    assert told == ["D"]


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


async def _log_in(live: Live) -> str:
    async with (
        open_ledger(live.settings.database, vault=vault_of(live)) as ledger,
        connected(live, ledger, ME, FakeClock()) as client,
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


async def test_a_token_is_in_no_address(tmp_path: Path) -> None:
    async with login_server() as server:
        server.token("syt_the_token_of_claude")
        await _log_in(live_in(tmp_path, {"MATRIX_ACCESS_TOKEN": "syt_the_token_of_claude"}, server.url))

        assert server.addresses
        assert [address for address in server.addresses if "syt_" in address or "access_token" in address] == []
