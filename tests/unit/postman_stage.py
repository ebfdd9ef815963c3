"""A postman with everything around it, for the tests of what it does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiagentchat.core.commands import Command
from aiagentchat.core.effects import AcceptCommand, EnterRoom, LeaveRoom
from aiagentchat.core.ids import EventId, RoomId, TxnId
from aiagentchat.core.parcels import TXN_KEY, Content, Parcel
from aiagentchat.render.message import message
from aiagentchat.send.places import MAX_IN_FLIGHT
from aiagentchat.send.postman import Postman, Small
from aiagentchat.store.ledger import Ledger
from tests.fakes.bell import WatchedBell
from tests.fakes.changes import PATIENCE
from tests.fakes.clock import FakeClock
from tests.fakes.outbound import FakeOutbound
from tests.fakes.people import ME, OTHER, ROOM, typed

ROOMS = [RoomId(f"!room{number}:hs") for number in range(MAX_IN_FLIGHT + 1)]


def parcel(text: str, room: RoomId = ROOM, *, edits: str = "", number: int = 0) -> Parcel:
    """A message whose transaction is its text, or an edit of one."""
    txn = TxnId(f"{edits}+{number}" if edits else text)
    return Parcel(txn=txn, room=room, content=message(text, notice=True), edits=TxnId(edits) if edits else None)


class Post:
    """A postman with everything around it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.clock = FakeClock()
        self.outbound = FakeOutbound()
        self.outbound.now_ms = self.clock.now_ms
        self.device = "HERE"
        self.bell = WatchedBell(ledger.outbox.bell)
        self.small: Small | None = None
        """What makes thumbnails, if there is anything."""
        for room in (ROOM, OTHER, *ROOMS):
            self.outbound.room(room)

    async def put(self, *parcels: Parcel) -> None:
        """The parcels are in the outbox."""
        await self.ledger.outbox.put(parcels, self.clock.now_ms())

    async def later(self, seconds: float) -> None:
        """Time passes, and the postman has looked at it."""
        self.clock.advance(seconds)
        self.ledger.outbox.bell.ring()
        await self.bell.until_quiet()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Postman]:
        """A postman works inside; at the end it dies where it stands."""
        postman = Postman(
            outbox=self.ledger.outbox,
            outbound=self.outbound,
            owing=self.ledger.commands.open,
            user=ME,
            device=self.device,
            clock=self.clock,
            random=lambda: 1.0,
            small=self.small,
        )
        async with asyncio.timeout(3 * PATIENCE), asyncio.TaskGroup() as group:
            work = group.create_task(postman.run())
            yield postman
            work.cancel()

    def contents(self) -> list[Content]:
        """What arrived, without our mark."""
        return [{key: value for key, value in said.content.items() if key != TXN_KEY} for said in self.outbound.said]

    async def until_said(self, texts: Sequence[str]) -> None:
        """Wait until exactly these arrived, in this order, and the outbox knows it."""
        await self.outbound.until(lambda: len(self.outbound.texts()) >= len(texts))
        await self.bell.until_quiet()
        assert self.outbound.texts() == list(texts)


async def settle(post: Post, what: Command | LeaveRoom | EnterRoom, *, event: str = "$routed") -> None:
    """An event is routed that has this effect."""
    effect = AcceptCommand(what) if isinstance(what, Command) else what
    await post.ledger.inbox.take_in("token", [typed("x", event=EventId(event))], post.clock.now_ms())
    assert await post.ledger.inbox.settle(EventId(event), [effect], post.clock.now_ms())
