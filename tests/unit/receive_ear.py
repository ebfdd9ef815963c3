"""A receiver with everything around it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, cast

import pytest

from aiagentchat.core.heard import Heard
from aiagentchat.core.ids import RoomId
from aiagentchat.core.instances import Heard as Instances
from aiagentchat.core.messages import Incoming, Kind, Receipt
from aiagentchat.core.ports.ledger import Inbox
from aiagentchat.receive import catch_up, receiver, sieve
from aiagentchat.receive.catch_up import Tools
from aiagentchat.receive.intake import Rules
from aiagentchat.receive.receiver import Receiver
from aiagentchat.store.ledger import Ledger
from tests.fakes.changes import PATIENCE, Changes
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.homeserver import FakeHomeserver
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.log import FakeLog
from tests.fakes.people import ME, OTHER, ROOM

POLL = 30.0
HOUR = 3600


def token(place: int) -> str:
    """The token behind so many events; two are our own joins."""
    return f"s{2 + place}"


class Watched:
    """The Inbox port, which tells when something was committed."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._changes = Changes()
        self.kept: str | None = None
        """The last token."""
        self.commits: list[tuple[str | None, int]] = []
        """Each transaction: its token, and how many events it had."""
        self.begun = 0
        self.dies_at: int | None = None
        """At which transaction we die; the first is 1."""

    async def entered(self, rooms: Collection[RoomId]) -> None:
        """As the port."""
        await self._inbox.entered(rooms)

    async def take_in(
        self, token: str | None, events: Sequence[Incoming], now: int, heard: Sequence[Heard] = ()
    ) -> int:
        """As the port."""
        self.begun += 1
        if self.begun == self.dies_at:
            self.dies_at = None
            self._changes.tell()
            await asyncio.Event().wait()
        new = await self._inbox.take_in(token, events, now, heard)
        self.kept = token or self.kept
        self.commits.append((token, len(events)))
        self._changes.tell()
        return new

    def __getattr__(self, name: str) -> Any:
        """The rest of the port."""
        return getattr(self._inbox, name)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` over what was committed is true."""
        await self._changes.until(condition)


class Ear:
    """A receiver on a real ledger, and a homeserver on which we are in two rooms; one of them is configured."""

    def __init__(self, ledger: Ledger, path: Path) -> None:
        self.ledger = ledger
        self._path = path
        self.inbox = Watched(ledger.inbox)
        self.clock = FakeClock()
        self.homeserver = FakeHomeserver(ME)
        self.homeserver.now = START_MS - 1000
        self.configured: set[RoomId] = {ROOM}
        self.max_age = 24 * HOUR
        self.sealed = 0
        """How often it was told that something sealed was committed."""
        self.receipts: list[tuple[Receipt, str | None]] = []
        """What it was told of how far others have read, and which token the ledger had then."""
        for room in (ROOM, OTHER):
            self.homeserver.enter(room)
        self.homeserver.now = START_MS

    def keeps(self, room: RoomId, encrypted: bool) -> bool:
        """What is configured has a history of what is not encrypted."""
        return room in self.configured and not encrypted

    def _on_sealed(self) -> None:
        self.sealed += 1

    @asynccontextmanager
    async def listening(
        self,
        on_owner: Callable[[str | None], None] = lambda _: None,
        on_instances: Callable[[Instances, int | None], None] = lambda _, __: None,
    ) -> AsyncIterator[Receiver]:
        """A receiver works inside; at the end it dies where it stands."""
        tools = Tools(
            homeserver=self.homeserver,
            inbox=cast(Inbox, self.inbox),
            rules=Rules(ME, lambda room: room in self.configured, self.keeps),
            clock=self.clock,
            random=lambda: 1.0,
            max_age=lambda: self.max_age,
            on_sealed=self._on_sealed,
        )
        made = Receiver(
            tools,
            timeout=lambda: POLL,
            on_owner=on_owner,
            on_receipts=self._note,
            on_instances=on_instances,
            alive_at=self.ledger.lives.alive_at,
        )
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            work = group.create_task(made.run())
            yield made
            work.cancel()

    async def _note(self, receipts: Sequence[Receipt]) -> None:
        token = await self.ledger.inbox.token()
        self.receipts += [(receipt, token) for receipt in receipts]

    async def until_asked(self, *places: int | None) -> None:
        """Wait until the homeserver was asked what follows so many events, each time; None: for the first time."""
        await self.homeserver.until(lambda: len(self.homeserver.asked) >= len(places))
        assert self.homeserver.asked == [None if place is None else token(place) for place in places]

    async def until_kept(self, token: str) -> None:
        """Wait until everything up to there was taken in."""
        await self.inbox.until(lambda: self.inbox.kept == token)

    async def heard(self) -> list[str]:
        """What was said, of what is in the inbox."""
        return [event.body for event in await self.kept() if event.kind is Kind.TEXT]

    async def kept(self) -> list[Incoming]:
        """What is in the inbox, in the order in which it came there."""
        events = {event.event: event for event in await self.ledger.inbox.unrouted(1_000_000)}
        with closing(sqlite3.connect(self._path)) as connection:
            order = [row[0] for row in connection.execute("SELECT event_id FROM inbox ORDER BY position")]
        return [events[each] for each in order]


@asynccontextmanager
async def open_ear(path: Path) -> AsyncIterator[Ear]:
    """An ear with a ledger of its own."""
    async with fresh_ledger(path) as ledger:
        yield Ear(ledger, path)


def read_log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    """What receiving logs from now on."""
    made = FakeLog()
    for module in (receiver, catch_up, sieve):
        monkeypatch.setattr(module, "log", made)
    return made
