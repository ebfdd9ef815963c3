"""The second stage on a real ledger, run until it has nothing left to do."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.config.made import with_made
from aiagentchat.config.settings import Settings
from aiagentchat.core.approvals import Approval, ApprovalState
from aiagentchat.core.commands import Command, CommandState, TurnTime
from aiagentchat.core.effects import AcceptCommand
from aiagentchat.core.ids import ApprovalId, EventId, InstanceName, RoomId, TxnId, UserId
from aiagentchat.core.instances import Instance, InstanceKind
from aiagentchat.core.isolation import Held, Isolation
from aiagentchat.core.messages import Incoming
from aiagentchat.core.meta import Address
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.post import Post
from aiagentchat.registry.book import Book
from aiagentchat.render.message import message
from aiagentchat.route.bot_commands.catalog import catalog
from aiagentchat.route.bot_commands.spec import BotCommand, Desk, Health
from aiagentchat.route.dispatch import Dispatcher
from aiagentchat.route.doors import Doorkeeper
from aiagentchat.route.lobby import Lobby
from aiagentchat.route.router import Router
from aiagentchat.store.bell import EventBell
from aiagentchat.store.ledger import Ledger
from tests.fakes.clock import FakeClock
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.members import FakeMembers
from tests.fakes.outbound import FakeOutbound
from tests.fakes.people import ANNA, ME, OTHER, ROOM, command, settings, typed
from tests.fakes.signals import FakeSignals

OURS = Address(ME, InstanceName("desk"))
"""As agents address us."""
REGISTRY = RoomId("!registry:hs")
"""The room of the instances."""
STARTED_AGO = 60_000
"""Milliseconds for which the daemon has run when a test begins."""


class Idle(Exception):
    """The router has nothing to do."""

    def __init__(self, nap: float) -> None:
        super().__init__(f"would wait {nap} s")
        self.nap = nap


async def _idle(timeout: float) -> bool:
    raise Idle(timeout)


class Front:
    """Router, dispatcher and bot commands. What they see can be changed; what they do is read from the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.clock = FakeClock()
        self.outbound = FakeOutbound()
        self.signals = FakeSignals()
        self.post: Post | None = None
        self.settings: Settings = settings()
        self.left_out: list[str] = []
        self.warm: set[RoomId] = set()
        self.draining = False
        self.rest = 0.0
        self.own = Instance(user=ME, name=InstanceName("here"), kind=InstanceKind.DAEMON, host="h", life="l")
        self.directory = Book(lambda: self.own, self.clock, EventBell())
        self.times: dict[RoomId, TurnTime] = {}
        self.health = Health()
        self.members = FakeMembers()
        self.doors = Doorkeeper(
            settings=lambda: self.settings, grants=ledger.grants, members=self.members, clock=self.clock
        )
        self.desk = Desk(
            inbox=ledger.inbox,
            commands=ledger.commands,
            approvals=ledger.approvals,
            sessions=ledger.sessions,
            outbox=ledger.outbox,
            rooms=ledger.rooms,
            spending=ledger.spending,
            changes=ledger.changes,
            tasks=ledger.tasks,
            guards=ledger.guards,
            settings=lambda: self.settings,
            roles=self.doors.roles,
            is_warm=lambda room: room in self.warm,
            turn_time=self.times.get,
            rest=lambda _: self.rest,
            is_draining=lambda: self.draining,
            health=self._health,
            clock=self.clock,
            started_at=self.clock.now_ms() - STARTED_AGO,
            version="1.2.3",
            held=Held(Isolation.STRICT),
            own=OURS,
            directory=self.directory,
        )
        self.use(catalog(self.desk))
        for room in (ROOM, OTHER):
            self.outbound.room(room)

    async def _health(self) -> Health:
        return self.health

    async def refresh(self) -> None:
        """The settings have the rooms that were made in chat, as `app.live` does it."""
        made = await self.ledger.rooms.made()
        self.settings, self.left_out = with_made(self.settings, made)
        for waiting in made.waiting:
            if self.settings.room(waiting.room) is not None:
                await self.ledger.rooms.adopt(waiting.room, self.clock.now_ms())

    def use(self, bot_commands: Mapping[str, BotCommand]) -> None:
        """Have these bot commands."""
        self.dispatcher = Dispatcher(self.desk, bot_commands, self.signals, ME)
        self.router = Router(
            inbox=self.ledger.inbox,
            dispatcher=self.dispatcher,
            lobby=Lobby(self.desk, self.outbound, self.refresh, registry=REGISTRY),
            settings=lambda: self.settings,
            clock=self.clock,
            post=self.post,
        )

    async def take_in(self, *events: Incoming) -> None:
        """The events are in the inbox."""
        await self.ledger.inbox.take_in("token", events, self.clock.now_ms())

    async def route(self) -> float:
        """Route until there is nothing to do; how long the router would wait then."""
        with pytest.raises(Idle) as idle:
            await self.router.run()
        return idle.value.nap

    async def hear(self, *events: Incoming) -> None:
        """The events come, and are routed."""
        await self.take_in(*events)
        await self.route()

    async def deliver(self) -> list[Parcel]:
        """Send what waits in the outbox; what was sent."""
        parcels = []
        while (attempt := await self.ledger.outbox.claim(self.clock.now_ms(), device="D")) is not None:
            parcel = attempt.parcel
            await self.ledger.outbox.sent(parcel.txn, event_of(parcel.txn), self.clock.now_ms())
            parcels.append(parcel)
        return parcels

    async def told(self, *events: Incoming) -> list[str]:
        """The events come; what is said about them."""
        await self.hear(*events)
        return [parcel.content["body"] for parcel in await self.deliver() if "body" in parcel.content]

    async def accepted(self, *commands: Command) -> None:
        """The commands are queued, and nobody was told."""
        for each in commands:
            arrived = typed(each.text, event=each.event, room=each.room)
            await self.take_in(arrived)
            await self.ledger.inbox.settle(each.event, [AcceptCommand(each)], self.clock.now_ms())

    async def running(self, command: Command) -> None:
        """The command runs."""
        await self.accepted(command)
        assert await self.ledger.commands.start(command.event, self.clock.now_ms())

    async def asked(self, name: str, room: RoomId = ROOM, *, asker: UserId = ANNA, **more: Any) -> EventId:
        """The agent asks, in a turn of `asker`, whether it may use a tool, or what `more` says; its event."""
        asks = EventId(f"$asks {room} {asker}")
        if await self.ledger.commands.get(asks) is None:
            # In no queue, so that what runs there is what the test says.
            made = replace(command(event=asks, room=room, sender=asker), state=CommandState.REJECTED)
            await self.accepted(made)
        approval = Approval(
            id=ApprovalId(name),
            room=room,
            command=asks,
            tool="Bash",
            expires_at=self.clock.now_ms() + 3_600_000,
            **more,
        )
        question = Parcel(
            txn=TxnId(f"question {name}"),
            room=room,
            content=message("May it?", notice=False),
            command=approval.command,
            approval=approval.id,
        )
        await self.ledger.approvals.ask(approval, [question], self.clock.now_ms())
        await self.deliver()
        return event_of(question.txn)

    async def answer(self, name: str) -> Approval:
        """What became of the question."""
        found = await self.ledger.approvals.get(ApprovalId(name))
        assert found is not None
        return found

    async def state(self, event: EventId) -> CommandState | None:
        """Where the command stands; None when there is none."""
        found = await self.ledger.commands.get(event)
        return None if found is None else found.state

    async def is_open(self, name: str) -> bool:
        """Whether nobody has answered the question."""
        return (await self.answer(name)).state is ApprovalState.OPEN


def event_of(txn: TxnId) -> EventId:
    """The event that a parcel becomes in these tests."""
    return EventId(f"$sent-{txn}")


@asynccontextmanager
async def open_front(path: Path) -> AsyncIterator[Front]:
    """A front on a ledger of its own."""
    async with fresh_ledger(path) as ledger:
        ledger.inbox.bell.wait = _idle  # type: ignore[method-assign]
        yield Front(ledger)
