"""What the store's contract suite is run on, and the values that its stories are made of."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from aiagentchat.core.commands import Command, CommandState, TurnRecord
from aiagentchat.core.effects import AcceptCommand, Effect, RequestStop
from aiagentchat.core.ids import EventId, RoomId, SessionId, TxnId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import Parcel
from aiagentchat.store.ledger import Ledger
from tests.fakes.ledgers import fresh_ledger

OpenLedger: TypeAlias = Callable[[Path], AbstractAsyncContextManager[Ledger]]

BACKENDS: dict[str, OpenLedger] = {"sqlite": fresh_ledger}
"""Every implementation of the ledger's ports. A new one is held to the same promises by its line here."""

NOW = 1_700_000_000_000
ROOM = RoomId("!kitchen:example.org")
OTHER_ROOM = RoomId("!garden:example.org")
ANNA = UserId("@anna:example.org")
BERT = UserId("@bert:example.org")
SESSION = SessionId("5e551011-0000-4000-8000-000000000001")
OTHER_SESSION = SessionId("5e551011-0000-4000-8000-000000000002")
DEVICE = "DEVICE"


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest) -> OpenLedger:
    """How to open a ledger, for stories that open it twice."""
    return BACKENDS[request.param]


@pytest.fixture
async def ledger(backend: OpenLedger, tmp_path: Path) -> AsyncIterator[Ledger]:
    """An empty ledger."""
    async with backend(tmp_path / "ledger.db") as opened:
        yield opened


def incoming(event: str, body: str = "hello") -> Incoming:
    return Incoming(event=EventId(event), room=ROOM, sender=ANNA, sent_at=NOW, kind=Kind.TEXT, body=body)


def command(event: str, room: RoomId = ROOM, session: SessionId = SESSION) -> Command:
    return Command(event=EventId(event), room=room, sender=ANNA, text="make tea", session=session, queued_at=NOW)


def parcel(txn: str, text: str = "", room: RoomId = ROOM, edits: str | None = None) -> Parcel:
    return Parcel(txn=TxnId(txn), room=room, content={"body": text}, edits=TxnId(edits) if edits else None)


async def settle(ledger: Ledger, *effects: Effect, event: str = "$routed") -> bool:
    """Route one event that has these effects."""
    await ledger.inbox.take_in("token", [incoming(event)], NOW)
    return await ledger.inbox.settle(EventId(event), effects, NOW)


async def accept(ledger: Ledger, *commands: Command) -> None:
    """Queue the commands, each from an event of its own."""
    for each in commands:
        assert await settle(ledger, AcceptCommand(each), event=each.event)


async def stop(ledger: Ledger, event: EventId, by: UserId = ANNA) -> None:
    """Ask to end a command, by an event of its own."""
    assert await settle(ledger, RequestStop(event, by), event=f"$stop-{event}-{by}")


async def command_in(ledger: Ledger, state: CommandState) -> EventId:
    """A command that has come to `state` in the ways that the ports offer."""
    made = command(f"${state}")
    match state:
        case CommandState.QUEUED:
            await accept(ledger, made)
        case CommandState.REJECTED:
            await accept(ledger, replace(made, state=state))
        case CommandState.RUNNING:
            await accept(ledger, made)
            assert await ledger.commands.start(made.event, NOW)
        case _:
            await accept(ledger, made)
            assert await ledger.commands.start(made.event, NOW)
            assert await ledger.commands.finish(made.event, state, TurnRecord(), [], NOW)
    return made.event


async def state_of(ledger: Ledger, event: EventId) -> CommandState:
    found = await ledger.commands.get(event)
    assert found is not None
    return found.state


async def waiting_texts(ledger: Ledger) -> list[str]:
    """Send everything that may be sent now; what the rooms read, in order."""
    texts = []
    while (claimed := await ledger.outbox.claim(NOW, device=DEVICE)) is not None:
        await ledger.outbox.sent(claimed.parcel.txn, EventId(f"$sent-{claimed.parcel.txn}"), NOW)
        texts.append(claimed.parcel.content["body"])
    return texts
