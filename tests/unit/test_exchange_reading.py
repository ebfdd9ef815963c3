"""Rooms are read from memory, then from the ledger, then from the homeserver, and never with what was deleted."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.errors import ExchangeRefused, Unreachable
from aiagentchat.core.exchange import Page, Wanted
from aiagentchat.core.heard import heard
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.ports.history import History
from aiagentchat.core.ports.matrix import Before
from aiagentchat.core.redact import Redactor
from aiagentchat.exchange import reading
from aiagentchat.exchange.reading import MOST, RECENT, Reader
from aiagentchat.store.ledger import Ledger
from tests.fakes.homeserver import FakeHomeserver
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.people import ME, OTHER, ROOM, event, typed

NOW = 1_700_000_000_000


class Watched:
    """The History port, which counts what is asked of the ledger."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.asked = 0

    async def latest(self, room: RoomId, limit: int, before: int | None = None) -> Page:
        """As the port."""
        self.asked += 1
        return await self._history.latest(room, limit, before)

    def __getattr__(self, name: str) -> object:
        """The rest of the port."""
        return getattr(self._history, name)


class Desk:
    """A reader, a ledger that began to listen at some time, and a homeserver that knows everything."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.homeserver = FakeHomeserver(ME)
        self.history = Watched(ledger.history)
        self.sealed = False
        self.redactor = Redactor()
        self.reader = Reader(
            self.history,  # type: ignore[arg-type]
            self.homeserver,
            keeps=lambda _, encrypted: self.sealed if encrypted else True,
            now_ms=lambda: NOW,
            redacting=lambda: self.redactor,
        )
        for room in (ROOM, OTHER):
            self.homeserver.enter(room)

    async def say(self, *events: Incoming, kept: bool = True) -> None:
        """Somebody says this; is it kept?"""
        self.homeserver.happen(*events)
        if kept:
            await self.ledger.inbox.take_in("t", [], NOW, heard(events, lambda *_: True))

    async def read(self, limit: int = 10, before: int | None = None, room: RoomId = ROOM) -> list[str]:
        """What is shown."""
        return texts(await self.reader.read(room, limit, before))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        yield Desk(ledger)


def texts(page: Page) -> list[str]:
    return [said.body for said in page.messages]


def many(count: int, room: RoomId = ROOM, begin: int = 0) -> list[Incoming]:
    return [typed(str(number), room=room) for number in range(begin, begin + count)]


async def test_the_last_messages_are_read_once_from_the_ledger(desk: Desk) -> None:
    await desk.say(*many(10))

    assert await desk.read(3) == ["7", "8", "9"]
    page = await desk.reader.read(ROOM, 4)
    assert texts(page) == ["6", "7", "8", "9"]
    assert await desk.read(4, page.before) == ["2", "3", "4", "5"]
    assert desk.history.asked == 1


async def test_what_has_changed_is_seen_at_once(desk: Desk) -> None:
    first, second = many(2)
    await desk.say(first, second)
    assert await desk.read() == ["0", "1"]

    await desk.say(typed("2"))
    assert await desk.read() == ["0", "1", "2"]
    await desk.say(event(Kind.EDIT, "one", target=second.event))
    assert await desk.read() == ["0", "one", "2"]
    await desk.say(event(Kind.REDACTION, target=first.event))
    assert await desk.read() == ["one", "2"]


async def test_what_a_program_wrote_is_read_as_it_wrote_it_and_what_people_typed_to_the_letter(desk: Desk) -> None:
    rings_nobody = "ask @\u2060bob:example.org"
    await desk.say(typed(rings_nobody, by_agent=True), typed(rings_nobody))

    assert await desk.read() == ["ask @bob:example.org", rings_nobody]


async def test_other_rooms_do_not_make_it_read_again(desk: Desk) -> None:
    await desk.say(*many(2))
    await desk.read()
    await desk.say(*many(2, OTHER))

    assert await desk.read() == ["0", "1"]
    assert desk.history.asked == 1


async def test_older_messages_are_in_the_ledger_and_then_at_the_homeserver(desk: Desk) -> None:
    await desk.say(*many(5), kept=False)
    await desk.say(*many(RECENT + 5, begin=5))
    pages, before = list[list[str]](), None
    while not pages or before is not None:
        page = await desk.reader.read(ROOM, 100, before)
        pages.append(texts(page))
        before = page.before

    shown = [text for page in reversed(pages) for text in page]
    assert shown == [str(number) for number in range(RECENT + 10)]
    assert [len(page) for page in pages] == [100, 100, 5, 5]
    assert [where for _, where, _ in desk.homeserver.asked_older] == [Before(EventId(oldest_kept(desk)))]


def oldest_kept(desk: Desk) -> str:
    """The event of the first message that was kept."""
    [told] = [entry.event.event for entry in desk.homeserver._log if entry.event.body == "5"]
    return told


async def test_what_the_homeserver_tells_has_pages_of_its_own(desk: Desk) -> None:
    await desk.say(*many(5), kept=False)
    first = await desk.reader.read(ROOM, 2)
    second = await desk.reader.read(ROOM, 2, first.before)
    third = await desk.reader.read(ROOM, 2, second.before)

    assert [texts(page) for page in (first, second, third)] == [["3", "4"], ["1", "2"], ["0"]]
    assert {said.position for page in (first, second, third) for said in page.messages} == {0}
    assert third.before is None


async def test_a_room_of_which_the_ledger_has_nothing_is_told_by_the_homeserver(desk: Desk) -> None:
    said = typed("first")
    await desk.say(said, event(Kind.EDIT, "edited", target=said.event), typed("second"), kept=False)

    assert await desk.read() == ["edited", "second"]


@pytest.mark.parametrize("sealed", [True, False])
async def test_what_is_encrypted_is_only_opened_where_the_room_keeps_it(desk: Desk, sealed: bool) -> None:
    desk.sealed = sealed
    await desk.read()

    assert [wanted for _, _, wanted in desk.homeserver.asked_older] == [sealed]


async def test_a_page_has_a_limit(desk: Desk) -> None:
    await desk.say(*many(MOST + 5))

    assert len(await desk.read(1_000_000)) == MOST
    assert await desk.read(0) == [str(MOST + 4)]


async def test_the_same_place_has_the_same_number(desk: Desk) -> None:
    await desk.say(*many(3))

    first, second = [(await desk.reader.read(ROOM, 10)).before for _ in range(2)]
    assert first == second
    assert first is not None
    assert first < 0


@pytest.mark.parametrize("cursor", [-1, None], ids=["made up", "of another room"])
async def test_a_place_that_is_not_known_is_refused(desk: Desk, cursor: int | None) -> None:
    await desk.say(*many(3, OTHER))
    before = cursor or (await desk.reader.read(OTHER, 10)).before

    with pytest.raises(ExchangeRefused, match="read on from the newest") as refused:
        await desk.reader.read(ROOM, 10, before)
    assert refused.value.code == "invalid"


async def test_places_are_forgotten_in_the_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_CURSORS", 1)
    await desk.say(*many(1), *many(1, OTHER))
    first = (await desk.reader.read(ROOM, 10)).before
    await desk.reader.read(OTHER, 10)

    with pytest.raises(ExchangeRefused):
        await desk.reader.read(ROOM, 10, first)


async def test_a_homeserver_that_does_not_answer_is_said(desk: Desk) -> None:
    desk.homeserver.fail_gaps(ROOM, Unreachable("secret detail"))

    with pytest.raises(ExchangeRefused, match="try again later") as refused:
        await desk.reader.read(ROOM, 10)
    assert refused.value.code == "unavailable"
    assert "detail" not in str(refused.value)


async def test_a_page_whose_messages_were_forgotten_meanwhile_is_empty(desk: Desk) -> None:
    await desk.say(*many(3))
    page = await desk.reader.read(ROOM, 1)
    await desk.ledger.housekeeping.erase(NOW + 1)

    assert await desk.reader.read(ROOM, 1, page.before) == Page(messages=())


@pytest.mark.parametrize(("name", "value"), [("MOST_ROOMS", 1), ("MOST_BYTES", 700)])
async def test_the_memory_has_a_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    monkeypatch.setattr(reading, name, value)
    await desk.say(*many(1), *many(1, OTHER))
    for room in (ROOM, ROOM, OTHER, OTHER, ROOM):
        assert await desk.read(room=room) == ["0"]

    assert desk.history.asked == 3


async def test_a_room_that_is_larger_than_the_memory_is_read_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 1)
    await desk.say(*many(3))

    assert await desk.read() == ["0", "1", "2"]


async def test_a_search_asks_the_ledger(desk: Desk) -> None:
    await desk.say(typed("green tea"), kept=False)
    await desk.say(typed("black tea"), replace(typed("coffee"), room=ROOM))

    found = await desk.reader.search(Wanted(rooms=frozenset({ROOM}), words="tea"))
    assert texts(found) == ["black tea"]


async def test_secrets_are_shown_to_nobody_from_wherever_they_come(desk: Desk) -> None:
    await desk.say(typed("before: swordfish"), kept=False)
    await desk.say(typed("my word is swordfish"))
    assert await desk.read() == ["my word is swordfish"]
    desk.redactor = Redactor([("PASSWORD", "swordfish")])

    page = await desk.reader.read(ROOM, 10)
    found = await desk.reader.search(Wanted(rooms=frozenset({ROOM}), words="word"))
    assert texts(page) == texts(found) == ["my word is [redacted: PASSWORD]"]
    assert await desk.read(10, page.before) == ["before: [redacted: PASSWORD]"]
    assert [each.said.body for each in await desk.reader.after(0, {ROOM}, 10)] == texts(found)


async def test_who_follows_is_woken_and_goes_on_from_his_place(desk: Desk) -> None:
    await desk.say(typed("old"))
    bell, place = desk.reader.listen(), await desk.reader.newest()
    await desk.say(typed("new"), *many(1, OTHER))

    assert await bell.wait(0)
    assert [each.said.body for each in await desk.reader.after(place, {ROOM}, 10)] == ["new"]
