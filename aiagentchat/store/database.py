"""One SQLite file, one connection, one transaction at a time.

Every statement is a hop to the connection's thread, which runs what was queued to the end and in order. Two things
follow. Few statements are fast: what one statement can do needs no transaction that is written out. And a cancelled
task cannot stop what it has queued, only stop waiting for it: whatever must follow has to be queued behind it, and then
it will happen.

The driver begins a transaction by itself before a statement that changes something. So whatever was changed is there
after a commit that we see, with its result in our hands.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import aiosqlite

from aiagentchat.core.errors import StoreCorrupt, StoreError
from aiagentchat.core.health import StoreHealth
from aiagentchat.core.ports.clock import Clock
from aiagentchat.store.doubt import Doubt
from aiagentchat.store.files import make_private
from aiagentchat.store.migrate import migrate
from aiagentchat.store.sqlite_errors import StoreUnavailable, translated
from aiagentchat.store.stall import Stall

BUSY_SECONDS = 1.0
"""How long a statement waits for another process (a curious operator) before it counts as a failure, which is then
tried again. Nothing can end that wait, so the daemon's end may take as long."""

Row: TypeAlias = sqlite3.Row
Values: TypeAlias = Mapping[str, Any]
Result = TypeVar("Result")


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


Body: TypeAlias = Callable[[Transaction], Awaitable[Result]]


class Database:
    """An open database. Made by `open_database`.

    While it cannot be written for a reason that may pass, its methods wait and try again (see stall.py).
    """

    def __init__(self, connection: aiosqlite.Connection, path: Path, doubt: Doubt, stall: Stall) -> None:
        self._connection = connection
        self._path = path
        self._doubt = doubt
        self._stall = stall
        self._lock = asyncio.Lock()
        self._damage: StoreCorrupt | None = None

    @property
    def health(self) -> StoreHealth:
        """Whether writing works, as far as anybody has tried."""
        return self._stall.health

    async def run(self, sql: str, /, **values: object) -> list[Row]:
        """Run one statement that is a transaction of its own. Raises `StoreError`."""

        async def body(transaction: Transaction) -> list[Row]:
            return await transaction.run(sql, **values)

        return await self._persist(body)

    async def transact(self, body: Body[Result]) -> Result:
        """Commit what `body` does when it ends, nothing of it when it raises or is cancelled.

        Transactions follow one another: a body must not open another one, nor use `Database.run`. It may be called
        again from its beginning. A task that is cancelled during the commit does not learn whether it took. Raises
        `StoreError`.
        """

        async def whole(transaction: Transaction) -> Result:
            await transaction.run("BEGIN IMMEDIATE")
            return await body(transaction)

        return await self._persist(whole)

    async def _persist(self, body: Body[Result]) -> Result:
        try:
            return await self._attempt(body)
        except StoreUnavailable as error:
            return await self._try_again(body, error)

    async def _try_again(self, body: Body[Result], why: StoreUnavailable) -> Result:
        with self._stall.joined():
            while True:
                # The lock is free meanwhile: who only reads may get on.
                await self._stall.wait(why)
                try:
                    result = await self._attempt(body)
                    break
                except StoreUnavailable as error:
                    why = error
        self._stall.written()
        return result

    async def _attempt(self, body: Body[Result]) -> Result:
        """Run `body` once, and commit what it has begun."""
        async with self._lock:
            if self._damage is not None:
                raise StoreCorrupt(str(self._damage))
            try:
                if self._connection.in_transaction:
                    await self._roll_back()  # an earlier attempt could not
                return await self._committed(body, self._doubt.next())
            except StoreCorrupt as error:
                self._damage = error  # nothing more is written, whoever does not hear of it now
                raise

    async def _committed(self, body: Body[Result], attempt: int) -> Result:
        try:
            result = await body(Transaction(self._connection, self._path))
            if self._connection.in_transaction:
                await self._commit(attempt)
        except BaseException:
            # Queued at once, so it runs behind the statement that was interrupted and before those of the next
            # owner of the lock, even when this wait is cancelled too. It does nothing where nothing is open:
            # when BEGIN failed, or when the COMMIT took.
            with suppress(StoreError):
                await self._roll_back()
            raise
        return result

    async def _commit(self, attempt: int) -> None:
        """When this returns, it took."""
        try:
            with translated(self._path):
                await self._connection.commit()
        except StoreUnavailable:
            await self._roll_back()  # what is not committed must not be seen when we look
            if not await self._took(attempt):
                raise
        self._stall.written()

    async def _roll_back(self) -> None:
        with translated(self._path):
            await self._connection.rollback()

    async def _took(self, attempt: int) -> bool:
        """Asked with the lock held, before anybody else changes anything."""
        while True:
            try:
                with translated(self._path):
                    return await self._doubt.took(attempt)
            except StoreUnavailable as error:
                await self._stall.wait(error)


def _storable(values: Values) -> Values:
    """SQLite keeps UTF-8. Half a surrogate pair, which JSON may carry, must not stop the event that has it."""
    return {
        name: value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value
        for name, value in values.items()
    }


@asynccontextmanager
async def open_database(
    path: Path, *, clock: Clock | None = None, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> AsyncIterator[Database]:
    """Open `path`, create or migrate it where needed, and close it on the way out.

    Only the owner can read the file and what SQLite puts beside it. Without a `clock` its waits are real ones.
    Raises `StoreFromFuture` for a file of a newer version and `StoreCorrupt` for a damaged one, which are left alone,
    and `StoreError` for anything else that cannot be used: opening waits for nothing.
    """
    _quiet_the_driver()
    make_private(path)
    with translated(path):
        connection = await aiosqlite.connect(path, timeout=BUSY_SECONDS, isolation_level="IMMEDIATE", factory=factory)
    try:
        connection.row_factory = sqlite3.Row
        doubt = Doubt(connection)
        with translated(path):
            await migrate(connection, path)
            await doubt.watch()
        yield Database(connection, path, doubt, Stall() if clock is None else Stall(clock.sleep, clock.monotonic))
    finally:
        with translated(path):
            await connection.close()


def _quiet_the_driver() -> None:
    """At DEBUG aiosqlite logs the parameters of every statement: what people wrote, and the access token."""
    driver = logging.getLogger("aiosqlite")
    driver.setLevel(max(driver.level, logging.INFO))
