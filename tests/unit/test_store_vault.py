"""What is sealed can be opened with its key, at its place, and in no other way."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from aiagentchat.core.errors import StoreError, StoreKeyError
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Login
from aiagentchat.store.ledger import open_ledger
from aiagentchat.store.maintenance import back_up
from aiagentchat.store.vault import KEY_BYTES, KEY_FILE, Vault

CLAUDE = UserId("@claude:hs")
TOKEN = "syt_a_token_of_the_homeserver"
REFRESH = "syr_what_renews_it"
LOGIN = Login(user=CLAUDE, device="D1", access_token=TOKEN, refresh_token=REFRESH, renew_at=7)
GIVEN = bytes(range(KEY_BYTES))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / KEY_FILE


def test_what_was_sealed_is_opened_at_its_place_only(file: Path) -> None:
    vault = Vault(file)
    sealed = vault.seal("seeds/master", b"seed")

    assert vault.is_sealed(sealed)
    assert not vault.is_sealed("seed")
    assert "seed" not in sealed
    assert vault.open("seeds/master", sealed) == b"seed"
    assert Vault(file).open("seeds/master", sealed) == b"seed"
    with pytest.raises(StoreKeyError, match="not the one"):
        vault.open("seeds/other", sealed)


def test_nothing_is_sealed_the_same_way_twice(file: Path) -> None:
    vault = Vault(file)

    assert vault.seal("a", b"x") != vault.seal("a", b"x")


@pytest.mark.parametrize("change", [lambda text: text[:-6] + "AAAA==", lambda text: text[:12], lambda text: text + "é"])
def test_what_was_changed_is_not_opened(file: Path, change: Callable[[str], str]) -> None:
    vault = Vault(file)

    with pytest.raises(StoreKeyError):
        vault.open("a", change(vault.seal("a", b"some secret")))


def test_the_key_is_made_once_for_its_owner_alone_and_told(file: Path) -> None:
    told: list[str] = []
    previous = os.umask(0)
    try:
        Vault(file, told=told.append).seal("a", b"x")
    finally:
        os.umask(previous)
    text = file.read_text()
    Vault(file, told=told.append).seal("a", b"x")

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == text
    assert told == [text.strip()] * 2
    assert list(file.parent.iterdir()) == [file]


def test_a_start_that_was_cut_short_leaves_no_half_key(file: Path) -> None:
    file.with_name(f"{KEY_FILE}.new").write_text("half")

    assert Vault(file).open("a", Vault(file).seal("a", b"x")) == b"x"


def test_a_key_that_is_given_is_used_and_none_is_made(file: Path) -> None:
    sealed = Vault(file, GIVEN).seal("a", b"x")

    assert Vault(file, GIVEN).open("a", sealed) == b"x"
    assert not file.exists()
    with pytest.raises(StoreKeyError, match=r"AIAGENTCHAT_STORE_KEY.*is not the one"):
        Vault(file, bytes(KEY_BYTES)).open("a", sealed)


def test_without_the_key_nothing_is_opened_and_no_other_is_made(file: Path) -> None:
    sealed = Vault(file).seal("a", b"x")
    file.unlink()

    with pytest.raises(StoreKeyError, match="is not there"):
        Vault(file).open("a", sealed)
    assert not file.exists()


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        ("hello", 0o600, "is none: put the right one back"),
        ("", 0o600, "is none"),
        ("!" * 44, 0o600, "is none"),
        ("x", 0o640, "other users can read"),
    ],
)
def test_a_file_that_is_no_key_is_refused_and_left_alone(file: Path, content: str, mode: int, problem: str) -> None:
    file.write_text(content)
    file.chmod(mode)

    with pytest.raises(StoreKeyError, match=problem):
        Vault(file).seal("a", b"x")
    assert file.read_text() == content


@pytest.mark.parametrize("kind", ["a folder", "a link", "a pipe"])
def test_what_is_no_plain_file_is_not_read(file: Path, kind: str) -> None:
    if kind == "a folder":
        file.mkdir()
    elif kind == "a pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(file.with_name("elsewhere"))

    with pytest.raises(StoreKeyError):
        Vault(file).seal("a", b"x")


def test_a_key_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be made: No such file or directory"):
        Vault(tmp_path / "gone" / KEY_FILE).seal("a", b"x")


def _bytes_of(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(folder.iterdir()) if each.name != KEY_FILE)


async def test_a_login_is_kept_and_nowhere_to_be_read(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    async with open_ledger(path) as ledger:
        await ledger.accounts.save_login(LOGIN)

        assert TOKEN.encode() not in _bytes_of(tmp_path)
        assert REFRESH.encode() not in _bytes_of(tmp_path)
        assert TOKEN not in repr(LOGIN)
        assert REFRESH not in repr(LOGIN)
    async with open_ledger(path) as ledger:
        assert await ledger.accounts.login(CLAUDE) == LOGIN


async def test_a_login_of_an_earlier_version_is_sealed_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    async with open_ledger(path):
        pass
    assert not (tmp_path / KEY_FILE).exists()
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO accounts (user_id, device_id, access_token) VALUES (?, 'D1', ?)", (CLAUDE, TOKEN)
        )
    connection.close()
    assert TOKEN.encode() in _bytes_of(tmp_path)

    async with open_ledger(path) as ledger:
        assert TOKEN.encode() not in _bytes_of(tmp_path)
        assert await ledger.accounts.login(CLAUDE) == Login(user=CLAUDE, device="D1", access_token=TOKEN)


async def test_a_refresh_token_opens_nothing_in_the_place_of_the_other_one(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    async with open_ledger(path) as ledger:
        await ledger.accounts.save_login(LOGIN)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE accounts SET refresh_token = access_token")
    connection.close()

    async with open_ledger(path) as ledger:
        with pytest.raises(StoreKeyError):
            await ledger.accounts.login(CLAUDE)


async def test_a_backup_has_neither_token_nor_key(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path, copies = tmp_path / "data/l.db", tmp_path / "copies"
    copies.mkdir()
    async with open_ledger(path) as ledger:
        await ledger.accounts.save_login(LOGIN)
        back_up(path, copies / "copy.db", force=False)

    key = (tmp_path / "data" / KEY_FILE).read_bytes().strip()
    assert TOKEN.encode() not in _bytes_of(copies)
    assert REFRESH.encode() not in _bytes_of(copies)
    assert key not in _bytes_of(copies)
    assert [each.name for each in copies.iterdir()] == ["copy.db"]


async def test_a_login_that_cannot_be_opened_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    async with open_ledger(path) as ledger:
        await ledger.accounts.save_login(LOGIN)
    (tmp_path / KEY_FILE).unlink()

    async with open_ledger(path) as ledger:
        with pytest.raises(StoreKeyError) as caught:
            await ledger.accounts.login(CLAUDE)
    assert str(caught.value) == (
        f"The login of {CLAUDE} in the database cannot be opened: the key {tmp_path}/{KEY_FILE} is not there. Put the "
        "key back in its place, or set MATRIX_PASSWORD to log in again as a new device; then start again. "
        "Nothing was changed."
    )


def test_a_derived_key_is_the_same_for_ever_and_another_one_for_another_purpose(file: Path) -> None:
    first = Vault(file).derive("crypto")

    assert Vault(file).derive("crypto") == first
    assert Vault(file).derive("other") != first
    assert Vault(file, GIVEN).derive("crypto") != first
    assert len(first) == KEY_BYTES
