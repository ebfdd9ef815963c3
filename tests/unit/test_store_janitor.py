"""The janitor comes at the start and every hour, and does what the settings say at that moment."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.audit import MOST_REFUSALS, AuditFilter, AuditKind, Deed
from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import AcceptCommand
from aiagentchat.core.guards import AgentTurn
from aiagentchat.core.ids import EventId
from aiagentchat.store import janitor
from aiagentchat.store.janitor import EVERY_SECONDS, Janitor, Keep
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import ANNA, NOW, ROOM, command, command_in, settle
from tests.fakes.clock import FakeClock
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.log import FakeLog

PATIENCE = 10.0
DAY = 24 * 3600.0


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    found = FakeLog()
    monkeypatch.setattr(janitor, "log", found)
    return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with fresh_ledger(tmp_path / "ledger.db") as opened:
        yield opened


async def test_texts_go_after_their_days_and_rows_after_theirs(ledger: Ledger, clock: FakeClock, log: FakeLog) -> None:
    event = await command_in(ledger, CommandState.DONE)
    tidy = Janitor(ledger.housekeeping, keep=lambda: Keep(rows=90, bodies=7), clock=clock).tidy
    clock.advance(7 * DAY)
    await tidy()
    assert log.lines == []
    clock.advance(1)
    await tidy()
    assert await _text(ledger, event) == ""
    clock.advance(83 * DAY)
    await tidy()

    assert await _text(ledger, event) is None
    gone = {"questions": 0, "parcels": 0, "commands": 1, "events": 1, "sessions": 0}
    assert log.of("store.pruned") == [
        {"bodies": 2, "rows": {}} | {"rows": dict.fromkeys(gone, 0)},
        {"bodies": 0, "rows": gone},
    ]


@pytest.mark.parametrize(
    ("keep", "text"),
    [
        pytest.param(Keep(rows=0, bodies=0), "make tea", id="everything for ever"),
        pytest.param(Keep(rows=0, bodies=1), "", id="everything but the texts"),
        pytest.param(Keep(rows=1, bodies=0), None, id="texts as long as the rest"),
    ],
)
async def test_nought_is_for_ever(ledger: Ledger, clock: FakeClock, keep: Keep, text: str | None) -> None:
    event = await command_in(ledger, CommandState.DONE)
    clock.advance(10_000 * DAY)
    await Janitor(ledger.housekeeping, keep=lambda: keep, clock=clock).tidy()

    assert await _text(ledger, event) == text


async def test_lines_of_the_audit_go_after_their_own_days(ledger: Ledger, clock: FakeClock, log: FakeLog) -> None:
    await ledger.audit.write(Deed(kind=AuditKind.RELOADED), clock.now_ms())
    tidy = Janitor(ledger.housekeeping, keep=lambda: Keep(rows=1, bodies=1, audit=365), clock=clock).tidy
    clock.advance(365 * DAY)
    await tidy()
    assert len(await ledger.audit.lines(AuditFilter(), limit=9)) == 1
    clock.advance(1)
    await tidy()

    assert await ledger.audit.lines(AuditFilter(), limit=9) == []
    assert log.of("audit.pruned") == [{"lines": 1}]


async def test_it_lets_the_audit_say_what_was_held_back(ledger: Ledger, clock: FakeClock) -> None:
    for _ in range(MOST_REFUSALS + 2):
        await ledger.audit.write(Deed(kind=AuditKind.REFUSED, actor=ANNA), clock.now_ms())
    clock.advance(3600)
    await Janitor(ledger.housekeeping, keep=lambda: Keep(rows=0, bodies=0), clock=clock).tidy()

    [*_, last] = await ledger.audit.lines(AuditFilter(), limit=99)
    assert (last.deed.kind, last.deed.detail["more"]) == (AuditKind.REFUSED_MORE, 2)


async def test_it_forgets_what_no_budget_counts_any_more(ledger: Ledger, clock: FakeClock) -> None:
    turn = AgentTurn(event=EventId("$1"), room=ROOM, pair="a b")
    await settle(ledger, AcceptCommand(command("$1")), turn, event="$1")
    tidy = Janitor(ledger.housekeeping, keep=lambda: Keep(rows=0, bodies=0), clock=clock).tidy
    counts = []
    for seconds in (0, DAY, 1):
        clock.advance(seconds)
        await tidy()
        counts.append((await ledger.guards.standing(ROOM, "", 0)).in_room)

    assert counts == [1, 1, 0]


async def test_it_comes_at_the_start_and_every_hour_and_asks_the_settings_again(
    ledger: Ledger, clock: FakeClock, log: FakeLog
) -> None:
    event = await command_in(ledger, CommandState.DONE)
    clock.advance(2 * DAY)
    keeps = [Keep(rows=9, bodies=3), Keep(rows=9, bodies=1), Keep(rows=1, bodies=1)]
    service = Janitor(ledger.housekeeping, keep=lambda: keeps.pop(0), clock=clock)

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        running = group.create_task(service.run())
        assert await clock.pass_nap() == EVERY_SECONDS
        assert log.lines == []
        assert await clock.pass_nap() == EVERY_SECONDS
        assert await _text(ledger, event) == ""
        await clock.until_asleep()
        assert await _text(ledger, event) is None
        running.cancel()
    assert len(log.of("store.pruned")) == 2


async def _text(ledger: Ledger, event: EventId) -> str | None:
    found = await ledger.commands.get(event)
    return None if found is None else found.text
