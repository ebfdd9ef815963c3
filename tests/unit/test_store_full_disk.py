"""A disk that is really full, as far as the kernel tells SQLite: a limit on the size of files, lifted later."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import EventId
from aiagentchat.store.ledger import open_ledger

FILL_AND_FREE = """
import asyncio, json, resource, sys
from pathlib import Path
from aiagentchat.core.effects import AcceptCommand, PutParcel
from aiagentchat.core.ids import EventId
from aiagentchat.store import stall
from aiagentchat.store.ledger import open_ledger
from tests.contract.store_fixtures import NOW, command, incoming, parcel
from tests.fakes.log import FakeLog

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

class Clock:
    naps = 0
    def now_ms(self): return NOW
    def monotonic(self): return float(self.naps)
    async def sleep(self, seconds):
        self.naps += 1
        if self.naps == 3:
            told["trouble"] = ledger.health().trouble
            told["readable"] = await ledger.commands.open()
            limit(resource.RLIM_INFINITY)

async def main():
    global ledger
    path = Path(sys.argv[1])
    async with open_ledger(path, clock=Clock()) as ledger:
        for number in range(EVENTS):
            if number == EVENTS // 2:
                limit(path.with_name(path.name + "-wal").stat().st_size + int(sys.argv[2]))
            event = EventId(f"${number}")
            told["new"] += await ledger.inbox.take_in(f"t{number}", [incoming(event)], NOW)
            effects = [AcceptCommand(command(event)), PutParcel(parcel(f"p{number}", "x" * 10_000))]
            told["settled"] += await ledger.inbox.settle(event, effects, NOW)
            told["started"] += await ledger.commands.start(event, NOW)
        told["stalls"] = ledger.health().stalls
        told["lines"] = [name for name, _ in stall.log.lines]

EVENTS = 8
import structlog
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # what is printed is the outcome
told = {"new": 0, "settled": 0, "started": 0}
stall.log = FakeLog()
asyncio.run(main())
print(json.dumps(told))
"""


@pytest.mark.parametrize("left", [0, 3000, 9000, 20_000])
async def test_a_full_disk_stops_everything_until_there_is_room_and_nothing_is_lost_or_doubled(
    tmp_path: Path, left: int
) -> None:
    path = tmp_path / "ledger.db"
    told = _fill_and_free(path, left)

    assert (told["new"], told["settled"], told["started"]) == (8, 8, 1)
    assert told["trouble"] == "the disk fails"
    assert told["readable"] in {4, 5}
    assert (told["stalls"], told["lines"]) == (1, ["store.stalled", "store.recovered"])
    async with open_ledger(path) as ledger:
        assert await ledger.inbox.token() == "t7"
        assert await ledger.inbox.unrouted(10) == []
        assert await ledger.outbox.unsent() == 8
        counts = await ledger.commands.counts()
        assert (counts[CommandState.RUNNING], counts[CommandState.QUEUED]) == (1, 7)
        running = await ledger.commands.running()
        assert [each.event for each in running] == [EventId("$0")]


def _fill_and_free(path: Path, left: int) -> dict[str, object]:
    """What the process tells that had `left` bytes for a while."""
    argv = [sys.executable, "-c", FILL_AND_FREE, str(path), str(left)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=60, check=True, encoding="utf-8")
    told: dict[str, object] = json.loads(done.stdout)
    return told
