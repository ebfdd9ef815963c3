"""A task that is cancelled in the middle of a transaction leaves all of it, or nothing, and never an open one."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.effects import PutParcel
from aiagentchat.core.ids import EventId
from aiagentchat.store.bell import Bells
from aiagentchat.store.database import Database, Transaction, open_database
from aiagentchat.store.inbox import SqliteInbox
from aiagentchat.store.outbox import SqliteOutbox
from tests.contract.store_fixtures import NOW, incoming, parcel

EVENT = EventId("$a")
PATIENCE = 5.0


class Pause:
    """Holds the database's thread at a statement that begins with `words`, until `go_on`."""

    def __init__(self, words: str) -> None:
        self.reached = asyncio.Event()
        self.go_on = threading.Event()
        self._words = words
        self._loop = asyncio.get_running_loop()

    def __call__(self, sql: str) -> None:
        if sql.startswith(self._words):
            self._loop.call_soon_threadsafe(self.reached.set)
            self.go_on.wait(PATIENCE)


class Halfway:
    """A transaction that waits after its first statement."""

    def __init__(self, *statements: str) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self._statements = statements

    async def __call__(self, transaction: Transaction) -> None:
        first, *others = self._statements
        await transaction.run(first)
        self.reached.set()
        await self.go_on.wait()
        for statement in others:
            await transaction.run(statement)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.mark.parametrize("cancellations", [1, 2])
@pytest.mark.parametrize(
    ("words", "committed"),
    [
        pytest.param("BEGIN", False, id="while it begins"),
        pytest.param("UPDATE inbox", False, id="at the first statement"),
        pytest.param("INSERT INTO outbox", False, id="at the last statement"),
        pytest.param("COMMIT", True, id="while it commits"),
    ],
)
async def test_a_cancelled_transaction_is_whole_or_nothing(
    database: Database, words: str, committed: bool, cancellations: int
) -> None:
    bells = Bells()
    inbox, outbox = SqliteInbox(database, bells), SqliteOutbox(database, bells)
    await inbox.take_in("t1", [incoming(EVENT)], NOW)
    pause = Pause(words)
    await database._connection.set_trace_callback(pause)

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        settling = group.create_task(inbox.settle(EVENT, [PutParcel(parcel("p"))], NOW))
        await pause.reached.wait()
        for _ in range(cancellations):
            settling.cancel()
            await asyncio.sleep(0)  # lets the cancellation arrive where the task waits
        pause.go_on.set()
        following = group.create_task(outbox.put([parcel("q")], NOW))

    assert settling.cancelled()
    assert following.done()
    assert not following.cancelled()
    assert await inbox.unrouted(1) == ([] if committed else [incoming(EVENT)])
    assert await outbox.unsent() == (2 if committed else 1)
    assert await outbox.bell.wait(0)
    assert not database._connection.in_transaction


async def test_a_task_that_is_cancelled_between_two_statements_leaves_nothing(database: Database) -> None:
    body = Halfway("INSERT INTO sync_token VALUES (1, 't')")

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        writing = group.create_task(database.transact(body))
        await body.reached.wait()
        writing.cancel()

    assert writing.cancelled()
    assert await database.run("SELECT * FROM sync_token") == []


async def test_a_task_that_is_cancelled_while_others_write_disturbs_nobody(database: Database) -> None:
    body = Halfway("INSERT INTO sync_token VALUES (1, 'theirs')")

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(database.transact(body))
        await body.reached.wait()
        waiting = group.create_task(database.run("INSERT INTO sync_token VALUES (1, 'mine')"))
        await asyncio.sleep(0)
        waiting.cancel()
        body.go_on.set()

    assert waiting.cancelled()
    assert [row["token"] for row in await database.run("SELECT token FROM sync_token")] == ["theirs"]


async def test_a_read_never_sees_half_of_a_transaction(database: Database) -> None:
    body = Halfway("INSERT INTO sync_token VALUES (1, 'half')", "UPDATE sync_token SET token = 'whole'")

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(database.transact(body))
        await body.reached.wait()
        reading = group.create_task(database.run("SELECT token FROM sync_token"))
        await asyncio.sleep(0)
        body.go_on.set()

    assert [row["token"] for row in reading.result()] == ["whole"]
