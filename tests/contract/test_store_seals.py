"""What came encrypted waits in the inbox for its key, and what is encrypted is remembered for ever."""

from dataclasses import replace
from pathlib import Path

from aiagentchat.core.audit import AuditFilter, AuditKind, Deed
from aiagentchat.core.effects import EraseText
from aiagentchat.core.ids import EventId, MessageId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Meta
from aiagentchat.core.seals import Untold
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    BERT,
    DEVICE,
    NOW,
    OTHER_ROOM,
    ROOM,
    OpenLedger,
    incoming,
    parcel,
    settle,
)


def sealed(event: str, session: str = "s1", **more: object) -> Incoming:
    made = replace(incoming(event, session), kind=Kind.SEALED, raw="{}")
    return replace(made, **more)  # type: ignore[arg-type]


def opened(event: str) -> Incoming:
    said = replace(incoming(event, "said"), late_ms=5, encrypted=True)
    return replace(said, meta=Meta(id=MessageId("m1")), by_agent=True)


async def take_in(ledger: Ledger, *events: Incoming, now: int = NOW) -> None:
    await ledger.inbox.take_in("t", events, now)


async def waiting(ledger: Ledger) -> list[EventId]:
    return [each.event.event for each in await ledger.seals.waiting(0, 10)]


async def test_what_is_sealed_is_kept_and_no_work_for_routing(ledger: Ledger) -> None:
    await take_in(ledger, sealed("$1"), incoming("$2"))

    assert [event.event for event in await ledger.inbox.unrouted(10)] == ["$2"]
    [found] = await ledger.seals.waiting(0, 10)
    assert found.event == sealed("$1")
    assert await ledger.seals.count() == 1


async def test_it_comes_a_page_at_a_time(ledger: Ledger) -> None:
    await take_in(ledger, sealed("$1"), sealed("$2"), sealed("$3"))

    first = await ledger.seals.waiting(0, 2)
    second = await ledger.seals.waiting(first[-1].position, 2)
    assert [each.event.event for each in [*first, *second]] == ["$1", "$2", "$3"]


async def test_when_it_opens_it_is_routed_as_what_it_is_once_and_at_its_place(ledger: Ledger) -> None:
    await take_in(ledger, sealed("$1"), incoming("$2"))

    assert await ledger.seals.opened([opened("$1")], NOW + 9) == 1
    assert [event for event in await ledger.inbox.unrouted(10) if event.event == "$1"] == [opened("$1")]
    assert await ledger.inbox.taken_at(EventId("$1")) == NOW + 9
    assert await ledger.seals.opened([opened("$1")], NOW + 10) == 0
    assert await ledger.inbox.settle(EventId("$1"), [], NOW)
    assert await ledger.seals.opened([opened("$1")], NOW + 11) == 0
    assert await ledger.seals.count() == 0


async def test_what_was_opened_is_not_sealed_again_by_a_replayed_sync(ledger: Ledger) -> None:
    await take_in(ledger, sealed("$1"))
    await ledger.seals.opened([opened("$1")], NOW)
    await take_in(ledger, sealed("$1"))

    assert await waiting(ledger) == []
    assert await ledger.inbox.unrouted(10) == [opened("$1")]


async def test_what_was_taken_back_is_never_opened(ledger: Ledger) -> None:
    await take_in(ledger, sealed("$1"))
    await settle(ledger, EraseText(EventId("$1"), ROOM))

    assert await waiting(ledger) == []
    assert await ledger.seals.count() == 0
    assert await ledger.seals.opened([opened("$1")], NOW) == 0


async def test_what_is_of_no_use_is_settled_and_told_once(ledger: Ledger) -> None:
    await take_in(ledger, sealed("$1"))
    await ledger.seals.settle([EventId("$1")], [parcel("p1")], NOW)
    await ledger.seals.settle([EventId("$1")], [parcel("p2")], NOW)

    assert await waiting(ledger) == []
    assert await ledger.outbox.unsent() == 1


async def test_a_room_is_told_once_of_each_session_of_a_sender(ledger: Ledger) -> None:
    await take_in(ledger, sealed("$1"), sealed("$2"))
    await take_in(ledger, sealed("$3", "s2"), sealed("$4", sender=BERT), sealed("$5", room=OTHER_ROOM), now=NOW + 5)

    first, *others = await ledger.seals.untold()
    assert first == Untold(room=ROOM, sender=ANNA, session="s1", count=2, since=NOW)
    assert {(each.room, each.sender, each.session) for each in others} == {
        (ROOM, ANNA, "s2"),
        (ROOM, BERT, "s1"),
        (OTHER_ROOM, ANNA, "s1"),
    }
    await ledger.seals.tell([first], [parcel("p1")], NOW)
    await take_in(ledger, sealed("$6"))
    assert await ledger.seals.untold() == others
    await ledger.seals.tell([first], [parcel("p2")], NOW)
    assert await ledger.outbox.unsent() == 1


async def test_what_the_audit_is_told_with_a_room_is_told_once(ledger: Ledger) -> None:
    await take_in(ledger, sealed("$1"))
    [untold] = await ledger.seals.untold()
    deed = Deed(kind=AuditKind.REFUSED, room=ROOM, actor=ANNA, subject="s1", detail={"what": "foreign key"})
    for _ in range(2):
        await ledger.seals.tell([untold], [], NOW, [deed])

    assert [line.deed for line in await ledger.audit.lines(AuditFilter(), limit=9)] == [deed]


async def test_what_waits_too_long_or_is_too_much_is_given_up(ledger: Ledger) -> None:
    await take_in(ledger, sealed("$old"), now=NOW - 100)
    await take_in(ledger, *(sealed(f"${number}") for number in range(4)))
    await take_in(ledger, sealed("$gone"))
    await settle(ledger, EraseText(EventId("$gone"), ROOM))

    assert await ledger.seals.give_up(NOW - 50, 4, NOW) == 3
    assert await waiting(ledger) == ["$1", "$2", "$3"]


async def test_that_a_room_is_encrypted_is_remembered(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as ledger:
        await ledger.rooms.slug(ROOM, "kitchen")
        await ledger.keyring.mark_encrypted(ROOM, NOW)
        await ledger.keyring.mark_encrypted(ROOM, NOW + 1)
    async with backend(tmp_path / "ledger.db") as ledger:
        assert await ledger.keyring.encrypted_rooms() == {ROOM}
        assert await ledger.rooms.slug(ROOM, "other") == "kitchen"


async def test_a_device_is_known_by_its_first_key_for_ever(ledger: Ledger) -> None:
    assert await ledger.keyring.device_key(ANNA, DEVICE) is None
    await ledger.keyring.keep_device_key(ANNA, DEVICE, "one")
    await ledger.keyring.keep_device_key(ANNA, DEVICE, "two")

    assert await ledger.keyring.device_key(ANNA, DEVICE) == "one"
    assert await ledger.keyring.device_key(ANNA, "other") is None
