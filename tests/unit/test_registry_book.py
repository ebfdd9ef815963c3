"""The directory in memory: who is there by what the syncs tell, and who speaks through this daemon."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.ids import InstanceName, UserId
from aiagentchat.core.instances import (
    MOST_INSTANCES,
    MOST_SESSIONS,
    Heard,
    Instance,
    InstanceKind,
    Told,
    read_told,
    state_key,
    written,
)
from aiagentchat.core.meta import Address
from aiagentchat.registry import book as module
from aiagentchat.registry.book import DEAF_SECONDS, Book
from tests.fakes.bell import ClockBell
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.log import FakeLog

ME, ANNA, EVE = UserId("@claude:hs"), UserId("@anna:hs"), UserId("@eve:hs")
OWN = Instance(user=ME, name=InstanceName("here"), kind=InstanceKind.DAEMON, host="h", life="l1")
SERVER = 1_900_000_000_000
"""The homeserver's clock, which is not ours."""


def entry(name: str = "workshop", user: UserId = ANNA, **more: object) -> Instance:
    made = Instance(
        user=user, name=InstanceName(name), kind=InstanceKind.DAEMON, host="", seen_at=SERVER, life=f"life-of-{name}"
    )
    return replace(made, **more)  # type: ignore[arg-type]


def tell(*entries: Instance) -> Heard:
    told = [read_told(state_key(each.user, each.name), each.user, written(each), each.seen_at) for each in entries]
    return Heard(told=tuple(told))


def named(pairs: Iterable[tuple[Instance, bool]]) -> dict[str, bool]:
    return {str(entry.address): is_there for entry, is_there in pairs}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def book(clock: FakeClock) -> Book:
    return Book(lambda: OWN, clock, ClockBell(clock))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    fake = FakeLog()
    monkeypatch.setattr(module, "log", fake)
    return fake


def test_we_are_there_whoever_else_is(book: Book, clock: FakeClock) -> None:
    clock.advance(10_000)

    assert named(book.entries()) == {"@claude:hs/here": True}
    assert book.own == OWN.address
    assert book.now() == START_MS + 10_000_000


def test_who_is_silent_for_longer_than_the_ttl_is_not_there(book: Book, clock: FakeClock) -> None:
    book.take(tell(entry(), entry("quiet", timed=False)), SERVER)
    first = named(book.entries())
    clock.advance(120)
    still = named(book.entries())
    clock.advance(1)

    assert first == still == {"@anna:hs/quiet": True, "@anna:hs/workshop": True, "@claude:hs/here": True}
    assert named(book.entries()) == {**first, "@anna:hs/workshop": False}


def test_those_that_are_there_come_first(book: Book) -> None:
    book.take(tell(entry("b"), entry("a", seen_at=0), entry("c")), SERVER)

    assert [each.name for each, _ in book.entries()] == ["b", "c", "here", "a"]


def test_only_the_homeservers_clock_counts(book: Book, clock: FakeClock) -> None:
    book.take(tell(entry()), SERVER)
    clock.turn(-1e6)
    clock.advance(60)
    book.take(Heard(), None)
    clock.advance(30)
    before = named(book.entries())
    book.take(Heard(), SERVER + 500_000)

    assert before["@anna:hs/workshop"]
    assert not named(book.entries())["@anna:hs/workshop"]


def test_a_date_in_the_future_counts_as_the_moment_in_which_it_was_heard(book: Book, clock: FakeClock) -> None:
    book.take(tell(entry(seen_at=SERVER + 10**12)), SERVER)
    clock.advance(121)

    assert not named(book.entries())["@anna:hs/workshop"]


def test_without_news_for_long_nobody_else_is_known_to_be_there(book: Book, clock: FakeClock) -> None:
    book.take(tell(entry(timed=False)), SERVER)
    clock.advance(DEAF_SECONDS)
    before = named(book.entries())
    clock.advance(1)
    after = named(book.entries())
    book.take(Heard(), SERVER)

    assert before == named(book.entries()) == {"@anna:hs/workshop": True, "@claude:hs/here": True}
    assert after == {"@anna:hs/workshop": False, "@claude:hs/here": True}


def test_what_comes_later_stands_and_what_is_taken_back_is_gone(book: Book) -> None:
    book.take(tell(entry(), entry(status="offline"), entry("other")), SERVER)
    first = named(book.entries())
    book.take(Heard(told=(read_told(state_key(ANNA, InstanceName("other")), ANNA, {}, SERVER),)), SERVER)

    assert first == {"@anna:hs/other": True, "@anna:hs/workshop": False, "@claude:hs/here": True}
    assert named(book.entries()) == {"@anna:hs/workshop": False, "@claude:hs/here": True}


def test_a_forged_entry_changes_nothing_and_is_logged_once_for_each_sender(book: Book, log: FakeLog) -> None:
    book.take(tell(entry()), SERVER)
    forged = read_told(state_key(ANNA, InstanceName("workshop")), EVE, written(entry(status="offline")), SERVER)
    odd = Told(key="x", by=EVE, why="no_key_of_an_instance")
    book.take(Heard(told=(forged, forged, odd)), SERVER)

    assert named(book.entries())["@anna:hs/workshop"]
    assert log.of("registry.entry_ignored") == [
        {"sender": EVE, "why": "not_its_sender", "count": 2},
        {"sender": EVE, "why": "no_key_of_an_instance", "count": 1},
    ]


def test_an_entry_of_ones_own_that_makes_no_sense_takes_the_place_of_the_one_before(book: Book, log: FakeLog) -> None:
    book.take(tell(entry()), SERVER)
    book.take(Heard(told=(read_told(state_key(ANNA, InstanceName("workshop")), ANNA, {"version": 1}, 0),)), SERVER)

    assert named(book.entries()) == {"@claude:hs/here": True}
    assert log.of("registry.entry_ignored") == [{"sender": ANNA, "why": "kind", "count": 1}]


def test_who_has_left_the_room_is_not_there(book: Book) -> None:
    book.take(tell(entry(timed=False), entry("eves", EVE, timed=False)), SERVER)
    book.take(Heard(moved={EVE: False}), SERVER)
    unknown = named(book.entries())
    book.only({ME, ANNA})
    asked = named(book.entries())
    book.take(Heard(moved={EVE: True, ANNA: False}), SERVER)

    assert unknown["@eve:hs/eves"]
    assert (asked["@anna:hs/workshop"], asked["@eve:hs/eves"]) == (True, False)
    assert named(book.entries()) == {"@claude:hs/here": True, "@eve:hs/eves": True, "@anna:hs/workshop": False}


def test_outside_of_the_room_nobody_is_known(book: Book) -> None:
    book.take(tell(entry()), SERVER)
    book.only({ME})
    book.take(Heard(is_out=True), SERVER)
    outside = named(book.entries())
    book.take(tell(entry()), SERVER)

    assert outside == {"@claude:hs/here": True}
    assert named(book.entries())["@anna:hs/workshop"]


def test_of_too_many_those_that_have_been_away_for_the_longest_time_are_forgotten(book: Book, log: FakeLog) -> None:
    away = [entry(f"away{number}", seen_at=number) for number in range(MOST_INSTANCES)]
    book.take(tell(*away), SERVER)
    book.take(tell(entry("a1", EVE), replace(away[1], seen_at=SERVER), entry("a2", EVE)), SERVER)
    names = named(book.entries())
    there = [entry(f"b{number}", EVE) for number in range(MOST_INSTANCES)]
    book.take(tell(*there), SERVER)

    assert len(names) == MOST_INSTANCES + 1
    assert {"@eve:hs/a1", "@eve:hs/a2", "@anna:hs/away1"} <= set(names)
    assert not {"@anna:hs/away0", "@anna:hs/away2"} & set(names)
    assert len(book.entries()) == MOST_INSTANCES + 1
    assert log.of("registry.entry_ignored") == [{"sender": EVE, "why": "too_many", "count": 3}]


# ── who has an address ────────────────────────────────────────────────────────────────────────────────────────────


def test_an_address_is_found_with_whoever_has_it(book: Book) -> None:
    session = entry("term", kind=InstanceKind.SESSION, seen_at=SERVER - 5)
    book.take(tell(session, entry(), entry("old", seen_at=SERVER - 60_000), entry("gone", status="offline")), SERVER)

    def found(user: UserId, instance: str | None = None) -> tuple[str, bool] | None:
        pair = book.find(Address(user, None if instance is None else InstanceName(instance)))
        return None if pair is None else (pair[0].name, pair[1])

    assert found(ANNA, "gone") == ("gone", False)
    assert found(ANNA) == ("workshop", True)
    assert found(ME) == ("here", True)
    assert found(EVE) is None
    assert found(ANNA, "nobody") is None


# ── sessions that speak through us ────────────────────────────────────────────────────────────────────────────────


def test_a_session_is_there_from_the_moment_on_in_which_it_registers(book: Book) -> None:
    made = book.register_session(InstanceName("term"), rooms=["!r"], skills=["jokes"])
    with_it = named(book.entries())
    book.remove_session(InstanceName("term"))
    book.remove_session(InstanceName("term"))

    assert (made.user, made.kind, made.via, made.life) == (ME, InstanceKind.SESSION, "here", "l1")
    assert (made.rooms, made.skills) == (("!r",), ("jokes",))
    assert with_it == {"@claude:hs/here": True, "@claude:hs/term": True}
    assert named(book.entries()) == {"@claude:hs/here": True}


async def test_a_bell_rings_when_a_session_comes_or_goes(clock: FakeClock) -> None:
    book = Book(lambda: OWN, clock, bell := ClockBell(clock))
    book.register_session(InstanceName("term"))
    came = await bell.wait(0)
    book.remove_session(InstanceName("term"))

    assert (came, await bell.wait(0)) == (True, True)


@pytest.mark.parametrize(
    ("name", "code"), [("here", "conflict"), ("term", "conflict"), ("No Name", "invalid"), ("", "invalid")]
)
def test_a_name_that_cannot_be_had_is_refused(book: Book, name: str, code: str) -> None:
    book.register_session(InstanceName("term"))

    with pytest.raises(ExchangeRefused) as refused:
        book.register_session(InstanceName(name))
    assert refused.value.code == code


def test_so_many_sessions_speak_through_one_daemon_and_no_more(book: Book) -> None:
    for number in range(MOST_SESSIONS):
        book.register_session(InstanceName(f"s{number}"))

    with pytest.raises(ExchangeRefused) as refused:
        book.register_session(InstanceName("one-more"))
    assert refused.value.code == "full"


def test_what_the_room_says_of_us_is_not_believed_before_ourselves(book: Book) -> None:
    book.take(tell(replace(OWN, status="offline", seen_at=1)), SERVER)

    assert [(each.status, is_there) for each, is_there in book.entries()] == [("online", True)]


def test_sessions_of_an_earlier_life_are_known_to_be_left_behind(book: Book) -> None:
    old = replace(OWN, name=InstanceName("old"), kind=InstanceKind.SESSION, via=OWN.name, life="l0")
    new = book.register_session(InstanceName("new"))
    book.take(tell(replace(OWN, life="l0"), old, new, entry("term", via=InstanceName("here"))), SERVER)

    assert [each.name for each in book.left_behind()] == ["old"]
    assert [each.name for each in book.sessions()] == ["new"]
    assert named(book.entries())["@claude:hs/old"] is False


# ── what it costs ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_hundred_instances_are_each_looked_at_a_bounded_number_of_times(clock: FakeClock) -> None:
    class CountingClock(FakeClock):
        asked = 0

        def monotonic(self) -> float:
            CountingClock.asked += 1
            return super().monotonic()

    book = Book(lambda: OWN, CountingClock(), ClockBell(clock))
    book.take(tell(*(entry(f"i{number}") for number in range(100))), SERVER)
    CountingClock.asked = 0

    assert len(book.entries()) == 101
    assert CountingClock.asked <= 4  # not once for each of them
