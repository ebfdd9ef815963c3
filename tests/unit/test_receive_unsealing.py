"""What came before its key is tried again when there are keys, and told when it stays shut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from aiagentchat.core.audit import AuditFilter, AuditKind
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.seals import FOREIGN_KEY, Forged, Opened, Untold
from aiagentchat.receive import unsealing
from aiagentchat.receive.intake import Rules
from aiagentchat.receive.unsealing import KEEP_MS, PAGE, REST, TELL_AFTER_MS, Unsealing, due, too_old
from aiagentchat.store.ledger import Ledger
from tests.fakes.bell import WatchedBell
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.log import FakeLog
from tests.fakes.opener import FakeOpener

ROOM = RoomId("!kitchen:hs")
OTHER = RoomId("!garden:hs")
ANNA = UserId("@anna:hs")
BERT = UserId("@bert:hs")
ME = UserId("@claude:hs")
DAY = 86_400


def sealed(event: str, session: str = "s1", sender: UserId = ANNA, sent_at: int = START_MS) -> Incoming:
    return Incoming(
        event=EventId(event), room=ROOM, sender=sender, sent_at=sent_at, kind=Kind.SEALED, body=session, raw="{}"
    )


def said(event: str, body: str = "hello", sent_at: int = START_MS) -> Incoming:
    return replace(sealed(event, sent_at=sent_at), kind=Kind.TEXT, body=body, raw=None, encrypted=True)


class Door:
    """Anna's words mean something, and Bert's do not, as soon as that is known."""

    is_known = True
    heard_since: float | None = 0
    """When the homeserver was heard first."""

    async def is_heard(self, _: RoomId, sender: UserId) -> bool | None:
        return sender == ANNA if self.is_known else None


@dataclass
class Desk:
    """The service, with everything around it."""

    ledger: Ledger
    opener: FakeOpener
    clock: FakeClock
    bell: WatchedBell
    door: Door
    service: Unsealing
    log: FakeLog

    async def take_in(self, *events: Incoming) -> None:
        await self.ledger.inbox.take_in("t", events, self.clock.now_ms())

    async def new_keys(self, **opens: Opened | Forged) -> None:
        """Keys come, and all that follows is done."""
        self.opener.opens |= {EventId(f"${event}"): opening for event, opening in opens.items()}
        await self.look()

    async def look(self) -> None:
        """The service looks again, to the end."""
        before = len(self.bell.naps)
        self.opener.bell.ring()
        await self.bell._changes.until(lambda: len(self.bell.naps) > before)
        await self.bell.until_quiet()

    async def pass_by(self) -> None:
        """The service looks again although nothing rang, to the end."""
        before = len(self.bell.naps)
        self.bell.pass_nap()
        await self.bell._changes.until(lambda: len(self.bell.naps) > before)
        await self.bell.until_quiet()

    async def told(self) -> list[str]:
        """What the room was told, in order."""
        texts = []
        while (attempt := await self.ledger.outbox.claim(self.clock.now_ms(), device="D")) is not None:
            texts.append(str(attempt.parcel.content["body"]))
            await self.ledger.outbox.sent(attempt.parcel.txn, EventId(f"$sent{len(texts)}"), self.clock.now_ms())
        return texts

    async def routed(self) -> list[Incoming]:
        """What waits for routing."""
        return await self.ledger.inbox.unrouted(500)


@asynccontextmanager
async def at_work(folder: Path, log: FakeLog, *events: Incoming, keeps: bool = False) -> AsyncIterator[Desk]:
    clock, opener, door = FakeClock(), FakeOpener(), Door()
    bell = WatchedBell(opener.bell)
    async with fresh_ledger(folder / "ledger.db") as ledger, asyncio.TaskGroup() as group:
        service = Unsealing(
            seals=ledger.seals,
            opener=opener,
            clock=clock,
            max_age=lambda: DAY,
            is_heard=door.is_heard,
            heard_since=lambda: door.heard_since,
            rules=Rules(ME, lambda room: room == ROOM, lambda _, encrypted: keeps and encrypted),
        )
        desk = Desk(ledger, opener, clock, bell, door, service, log)
        await desk.take_in(*events)
        work = group.create_task(service.run())
        await bell.until_quiet()
        yield desk
        work.cancel()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    fake = FakeLog()
    monkeypatch.setattr(unsealing, "log", fake)
    return fake


async def test_what_came_in_an_earlier_life_is_tried_at_once(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log, sealed("$1")) as desk:
        assert desk.opener.tried == ["$1"]
        assert (await desk.service.health()).sealed == 1
        assert await desk.told() == []


async def test_a_notice_is_nothing_to_us_however_late_it_opens_unless_it_speaks_to_us(
    tmp_path: Path, log: FakeLog
) -> None:
    notice, to_us = (
        replace(said("$1", "built in 3 s"), kind=Kind.NOTICE),
        replace(said("$2", "/stop"), kind=Kind.NOTICE),
    )
    old = replace(notice, event=EventId("$3"), sent_at=START_MS - 2 * DAY * 1000)
    async with at_work(tmp_path, log, sealed("$1"), sealed("$2"), sealed("$3"), keeps=True) as desk:
        await desk.new_keys(**{"1": Opened(notice), "2": Opened(to_us), "3": Opened(old)})

        assert [event.event for event in await desk.routed()] == ["$2"]
        assert await desk.told() == []
        assert (await desk.service.health()).sealed == 0
        assert len((await desk.ledger.history.latest(ROOM, 10)).messages) == 3


async def test_it_is_routed_when_its_key_comes_and_not_twice(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log, sealed("$1"), sealed("$2")) as desk:
        await desk.new_keys(**{"1": Opened(said("$1"))})
        await desk.new_keys()

        assert await desk.routed() == [said("$1")]
        assert desk.opener.tried.count(EventId("$1")) == 2
        assert desk.opener.tried.count(EventId("$2")) == 3
        assert desk.opener.settlements == 1
        assert (await desk.service.health()).sealed == 1
    assert log.of("seal.opened") == [{"count": 1, "too_old": 0}]


async def test_more_than_a_page_is_tried_and_not_again_at_once_whoever_rings(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log) as desk:
        await desk.take_in(*(sealed(f"${number}") for number in range(PAGE + 1)))
        desk.opener.bell.ring()
        assert await desk.clock.until_asleep() == pytest.approx((PAGE + 1) * REST)
        assert len(desk.opener.tried) == PAGE + 1

        desk.opener.bell.ring()
        await desk.clock.pass_nap()
        await desk.clock.until_asleep()
        assert len(desk.opener.tried) == 2 * (PAGE + 1)


async def test_what_opens_late_knows_how_late_it_is(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log, sealed("$1")) as desk:
        desk.clock.advance(2 * 3600)
        await desk.new_keys(**{"1": Opened(said("$1"))})

        [event] = await desk.routed()
        assert event.late_ms == 2 * 3_600_000


async def test_what_is_too_old_by_then_is_told_and_not_run(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log, sealed("$1"), sealed("$2", sender=BERT)) as desk:
        desk.clock.advance(DAY + 1)
        late: dict[str, Opened | Forged] = {"1": Opened(said("$1")), "2": Opened(replace(said("$2"), sender=BERT))}
        await desk.new_keys(**late)

        told = await desk.told()
        assert await desk.routed() == []
        assert [text for text in told if "has come only now" in text] == told[:1]
        assert (await desk.service.health()).sealed == 0


async def test_what_is_nothing_to_us_is_dropped_and_what_is_forged_is_for_the_audit(
    tmp_path: Path, log: FakeLog
) -> None:
    old = sealed("$3", sent_at=START_MS - 2 * DAY * 1000)
    async with at_work(tmp_path, log, sealed("$1"), sealed("$2"), old) as desk:
        opens: dict[str, Opened | Forged] = {"1": Opened(None), "2": Forged("said before"), "3": Forged("said before")}
        await desk.new_keys(**opens)

        assert [(event.event, event.kind, event.body) for event in await desk.routed()] == [
            ("$2", Kind.FORGED, "said before")
        ]
        assert (await desk.service.health()).sealed == 0
    assert [line["event_id"] for line in log.of("event.forged")] == ["$2", "$3"]


async def test_the_room_is_told_after_a_minute_once_with_the_reason(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log, sealed("$1"), sealed("$2")) as desk:
        desk.opener.reasons["s1"] = "m.unverified"
        desk.clock.advance(59)
        await desk.look()
        assert await desk.told() == []

        desk.clock.advance(1)
        await desk.look()
        [text] = await desk.told()
        assert text.startswith(f"I cannot read 2 messages of `{ANNA}`: the app gives keys only to devices that it ")

        await desk.take_in(sealed("$3"))
        desk.clock.advance(120)
        await desk.look()
        assert await desk.told() == []
        await desk.take_in(sealed("$4", "s2"))
        desk.clock.advance(61)
        await desk.look()
        assert len(await desk.told()) == 1


async def test_the_reason_is_that_of_what_waits_longest(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log, sealed("$1", "s2"), sealed("$2")) as desk:
        desk.opener.reasons |= {"s1": "m.no_olm", "s2": "broken"}
        desk.clock.advance(61)
        await desk.look()

        [text] = await desk.told()
        assert "2 messages" in text
        assert "fits no key" in text
    assert [line["why"] for line in log.of("seal.shut")] == ["broken"]


async def test_of_who_may_not_use_the_room_it_is_not_told(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log, sealed("$1", sender=BERT)) as desk:
        desk.clock.advance(61)
        await desk.look()

        assert await desk.told() == []
    assert [line["told"] for line in log.of("seal.shut")] == [False]


async def test_what_was_taken_in_behind_its_key_is_not_told_but_opened(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log) as desk:
        desk.opener.opens[EventId("$1")] = Opened(said("$1"))  # its key came, and rang, while the gap was read
        await desk.take_in(sealed("$1"))
        desk.clock.advance(61)
        await desk.pass_by()

        assert await desk.routed() == [replace(said("$1"), late_ms=61_000)]
        assert await desk.told() == []
    assert log.of("seal.shut") == []


async def test_what_an_earlier_life_could_not_read_is_told_a_minute_after_the_first_sync_of_this_one(
    tmp_path: Path, log: FakeLog
) -> None:
    """The sync may bring its key, or tell whose device it was: the reason is then another one, and it is told once."""
    async with at_work(tmp_path, log, sealed("$1"), sealed("$2", "s2")) as desk:
        desk.door.heard_since = None
        desk.clock.advance(3600)
        await desk.look()
        assert (await desk.told(), log.of("seal.shut")) == ([], [])

        desk.door.heard_since = desk.clock.monotonic()
        desk.clock.advance(59)
        await desk.new_keys(**{"1": Opened(said("$1"))})
        assert await desk.told() == []

        desk.clock.advance(1)
        await desk.pass_by()
        [text] = await desk.told()
        assert "1 message" in text


async def test_what_is_said_with_the_key_of_others_is_told_to_the_audit(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log, sealed("$1"), sealed("$2", "s2"), sealed("$3", "s3", sender=BERT)) as desk:
        desk.opener.reasons = {"s2": FOREIGN_KEY}
        desk.clock.advance(61)
        await desk.look()

        [line] = await desk.ledger.audit.lines(AuditFilter(), limit=9)
        assert (line.deed.kind, line.deed.actor, line.deed.subject) == (AuditKind.REFUSED, ANNA, "s2")
        assert line.deed.detail == {"what": "foreign key"}


async def test_while_nobody_knows_who_may_use_the_room_it_is_told_nothing_and_then_it_is(
    tmp_path: Path, log: FakeLog
) -> None:
    async with at_work(tmp_path, log, sealed("$1")) as desk:
        desk.door.is_known = False
        desk.clock.advance(61)
        await desk.look()
        assert (await desk.told(), log.of("seal.shut")) == ([], [])

        desk.door.is_known = True
        await desk.look()
        assert len(await desk.told()) == 1


async def test_while_nobody_knows_who_may_use_the_room_what_opens_too_late_stays(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log, sealed("$1")) as desk:
        desk.door.is_known = False
        desk.clock.advance(DAY + 1)
        await desk.new_keys(**{"1": Opened(said("$1"))})
        assert (await desk.told(), (await desk.service.health()).sealed) == ([], 1)

        desk.door.is_known = True
        await desk.pass_by()
        [text] = await desk.told()
        assert "has come only now" in text
        assert (await desk.service.health()).sealed == 0


async def test_a_full_disk_lets_it_wait_and_no_new_key_is_needed_when_there_is_room(
    tmp_path: Path, log: FakeLog
) -> None:
    async with at_work(tmp_path, log, sealed("$1")) as desk:
        desk.opener.is_full = True
        await desk.new_keys(**{"1": Opened(said("$1"))})
        assert await desk.routed() == []
        assert [line["wait_s"] for line in log.of("seal.not_kept")] == [15]

        desk.opener.is_full = False
        await desk.pass_by()
        assert await desk.routed() == [said("$1")]


async def test_what_waits_for_a_month_is_given_up(tmp_path: Path, log: FakeLog) -> None:
    async with at_work(tmp_path, log, sealed("$1")) as desk:
        desk.clock.advance(KEEP_MS / 1000 + 1)
        await desk.look()

        assert (await desk.service.health()).sealed == 0
    assert log.of("seal.given_up") == [{"count": 1}]


def untold(**more: object) -> Untold:
    found = Untold(room=ROOM, sender=ANNA, session="s1", count=1, since=0)
    return replace(found, **more)  # type: ignore[arg-type]


def test_all_that_a_sender_holds_back_is_one_message() -> None:
    sessions = [untold(count=2), untold(session="s2", since=TELL_AFTER_MS), untold(sender=BERT), untold(room=OTHER)]

    tellings = due(sessions, TELL_AFTER_MS)

    found = [(each.room, each.sender, each.count) for each in tellings]
    assert found == [(ROOM, ANNA, 3), (ROOM, BERT, 1), (OTHER, ANNA, 1)]
    assert due(sessions, TELL_AFTER_MS - 1) == []


def test_an_age_that_nobody_knows_is_not_too_much() -> None:
    assert not too_old(said("$1", sent_at=0), START_MS, DAY)
    assert not too_old(said("$1"), START_MS + DAY * 1000, DAY)
    assert too_old(said("$1"), START_MS + DAY * 1000 + 1, DAY)


@pytest.mark.parametrize("keeps", [True, False])
async def test_what_opens_is_kept_to_be_found_where_the_room_does_so(tmp_path: Path, log: FakeLog, keeps: bool) -> None:
    both = sealed("$1"), sealed("$2", sent_at=START_MS - 2 * DAY * 1000)
    async with at_work(tmp_path, log, *both, keeps=keeps) as desk:
        await desk.new_keys(**{"1": Opened(said("$1", "green tea"))})
        await desk.new_keys(**{"2": Opened(said("$2", "old tea", START_MS - 2 * DAY * 1000))})

        found = (await desk.ledger.history.latest(ROOM, 10)).messages
        assert [each.body for each in found] == (["green tea", "old tea"] if keeps else [])
