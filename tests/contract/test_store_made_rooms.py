"""Rooms that are not in config.yaml: who made them, who waits for one, and what is looked at again."""

from dataclasses import replace
from pathlib import Path

from aiagentchat.core.effects import AcceptCommand, AwaitRoom, ForgetRoom, MakeRoom, UnmakeRoom
from aiagentchat.core.ids import EventId
from aiagentchat.core.messages import Kind
from aiagentchat.core.rooms import Made, MadeRoom, WaitingRoom
from aiagentchat.store.ledger import Ledger
from aiagentchat.store.made_rooms import MOST_KEPT
from tests.contract.store_fixtures import ANNA, BERT, NOW, OTHER_ROOM, ROOM, OpenLedger, command, incoming, settle

SETUP = EventId("$setup")
TEA = MadeRoom(room=ROOM, folder="tea", by=ANNA, at=NOW)
WAITS = WaitingRoom(room=ROOM, by=ANNA, since=NOW, until=NOW + 1000, keeps=True)


async def hear(ledger: Ledger, *events: str, at: int = NOW) -> None:
    """The events come in, and nothing follows from them."""
    for event in events:
        await ledger.inbox.take_in("token", [incoming(event)], at)
        assert await ledger.inbox.settle(EventId(event), [], at)


async def make(ledger: Ledger, made: MadeRoom = TEA, at: int = NOW) -> None:
    """The room is made."""
    await ledger.inbox.take_in("token", [incoming(SETUP)], at)
    assert await ledger.inbox.settle(SETUP, [MakeRoom(made, SETUP)], at)


async def unrouted(ledger: Ledger) -> list[str]:
    return [event.event for event in await ledger.inbox.unrouted(100 * MOST_KEPT)]


async def test_without_rooms_there_are_none(ledger: Ledger) -> None:
    assert await ledger.rooms.made() == Made()


async def test_a_room_that_was_made_is_there_in_every_life(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await make(first)

    async with backend(tmp_path / "ledger.db") as second:
        assert await second.rooms.made() == Made(rooms=(TEA,), slugs={ROOM: "tea"})


async def test_a_room_that_is_made_again_is_made_anew(ledger: Ledger) -> None:
    await make(ledger)
    again = MadeRoom(room=ROOM, folder="tea", by=BERT, at=NOW + 1, direct=True)
    await settle(ledger, MakeRoom(again, EventId("$again")), event="$again")

    assert (await ledger.rooms.made()).rooms == (again,)


async def test_a_folder_name_stays_with_its_room(ledger: Ledger) -> None:
    await make(ledger)
    await ledger.rooms.made()
    await settle(ledger, UnmakeRoom(ROOM, ANNA))

    known = await ledger.rooms.made()
    assert known.rooms == ()
    assert (known.owner_of("tea"), known.owner_of("pot")) == (ROOM, None)
    assert await ledger.rooms.slug(OTHER_ROOM, "tea") == "tea-2"


async def test_of_two_rooms_that_want_a_folder_name_the_second_gets_another(ledger: Ledger) -> None:
    await ledger.rooms.slug(OTHER_ROOM, "tea")
    await make(ledger)

    assert (await ledger.rooms.made()).slugs == {OTHER_ROOM: "tea", ROOM: "tea-2"}


async def test_a_room_is_waited_for_since_the_first_time(ledger: Ledger) -> None:
    await ledger.rooms.wait_in(WAITS)
    await ledger.rooms.wait_in(replace(WAITS, by=BERT, since=NOW + 5, until=NOW + 2000))

    assert (await ledger.rooms.made()).waiting == (replace(WAITS, by=BERT, until=NOW + 2000),)


async def test_where_nothing_was_kept_the_last_time_counts(ledger: Ledger) -> None:
    await settle(ledger, AwaitRoom(replace(WAITS, keeps=False)))
    later = replace(WAITS, since=NOW + 5)
    await ledger.rooms.wait_in(later)

    assert (await ledger.rooms.made()).waiting == (later,)


async def test_what_was_kept_is_looked_at_again_in_its_order(ledger: Ledger) -> None:
    await hear(ledger, "$before")
    await ledger.rooms.wait_in(replace(WAITS, since=NOW + 1))
    await hear(ledger, "$one", "$two", at=NOW + 1)
    await make(ledger, at=NOW + 2)

    assert await unrouted(ledger) == ["$one", "$two"]
    assert (await ledger.rooms.made()).waiting == ()


async def test_of_another_room_nothing_is_looked_at_again(ledger: Ledger) -> None:
    await ledger.rooms.wait_in(replace(WAITS, room=OTHER_ROOM))
    await hear(ledger, "$one")
    await make(ledger)

    assert await unrouted(ledger) == []


async def test_where_nothing_was_to_be_kept_nothing_is_looked_at_again(ledger: Ledger) -> None:
    await ledger.rooms.wait_in(replace(WAITS, keeps=False))
    await hear(ledger, "$one")
    await make(ledger)

    assert await unrouted(ledger) == []


async def test_what_has_become_a_command_is_not_run_twice(ledger: Ledger) -> None:
    await ledger.rooms.wait_in(WAITS)
    await settle(ledger, AcceptCommand(command("$one")), event="$one")
    await make(ledger)

    assert await unrouted(ledger) == []


async def test_an_invite_is_accepted_once(ledger: Ledger) -> None:
    await ledger.rooms.wait_in(WAITS)
    for kind in (Kind.INVITE, Kind.JOINED):
        await ledger.inbox.take_in("token", [replace(incoming(f"${kind}"), kind=kind)], NOW)
        await ledger.inbox.settle(EventId(f"${kind}"), [], NOW)
    await make(ledger)

    assert await unrouted(ledger) == []


async def test_what_is_old_when_it_is_looked_at_again_is_late(ledger: Ledger) -> None:
    await ledger.rooms.wait_in(WAITS)
    await hear(ledger, "$one")
    await make(ledger, at=NOW + 600_000)

    [one] = await ledger.inbox.unrouted(10)
    assert one.late_ms == 600_000
    assert await ledger.inbox.taken_at(one.event) == NOW + 600_000
    assert await ledger.inbox.late(ROOM, NOW + 600_000) == [one]


async def test_only_so_much_is_looked_at_again(ledger: Ledger) -> None:
    await ledger.rooms.wait_in(WAITS)
    many = [incoming(f"${number}") for number in range(MOST_KEPT + 1)]
    await ledger.inbox.take_in("token", many, NOW)
    for event in many:
        await ledger.inbox.settle(event.event, [], NOW)
    await make(ledger)

    assert await unrouted(ledger) == [event.event for event in many[1:]]


async def test_a_room_that_is_adopted_is_looked_at_again(ledger: Ledger) -> None:
    await ledger.rooms.wait_in(WAITS)
    await hear(ledger, "$one")
    await ledger.rooms.adopt(ROOM, NOW + 1)

    assert await unrouted(ledger) == ["$one"]
    assert await ledger.inbox.bell.wait(5)
    assert (await ledger.rooms.made()).waiting == ()


async def test_what_is_forgotten_is_erased(ledger: Ledger) -> None:
    await hear(ledger, "$before")
    await ledger.rooms.wait_in(replace(WAITS, since=NOW + 1))
    await hear(ledger, "$one", at=NOW + 1)
    await ledger.rooms.forget(ROOM)
    await ledger.rooms.wait_in(replace(WAITS, since=NOW + 2))
    await hear(ledger, "$two", at=NOW + 2)
    await settle(ledger, ForgetRoom(ROOM))

    found = [await ledger.inbox.get(EventId(event)) for event in ("$before", "$one", "$two")]
    assert [each.body for each in found if each is not None] == ["hello", "", ""]
    assert (await ledger.rooms.made()).waiting == ()
