"""The keys that prove who the account is: kept, sealed, and opened in the next life."""

from pathlib import Path

import pytest

from aiagentchat.core.errors import StoreKeyError
from aiagentchat.core.ports.ledger import Seeds
from aiagentchat.store.glance import seeds as glance_at_seeds
from aiagentchat.store.ledger import Ledger
from aiagentchat.store.vault import KEY_FILE, Vault
from tests.contract.store_fixtures import ANNA, BERT, OpenLedger

SEEDS = Seeds(master=b"m" * 32, self_signing=b"s" * 32, user_signing=b"u" * 32)
OTHERS = Seeds(master=b"1" * 32, self_signing=b"2" * 32, user_signing=b"3" * 32)


async def test_nothing_is_kept_before_somebody_keeps_it(ledger: Ledger) -> None:
    assert await ledger.identities.seeds(ANNA) is None
    assert await ledger.identities.backup_key(ANNA) is None
    assert await ledger.identities.backup_read(ANNA) is None


async def test_seeds_are_there_in_the_next_life_for_their_account(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await first.identities.keep_seeds(ANNA, OTHERS)
        await first.identities.keep_seeds(ANNA, SEEDS)

    async with backend(tmp_path / "ledger.db") as second:
        assert await second.identities.seeds(ANNA) == SEEDS
        assert await second.identities.seeds(BERT) is None
        assert await second.identities.backup_key(ANNA) is None


async def test_a_backup_is_read_with_the_key_that_was_kept_last(ledger: Ledger) -> None:
    identities = ledger.identities
    await identities.keep_seeds(ANNA, SEEDS)
    await identities.keep_backup_key(ANNA, b"k" * 32)
    await identities.mark_backup_read(ANNA, "3")
    assert (await identities.backup_key(ANNA), await identities.backup_read(ANNA)) == (b"k" * 32, "3")

    await identities.keep_backup_key(ANNA, b"l" * 32)
    assert (await identities.backup_key(ANNA), await identities.backup_read(ANNA)) == (b"l" * 32, None)
    assert await identities.seeds(ANNA) == SEEDS


def _content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("ledger.db*"))


async def test_no_file_of_the_database_holds_a_secret(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as ledger:
        await ledger.identities.keep_seeds(ANNA, SEEDS)
        await ledger.identities.keep_backup_key(ANNA, b"k" * 32)
        content = _content(tmp_path)

    assert [secret for secret in (b"m" * 8, b"s" * 8, b"u" * 8, b"k" * 8) if secret in content] == []
    assert repr(SEEDS) == "Seeds()"


async def test_without_the_store_key_they_are_there_and_cannot_be_opened(backend: OpenLedger, tmp_path: Path) -> None:
    path, vault = tmp_path / "ledger.db", Vault(tmp_path / KEY_FILE)
    async with backend(path) as first:
        await first.identities.keep_seeds(ANNA, SEEDS)
        await first.identities.keep_backup_key(ANNA, b"k" * 32)
        assert glance_at_seeds(path, ANNA, vault) == SEEDS
    (tmp_path / KEY_FILE).unlink()

    async with backend(path) as second:
        with pytest.raises(StoreKeyError, match="not there"):
            await second.identities.seeds(ANNA)
        with pytest.raises(StoreKeyError, match="not there"):
            await second.identities.backup_key(ANNA)
    with pytest.raises(StoreKeyError, match="not there"):
        glance_at_seeds(path, ANNA, Vault(tmp_path / KEY_FILE))
    assert glance_at_seeds(path, BERT, vault) is None
    assert glance_at_seeds(tmp_path / "none.db", ANNA, vault) is None
