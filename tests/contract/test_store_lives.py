"""Who a ledger is, and when a daemon on it was last known to live."""

from pathlib import Path

from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import NOW, OpenLedger


async def test_a_ledger_has_one_id_for_ever(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        made = await first.lives.installation(NOW)
        assert await first.lives.installation(NOW + 1) == made

    async with backend(tmp_path / "ledger.db") as second:
        assert await second.lives.installation(NOW + 2) == made
    assert len(made) >= 16


async def test_two_ledgers_are_two(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "one.db") as one, backend(tmp_path / "two.db") as two:
        assert await one.lives.installation(NOW) != await two.lives.installation(NOW)


async def test_nobody_has_lived_before_the_first_life(ledger: Ledger) -> None:
    await ledger.lives.alive(NOW)

    assert await ledger.lives.alive_at() is None


async def test_the_next_life_reads_when_the_last_one_lived(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await first.lives.installation(NOW)
        await first.lives.alive(NOW + 30_000)

    async with backend(tmp_path / "ledger.db") as second:
        await second.lives.installation(NOW + 90_000)
        assert await second.lives.alive_at() == NOW + 30_000
