"""A task that is cancelled in the middle of a transaction leaves all of it, or nothing, and never an open one."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.effects import PutParcel
from aiagentchat.core.ids import EventId
from aiagentchat.store.bell import Bells
from aiagentchat.store.database import Database, open_database
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
    written = asyncio.Event()

    async def write_and_wait() -> None:
        async with database.transaction() as transaction:
            await transaction.run("INSERT INTO sync_token VALUES (1, 't')")
            written.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        writing = group.create_task(write_and_wait())
        await written.wait()
        writing.cancel()

    assert await database.run("SELECT * FROM sync_token") == []


async def test_a_task_that_is_cancelled_while_others_write_disturbs_nobody(database: Database) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group, database.transaction() as transaction:
        waiting = group.create_task(database.run("INSERT INTO sync_token VALUES (1, 'mine')"))
        await asyncio.sleep(0)
        waiting.cancel()
        await transaction.run("INSERT INTO sync_token VALUES (1, 'theirs')")

    assert waiting.cancelled()
    assert [row["token"] for row in await database.run("SELECT token FROM sync_token")] == ["theirs"]


async def test_a_read_never_sees_half_of_a_transaction(database: Database) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group, database.transaction() as transaction:
        await transaction.run("INSERT INTO sync_token VALUES (1, 'half')")
        reading = group.create_task(database.run("SELECT token FROM sync_token"))
        await asyncio.sleep(0)
        await transaction.run("UPDATE sync_token SET token = 'whole'")

    assert [row["token"] for row in reading.result()] == ["whole"]
