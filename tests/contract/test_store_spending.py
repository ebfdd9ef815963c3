"""What turns used is counted when they end, by session, room and day, and outlives the commands themselves."""

from dataclasses import replace

from aiagentchat.core.commands import Command, CommandState, TurnRecord
from aiagentchat.core.ids import EventId
from aiagentchat.core.spending import Spent
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import NOW, OTHER_ROOM, OTHER_SESSION, ROOM, SESSION, accept, command

DAY_MS = 86_400_000
TODAY, TOMORROW = "2023-11-14", "2023-11-15"
USED = TurnRecord(duration_ms=1500, cost_micro_usd=20_000, input_tokens=300, output_tokens=40)
ONE = Spent(turns=1, cost_micro_usd=20_000, input_tokens=300, output_tokens=40)
TWO = Spent(turns=2, cost_micro_usd=40_000, input_tokens=600, output_tokens=80)


async def run(ledger: Ledger, *commands: Command, now: int = NOW, used: TurnRecord = USED) -> None:
    await accept(ledger, *commands)
    for each in commands:
        await ledger.commands.start(each.event, now)
        assert await ledger.commands.finish(each.event, CommandState.DONE, used, [], now)


async def test_who_has_had_no_turn_has_spent_nothing(ledger: Ledger) -> None:
    assert await ledger.spending.session(SESSION) == Spent()
    assert await ledger.spending.room(ROOM, TODAY) == Spent()
    assert await ledger.spending.rooms(TODAY) == {}


async def test_a_session_is_counted_by_itself(ledger: Ledger) -> None:
    await run(ledger, command("$1"), command("$2"), command("$3", session=OTHER_SESSION))

    assert await ledger.spending.session(SESSION) == TWO
    assert await ledger.spending.session(OTHER_SESSION) == ONE


async def test_a_room_is_counted_from_a_day_on(ledger: Ledger) -> None:
    await run(ledger, command("$1"))
    await run(ledger, command("$2"), now=NOW + DAY_MS)

    assert await ledger.spending.room(ROOM, TODAY) == TWO
    assert await ledger.spending.room(ROOM, TOMORROW) == ONE
    assert await ledger.spending.room(OTHER_ROOM, TODAY) == Spent()


async def test_of_all_rooms_the_dearest_comes_first(ledger: Ledger) -> None:
    await run(ledger, command("$1"))
    await run(ledger, command("$2", room=OTHER_ROOM), used=replace(USED, cost_micro_usd=30_000))

    found = await ledger.spending.rooms(TODAY)

    assert list(found) == [OTHER_ROOM, ROOM]
    assert found[ROOM] == ONE


async def test_an_interrupted_turn_is_counted_with_what_is_known_of_it(ledger: Ledger) -> None:
    await accept(ledger, command("$1"))
    await ledger.commands.start(EventId("$1"), NOW)
    await ledger.commands.interrupt(EventId("$1"), None, TurnRecord(duration_ms=9), [], NOW)

    assert await ledger.spending.session(SESSION) == Spent(turns=1)


async def test_an_end_that_is_told_twice_is_counted_once(ledger: Ledger) -> None:
    await run(ledger, command("$1"))
    await ledger.commands.finish(EventId("$1"), CommandState.DONE, USED, [], NOW)

    assert await ledger.spending.session(SESSION) == ONE


async def test_what_was_spent_is_known_longer_than_the_commands(ledger: Ledger) -> None:
    await run(ledger, command("$1"))
    await ledger.housekeeping.prune(NOW + 1)

    assert await ledger.commands.get(EventId("$1")) is None
    assert await ledger.spending.room(ROOM, TODAY) == ONE

    await ledger.housekeeping.prune_spending(NOW + DAY_MS)

    assert await ledger.spending.room(ROOM, TODAY) == Spent()
