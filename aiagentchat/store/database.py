"""One SQLite file, one connection, one transaction at a time.

Every statement is a hop to the connection's thread, which runs what was queued to the end and in order. Two things
follow. Few statements are fast: what one statement can do needs no transaction. And a cancelled task cannot stop what
it has queued, only stop waiting for it: whatever must follow has to be queued behind it, and then it will happen.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiosqlite

from aiagentchat.store.files import make_private
from aiagentchat.store.migrate import migrate
from aiagentchat.store.sqlite_errors import translated

BUSY_SECONDS = 5.0
"""How long a statement waits for another process (a backup, a curious operator) before it is an error."""

Row: TypeAlias = sqlite3.Row
Values: TypeAlias = Mapping[str, Any]


class Transaction:
    """Statements that take effect together, or not at all."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def run(self, sql: str, /, **values: object) -> list[Row]:
        """Run one statement. Raises `StoreError`."""
        with translated(self._path):
            return list(await self._connection.execute_fetchall(sql, _storable(values)))

    async def run_many(self, sql: str, rows: Sequence[Values]) -> int:
        """Run one statement for each of `rows`; how many rows it changed altogether. Raises `StoreError`."""
        with translated(self._path):
            async with self._connection.executemany(sql, [_storable(row) for row in rows]) as cursor:
                return cursor.rowcount


class Database:
    """An open database. Made by `open_database`."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = asyncio.Lock()

    async def run(self, sql: str, /, **values: object) -> list[Row]:
        """Run one statement that is a transaction of its own. Raises `StoreError`."""
        async with self._lock:
            return await Transaction(self._connection, self._path).run(sql, **values)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit what the body does when it ends, nothing of it when it raises or is cancelled.

        Transactions follow one another: a body must not open another one, nor use `Database.run`. A task that is
        cancelled during the commit does not learn whether it took. Raises `StoreError`.
        """
        async with self._lock:
            transaction = Transaction(self._connection, self._path)
            try:
                await transaction.run("BEGIN IMMEDIATE")
                yield transaction
                await transaction.run("COMMIT")
            except BaseException:
                # Queued at once, so it runs behind the statement that was interrupted and before those of the next
                # owner of the lock, even when this wait is cancelled too. It does nothing where nothing is open:
                # when BEGIN failed, or when the COMMIT took.
                with translated(self._path):
                    await self._connection.rollback()
                raise


def _storable(values: Values) -> Values:
    """SQLite keeps UTF-8. Half a surrogate pair, which JSON may carry, must not stop the event that has it."""
    return {
        name: value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value
        for name, value in values.items()
    }


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """Open `path`, create or migrate it where needed, and close it on the way out.

    Only the owner can read the file and what SQLite puts beside it. Raises `StoreFromFuture` for a file of a newer
    version, which is left alone, and `StoreError` for anything that is no usable database.
    """
    _quiet_the_driver()
    make_private(path)
    with translated(path):
        connection = await aiosqlite.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        with translated(path):
            await migrate(connection, path)
        yield Database(connection, path)
    finally:
        with translated(path):
            await connection.close()


def _quiet_the_driver() -> None:
    """At DEBUG aiosqlite logs the parameters of every statement: what people wrote, and the access token."""
    driver = logging.getLogger("aiosqlite")
    driver.setLevel(max(driver.level, logging.INFO))
