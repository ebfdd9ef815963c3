"""Which runs exist is written down before they do; and each room's user is its own for ever."""

from pathlib import Path

from aiagentchat.core.ids import RoomId, RunId
from aiagentchat.core.ports.ledger import RunRecord
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import NOW, OTHER_ROOM, ROOM, OpenLedger

FIRST, LAST = 200_000, 200_001


def record(run: str, uid: int | None = None, at: int = NOW) -> RunRecord:
    return RunRecord(run=RunId(run), room=ROOM, boot_id="boot", uid=uid, started_at=at)


async def test_a_run_whose_end_nobody_saw_is_known_to_the_next_life(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await first.runs.begun(record("late", uid=FIRST, at=NOW + 1))
        await first.runs.begun(record("early"))

    async with backend(tmp_path / "ledger.db") as second:
        assert await second.runs.left() == [record("early"), record("late", uid=FIRST, at=NOW + 1)]


async def test_a_run_that_ended_is_forgotten(ledger: Ledger) -> None:
    await ledger.runs.begun(record("one"))
    await ledger.runs.begun(record("one"))
    await ledger.runs.ended(RunId("one"))
    await ledger.runs.ended(RunId("one"))

    assert await ledger.runs.left() == []


async def test_a_room_keeps_the_user_of_its_first_call(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await first.rooms.slug(ROOM, "kitchen")
        assert await first.rooms.uid(ROOM, FIRST, LAST) == FIRST

    async with backend(tmp_path / "ledger.db") as second:
        assert await second.rooms.uid(OTHER_ROOM, FIRST, LAST) == LAST
        assert await second.rooms.uid(ROOM, 300_000, 300_001) == FIRST
        assert await second.rooms.slug(ROOM, "other") == "kitchen"


async def test_a_range_without_a_free_user_gives_none(ledger: Ledger) -> None:
    for number in range(2):
        await ledger.rooms.uid(RoomId(f"!{number}:hs"), FIRST, LAST)

    assert await ledger.rooms.uid(ROOM, FIRST, LAST) is None
