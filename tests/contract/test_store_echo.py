"""A parcel becomes an event, or never will: what waits for that goes on once, whoever tells it, in any order."""

import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest

from aiagentchat.core.heard import Echo
from aiagentchat.core.ids import EventId, TxnId
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import ANNA, DEVICE, NOW, ROOM, OpenLedger, incoming, parcel

TXN = TxnId("to ourselves")
EVENT = EventId("$there")
OTHER_EVENT = EventId("$elsewhere")
LATER = NOW + 1000
ECHO = Echo(event=EVENT, room=ROOM, txn=TXN)

Step: TypeAlias = Callable[[Ledger], Awaitable[object]]


async def echo(ledger: Ledger) -> None:
    """Our own event comes back by sync."""
    await ledger.inbox.take_in("t", [], LATER, [ECHO])


async def answer(ledger: Ledger) -> None:
    """The homeserver answers what we have sent."""
    await ledger.outbox.sent(TXN, EVENT, LATER)


async def give_up(ledger: Ledger) -> None:
    await ledger.outbox.give_up(TXN, "403", LATER)


async def claim(ledger: Ledger) -> None:
    assert await ledger.outbox.claim(NOW, device=DEVICE) is not None


async def release(ledger: Ledger) -> None:
    await ledger.outbox.release_claims()


@pytest.fixture
async def path(backend: OpenLedger, tmp_path: Path) -> Path:
    """A ledger with one message that somebody has sent through us, to ourselves, in one transaction."""
    path = tmp_path / "ledger.db"
    async with backend(path) as ledger:
        await ledger.outbox.put([parcel(TXN, "make tea")], NOW)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO inbox (event_id, room_id, sender, sent_at, kind, body, mentions, late_ms, encrypted, taken_at,"
            " caller, awaits) VALUES ('~m1', ?, ?, ?, 'text', 'make tea', '[]', 0, 0, ?, 'ci', ?)",
            (ROOM, ANNA, NOW, NOW, TXN),
        )
        connection.execute(
            "INSERT INTO messages (id, room_id, caller, digest, kind, body, meta, txn_id, state, accepted_at)"
            " VALUES ('m1', ?, 'ci', 'd', 'message', 'make tea', '{}', ?, 'accepted', ?)",
            (ROOM, TXN, NOW),
        )
    return path


def message(path: Path) -> tuple[str, str | None, int | None]:
    """How far the message has come: its state, its event, and when it was sent."""
    with closing(sqlite3.connect(path)) as connection:
        [row] = connection.execute("SELECT state, event_id, sent_at FROM messages")
    return (row[0], row[1], row[2])


async def test_what_is_not_in_the_room_yet_is_not_routed(backend: OpenLedger, path: Path) -> None:
    async with backend(path) as ledger:
        await claim(ledger)

        assert await ledger.inbox.unrouted(10) == []
    assert message(path) == ("accepted", None, None)


ARRIVALS = {
    "the answer": [claim, answer],
    "the echo": [claim, echo],
    "the echo before we know that we have sent it": [echo],
    "the echo, then the answer": [claim, echo, answer],
    "the answer, then the echo": [claim, answer, echo],
    "both twice": [claim, echo, answer, echo, answer],
    "the echo, and no answer": [claim, echo, release, give_up],
}


@pytest.mark.parametrize("dies", [False, True], ids=["in one life", "and it dies after each step"])
@pytest.mark.parametrize("steps", [pytest.param(steps, id=how) for how, steps in ARRIVALS.items()])
async def test_once_it_is_there_it_is_routed_under_its_own_id(
    backend: OpenLedger, path: Path, steps: list[Step], dies: bool
) -> None:
    for part in [[step] for step in steps] if dies else [steps]:
        async with backend(path) as ledger:
            for step in part:
                await step(ledger)

    async with backend(path) as ledger:
        [offered] = await ledger.inbox.unrouted(10)
        assert (offered.event, offered.body) == (EVENT, "make tea")
        assert await ledger.outbox.event_of(TXN) == EVENT
        await release(ledger)
        assert await ledger.outbox.claim(LATER, device=DEVICE) is None
        assert await ledger.inbox.settle(EVENT, [], LATER)
        await echo(ledger)
        assert await ledger.inbox.unrouted(10) == []
    assert message(path) == ("sent", EVENT, LATER)


async def test_the_first_event_stands(backend: OpenLedger, path: Path) -> None:
    async with backend(path) as ledger:
        await claim(ledger)
        await ledger.outbox.sent(TXN, OTHER_EVENT, LATER)
        await echo(ledger)

        assert await ledger.outbox.event_of(TXN) == OTHER_EVENT
        assert [each.event for each in await ledger.inbox.unrouted(10)] == [OTHER_EVENT]


async def test_a_postponed_parcel_that_has_arrived_is_not_offered_again(backend: OpenLedger, path: Path) -> None:
    async with backend(path) as ledger:
        await claim(ledger)
        await echo(ledger)
        await ledger.outbox.postpone(TXN, 0)

        assert await ledger.outbox.claim(LATER, device=DEVICE) is None


@pytest.mark.parametrize("steps", [[claim, give_up], [claim, give_up, echo, answer, give_up]])
async def test_what_will_never_be_there_is_over_without_effect(
    backend: OpenLedger, path: Path, steps: list[Step]
) -> None:
    async with backend(path) as ledger:
        for step in steps:
            await step(ledger)

        assert await ledger.inbox.unrouted(10) == []
        assert await ledger.outbox.event_of(TXN) is None
    with closing(sqlite3.connect(path)) as connection:
        [(state, why, event, ended)] = connection.execute("SELECT state, why, event_id, ended_at FROM messages")
        assert (state, event, ended) == ("refused", None, LATER)
        assert "nothing was begun" in why
        assert "403" not in why
        [(awaits, routed)] = connection.execute("SELECT awaits, routed_at FROM inbox WHERE event_id = '~m1'")
        assert (awaits, routed) == (None, LATER)


async def test_a_state_that_was_told_before_is_not_taken_back(backend: OpenLedger, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE messages SET state = 'read'")
    async with backend(path) as ledger:
        await echo(ledger)

    assert message(path) == ("read", EVENT, LATER)


async def test_the_echo_of_what_is_not_ours_to_know_changes_nothing(backend: OpenLedger, path: Path) -> None:
    async with backend(path) as ledger:
        strange = Echo(event=EVENT, room=ROOM, txn=TxnId("of an earlier ledger"))

        assert await ledger.inbox.take_in("t", [incoming("$a")], NOW, [strange]) == 1
        assert [each.event for each in await ledger.inbox.unrouted(10)] == ["$a"]
        assert await ledger.outbox.unsent() == 1
    assert json.dumps(message(path)) == json.dumps(("accepted", None, None))


async def test_an_event_that_is_known_by_its_id_stops_nobody(backend: OpenLedger, path: Path) -> None:
    async with backend(path) as ledger:
        await ledger.inbox.take_in("t1", [incoming(EVENT, "somebody's")], NOW)
        await ledger.inbox.take_in("t2", [], NOW, [ECHO])

        assert await ledger.inbox.token() == "t2"
        assert [each.body for each in await ledger.inbox.unrouted(10)] == ["somebody's"]
