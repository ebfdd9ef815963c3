"""A commit that failed may have taken all the same: what is returned is true either way, and nothing happens twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from aiagentchat.core.approvals import Approval, ApprovalState
from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.effects import AcceptCommand, PutParcel
from aiagentchat.core.ids import ApprovalId, EventId, TxnId
from aiagentchat.store.approvals import SqliteApprovals
from aiagentchat.store.bell import Bells
from aiagentchat.store.commands import SqliteCommands
from aiagentchat.store.database import Database, open_database
from aiagentchat.store.inbox import SqliteInbox
from aiagentchat.store.outbox import SqliteOutbox
from tests.contract.store_fixtures import DEVICE, NOW, ROOM, command, incoming, parcel
from tests.fakes.clock import FakeClock
from tests.fakes.disk import FakeDisk, Fault, When

PATIENCE = 30.0
A = EventId("$a")
ASKED = Approval(id=ApprovalId("a1"), room=ROOM, command=A, tool="Bash", expires_at=NOW)


@dataclass(frozen=True)
class Tables:
    """The ledger on a disk that fails."""

    database: Database
    inbox: SqliteInbox
    commands: SqliteCommands
    outbox: SqliteOutbox
    approvals: SqliteApprovals


@asynccontextmanager
async def open_tables(path: Path, disk: FakeDisk) -> AsyncIterator[Tables]:
    """Its waits take no time."""
    clock, bells = FakeClock(), Bells()
    async with (
        open_database(path, clock=clock, factory=disk.factory) as database,
        asyncio.timeout(PATIENCE),
        asyncio.TaskGroup() as group,
    ):
        passing = group.create_task(_let_time_pass(clock))
        yield Tables(
            database=database,
            inbox=SqliteInbox(database, bells),
            commands=SqliteCommands(database, bells),
            outbox=SqliteOutbox(database, bells),
            approvals=SqliteApprovals(database, bells),
        )
        passing.cancel()


async def _let_time_pass(clock: FakeClock) -> None:
    while True:
        await clock.pass_nap()


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


@pytest.fixture
async def tables(tmp_path: Path, disk: FakeDisk) -> AsyncIterator[Tables]:
    async with open_tables(tmp_path / "ledger.db", disk) as opened:
        yield opened


async def _take_in(tables: Tables) -> object:
    return await tables.inbox.take_in("t", [incoming(A)], NOW)


async def _settle(tables: Tables) -> object:
    return await tables.inbox.settle(A, [AcceptCommand(command(A)), PutParcel(parcel("p"))], NOW)


async def _start(tables: Tables) -> object:
    return await tables.commands.start(A, NOW)


async def _ask(tables: Tables) -> object:
    await tables.approvals.ask(ASKED, [], NOW)
    return None


async def _close(tables: Tables) -> object:
    return await tables.approvals.close(ASKED.id, ApprovalState.EXPIRED)


async def _finish(tables: Tables) -> object:
    return await tables.commands.finish(A, CommandState.DONE, TurnRecord(), [parcel("q")], NOW)


async def _claim(tables: Tables) -> object:
    claimed = await tables.outbox.claim(NOW, device=DEVICE)
    return claimed and (claimed.parcel.txn, claimed.tried_at)


async def _postpone(tables: Tables) -> object:
    await tables.outbox.postpone(TxnId("p"), NOW, faults=1)
    return None


async def _sent(tables: Tables) -> object:
    await tables.outbox.sent(TxnId("p"), EventId("$p"), NOW)
    return None


STORY: list[tuple[Callable[[Tables], Awaitable[object]], object]] = [
    (_take_in, 1),
    (_settle, True),
    (_start, True),
    (_ask, None),
    (_close, True),
    (_finish, True),
    (_claim, ("p", None)),
    (_sent, None),
    (_claim, ("q", None)),
]
"""Each step, and what it returns the first time that it is done."""

STATE = """
    SELECT (SELECT count(*) FROM inbox WHERE routed_at IS NOT NULL), (SELECT count(*) FROM commands),
           (SELECT state FROM commands), (SELECT state FROM approvals),
           (SELECT group_concat(txn_id || ' ' || state || ' ' || claims, ', ') FROM outbox)
"""


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("broken", range(len(STORY)))
async def test_a_step_whose_commit_fails_once_is_done_once_and_says_so(
    tables: Tables, disk: FakeDisk, broken: int, when: When
) -> None:
    for number, (step, expected) in enumerate(STORY):
        if number == broken:
            disk.plan(Fault("COMMIT", when))

        assert await step(tables) == expected, step.__name__

    assert disk.happened == 1
    assert await _state(tables) == (1, 1, "done", "expired", "p sent 1, q claimed 1")


@pytest.mark.parametrize("seed", range(10))
async def test_a_disk_that_fails_all_the_time_loses_nothing_and_doubles_nothing(
    tables: Tables, disk: FakeDisk, seed: int
) -> None:
    random = Random(seed)
    for step, expected in STORY:
        for _ in range(random.randrange(4)):
            disk.plan(Fault("COMMIT", random.choice(list(When))))

        assert await step(tables) == expected, step.__name__
        disk.faults.clear()

    assert disk.happened > 2
    assert await _state(tables) == (1, 1, "done", "expired", "p sent 1, q claimed 1")


@pytest.mark.parametrize("when", When)
async def test_a_step_that_was_done_before_still_says_that_it_changed_nothing(
    tables: Tables, disk: FakeDisk, when: When
) -> None:
    for step, _ in STORY:
        await step(tables)
    before = await _state(tables)
    disk.plan(*[Fault("COMMIT", when)] * 4)

    assert [await step(tables) for step in (_take_in, _settle, _start, _finish, _close)] == [0, *[False] * 4]
    assert disk.happened == 4
    assert await _state(tables) == before


async def test_a_postponed_parcel_is_offered_again_once(tables: Tables, disk: FakeDisk) -> None:
    for step in (_take_in, _settle, _claim):
        await step(tables)
    disk.plan(Fault("COMMIT", When.AFTER), Fault("COMMIT", When.AFTER))
    await _postpone(tables)

    assert await _claim(tables) == ("p", NOW)
    assert disk.happened == 2
    assert await _claim(tables) is None


async def _state(tables: Tables) -> tuple[object, ...]:
    [row] = await tables.database.run(STATE)
    return tuple(row)
