"""The heartbeat: what is said in the registry room, and what is not, in each of the two ways."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from aiagentchat.core.errors import LoginFailed, RateLimited, Refused, Unreachable
from aiagentchat.core.ids import InstanceName, UserId
from aiagentchat.core.instances import (
    TAKEN_BACK,
    Heard,
    Instance,
    InstanceKind,
    is_there,
    read_told,
    state_key,
    written,
)
from aiagentchat.registry import presence as module
from aiagentchat.registry.book import Book
from aiagentchat.registry.presence import AGAIN_SECONDS, Presence
from tests.fakes.bell import ClockBell
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeLog
from tests.fakes.registry_room import FakeRegistryRoom

ME, EVE = UserId("@claude:hs"), UserId("@eve:hs")
OWN = Instance(user=ME, name=InstanceName("here"), kind=InstanceKind.DAEMON, host="h", life="l1")
KEY = state_key(ME, OWN.name)
TERM = InstanceName("term")
TERM_KEY = state_key(ME, TERM)
QUIET = [True]
BOTH = [pytest.param(True, id="delayed"), pytest.param(False, id="timed")]


class Stage:
    """A daemon's presence in a room whose homeserver has the test's clock."""

    def __init__(self, *, delays: bool) -> None:
        self.clock = FakeClock()
        self.room = FakeRegistryRoom(ME, self.clock)
        self.room.offers_delays = delays
        self.own = OWN
        self.reborn()

    def reborn(self) -> None:
        """The next life begins with nothing."""
        self.bell = ClockBell(self.clock)
        self.book = Book(lambda: self.own, self.clock, self.bell)
        self.presence = Presence(
            self.room, self.book, lambda: self.own, clock=self.clock, bell=self.bell, random=lambda: 1.0
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Until the block ends: then it is stopped as a daemon stops it."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.presence.run())
            try:
                await self.bell.until_quiet()
                yield
            finally:
                task.cancel()

    @asynccontextmanager
    async def killed(self) -> AsyncIterator[None]:
        """Until the block ends: then it is as if there had been a kill -9."""
        room, self.presence._leave = self.room, _nothing  # type: ignore[method-assign]
        async with self.running():
            yield
        assert room is self.room

    async def hear(self) -> None:
        """A sync tells what has come."""
        self.presence.hear(self.room.news(), self.clock.now_ms())
        await self.bell.until_quiet()

    def status(self, key: str = KEY) -> str | None:
        """What the room says of an entry of ours."""
        self.room.settle()
        by, content, at = self.room.state[key]
        entry = read_told(key, by, content, at).entry
        return None if entry is None else entry.status

    def is_there(self) -> bool:
        """Whether others see us."""
        self.room.settle()
        entry = read_told(KEY, *self.room.state[KEY]).entry
        return entry is not None and is_there(entry, None, self.clock.now_ms())


async def _nothing() -> None:
    pass


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    fake = FakeLog()
    monkeypatch.setattr(module, "log", fake)
    return fake


# ── both ways ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("delays", BOTH)
async def test_a_daemon_says_that_it_is_there_and_at_its_end_that_it_is_not(delays: bool, log: FakeLog) -> None:
    stage = Stage(delays=delays)
    async with stage.running():
        there = stage.is_there()
        timed = stage.room.state[KEY][1].get("timed", True)

    assert (there, timed) == (True, not delays)
    assert (stage.is_there(), stage.status()) == (False, "offline")
    assert log.lines == [("registry.registered", {"instance": "here", "delayed": delays}), ("registry.left", {})]


@pytest.mark.parametrize("delays", BOTH)
async def test_after_kill_9_it_is_not_there_within_the_ttl(delays: bool) -> None:
    stage = Stage(delays=delays)
    async with stage.killed():
        await stage.bell.let_pass(3600)
    before = stage.is_there()
    stage.clock.advance(60)
    in_between = stage.is_there()
    stage.clock.advance(61)

    assert (before, in_between, stage.is_there()) == (True, True, False)


@pytest.mark.parametrize("delays", BOTH)
async def test_the_next_life_is_there_at_once_and_stays(delays: bool) -> None:
    stage = Stage(delays=delays)
    async with stage.killed():
        pass
    stage.own = replace(OWN, life="l2")
    stage.reborn()
    async with stage.running():
        at_once = stage.is_there()
        await stage.bell.let_pass(300)

        assert (at_once, stage.is_there()) == (True, True)
        assert len(stage.room.delayed) == (1 if delays else 0)


@pytest.mark.parametrize("delays", BOTH)
async def test_one_that_was_not_let_in_comes_when_it_is_invited(delays: bool, log: FakeLog) -> None:
    stage = Stage(delays=delays)
    stage.room.is_open = False
    async with stage.running():
        await stage.bell.let_pass(600)
        refused = log.of("registry.refused")
        stage.room.is_open = True
        stage.presence.hear(Heard(moved={ME: True}), None)
        await stage.bell.until_quiet()

        assert stage.is_there()
        assert refused == [{"error": "not invited"}]
    assert stage.status() == "offline"


async def test_one_without_power_tries_again_and_says_so_once(log: FakeLog) -> None:
    stage = Stage(delays=False)
    stage.room.may_write = False
    async with stage.running():
        await stage.bell.let_pass(180)
        said = log.of("registry.refused")
        stage.room.may_write = True
        await stage.bell.let_pass(60)

        assert stage.is_there()
    assert said == [{"error": "no power"}]


async def test_one_that_was_never_there_does_not_say_that_it_goes(log: FakeLog) -> None:
    stage = Stage(delays=False)
    stage.room.is_open = False
    async with stage.running():
        pass

    assert stage.room.events == []
    assert log.of("registry.left") == []


@pytest.mark.parametrize("delays", BOTH)
async def test_a_homeserver_that_is_away_is_asked_again(delays: bool, log: FakeLog) -> None:
    stage = Stage(delays=delays)
    async with stage.running():
        stage.room.fail(*[Unreachable("gone")] * 3, RateLimited("slow", retry_after=7.0), TimeoutError())
        await stage.bell.let_pass(60)
        naps = [await stage.bell.until_quiet()]
        for _ in range(4):
            await stage.bell.let_pass(naps[-1])
            naps.append(await stage.bell.until_quiet())
        await stage.bell.let_pass(naps[-1])

        assert naps == [0.5, 1.0, 2.0, 7.0, 8.0]
        assert stage.is_there()
    assert [line["error"] for line in log.of("registry.not_told")] == ["gone", "slow", "TimeoutError"]


async def test_a_login_that_is_no_longer_accepted_ends_it() -> None:
    stage = Stage(delays=False)
    stage.room.fail(LoginFailed("who?"))

    with pytest.raises(LoginFailed):
        await stage.presence.run()


async def test_an_end_that_cannot_be_said_is_left_to_the_ttl(log: FakeLog) -> None:
    stage = Stage(delays=False)
    async with stage.running():
        stage.room.fail(Unreachable("gone"))

    assert log.of("registry.not_left") == [{"error": "gone"}]


async def test_an_end_is_also_said_when_it_is_not_known_what_the_room_says(log: FakeLog) -> None:
    stage = Stage(delays=False)
    async with stage.running():
        stage.room.fail(Unreachable("no answer"))
        await stage.bell.let_pass(60)

    assert stage.status() == "offline"
    assert log.of("registry.left") == [{}]


async def test_an_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, log: FakeLog) -> None:
    monkeypatch.setattr(module, "LEAVE_SECONDS", 0.01)
    stage = Stage(delays=False)
    async with stage.running():
        stage.room.hang = True

    assert log.of("registry.not_left") == [{"error": "TimeoutError"}]


# ── with delayed events ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_quiet_hour_adds_no_event() -> None:
    stage = Stage(delays=True)
    async with stage.running():
        before = len(stage.room.events)
        stage.room.asked.clear()
        await stage.bell.let_pass(3600)
        await stage.hear()

        assert (before, len(stage.room.events)) == (1, 1)
        assert stage.room.asked == ["postpone"] * 60
        assert len(stage.room.delayed) == 1
        assert stage.is_there()


async def test_nor_does_one_with_a_session_after_its_entry() -> None:
    stage = Stage(delays=True)
    async with stage.running():
        stage.book.register_session(TERM)
        await stage.bell.let_pass(3600)
        await stage.hear()

        assert [key for key, _ in stage.room.events] == [KEY, TERM_KEY]


async def test_without_them_an_hour_has_an_event_for_each_minute() -> None:
    stage = Stage(delays=False)
    async with stage.running():
        await stage.bell.let_pass(3600)

        assert len(stage.room.events) == 61


async def test_the_end_lies_ready_before_anybody_hears_of_us() -> None:
    stage = Stage(delays=True)
    async with stage.running():
        order = [asked for asked in stage.room.asked if asked in ("put_later", "put")]

        assert order == ["put_later", "put"]


async def test_an_offline_that_was_lost_is_made_again(log: FakeLog) -> None:
    stage = Stage(delays=True)
    async with stage.running():
        stage.room.lose_delayed()
        await stage.bell.let_pass(60)

        assert len(stage.room.delayed) == 1
        assert len(stage.room.events) == 1
    assert len(log.of("registry.delay_lost")) == 1


async def test_an_offline_that_has_happened_is_taken_back_at_once() -> None:
    """The homeserver was away for long, and says it when it comes back; or we were."""
    stage = Stage(delays=True)
    async with stage.running():
        await stage.bell.let_pass(30)
        stage.clock.advance(200)  # we stood still
        gone = stage.status()
        await stage.hear()

        assert (gone, stage.status()) == ("offline", "online")
        assert len(stage.room.delayed) == 1


async def test_an_offline_of_an_earlier_life_does_not_end_this_one() -> None:
    stage = Stage(delays=True)
    async with stage.killed():
        pass
    stage.own = replace(OWN, life="l2")
    stage.reborn()
    async with stage.running():
        assert [each.content["life"] for each in stage.room.delayed.values()] == ["l2"]


async def test_a_homeserver_that_does_not_do_what_it_says_is_told_every_minute() -> None:
    stage = Stage(delays=True)
    async with stage.running():
        stage.room.offers_delays = False
        stage.room.lose_delayed()
        await stage.bell.let_pass(120)

        assert stage.room.state[KEY][1].get("timed", True) is True
        assert len(stage.room.events) == 3
        assert stage.is_there()


# ── what others do to our entry ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("delays", BOTH)
async def test_what_somebody_else_writes_over_our_entry_is_put_right(delays: bool) -> None:
    stage = Stage(delays=delays)
    async with stage.running():
        await stage.hear()
        await stage.bell.let_pass(20)
        stage.room.say(EVE, KEY, written(replace(OWN, status="offline")))
        await stage.hear()

        assert stage.is_there()
        assert len(stage.room.delayed) == (1 if delays else 0)


async def test_a_fight_about_our_entry_is_fought_slowly() -> None:
    stage = Stage(delays=False)
    async with stage.running():
        await stage.hear()
        for number in range(100):
            stage.room.say(EVE, KEY, {"n": number})
            await stage.hear()
        before = [by for by, *_ in [stage.room.state[KEY]]]
        nap = await stage.bell.until_quiet()
        await stage.bell.let_pass(nap)

        assert (before, nap) == ([EVE], AGAIN_SECONDS)
        assert stage.is_there()


@pytest.mark.parametrize("delays", BOTH)
async def test_what_we_have_said_ourselves_is_no_news(delays: bool) -> None:
    stage = Stage(delays=delays)
    async with stage.running():
        await stage.hear()
        stage.room.asked.clear()
        await stage.hear()
        stage.presence.hear(Heard(), None)
        await stage.bell.until_quiet()

        assert stage.room.asked == []


async def test_out_of_the_room_it_comes_back_with_the_next_heartbeat() -> None:
    stage = Stage(delays=False)
    async with stage.running():
        await stage.bell.let_pass(30)
        stage.room.people.clear()
        stage.presence.hear(Heard(is_out=True), None)
        await stage.bell.let_pass(30)

        assert stage.room.people == {ME}
        assert stage.is_there()


async def test_members_are_asked_for_once_and_after_a_gap() -> None:
    stage = Stage(delays=True)
    stage.room.people.add(EVE)
    async with stage.running():
        await stage.bell.let_pass(120)
        first = stage.room.asked.count("members")
        stage.presence.hear(Heard(has_gap=True), None)
        await stage.bell.let_pass(60)

        assert (first, stage.room.asked.count("members")) == (1, 2)


async def test_a_change_of_the_settings_is_told_at_once() -> None:
    stage = Stage(delays=True)
    async with stage.running():
        stage.own = replace(OWN, rooms=("!new",))
        stage.presence.changed()
        await stage.bell.until_quiet()

        assert stage.room.state[KEY][1]["rooms"] == ["!new"]
        assert len(stage.room.events) == 2


# ── sessions ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("delays", BOTH)
async def test_a_session_is_one_event_when_it_comes_and_one_when_it_goes(delays: bool) -> None:
    stage = Stage(delays=delays)
    async with stage.running():
        stage.book.register_session(TERM)
        await stage.bell.until_quiet()
        await stage.hear()
        came = stage.status(TERM_KEY)
        await stage.bell.let_pass(3600)
        stage.book.remove_session(TERM)
        await stage.bell.until_quiet()
        await stage.hear()
        await stage.bell.let_pass(600)

        assert came == "online"
        assert [content for key, content in stage.room.events if key == TERM_KEY][1:] == [TAKEN_BACK]


async def test_sessions_are_told_of_one_after_the_other() -> None:
    stage = Stage(delays=True)
    async with stage.running():
        for number in range(3):
            stage.book.register_session(InstanceName(f"s{number}"))
        await stage.bell.until_quiet()
        at_once = len(stage.room.events)
        await stage.bell.let_pass(2)
        later = len(stage.room.events)
        await stage.bell.let_pass(2)

        assert (at_once, later, len(stage.room.events)) == (2, 3, 4)


async def test_a_session_that_has_gone_before_it_was_told_of_is_no_event() -> None:
    stage = Stage(delays=True)
    async with stage.running():
        stage.book.register_session(TERM)
        stage.book.remove_session(TERM)
        await stage.bell.until_quiet()

        assert TERM_KEY not in stage.room.state


async def test_without_its_daemon_nothing_is_said_of_a_session() -> None:
    stage = Stage(delays=False)
    stage.room.is_open = False
    stage.book.register_session(TERM)
    async with stage.running():
        assert stage.room.events == []


async def test_sessions_that_an_earlier_life_has_left_are_taken_back() -> None:
    stage = Stage(delays=True)
    async with stage.killed():
        stage.book.register_session(TERM)
        await stage.bell.until_quiet()
    stage.own = replace(OWN, life="l2")
    stage.reborn()
    async with stage.running():
        await stage.hear()

        assert stage.room.state[TERM_KEY][1] == TAKEN_BACK


async def test_a_session_that_somebody_else_writes_over_is_put_right() -> None:
    stage = Stage(delays=True)
    async with stage.running():
        stage.book.register_session(TERM)
        await stage.bell.until_quiet()
        await stage.hear()
        await stage.bell.let_pass(5)
        stage.room.say(EVE, TERM_KEY, {})
        await stage.hear()

        assert stage.status(TERM_KEY) == "online"


async def test_a_session_that_was_refused_is_tried_again_and_holds_nobody_up(log: FakeLog) -> None:
    stage = Stage(delays=True)
    async with stage.running():
        stage.room.fail(Refused("too large", status=413))
        stage.book.register_session(TERM)
        await stage.bell.until_quiet()
        stage.book.register_session(InstanceName("other"))
        await stage.bell.let_pass(2)
        before = TERM_KEY in stage.room.state
        other = stage.status(state_key(ME, InstanceName("other")))
        await stage.bell.let_pass(60)

        assert (before, other, stage.status(TERM_KEY)) == (False, "online", "online")
    assert stage.status() == "offline"
    assert log.of("registry.refused") == [{"error": "too large"}]
