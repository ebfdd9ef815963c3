"""kill -9 at any statement, or at any moment: what was committed is there, and nothing of anything else."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aiagentchat.core.audit import AuditFilter
from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import EventId
from aiagentchat.store.ledger import open_ledger
from tests.contract.store_fixtures import incoming

DIE_AT_A_STATEMENT = """
import asyncio, os, signal, sys
from pathlib import Path
from aiagentchat.core.effects import AcceptCommand, PutParcel
from aiagentchat.core.ids import EventId
from aiagentchat.store.bell import Bells
from aiagentchat.store.database import open_database
from aiagentchat.store.inbox import SqliteInbox
from tests.contract.store_fixtures import NOW, command, incoming, parcel

def die_at(sql):
    if sql.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with open_database(Path(sys.argv[1])) as database:
        inbox = SqliteInbox(database, Bells())
        await inbox.take_in("t1", [incoming("$a")], NOW)
        await database._connection.set_trace_callback(die_at)
        await inbox.settle(EventId("$a"), [AcceptCommand(command("$a")), PutParcel(parcel("p"))], NOW)

asyncio.run(main())
"""

WORK_UNTIL_KILLED = """
import asyncio, sys
from itertools import count
from pathlib import Path
import structlog
from aiagentchat.core.effects import AcceptCommand, PutParcel
from aiagentchat.core.ids import EventId
from aiagentchat.store.ledger import open_ledger
from tests.contract.store_fixtures import NOW, command, incoming, parcel

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # what is printed is a promise

async def main():
    async with open_ledger(Path(sys.argv[1])) as ledger:
        for number in count():
            event = f"${number}"
            await ledger.inbox.take_in(f"t{number}", [incoming(event)], NOW)
            effects = [AcceptCommand(command(event)), PutParcel(parcel(f"p{number}"))]
            await ledger.inbox.settle(EventId(event), effects, NOW)
            print(event, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "statement",
    ["UPDATE inbox", "INSERT INTO commands", "INSERT INTO rooms", "INSERT INTO outbox", "INSERT INTO audit", "COMMIT"],
)
async def test_a_process_that_dies_before_its_commit_leaves_nothing_half(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "ledger.db"

    assert _die(path, statement) == -signal.SIGKILL
    async with open_ledger(path) as ledger:
        assert await ledger.inbox.token() == "t1"
        assert await ledger.inbox.unrouted(10) == [incoming("$a")]
        assert await ledger.commands.get(EventId("$a")) is None
        assert await ledger.outbox.unsent() == 0


@pytest.mark.parametrize("commits", [1, 25])
async def test_a_process_that_is_killed_at_any_moment_keeps_all_that_it_promised(tmp_path: Path, commits: int) -> None:
    path = tmp_path / "ledger.db"

    promised = _work(path, commits)
    assert len(promised) >= commits
    async with open_ledger(path) as ledger:
        accepted = (await ledger.commands.counts())[CommandState.QUEUED]
        unrouted = len(await ledger.inbox.unrouted(10))
        kept = [event for event in promised if await ledger.commands.get(EventId(event)) is not None]
        assert kept == promised
        assert await ledger.outbox.unsent() == accepted
        assert accepted - len(promised) + unrouted in {0, 1}
        assert len(await ledger.audit.lines(AuditFilter(), limit=accepted + 9)) == accepted


def _die(path: Path, statement: str) -> int:
    argv = [sys.executable, "-c", DIE_AT_A_STATEMENT, str(path), statement]
    return subprocess.run(argv, timeout=30, check=False).returncode


def _work(path: Path, commits: int) -> list[str]:
    """The events whose settling the process has told of before it was killed."""
    argv = [sys.executable, "-c", WORK_UNTIL_KILLED, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8") as worker:
        assert worker.stdout is not None
        promised = [worker.stdout.readline().strip() for _ in range(commits)]
        worker.kill()
        return promised + worker.stdout.read().split()
