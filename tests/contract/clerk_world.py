"""The real exchange, on a ledger of its own; reading, tasks and the registry are fakes."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.exchange import EVERYTHING, Caller, MessageState, Page, Wanted
from aiagentchat.core.ids import CallerName, EventId, InstanceName, MessageId, RoomId, UserId, txn_id
from aiagentchat.core.instances import Instance, is_alive
from aiagentchat.core.messages import MAIN, Incoming, Kind, Receipt
from aiagentchat.core.meta import Address, Meta, MetaKind
from aiagentchat.core.ports.directory import Directory
from aiagentchat.exchange.clerk import Clerk, Office
from aiagentchat.store.ledger import Ledger
from tests.contract.exchange_worlds import World
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.ledgers import fresh_ledger
from tests.unit.execute_house import make_settings
from tests.unit.gateway_stage import FakeDirectory

US = Address(UserId("@claude:localhost"), InstanceName("here"))
ALL = Caller(name=CallerName("test"), everywhere=EVERYTHING)


class FakeReading:
    """What was said, as a fake exchange has it."""

    def __init__(self, exchange: FakeExchange) -> None:
        self._exchange = exchange

    async def read(self, room: RoomId, limit: int, before: int | None = None) -> Page:
        """The last messages of a room."""
        return await self._exchange.read(ALL, room, limit=limit, before=before)

    async def search(self, wanted: Wanted) -> Page:
        """Messages that are looked for."""
        return await self._exchange.history(ALL, wanted)


class Registered(FakeDirectory):
    """With others beside us."""

    def __init__(self, own: Address, clock: FakeClock) -> None:
        super().__init__(own)
        self.others: list[Instance] = []
        self._clock = clock

    def entries(self) -> Sequence[tuple[Instance, bool]]:
        """Everybody."""
        return [*super().entries(), *((each, is_alive(each, self._clock.now_ms())) for each in self.others)]


class RealClock(FakeClock):
    """Time that also passes by itself, for those who wait in seconds that are none."""

    def monotonic(self) -> float:
        """As the machine has it."""
        import time

        return time.monotonic()


class ClerkWorld:
    """Around the real one."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self.us = US
        self.ledger = ledger
        self.clock = RealClock()
        self.settings = replace(settings, rooms=())
        self.behind = FakeExchange(US)
        self.behind.now_ms = self.clock.now_ms
        self.directory = Registered(US, self.clock)
        self.halted: dict[RoomId, str] = {}
        self.encrypted: set[RoomId] = set()
        directory: Directory = self.directory
        self.exchange = Clerk(
            Office(
                settings=lambda: self.settings,
                messages=ledger.messages,
                directory=directory,
                reading=FakeReading(self.behind),
                task_desk=self.behind,
                halted=self._why_halted,
                is_encrypted=lambda room: room in self.encrypted,
                clock=self.clock,
            )
        )

    async def _why_halted(self, room: RoomId) -> str:
        return self.halted.get(room, "")

    def now_ms(self) -> int:
        """What it takes for the time."""
        return self.clock.now_ms()

    async def room(self, name: str) -> RoomId:
        """A new room of ours."""
        room = RoomId(f"!{name}:example.org")
        self.behind.room(room, name)
        made = RoomSettings(id=room, name=name)
        self.settings = replace(self.settings, rooms=(*self.settings.rooms, made))
        return room

    async def say(self, room: RoomId, body: str, sender: UserId) -> None:
        """Somebody says something there."""
        self.behind.say(room, body, sender=sender)

    async def become(self, message: MessageId, state: MessageState, *, answer: str = "") -> None:
        """The parcel is sent, and whoever gets it reads and answers."""
        now, found = self.clock.now_ms(), await self.ledger.messages.get(message)
        assert found is not None
        to = found.meta.to
        user = self.us.user if to is None else to.user
        await self.send_all()
        event = EventId(f"${txn_id('message', message)}")
        match state:
            case MessageState.DELIVERED:
                delivered = Receipt(room=found.room, event=event, user=user, thread=MAIN)
                await self.ledger.messages.received([delivered], now)
            case MessageState.READ:
                await self.ledger.messages.received([Receipt(room=found.room, event=event, user=user)], now)
            case MessageState.ANSWERED:
                meta = Meta(id=MessageId("a"), kind=MetaKind.ANSWER, in_reply_to=message)
                said = Incoming(
                    event=EventId("$a"),
                    room=found.room,
                    sender=user,
                    sent_at=now,
                    kind=Kind.TEXT,
                    body=answer,
                    meta=meta,
                    by_agent=True,
                )
                await self.ledger.messages.heard(said, now)
            case _:
                assert state is MessageState.SENT

    async def send_all(self) -> None:
        """Everything that waits is in its room."""
        now = self.clock.now_ms()
        while (claimed := await self.ledger.outbox.claim(now, device="D")) is not None:
            await self.ledger.outbox.sent(claimed.parcel.txn, EventId(f"${claimed.parcel.txn}"), now)

    async def appear(self, instance: Instance) -> None:
        """It is in the registry."""
        self.directory.others.append(instance)


@asynccontextmanager
async def clerk_world() -> AsyncIterator[World]:
    """With the real one."""
    with tempfile.TemporaryDirectory(prefix="aiagentchat-") as folder:
        async with fresh_ledger(Path(folder) / "ledger.db") as ledger:
            yield ClerkWorld(make_settings(Path(folder)), ledger)
