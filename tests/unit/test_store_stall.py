"""A database that cannot be written: everybody waits, nothing is lost, and all goes on when the cause is gone."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.errors import StoreCorrupt, StoreError
from aiagentchat.core.health import StoreHealth
from aiagentchat.store import stall
from aiagentchat.store.database import Database, Transaction, open_database
from aiagentchat.store.stall import RETRY_SECONDS
from tests.contract.store_fixtures import NOW, incoming
from tests.fakes.clock import FakeClock
from tests.fakes.disk import FakeDisk, Fault, When
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.log import FakeLog

PATIENCE = 10.0
WRITE = "INSERT INTO sync_token VALUES (1, 't')"
OTHER = "INSERT INTO accounts (user_id, device_id, access_token) VALUES ('@a', 'D', 'x')"
READ = "SELECT token FROM sync_token"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    found = FakeLog()
    monkeypatch.setattr(stall, "log", found)
    return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


@pytest.fixture
async def database(tmp_path: Path, clock: FakeClock, disk: FakeDisk) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "ledger.db", clock=clock, factory=disk.factory) as opened:
        await opened.run("PRAGMA busy_timeout = 0")
        yield opened


@pytest.mark.parametrize(
    ("code", "what"),
    [
        pytest.param(sqlite3.SQLITE_FULL, "the disk is full", id="full"),
        pytest.param(sqlite3.SQLITE_BUSY, "another process writes to it", id="busy"),
        pytest.param(sqlite3.SQLITE_BUSY_RECOVERY, "another process writes to it", id="busy while it recovers"),
        pytest.param(sqlite3.SQLITE_LOCKED, "another connection uses it", id="locked"),
        pytest.param(sqlite3.SQLITE_PROTOCOL, "other processes use it all the time", id="never at rest"),
        pytest.param(sqlite3.SQLITE_READONLY, "it is read-only", id="read-only"),
        pytest.param(sqlite3.SQLITE_READONLY_CANTLOCK, "it is read-only", id="read-only, for locks"),
        pytest.param(sqlite3.SQLITE_CANTOPEN, "it cannot be opened", id="a file beside it cannot be opened"),
        pytest.param(sqlite3.SQLITE_IOERR, "the disk fails", id="a fault of the disk"),
        pytest.param(sqlite3.SQLITE_IOERR_WRITE, "the disk fails", id="a fault in writing"),
        pytest.param(sqlite3.SQLITE_IOERR_SHMSIZE, "the disk fails", id="no room for shared memory"),
    ],
)
@pytest.mark.parametrize("words", ["BEGIN", "INSERT", "COMMIT"])
async def test_whatever_may_pass_is_waited_for(
    database: Database, disk: FakeDisk, clock: FakeClock, log: FakeLog, words: str, code: int, what: str
) -> None:
    disk.plan(Fault(words, code=code), Fault(words, code=code))

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        writing = group.create_task(_write(database, WRITE))
        assert await clock.pass_nap() == RETRY_SECONDS
        await clock.until_asleep()
        assert database.health.trouble == what
        assert not writing.done()
        clock.advance(RETRY_SECONDS)

    assert await _tokens(database) == ["t"]
    assert database.health == StoreHealth(trouble=None, stalls=1)
    [said] = log.of("store.stalled")
    assert re.search(r"ledger\.db cannot be used: disk I/O error\. [A-Z].+[.?]$", str(said["error"]))
    assert log.of("store.recovered") == [{"seconds": 2 * RETRY_SECONDS}]


async def test_a_single_statement_waits_too_and_so_does_a_read(
    database: Database, disk: FakeDisk, clock: FakeClock
) -> None:
    disk.plan(Fault("INSERT"), Fault("SELECT token"))

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(database.run(WRITE))
        await clock.pass_nap()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        reading = group.create_task(_tokens(database))
        await clock.pass_nap()

    assert reading.result() == ["t"]
    assert database.health == StoreHealth(trouble=None, stalls=2)


async def test_while_another_process_holds_the_lock_reading_goes_on_and_writing_waits(
    database: Database, tmp_path: Path, clock: FakeClock, log: FakeLog
) -> None:
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(database.run(WRITE))
        group.create_task(_write(database, OTHER))
        await clock.until_asleep()
        assert await _tokens(database) == []
        assert database.health.trouble == "another process writes to it"
        other.execute("ROLLBACK")
        clock.advance(RETRY_SECONDS)
    other.close()

    assert await _tokens(database) == ["t"]
    assert [name for name, _ in log.lines] == ["store.stalled", "store.recovered"]


async def test_a_database_that_is_read_only_for_a_while_is_written_afterwards(
    database: Database, clock: FakeClock
) -> None:
    await database.run("PRAGMA query_only = ON")

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(database.run(WRITE))
        await clock.until_asleep()
        assert database.health.trouble == "it is read-only"
        await database.run("PRAGMA query_only = OFF")
        clock.advance(RETRY_SECONDS)

    assert await _tokens(database) == ["t"]


async def test_it_is_over_when_nobody_waits_any_more(
    database: Database, disk: FakeDisk, clock: FakeClock, log: FakeLog
) -> None:
    disk.plan(Fault("INSERT INTO sync_token"), Fault("INSERT INTO sync_token"))

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(database.run(WRITE))
        await clock.until_asleep()
        await database.run(OTHER)  # what is small may fit
        assert _is_stalled(database)
        await clock.pass_nap()
        await clock.pass_nap()

    assert not _is_stalled(database)
    assert [name for name, _ in log.lines] == ["store.stalled", "store.recovered"]


async def test_a_task_that_is_cancelled_while_it_waits_ends_at_once_and_leaves_the_way_free(
    database: Database, disk: FakeDisk, clock: FakeClock, log: FakeLog
) -> None:
    disk.plan(Fault("COMMIT"))

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        writing = group.create_task(_write(database, WRITE))
        await clock.until_asleep()
        writing.cancel()

    assert writing.cancelled()
    assert clock.monotonic() == 0
    assert _is_stalled(database)
    assert await _tokens(database) == []
    await database.run(OTHER)
    assert not _is_stalled(database)
    assert [name for name, _ in log.lines] == ["store.stalled", "store.recovered"]


async def test_a_rollback_that_fails_is_made_up_for(database: Database, disk: FakeDisk, clock: FakeClock) -> None:
    disk.plan(Fault("COMMIT"), Fault("ROLLBACK"), Fault("ROLLBACK"), Fault("ROLLBACK"))

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(_write(database, WRITE))
        await clock.pass_nap()
        await clock.pass_nap()

    assert disk.happened == 4
    assert await _tokens(database) == ["t"]


async def test_a_doubt_that_cannot_be_settled_now_is_settled_later(
    database: Database, disk: FakeDisk, clock: FakeClock
) -> None:
    disk.plan(Fault("COMMIT", When.AFTER), Fault("SELECT attempt"), Fault("SELECT attempt"))

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(_write(database, WRITE))
        reading = group.create_task(_tokens(database))
        await clock.pass_nap()
        await clock.until_asleep()
        assert not reading.done()
        clock.advance(RETRY_SECONDS)

    assert disk.happened == 3
    assert reading.result() == ["t"]
    assert database.health == StoreHealth(trouble=None, stalls=1)


async def test_what_does_not_pass_is_raised_at_once(database: Database) -> None:
    with pytest.raises(StoreError, match="no such table"):
        await database.run("INSERT INTO nowhere VALUES (1)")
    with pytest.raises(StoreError, match="UNIQUE constraint failed"):
        await _write(database, WRITE, WRITE)

    assert await _tokens(database) == []
    assert database.health == StoreHealth()


async def test_damage_that_shows_later_ends_all_writing(database: Database, disk: FakeDisk) -> None:
    disk.plan(Fault("SELECT token", code=sqlite3.SQLITE_CORRUPT_INDEX))

    with pytest.raises(StoreCorrupt, match="copy a backup"):
        await _tokens(database)
    with pytest.raises(StoreCorrupt, match="copy a backup"):
        await database.run(WRITE)
    assert disk.happened == 1


async def test_a_page_that_was_overwritten_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with open_database(path) as database:
        await database.run("INSERT INTO sync_token VALUES (1, hex(zeroblob(100000)))")
        await database.run("PRAGMA wal_checkpoint(TRUNCATE)")
        await database.run("PRAGMA shrink_memory")
        _scribble(path)

        with pytest.raises(StoreCorrupt, match="malformed"):
            await database.run("SELECT * FROM accounts")


async def test_a_ledger_tells_of_its_health(tmp_path: Path, clock: FakeClock) -> None:
    async with fresh_ledger(tmp_path / "ledger.db", clock=clock) as ledger:
        assert ledger.health() == StoreHealth()
        other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            taking = group.create_task(ledger.inbox.take_in("t1", [incoming("$a")], NOW))
            await clock.until_asleep()
            assert ledger.health().trouble is not None
            other.execute("ROLLBACK")
            other.close()
            clock.advance(RETRY_SECONDS)

        assert taking.result() == 1
        assert ledger.health() == StoreHealth(trouble=None, stalls=1)


async def _write(database: Database, *statements: str) -> None:
    async def body(transaction: Transaction) -> None:
        for statement in statements:
            await transaction.run(statement)

    await database.transact(body)


def _is_stalled(database: Database) -> bool:
    return database.health.trouble is not None


async def _tokens(database: Database) -> list[str]:
    return [row["token"] for row in await database.run(READ)]


def _scribble(path: Path) -> None:
    """Over everything behind the first page."""
    length = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (length - 4096))
