"""What is brought together for /metrics and /ready."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from aiagentchat.app import metrics
from aiagentchat.app.metrics import Gauged, agents_there, label
from aiagentchat.config.settings import Settings
from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.errors import AgentUnavailable
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.messages import Kind
from aiagentchat.core.meters import EndedTurn
from aiagentchat.gateway.door import Traffic
from aiagentchat.gateway.metrics import of_traffic
from aiagentchat.gateway.vitals import Vitals
from aiagentchat.observability.metrics import COUNTED, MADE, METRICS, Meters
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import ANNA, NOW, OTHER_ROOM, ROOM, accept, command, incoming, parcel
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import US
from tests.fakes.ledgers import fresh_ledger
from tests.unit.execute_house import make_settings
from tests.unit.gateway_stage import FakeDirectory

ELSEWHERE = RoomId("!elsewhere:example.org")
VITALS = Vitals(version="1.2", user=US.user, sync_age=3.0, commands={"queued": 2}, agents={"claude": True})


@dataclass
class Desk:
    """A daemon that is asked."""

    ledger: Ledger
    clock: FakeClock
    settings: Settings
    gauged: Gauged


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings, clock = make_settings(tmp_path, ROOM, OTHER_ROOM), FakeClock(NOW)
    made = replace(settings.rooms[1], id=ELSEWHERE, name="Anna's secret plans", made_by=ANNA)
    settings = replace(settings, rooms=(*settings.rooms, made))
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        gauged = Gauged(
            meters=Meters(),
            settings=lambda: settings,
            ledger=ledger,
            directory=FakeDirectory(),
            warm=lambda: 3,
            isolation=Isolation.STRICT,
            clock=clock,
        )
        yield Desk(ledger, clock, settings, gauged)


async def test_every_metric_of_the_list_is_told(desk: Desk) -> None:
    sealed = replace(incoming("$1", "s1"), kind=Kind.SEALED, raw="{}")
    await desk.ledger.inbox.take_in("t1", [sealed], NOW)
    levels = {**await desk.gauged.levels(VITALS), **of_traffic(Traffic())}

    assert levels.keys() == {metric.name for metric in METRICS if metric not in COUNTED}
    assert levels["build_info"] == {("1.2",): 1}
    assert levels["isolation_info"] == {("strict",): 1}
    assert levels["sealed_events"] == 1
    assert (levels["ready"], levels["runs_warm"], levels["instances_alive"], levels["halted_rooms"]) == (1, 3, 1, 0)


async def test_ages_are_those_of_the_oldest_by_the_names_of_rooms(desk: Desk) -> None:
    await accept(desk.ledger, command("$1"), command("$2"), command("$3", ELSEWHERE))
    await desk.ledger.outbox.put([parcel("first")], NOW)
    desk.clock.advance(90)
    levels = await desk.gauged.levels(VITALS)

    assert levels["queued_commands"] == {("a",): 2, ("b",): 0, (MADE,): 1}
    assert levels["oldest_queued_age_seconds"] == {("a",): 90, ("b",): 0, (MADE,): 90}
    assert levels["oldest_parcel_age_seconds"] == 90


async def test_where_nothing_waits_the_age_is_zero(desk: Desk) -> None:
    levels = await desk.gauged.levels(VITALS)

    assert levels["oldest_queued_age_seconds"] == {("a",): 0, ("b",): 0, (MADE,): 0}
    assert (levels["oldest_parcel_age_seconds"], levels["last_interrupted_timestamp_seconds"]) == (0, {})


async def test_a_turn_that_was_cut_short_is_told_by_its_moment(desk: Desk) -> None:
    await accept(desk.ledger, command("$1"))
    await desk.ledger.commands.start(EventId("$1"), NOW)
    await desk.ledger.commands.interrupt(EventId("$1"), None, TurnRecord(), [], NOW + 5_000)

    assert (await desk.gauged.levels(VITALS))["last_interrupted_timestamp_seconds"] == {("a",): NOW / 1000 + 5}


async def test_a_homeserver_that_was_never_heard_is_as_old_as_the_daemon(desk: Desk) -> None:
    levels = await desk.gauged.levels(replace(VITALS, sync_age=None, uptime=12.0))

    assert (levels["sync_age_seconds"], levels["ready"]) == (12.0, 0)


async def test_nothing_that_people_have_chosen_is_a_label(desk: Desk) -> None:
    desk.gauged.turn_ended(
        EndedTurn(room=ELSEWHERE, agent="claude", state=CommandState.DONE, record=TurnRecord(duration_ms=1))
    )
    text = desk.gauged.meters.exposed(await desk.gauged.levels(VITALS)).decode()

    assert f'aiagentchat_turns_total{{agent="claude",outcome="done",room="{MADE}"}} 1.0' in text
    assert 'aiagentchat_turns_total{agent="claude",outcome="done",room="a"} 0.0' in text
    assert "secret" not in text
    assert not any(each in text for each in (ROOM, ELSEWHERE, ANNA, US.user))


def test_a_room_that_is_gone_from_the_settings_has_no_name(tmp_path: Path) -> None:
    assert label(make_settings(tmp_path), RoomId("!gone:hs")) == MADE


async def test_only_agents_that_rooms_have_are_asked_for_their_programs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def there() -> None:
        """It is."""

    async def missing() -> None:
        raise AgentUnavailable("no such file", human="It is not there.")

    async def silent() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(metrics, "AGENT_SECONDS", 0.01)
    asks: tuple[Mapping[str, Callable[[], Awaitable[object]]], ...] = (
        {"claude": there, "unused": missing},
        {"claude": missing},
        {"claude": silent},
        {},
    )

    assert [await agents_there(desk.settings, ask) for ask in asks] == [
        {"claude": True},
        {"claude": False},
        {"claude": False},
        {},
    ]
