"""The database file: who may read it, what it is migrated to, how it fails."""

import logging
import sqlite3
from pathlib import Path

import pytest

from aiagentchat.core.errors import StoreCorrupt, StoreError, StoreFromFuture
from aiagentchat.store import migrate
from aiagentchat.store.database import BUSY_SECONDS, Database, Transaction, open_database
from aiagentchat.store.files import PRIVATE

VERSION = "PRAGMA user_version"
STORY = b"once upon a time " * 100
NEWEST = max(int(file.name[:4]) for file in (Path(migrate.__file__).parent / "migrations").glob("*.sql"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


async def test_only_the_owner_can_read_any_of_the_three_files(path: Path) -> None:
    async with open_database(path) as database:
        await database.run("INSERT INTO sync_token VALUES (1, 't')")

        modes = {file.name: _mode(file) for file in path.parent.iterdir()}
    assert modes == {"ledger.db": PRIVATE, "ledger.db-wal": PRIVATE, "ledger.db-shm": PRIVATE}


async def test_files_with_looser_modes_are_tightened(path: Path) -> None:
    async with open_database(path) as database:
        await database.run("INSERT INTO sync_token VALUES (1, 't')")
        beside = path.with_name("ledger.db-wal")
        for file in (path, beside):
            file.chmod(0o644)

        async with open_database(path) as again:
            assert (await again.run("SELECT token FROM sync_token"))[0]["token"] == "t"
            assert [_mode(file) for file in (path, beside)] == [PRIVATE, PRIVATE]


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        pytest.param("journal_mode", "wal", id="readers do not wait for the writer"),
        pytest.param("synchronous", 2, id="a commit is on the disk"),
        pytest.param("foreign_keys", 1, id="references are checked"),
        pytest.param("trusted_schema", 0, id="a schema calls no functions"),
        pytest.param("temp_store", 2, id="a full disk is in the way of no sorting"),
        pytest.param("secure_delete", 1, id="what is erased is overwritten"),
        pytest.param("busy_timeout", BUSY_SECONDS * 1000, id="another process is waited for"),
        pytest.param("user_version", NEWEST, id="every migration is applied"),
    ],
)
async def test_the_connection_is_set_up(path: Path, pragma: str, value: object) -> None:
    async with open_database(path) as database:
        assert (await database.run(f"PRAGMA {pragma}"))[0][0] == value


async def test_opening_again_migrates_nothing(path: Path) -> None:
    async with open_database(path) as database:
        first = [tuple(row) for row in await database.run("SELECT * FROM sqlite_schema")]

    async with open_database(path) as database:
        assert [tuple(row) for row in await database.run("SELECT * FROM sqlite_schema")] == first


async def test_a_newer_database_is_refused_and_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {NEWEST + 1}")
    connection.close()
    before = _content(path)

    with pytest.raises(StoreFromFuture, match=f"version {NEWEST + 1}"):
        async with open_database(path):
            pass
    assert _content(path) == before


def test_migrations_are_numbered_without_gaps() -> None:
    assert list(migrate._migrations()) == list(range(1, NEWEST + 1))


async def test_an_upgrade_that_fails_leaves_the_file_to_the_program_before_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_good.sql").write_text("CREATE TABLE good (x);", encoding="utf-8")
    monkeypatch.setattr(migrate, "_FOLDER", folder)
    async with open_database(path):
        pass
    (folder / "0002_better.sql").write_text("CREATE TABLE better (x);", encoding="utf-8")
    (folder / "0003_bad.sql").write_text("CREATE TABLE half (x);\nCREATE TABLE good (x);", encoding="utf-8")

    with pytest.raises(StoreError, match="already exists"):
        async with open_database(path):
            pass
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("good",)]
    assert connection.execute(VERSION).fetchone() == (1,)
    connection.close()


async def test_a_file_that_is_no_database_is_left_alone_and_named_with_what_to_do(path: Path) -> None:
    _fill(path, STORY)

    with pytest.raises(StoreCorrupt, match=r"ledger\.db is damaged \(file is not a database\).*copy a backup"):
        async with open_database(path):
            pass
    assert _content(path) == STORY


async def test_a_folder_in_the_place_of_the_file_is_refused_as_it_is(tmp_path: Path) -> None:
    before = _mode(tmp_path)

    with pytest.raises(StoreError, match="is not a file"):
        async with open_database(tmp_path):
            pass
    assert _mode(tmp_path) == before != PRIVATE


async def test_a_missing_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing/ledger\.db cannot be opened .*its folder must exist"):
        async with open_database(tmp_path / "missing" / "ledger.db"):
            pass


async def test_the_driver_does_not_log_what_people_wrote(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("aiosqlite").setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    async with open_database(path) as database:
        await database.run("SELECT :secret", secret="hunter2")

    assert "hunter2" not in caplog.text
    assert logging.getLogger("aiosqlite").level == logging.INFO


async def test_a_quieter_driver_stays_quiet(path: Path) -> None:
    logging.getLogger("aiosqlite").setLevel(logging.ERROR)
    async with open_database(path):
        pass

    assert logging.getLogger("aiosqlite").level == logging.ERROR


async def test_an_error_of_sqlite_becomes_ours_and_keeps_its_cause(path: Path) -> None:
    async with open_database(path) as database:
        with pytest.raises(StoreError, match="no such table: nowhere") as raised:
            await database.run("SELECT * FROM nowhere")

    assert isinstance(raised.value.__cause__, sqlite3.OperationalError)


async def test_a_body_that_raises_leaves_nothing(path: Path) -> None:
    async with open_database(path) as database:
        with pytest.raises(ZeroDivisionError):
            await _write_then_raise(database)

        assert await _tokens(database) == []


async def test_a_commit_that_fails_leaves_nothing_and_the_next_one_works(path: Path) -> None:
    async with open_database(path) as database:
        await database.run("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        await database.run("CREATE TABLE child (p REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
        with pytest.raises(StoreError, match="FOREIGN KEY constraint failed"):
            await _write(database, "INSERT INTO sync_token VALUES (1, 'lost')", "INSERT INTO child VALUES (7)")

        await _write(database, "INSERT INTO sync_token VALUES (1, 'kept')")
        assert await _tokens(database) == ["kept"]


async def _write(database: Database, *statements: str) -> None:
    async def body(transaction: Transaction) -> None:
        for statement in statements:
            await transaction.run(statement)

    await database.transact(body)


async def _write_then_raise(database: Database) -> None:
    async def body(transaction: Transaction) -> None:
        await transaction.run("INSERT INTO sync_token VALUES (1, 't')")
        raise ZeroDivisionError

    await database.transact(body)


async def _tokens(database: Database) -> list[str]:
    return [row["token"] for row in await database.run("SELECT token FROM sync_token")]


def _fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _content(path: Path) -> bytes:
    return path.read_bytes()


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
