"""A house for the executor: the real store and the real speaker, an agent that plays, and time that stands still."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiagentchat.config.schema import Agent as AgentSettings
from aiagentchat.config.schema import Matrix
from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.agent_events import LimitReached
from aiagentchat.core.approvals import Approval, ApprovalState
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.effects import DecideApproval
from aiagentchat.core.ids import ApprovalId, EventId, RoomId, UserId
from aiagentchat.core.isolation import Held, Isolation, RunLimits
from aiagentchat.core.parcels import PARCEL, REACTION, Parcel
from aiagentchat.core.ports.agent import RunSpec
from aiagentchat.execute.asking import Manner
from aiagentchat.execute.deadlines import TurnClock
from aiagentchat.execute.meter import Meter
from aiagentchat.execute.output import Output
from aiagentchat.execute.places import Places
from aiagentchat.execute.rests import Rests
from aiagentchat.execute.room import RoomExecutor, Workshop
from aiagentchat.execute.runs import Runs
from aiagentchat.execute.turn import Ledgers, Limits, Turn
from aiagentchat.route.doors import Doorkeeper
from aiagentchat.send.speech import Speaker
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import ANNA, NOW, OTHER_ROOM, ROOM, SESSION, accept, command, settle
from tests.fakes.agent import ScriptedAgent, ScriptedRun
from tests.fakes.clock import FakeClock
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.members import FakeMembers
from tests.fakes.signals import FakeSignals

PATIENCE = 10.0
TURN_SECONDS = 300
APPROVAL_SECONDS = 3600
BOOT = "this-boot"


def make_settings(folder: Path, *rooms: RoomId) -> Settings:
    """Settings with these rooms, named a, b, c …"""
    return Settings(
        file=folder / "config.yaml",
        matrix=Matrix(homeserver="http://127.0.0.1:8008", user_id=UserId("@claude:localhost")),
        data_dir=folder / "data",
        workspaces=folder / "rooms",
        rooms=tuple(
            RoomSettings(
                id=room,
                name=chr(ord("a") + index),
                users=frozenset({ANNA}),
                timeout=TURN_SECONDS,
                limits=RunLimits(file_size=0, workspace_size=0),
            )
            for index, room in enumerate(rooms or (ROOM, OTHER_ROOM))
        ),
        agents={"claude": AgentSettings()},
        max_parallel_turns=4,
        max_warm=2,
        warm_ttl=300,
        approval_timeout=APPROVAL_SECONDS,
        max_queue=20,
        max_queue_total=500,
        max_output=20,
        sync_timeout=30,
        catch_up_max_age=86_400,
    )


def make_spec(room: RoomId = ROOM, instructions: str = "") -> RunSpec:
    """A spec for a run that needs no folders."""
    return RunSpec(room=room, session=SESSION, resume=False, workspace="/w", home="/h", instructions=instructions)


@dataclass(kw_only=True)
class House:
    """Everything that the executor needs."""

    ledger: Ledger
    clock: FakeClock
    agent: ScriptedAgent
    settings: Settings
    members: FakeMembers
    runs: Runs
    shop: Workshop
    nudge: asyncio.Event = field(default_factory=asyncio.Event)

    async def turn(
        self,
        text: str = "make tea",
        granted: str = "",
        outgrown: Callable[[], Awaitable[LimitReached]] | None = None,
        at_the_end: Callable[[], Awaitable[LimitReached | None]] | None = None,
    ) -> tuple[Turn, ScriptedRun]:
        """A turn of a command that is running, and its run, which is served."""
        asked = replace(command("$1"), text=text, granted=granted)
        await accept(self.ledger, asked)
        assert await self.ledger.commands.start(asked.event, NOW)
        run = await self.runs.take(self.agent, make_spec())
        assert isinstance(run, ScriptedRun)
        made = Turn(
            asked,
            run,
            Output(self.shop.voice.open(asked), Path("/w"), "rest.md", 1),
            ledgers=self.shop.ledgers,
            clock=self.clock,
            limits=Limits(
                turn=TurnClock(TURN_SECONDS, self.clock.monotonic()),
                asking=Manner(seconds=APPROVAL_SECONDS),
                outgrown=outgrown,
                at_the_end=at_the_end,
            ),
            nudge=self.nudge,
        )
        return made, run

    async def execute(self, *commands: Command) -> None:
        """Queue the commands of the room, and run its executor until it has nothing more to do."""
        await accept(self.ledger, *commands)
        async with asyncio.timeout(PATIENCE):
            await RoomExecutor(ROOM, self.shop).run(others_wait=lambda: False)

    async def question(self) -> Approval:
        """The question that is open, once it is."""
        async with asyncio.timeout(PATIENCE):
            while not (questions := await self.ledger.approvals.open_in(ROOM)):
                await self.ledger.outbox.bell.wait(PATIENCE)
        return questions[0]

    async def decide(self, approval: ApprovalId, state: ApprovalState, reason: str = "") -> None:
        """Anna answers."""
        await settle(
            self.ledger,
            DecideApproval(approval=approval, state=state, by=ANNA, reason=reason),
            event=f"$answer-{approval}",
        )
        self.nudge.set()

    async def state(self, event: str) -> CommandState:
        """Where a command stands."""
        found = await self.ledger.commands.get(EventId(event))
        assert found is not None
        return found.state

    async def read(self, room: RoomId = ROOM) -> list[str]:
        """What the room shows in the end: its messages as they were last edited, and our reactions on commands."""
        shown: dict[str, str] = {}
        for parcel in await self.send_all():
            if parcel.room == room and PARCEL not in parcel.content:
                shown[parcel.edits or parcel.txn] = _text(parcel)
        return list(shown.values())

    async def send_all(self) -> list[Parcel]:
        """Send everything that waits; what was sent."""
        sent = []
        while (attempt := await self.ledger.outbox.claim(NOW, device="D")) is not None:
            claimed = attempt.parcel
            await self.ledger.outbox.sent(claimed.txn, EventId(f"$sent-{claimed.txn}"), NOW)
            sent.append(claimed)
        return sent


def _text(parcel: Parcel) -> str:
    if parcel.type == REACTION:
        key: str = parcel.content["m.relates_to"]["key"]
        return key
    body: str = parcel.content["body"]
    return body


@asynccontextmanager
async def open_house(
    folder: Path, agent: ScriptedAgent, *rooms: RoomId, change: Callable[[Settings], Settings] = lambda same: same
) -> AsyncIterator[House]:
    """A house whose runs are open, and end with it."""
    async with house_for_a_scheduler(folder, agent, *rooms, change=change) as house, house.runs.open():
        yield house


@asynccontextmanager
async def house_for_a_scheduler(
    folder: Path, agent: ScriptedAgent, *rooms: RoomId, change: Callable[[Settings], Settings] = lambda same: same
) -> AsyncIterator[House]:
    """A house whose runs are opened by the scheduler."""
    settings = change(make_settings(folder, *rooms))
    clock = FakeClock(NOW)
    async with fresh_ledger(folder / "ledger.db") as ledger:
        runs = Runs(
            records=ledger.runs,
            boot_id=BOOT,
            clock=clock,
            warm_ttl=settings.warm_ttl,
            max_warm=settings.max_warm,
        )
        members = FakeMembers()
        shop = Workshop(
            ledgers=Ledgers(
                commands=ledger.commands,
                approvals=ledger.approvals,
                sessions=ledger.sessions,
                outbox=ledger.outbox,
                rooms=ledger.rooms,
                spending=ledger.spending,
                changes=ledger.changes,
                tasks=ledger.tasks,
            ),
            runs=runs,
            agents={"claude": agent},
            places=Places(ledger.rooms, lambda: settings),
            meter=Meter(clock),
            rests=Rests(clock),
            voice=Speaker(outbox=ledger.outbox, clock=clock),
            signals=FakeSignals(),
            settings=lambda: settings,
            clock=clock,
            held=Held(Isolation.STRICT),
            doors=Doorkeeper(settings=lambda: settings, grants=ledger.grants, members=members, clock=clock),
        )
        yield House(ledger=ledger, clock=clock, agent=agent, settings=settings, members=members, runs=runs, shop=shop)


def plant(house: House, name: str, text: str) -> Path:
    """The file of a command that the project brings along."""
    folder = house.settings.workspaces / "a/.claude/commands"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.md"
    file.write_text(text)
    return file
