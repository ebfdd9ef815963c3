"""What happens in the rooms is in the ledger, with the token that covers it, before anybody looks at it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aiagentchat.core.errors import LoginFailed, MatrixError, RateLimited, Refused, Unreachable
from aiagentchat.core.messages import Kind
from aiagentchat.receive import receiver as receiver_module
from aiagentchat.receive.intake import Rules
from aiagentchat.receive.receiver import Receiver
from aiagentchat.store.ledger import Ledger, open_ledger
from tests.fakes.changes import PATIENCE
from tests.fakes.clock import FakeClock
from tests.fakes.homeserver import TIMELINE_LIMIT, FakeHomeserver
from tests.fakes.log import FakeLog
from tests.fakes.people import ME, OTHER, ROOM, event, typed

POLL = 30.0


def token(place: int) -> str:
    """The token behind so many events; two are our own joins."""
    return f"s{2 + place}"


class Ear:
    """A receiver with everything around it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.clock = FakeClock()
        self.homeserver = FakeHomeserver()
        for room in (ROOM, OTHER):
            self.homeserver.enter(room)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """A receiver works inside; at the end it dies where it stands."""
        receiver = Receiver(
            homeserver=self.homeserver,
            inbox=self.ledger.inbox,
            rules=Rules(ME, lambda room: room == ROOM),
            clock=self.clock,
            random=lambda: 1.0,
            timeout=lambda: POLL,
        )
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            work = group.create_task(receiver.run())
            yield
            work.cancel()

    async def until_asked(self, *places: int | None) -> None:
        """Wait until the homeserver was asked what follows so many events, each time; None: for the first time."""
        await self.homeserver.until(lambda: len(self.homeserver.asked) >= len(places))
        assert self.homeserver.asked == [None if place is None else token(place) for place in places]

    async def heard(self) -> list[str]:
        """What is in the inbox."""
        return [event.body for event in await self.ledger.inbox.unrouted(1000)]


@pytest.fixture
async def ear(tmp_path: Path) -> AsyncIterator[Ear]:
    async with open_ledger(tmp_path / "ledger.db") as ledger:
        yield Ear(ledger)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    made = FakeLog()
    monkeypatch.setattr(receiver_module, "log", made)
    return made


async def test_what_was_said_before_the_first_sync_is_ignored(ear: Ear) -> None:
    ear.homeserver.happen(typed("old"), typed("older"))

    async with ear.listening():
        await ear.until_asked(None, 2)
    assert await ear.heard() == []
    assert await ear.ledger.inbox.token() == token(2)


async def test_an_invite_from_before_the_first_sync_counts(ear: Ear) -> None:
    ear.homeserver.happen(event(Kind.INVITE, room=OTHER), typed("old"))

    async with ear.listening():
        await ear.until_asked(None, 2)
    [invite] = await ear.ledger.inbox.unrouted(10)
    assert (invite.kind, invite.room) == (Kind.INVITE, OTHER)


async def test_what_is_said_later_is_in_the_ledger_with_its_token(ear: Ear) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(typed("one"), typed("two"))
        await ear.until_asked(None, 0, 2)

    assert await ear.heard() == ["one", "two"]
    assert await ear.ledger.inbox.token() == token(2)


async def test_the_next_life_goes_on_where_this_one_ended(ear: Ear) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
    ear.homeserver.happen(typed("while we were away"))
    ear.homeserver.asked.clear()

    async with ear.listening():
        await ear.until_asked(0, 1)
    assert await ear.heard() == ["while we were away"]


async def test_a_death_before_the_commit_repeats_the_batch_and_nothing_else(
    ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
    reached = asyncio.Event()

    async def die(*_: object) -> int:
        reached.set()
        await asyncio.Event().wait()
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(ear.ledger.inbox, "take_in", die)
        async with ear.listening():
            ear.homeserver.happen(typed("one"))
            await reached.wait()
    assert await ear.heard() == []
    assert await ear.ledger.inbox.token() == token(0)

    ear.homeserver.asked.clear()
    async with ear.listening():
        await ear.until_asked(0, 1)
    assert await ear.heard() == ["one"]


async def test_only_what_is_for_us_is_kept(ear: Ear) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(
            typed("mine", sender=ME),
            event(Kind.NOTICE, "automatic"),
            typed("elsewhere", room=OTHER),
            typed("for you"),
        )
        await ear.until_asked(None, 0, 4)

    assert await ear.heard() == ["for you"]


async def test_a_quiet_poll_is_followed_by_the_next(ear: Ear) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(typed("elsewhere", room=OTHER))
        await ear.until_asked(None, 0, 1)

    assert await ear.ledger.inbox.token() == token(1)


# ── trouble ──


async def naps(ear: Ear, times: int) -> list[float]:
    """Sleep through so many waits; how long they were."""
    return [await ear.clock.pass_nap() for _ in range(times)]


@pytest.mark.parametrize("error", [Unreachable("nobody answers"), Refused("400"), RateLimited("429", retry_after=0.1)])
async def test_a_homeserver_in_trouble_is_asked_less_and_less(ear: Ear, error: MatrixError) -> None:
    ear.homeserver.fail(error, times=4)

    async with ear.listening():
        assert await naps(ear, 4) == pytest.approx([0.5, 1, 2, 4])
        await ear.until_asked(*[None] * 5, 0)


async def test_after_an_answer_the_waits_start_again(ear: Ear) -> None:
    ear.homeserver.fail(Unreachable("nobody answers"), times=2)
    async with ear.listening():
        await naps(ear, 2)
        await ear.until_asked(None, None, None, 0)
        ear.homeserver.fail(Unreachable("nobody answers"))
        ear.homeserver.happen(typed("one"))

        assert await naps(ear, 1) == pytest.approx([0.5])
        await ear.until_asked(None, None, None, 0, 1, 1)


async def test_a_limit_on_syncs_is_obeyed(ear: Ear) -> None:
    ear.homeserver.fail(RateLimited("429", retry_after=30))

    async with ear.listening():
        assert await naps(ear, 1) == pytest.approx([30])


async def test_a_login_that_is_gone_ends_the_service(ear: Ear) -> None:
    ear.homeserver.fail(LoginFailed("M_UNKNOWN_TOKEN"))

    with pytest.raises(ExceptionGroup) as ended:
        async with ear.listening():
            await asyncio.Event().wait()
    assert ended.group_contains(LoginFailed)


# ── what the operator reads ──


async def test_a_gap_is_told(ear: Ear, log: FakeLog) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(*(typed(str(number)) for number in range(TIMELINE_LIMIT + 1)))
        await ear.until_asked(None, 0, TIMELINE_LIMIT + 1)

    assert log.of("sync.gap") == [{"room": ROOM}]
    assert log.of("sync.batch") == [{"events": TIMELINE_LIMIT, "new": TIMELINE_LIMIT}]


async def test_the_history_that_the_first_sync_leaves_out_is_no_gap(ear: Ear, log: FakeLog) -> None:
    ear.homeserver.happen(*(typed(str(number)) for number in range(TIMELINE_LIMIT + 1)))

    async with ear.listening():
        await ear.until_asked(None, TIMELINE_LIMIT + 1)
    assert log.of("sync.gap") == []
    assert log.of("sync.first") == [{"rooms": 2, "ignored": TIMELINE_LIMIT}]


async def test_a_room_that_put_us_out_is_told(ear: Ear, log: FakeLog) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.leave(ROOM)
        await ear.until_asked(None, 0, 1)

    assert log.of("sync.left") == [{"room": ROOM}]


async def test_trouble_and_its_end_are_told(ear: Ear, log: FakeLog) -> None:
    ear.homeserver.fail(Unreachable("nobody answers"))

    async with ear.listening():
        await ear.clock.pass_nap()
        await ear.until_asked(None, None, 0)
    assert log.of("sync.failed") == [{"error": "nobody answers", "failures": 1, "wait_s": 0.5}]
    assert log.of("sync.recovered") == [{"after_failures": 1}]
