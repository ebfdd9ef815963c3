"""Of what turns changed, the last change of each room is kept, and its patch goes when other texts do."""

from dataclasses import replace

from aiagentchat.core.changes import Changed, LastChange
from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import EraseText
from aiagentchat.core.ids import EventId
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import NOW, OTHER_ROOM, ROOM, command_in, settle

CHANGED = Changed(files=2, added=3, removed=1, patch="-a\n+b\n", cut=True)
CHANGE = LastChange(room=ROOM, command=EventId("$done"), at=NOW, changed=CHANGED)
BARE = replace(CHANGE, changed=replace(CHANGED, patch=""))


async def test_a_room_whose_turns_changed_nothing_has_none(ledger: Ledger) -> None:
    assert await ledger.changes.last(ROOM) is None


async def test_each_room_keeps_its_last_one(ledger: Ledger) -> None:
    other = replace(CHANGE, room=OTHER_ROOM, changed=Changed(files=1))
    for each in (replace(CHANGE, command=EventId("$before")), CHANGE, other):
        await ledger.changes.keep(each)

    assert await ledger.changes.last(ROOM) == CHANGE
    assert await ledger.changes.last(OTHER_ROOM) == other


async def test_the_patch_of_a_message_that_is_taken_back_is_erased(ledger: Ledger) -> None:
    done = await command_in(ledger, CommandState.DONE)
    await ledger.changes.keep(replace(CHANGE, command=done))
    await settle(ledger, EraseText(EventId("$another"), ROOM), event="$first")

    assert await ledger.changes.last(ROOM) == replace(CHANGE, command=done)

    await settle(ledger, EraseText(done, ROOM), event="$second")

    assert await ledger.changes.last(ROOM) == replace(BARE, command=done)


async def test_texts_and_rows_go_in_their_time(ledger: Ledger) -> None:
    await ledger.changes.keep(CHANGE)

    assert await ledger.housekeeping.erase(NOW) == 0
    assert await ledger.housekeeping.erase(NOW + 1) == 1
    assert await ledger.changes.last(ROOM) == BARE

    await ledger.housekeeping.prune(NOW + 1)

    assert await ledger.changes.last(ROOM) is None
