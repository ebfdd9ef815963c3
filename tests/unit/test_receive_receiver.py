"""What happens in the rooms is in the ledger, with the token that covers it, before anybody looks at it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.errors import LoginFailed, MatrixError, OwnedElsewhere, RateLimited, Refused, Unreachable
from aiagentchat.core.health import SyncHealth
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.core.instances import Heard
from aiagentchat.core.messages import Kind, Receipt
from aiagentchat.receive.catch_up import QUIET_SECONDS
from tests.fakes.clock import START_MS
from tests.fakes.homeserver import TIMELINE_LIMIT
from tests.fakes.log import FakeLog
from tests.fakes.people import ANNA, ME, OTHER, ROOM, event, typed
from tests.unit.receive_ear import Ear, open_ear, read_log, token


@pytest.fixture
async def ear(tmp_path: Path) -> AsyncIterator[Ear]:
    async with open_ear(tmp_path / "ledger.db") as made:
        yield made


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    return read_log(monkeypatch)


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
    [invite] = await ear.kept()
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


async def test_a_death_before_the_commit_repeats_the_batch_and_nothing_else(ear: Ear) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
    ear.inbox.dies_at = ear.inbox.begun + 1

    async with ear.listening():
        ear.homeserver.happen(typed("one"))
        await ear.inbox.until(lambda: ear.inbox.dies_at is None)
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


async def test_what_tells_nothing_is_not_committed_and_what_follows_is(ear: Ear) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(typed("one"))
        await ear.until_asked(None, 0, 1)
        commits = list(ear.inbox.commits)
        for receipts in range(5):  # of our own, which come back
            ear.homeserver.stir()
            await ear.until_asked(None, 0, *[1] * (receipts + 2))
        assert ear.inbox.commits == commits

        ear.homeserver.happen(typed("two"))
        await ear.until_asked(None, 0, *[1] * 6, 2)
        assert ear.inbox.commits == [*commits, (token(2), 1)]

    assert await ear.heard() == ["one", "two"]


async def test_the_token_lags_behind_what_tells_nothing_for_a_while_only(ear: Ear) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(typed("one"))
        await ear.until_asked(None, 0, 1)
        commits = list(ear.inbox.commits)
        ear.clock.advance(QUIET_SECONDS)
        ear.homeserver.stir()
        await ear.until_asked(None, 0, 1, 1)
        ear.homeserver.stir()
        await ear.until_asked(None, 0, 1, 1, 1)

    assert ear.inbox.commits == [*commits, (token(1), 0)]


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


@pytest.mark.parametrize("error", [RateLimited("429", retry_after=30), Unreachable("no login", retry_after=30)])
async def test_a_limit_on_syncs_or_on_logins_is_obeyed(ear: Ear, error: MatrixError) -> None:
    ear.homeserver.fail(error)

    async with ear.listening():
        assert await naps(ear, 1) == pytest.approx([30])


async def test_a_login_that_is_gone_ends_the_service(ear: Ear) -> None:
    ear.homeserver.fail(LoginFailed("M_UNKNOWN_TOKEN"))

    with pytest.raises(ExceptionGroup) as ended:
        async with ear.listening():
            await asyncio.Event().wait()
    assert ended.group_contains(LoginFailed)


# ── what the operator reads ──


async def test_a_batch_is_told(ear: Ear, log: FakeLog) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(typed("one"), typed("elsewhere", room=OTHER))
        await ear.until_asked(None, 0, 2)

    assert log.of("sync.first") == [{"rooms": 2, "ignored": 2}]
    assert log.of("sync.batch") == [{"events": 2, "new": 1, "behind": 0}]
    assert log.of("sync.resumed") == []


async def test_a_quiet_batch_is_not_told(ear: Ear, log: FakeLog) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(typed("somewhere else", room=RoomId("!elsewhere:hs")))
        await ear.until_asked(None, 0, 1)

    assert log.of("sync.batch") == []


async def test_a_later_life_tells_that_it_hears_again(ear: Ear, log: FakeLog) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
    ear.homeserver.happen(typed("one"))

    async with ear.listening():
        await ear.until_asked(None, 0, 0, 1)
    assert log.of("sync.resumed") == [{"rooms": 1, "events": 1}]


async def test_the_history_that_the_first_sync_leaves_out_is_no_gap(ear: Ear) -> None:
    ear.homeserver.happen(*(typed(str(number)) for number in range(TIMELINE_LIMIT + 1)))

    async with ear.listening():
        await ear.until_asked(None, TIMELINE_LIMIT + 1)
    assert ear.homeserver.asked_gaps == []
    assert await ear.heard() == []


@pytest.mark.parametrize("how", ["kick", "ban", "leave"])
async def test_a_room_that_we_are_out_of_is_told(ear: Ear, log: FakeLog, how: str) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.leave(ROOM, how)
        ear.homeserver.leave(OTHER, how)
        await ear.homeserver.until(lambda: ear.homeserver.asked[-1] == token(2))

    assert log.of("sync.left") == [{"room": ROOM, "how": how}]
    assert [(each.kind, each.body) for each in await ear.kept()] == [(Kind.LEFT, how)]


async def test_a_room_that_we_come_into_is_told(ear: Ear, log: FakeLog) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(typed("here you are", sent_at=START_MS + 1))
        ear.homeserver.leave(ROOM)
        ear.homeserver.enter(ROOM)
        await ear.homeserver.until(lambda: ear.homeserver.asked[-1] == token(3))

    assert log.of("sync.joined") == [{"room": ROOM}]
    kinds = [each.kind for each in await ear.kept()]
    assert kinds == [Kind.TEXT, Kind.LEFT, Kind.JOINED]


async def test_coming_back_brings_nothing_back_that_was_not_for_us(ear: Ear) -> None:
    ear.homeserver.happen(typed("before our time", sent_at=START_MS - 1))
    async with ear.listening():
        await ear.until_asked(None, 1)
        ear.homeserver.leave(ROOM)
        ear.homeserver.enter(ROOM)
        await ear.homeserver.until(lambda: ear.homeserver.asked[-1] == token(3))

    assert await ear.heard() == []


async def test_trouble_and_its_end_are_told(ear: Ear, log: FakeLog) -> None:
    ear.homeserver.fail(Unreachable("nobody answers"))

    async with ear.listening():
        await ear.clock.pass_nap()
        await ear.until_asked(None, None, 0)
    assert log.of("sync.failed") == [{"error": "nobody answers", "failures": 1, "wait_s": 0.5}]
    assert log.of("sync.recovered") == [{"after_failures": 1}]


# ── the owner of the account ──


async def test_the_owner_is_told_before_anything_is_taken_in(ear: Ear) -> None:
    heard: list[tuple[str | None, int]] = []

    async with ear.listening(on_owner=lambda owner: heard.append((owner, len(ear.homeserver.asked)))):
        await ear.until_asked(None, 0)
        ear.homeserver.owner = "another"
        ear.homeserver.happen(typed("one"))
        await ear.until_asked(None, 0, 1)

    assert heard == [(None, 1), ("another", 2)]


async def test_who_does_not_own_the_account_any_more_takes_nothing_in(ear: Ear) -> None:
    def stop(owner: str | None) -> None:
        if owner == "another":
            raise OwnedElsewhere(owner)

    async with ear.listening():
        await ear.until_asked(None, 0)
    ear.homeserver.owner = "another"
    ear.homeserver.happen(typed("one"))

    with pytest.raises(ExceptionGroup) as ended:
        async with ear.listening(on_owner=stop):
            await asyncio.Event().wait()
    assert ended.group_contains(OwnedElsewhere)
    assert await ear.heard() == []
    assert await ear.ledger.inbox.token() == token(0)


# ── health ──


async def test_the_health_tells_when_the_last_sync_was(ear: Ear) -> None:
    async with ear.listening() as receiver:
        before, since = receiver.health(), receiver.heard_since
        ear.clock.advance(7)
        await ear.until_asked(None, 0)

        assert (before, receiver.health()) == (SyncHealth(), SyncHealth(heard_at=7))
        assert (since, receiver.heard_since) == (None, 7)


async def test_the_health_tells_of_trouble_and_its_end(ear: Ear) -> None:
    ear.homeserver.fail(Unreachable("nobody answers"), times=2)
    async with ear.listening() as receiver:
        await naps(ear, 1)
        await ear.clock.until_asleep()
        during = receiver.health()
        await naps(ear, 1)
        await ear.until_asked(None, None, None, 0)

        assert during == SyncHealth(failures=2)
        assert receiver.health() == SyncHealth(heard_at=1.5, restarts=1)


# ── a token that nobody knows ──


async def test_a_homeserver_that_forgot_our_token_is_asked_without(ear: Ear, log: FakeLog) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(typed("one"))
        await ear.until_asked(None, 0, 1)
    ear.homeserver.asked.clear()
    ear.homeserver.forget_tokens()
    ear.homeserver.happen(typed("two"))

    async with ear.listening():
        await naps(ear, 3)
        await ear.homeserver.until(lambda: ear.homeserver.asked[-1] == f"s{token(2)}")
    assert ear.homeserver.asked == [token(1), token(1), token(1), None, f"s{token(2)}"]
    assert await ear.heard() == ["one", "two"]
    assert await ear.ledger.inbox.token() == f"s{token(2)}"
    assert [line["refusals"] for line in log.of("sync.token_refused")] == [3]


async def test_without_our_token_what_was_said_before_our_last_sync_is_not_new(ear: Ear) -> None:
    ear.homeserver.happen(typed("before our time"))
    async with ear.listening():
        await ear.until_asked(None, 1)
    await ear.ledger.lives.installation(START_MS)
    await ear.ledger.lives.alive(START_MS + 1)
    ear.homeserver.forget_tokens()
    ear.homeserver.happen(typed("new", sent_at=START_MS + 1))

    async with ear.listening():
        await naps(ear, 3)
        await ear.homeserver.until(lambda: ear.homeserver.asked[-1] == f"s{token(2)}")

    assert await ear.heard() == ["new"]


async def test_without_our_token_what_was_said_long_ago_is_not_new(ear: Ear) -> None:
    long_ago = ear.clock.now_ms() - ear.max_age * 1000 - 1
    ear.homeserver.happen(typed("before our time", sent_at=long_ago), typed("lately"))
    async with ear.listening():
        await ear.until_asked(None, 2)
    ear.homeserver.forget_tokens()

    async with ear.listening():
        await naps(ear, 3)
        await ear.homeserver.until(lambda: ear.homeserver.asked[-1] == f"s{token(2)}")
    assert await ear.heard() == ["lately"]


async def test_without_our_token_what_came_before_something_that_we_know_is_not_new(ear: Ear) -> None:
    ear.homeserver.happen(typed("before our time"))
    async with ear.listening():
        await ear.until_asked(None, 1)
        ear.homeserver.happen(typed("known"))
        await ear.until_asked(None, 1, 2)
    ear.homeserver.forget_tokens()
    ear.homeserver.happen(*(typed(str(number)) for number in range(2 * TIMELINE_LIMIT)))

    async with ear.listening():
        await naps(ear, 3)
        await ear.until_kept(f"s{token(2 + 2 * TIMELINE_LIMIT)}")
    assert await ear.heard() == ["known", *(str(number) for number in range(2 * TIMELINE_LIMIT))]
    assert ear.homeserver.asked_gaps == [(ROOM, None)]


async def test_other_refusals_leave_us_our_token(ear: Ear) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.fail(Refused("403"), times=2)
        ear.homeserver.happen(typed("one"))
        await naps(ear, 2)
        await ear.until_asked(None, 0, 1, 1, 1)
        ear.homeserver.fail(Refused("403"), times=2)
        ear.homeserver.happen(typed("two"))
        await naps(ear, 2)
        await ear.until_asked(None, 0, 1, 1, 1, 2, 2, 2)

    assert await ear.heard() == ["one", "two"]


def receipt(room: RoomId) -> Receipt:
    return Receipt(room=room, event=EventId("$said"), user=ANNA, at=START_MS)


async def test_how_far_others_have_read_is_told_before_the_token_is_kept_and_again_after_what_came_with_it(
    ear: Ear,
) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.read(receipt(ROOM))
        ear.homeserver.happen(typed("one"))
        await ear.until_asked(None, 0, 1)

    assert ear.receipts == [(receipt(ROOM), token(0)), (receipt(ROOM), token(1))]


async def test_of_a_room_that_is_not_ours_it_is_not_told(ear: Ear) -> None:
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.read(receipt(OTHER))
        await ear.until_asked(None, 0, 0)

    assert ear.receipts == []


async def test_of_what_was_before_the_first_sync_it_is_not_told(ear: Ear) -> None:
    ear.homeserver.read(receipt(ROOM))

    async with ear.listening():
        await ear.until_asked(None, 0)
    assert ear.receipts == []


async def test_what_each_sync_tells_of_the_registry_room_is_told_on(ear: Ear) -> None:
    told: list[tuple[Heard, int | None]] = []
    ear.homeserver.instances = Heard(has_gap=True)

    async with ear.listening(on_instances=lambda heard, now: told.append((heard, now))):
        await ear.until_asked(None, 0)
        ear.homeserver.happen(typed("one"))
        await ear.until_asked(None, 0, 1)
    assert told == [(Heard(has_gap=True), START_MS)] * 2
