"""What was said while nobody listened is taken in: all of it, in order, room by room, and no room waits for another."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from aiagentchat.core.errors import LoginFailed, MatrixError, RateLimited, Refused, Unreachable
from aiagentchat.core.heard import Heard
from aiagentchat.core.ids import RoomId, TxnId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import Parcel
from aiagentchat.receive import catch_up, sieve
from aiagentchat.receive.catch_up import COMMIT, GAP_TRIES
from aiagentchat.receive.intake import LATE_MS
from aiagentchat.receive.sieve import EVENTS_PER_BREATH
from tests.fakes.clock import START_MS
from tests.fakes.homeserver import TIMELINE_LIMIT
from tests.fakes.log import FakeLog
from tests.fakes.people import ME, OTHER, ROOM, event, typed
from tests.unit.receive_ear import HOUR, Ear, open_ear, read_log, token

TOO_MANY = TIMELINE_LIMIT + 5


@pytest.fixture
async def ear(tmp_path: Path) -> AsyncIterator[Ear]:
    async with open_ear(tmp_path / "ledger.db") as made:
        yield made


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    return read_log(monkeypatch)


def many(room: RoomId = ROOM, count: int = TOO_MANY, *, sent_at: int = START_MS) -> list[Incoming]:
    return [typed(f"{room[1]}{number}", room=room, sent_at=sent_at) for number in range(count)]


def bodies(events: Sequence[Incoming]) -> list[str]:
    return [each.body for each in events]


async def away(ear: Ear, *events: Incoming) -> str:
    """We have listened once, and these events happened while we did not; the token of what we know."""
    async with ear.listening():
        await ear.until_asked(None, 0)
    ear.homeserver.happen(*events)
    ear.homeserver.asked.clear()
    return token(len(events))


async def inbox(ear: Ear) -> list[tuple[Kind, str]]:
    return [(each.kind, each.body) for each in await ear.kept()]


# ── what is taken in ──


@pytest.mark.parametrize("missing", [1, 57, 257])
async def test_a_gap_is_filled_in_order(ear: Ear, log: FakeLog, missing: int) -> None:
    said = many(count=missing + TIMELINE_LIMIT)
    newest = await away(ear, *said)

    async with ear.listening():
        await ear.until_kept(newest)
    assert await ear.heard() == bodies(said)
    assert await ear.ledger.inbox.token() == newest
    assert log.of("sync.gap") == [{"room": ROOM, "events": missing}]
    assert log.of("sync.gap_lost") == []
    assert log.of("sync.batch") == [{"events": TIMELINE_LIMIT, "new": 0, "behind": 1}]


async def test_what_came_in_late_for_a_room_came_in_at_one_moment(ear: Ear) -> None:
    said = many(sent_at=START_MS - LATE_MS - 1)
    newest = await away(ear, *said)

    async with ear.listening():
        await ear.until_kept(newest)
    moment = await ear.ledger.inbox.taken_at(said[0].event)
    assert moment is not None
    assert bodies(await ear.ledger.inbox.late(ROOM, moment)) == bodies(said)


async def test_what_is_late_says_how_late_by_the_clock_of_the_homeserver(ear: Ear) -> None:
    newest = await away(ear, typed("late", sent_at=START_MS), typed("fresh", sent_at=START_MS + HOUR * 1000))
    ear.homeserver.now = START_MS + HOUR * 1000

    async with ear.listening():
        await ear.until_kept(newest)
    assert [each.late_ms for each in await ear.kept()] == [HOUR * 1000, 0]


async def test_where_the_homeserver_has_no_clock_nothing_is_late(ear: Ear) -> None:
    ear.homeserver.now = None
    newest = await away(ear, typed("old", sent_at=START_MS - HOUR * 1000), *many())

    async with ear.listening():
        await ear.until_kept(newest)
    assert {each.late_ms for each in await ear.kept()} == {0}


async def test_only_what_is_for_us_is_taken_out_of_a_gap(ear: Ear) -> None:
    newest = await away(ear, typed("mine", sender=ME), event(Kind.NOTICE, "automatic"), typed("yours"), *many())

    async with ear.listening():
        await ear.until_kept(newest)
    assert (await ear.heard())[:2] == ["yours", "k0"]


@pytest.mark.parametrize("missing", [0, 5])
async def test_what_is_sealed_rings_when_it_is_committed_for_its_key_may_have_come_before(
    ear: Ear, missing: int
) -> None:
    events = [*many(count=TIMELINE_LIMIT + missing)]
    events[2] = replace(events[2], kind=Kind.SEALED, raw="{}")
    after = await away(ear, *events)
    async with ear.listening():
        await ear.inbox.until(lambda: ear.inbox.kept == after)

    assert ear.sealed == 1


async def test_a_gap_of_a_room_that_is_not_configured_is_not_read(ear: Ear) -> None:
    newest = await away(ear, *many(OTHER))

    async with ear.listening():
        await ear.until_kept(newest)
    assert ear.homeserver.asked_gaps == []


async def test_the_age_of_what_is_caught_up_with_has_a_limit(ear: Ear, log: FakeLog) -> None:
    ear.max_age = HOUR
    old = many(sent_at=START_MS + 1)
    young = many(OTHER, sent_at=START_MS + HOUR * 1000)
    newest = await away(ear, *old, *(typed(each.body, sent_at=each.sent_at) for each in young))
    ear.homeserver.now = START_MS + HOUR * 1000 + 2

    async with ear.listening():
        await ear.until_kept(newest)
    assert await inbox(ear) == [
        (Kind.GAP_LOST, f"0–{START_MS + HOUR * 1000}"),
        *((Kind.TEXT, each.body) for each in young),
    ]
    assert [line["room"] for line in log.of("sync.gap_lost")] == [ROOM]


async def test_what_was_sent_before_we_last_listened_is_not_missed(ear: Ear, log: FakeLog) -> None:
    strange = typed("by a wrong clock", sent_at=1)
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(strange, *many())
        await ear.until_kept(token(1 + TOO_MANY))

    assert await ear.heard() == bodies(many())
    assert log.of("sync.gap_lost") == []


async def test_a_gap_has_a_limit_and_the_room_is_told(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "MOST_MISSED", 3)
    said = many()
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.now = START_MS + 1
        ear.homeserver.happen(*said)
        await ear.until_kept(token(len(said)))

    assert await inbox(ear) == [(Kind.GAP_LOST, f"{START_MS}–{START_MS}"), *((Kind.TEXT, b) for b in bodies(said)[2:])]


async def test_a_gap_in_which_we_came_begins_there(ear: Ear) -> None:
    room = RoomId("!new:hs")
    ear.configured.add(room)
    newest = await away(ear)
    ear.homeserver.happen(typed("behind our back", room=room), event(Kind.INVITE, room=room))
    ear.homeserver.accept(room)
    ear.homeserver.happen(*many(room))
    newest = token(3 + TOO_MANY)

    async with ear.listening():
        await ear.until_kept(newest)
    [before, *since] = await inbox(ear)
    assert before[0] is Kind.BEFORE
    assert since == [(Kind.JOINED, ""), *((Kind.TEXT, each.body) for each in many(room))]


# ── a gap that is not read at once ──


async def test_what_was_typed_since_an_invite_that_came_late_is_taken_in_whole(ear: Ear) -> None:
    since = [typed(f"since{number}") for number in range(TOO_MANY)]
    ear.homeserver.leave(ROOM)
    async with ear.listening():
        await ear.until_asked(None, 1)
    ear.homeserver.happen(*many(), event(Kind.INVITE), *since)
    async with ear.listening():
        # Our token is younger than all of it, which the homeserver tells when we are in.
        await ear.until_kept(token(1 + 2 * TOO_MANY + 1))
        ear.homeserver.accept(ROOM)
        await ear.until_kept(token(1 + 2 * TOO_MANY + 2))

    assert await ear.heard() == bodies(since)


async def test_what_was_said_before_we_left_is_not_told_again_when_we_come_back(ear: Ear) -> None:
    ear.configured.clear()
    async with ear.listening():
        await ear.until_asked(None, 0)
        ear.homeserver.happen(typed("not for us"))
        ear.homeserver.leave(ROOM)
        await ear.until_kept(token(2))
    ear.configured.add(ROOM)
    since = [typed(f"since{number}") for number in range(TOO_MANY)]
    ear.homeserver.happen(event(Kind.INVITE), *since)
    async with ear.listening():
        await ear.until_kept(token(2 + 1 + TOO_MANY))
        ear.homeserver.accept(ROOM)
        await ear.until_kept(token(2 + 1 + TOO_MANY + 1))

    assert await ear.heard() == bodies(since)


async def test_while_a_gap_is_read_the_syncs_go_on(ear: Ear) -> None:
    ear.configured.add(OTHER)
    said = many()
    newest = await away(ear, *said)
    ear.homeserver.hold_gaps()

    async with ear.listening():
        await ear.homeserver.until(lambda: ear.homeserver.asked == [token(0), newest])
        ear.homeserver.happen(typed("more"), typed("elsewhere", room=OTHER))
        await ear.inbox.until(lambda: (None, 1) in ear.inbox.commits)
        assert await ear.heard() == ["elsewhere"]
        assert await ear.ledger.inbox.token() == token(0)
        ear.homeserver.tell_gaps()
        await ear.until_kept(token(TOO_MANY + 2))
    assert await ear.heard() == ["elsewhere", *bodies(said), "more"]


async def test_a_gap_that_grows_while_it_is_read_is_read_on(ear: Ear) -> None:
    said = many(count=3 * TOO_MANY)
    newest = await away(ear, *said[:TOO_MANY])
    ear.homeserver.hold_gaps()

    async with ear.listening():
        await ear.homeserver.until(lambda: ear.homeserver.asked == [token(0), newest])
        ear.homeserver.happen(*said[TOO_MANY:])
        await ear.homeserver.until(lambda: len(ear.homeserver.asked) == 3)
        ear.homeserver.tell_gaps()
        await ear.until_kept(token(3 * TOO_MANY))
    assert await ear.heard() == bodies(said)
    assert ear.homeserver.asked_gaps == [(ROOM, token(0)), (ROOM, token(TOO_MANY - TIMELINE_LIMIT))]


async def test_a_room_that_falls_behind_again_while_it_is_committed_loses_nothing(ear: Ear, log: FakeLog) -> None:
    said = many(count=2 * TOO_MANY + 1)
    newest = await away(ear, *said[:TOO_MANY])
    ear.homeserver.fail_gaps(ROOM, Unreachable("500"))
    commit, go_on = ear.inbox.take_in, asyncio.Event()

    async def slowly(token: str | None, events: Sequence[Incoming], now: int, heard: Sequence[Heard] = ()) -> int:
        if len(events) == TOO_MANY:
            ear.homeserver.happen(said[TOO_MANY])
            await ear.homeserver.until(lambda: len(ear.homeserver.asked) == 3)
            ear.homeserver.happen(*said[TOO_MANY + 1 :])
            await ear.homeserver.until(lambda: len(ear.homeserver.asked) == 4)
            ear.homeserver.fail_gaps(ROOM, Unreachable("500"))
            go_on.set()
        return await commit(token, events, now, heard)

    ear.inbox.take_in = slowly  # type: ignore[method-assign]
    async with ear.listening():
        await ear.clock.pass_nap()
        await go_on.wait()
        await ear.clock.pass_nap()
        await ear.until_kept(token(len(said)))
    assert await ear.heard() == bodies(said)
    assert ear.homeserver.asked_gaps == [(ROOM, token(0))] * 2 + [(ROOM, newest)] * 2
    assert [line["failures"] for line in log.of("sync.gap_failed")] == [1, 1]


async def test_what_comes_while_a_room_is_committed_follows(ear: Ear) -> None:
    said = many(count=TOO_MANY + 2)
    await away(ear, *said[:TOO_MANY])
    commit = ear.inbox.take_in

    async def slowly(token: str | None, events: Sequence[Incoming], now: int, heard: Sequence[Heard] = ()) -> int:
        if len(events) == TOO_MANY:
            ear.homeserver.happen(*said[TOO_MANY:])
            await ear.homeserver.until(lambda: len(ear.homeserver.asked) == 3)
        return await commit(token, events, now, heard)

    ear.inbox.take_in = slowly  # type: ignore[method-assign]
    async with ear.listening():
        await ear.until_kept(token(len(said)))
    assert await ear.heard() == bodies(said)
    assert len(ear.homeserver.asked_gaps) == 1


async def test_a_gap_that_is_filled_before_the_rest_of_its_batch_is_committed_does_not_hold_the_token(ear: Ear) -> None:
    ear.configured.add(OTHER)
    newest = await away(ear, *many(), typed("elsewhere", room=OTHER))
    commit = ear.inbox.take_in

    async def slowly(token: str | None, events: Sequence[Incoming], now: int, heard: Sequence[Heard] = ()) -> int:
        if len(events) == 1:
            await ear.inbox.until(lambda: (None, TOO_MANY) in ear.inbox.commits)
        return await commit(token, events, now, heard)

    ear.inbox.take_in = slowly  # type: ignore[method-assign]
    async with ear.listening():
        await ear.until_kept(newest)
    assert await ear.heard() == [*bodies(many()), "elsewhere"]


async def test_what_waited_behind_a_gap_is_as_late_as_when_it_is_taken_in(ear: Ear) -> None:
    await away(ear, *many())
    ear.homeserver.fail_gaps(ROOM, Unreachable("500"))

    async with ear.listening():
        await ear.clock.until_asleep()
        ear.homeserver.now = START_MS + HOUR * 1000
        ear.homeserver.happen(typed("at last", sent_at=ear.homeserver.now))
        await ear.homeserver.until(lambda: len(ear.homeserver.asked) == 3)
        await ear.clock.pass_nap()
        await ear.until_kept(token(TOO_MANY + 1))
    assert [each.late_ms for each in await ear.kept()] == [HOUR * 1000] * TOO_MANY + [0]


# ── a gap that cannot be read ──


@pytest.mark.parametrize("error", [Unreachable("500"), RateLimited("429", retry_after=0.1)])
async def test_a_gap_that_cannot_be_read_is_asked_for_again_later(ear: Ear, log: FakeLog, error: MatrixError) -> None:
    newest = await away(ear, *many())
    ear.homeserver.fail_gaps(ROOM, error, times=3)

    async with ear.listening():
        naps = [await ear.clock.pass_nap() for _ in range(3)]
        await ear.until_kept(newest)
    assert naps == pytest.approx([0.5, 1, 2])
    assert await ear.heard() == bodies(many())
    assert [line["failures"] for line in log.of("sync.gap_failed")] == [1, 2, 3]


async def test_a_limit_on_histories_is_obeyed(ear: Ear) -> None:
    newest = await away(ear, *many())
    ear.homeserver.fail_gaps(ROOM, RateLimited("429", retry_after=30))

    async with ear.listening():
        assert await ear.clock.pass_nap() == pytest.approx(30)
        await ear.until_kept(newest)


async def test_while_a_gap_waits_nothing_of_its_room_is_taken_in_and_no_token(ear: Ear) -> None:
    await away(ear, *many())
    ear.homeserver.fail_gaps(ROOM, Unreachable("500"))

    async with ear.listening():
        await ear.clock.until_asleep()
        assert await ear.heard() == []
        assert await ear.ledger.inbox.token() == token(0)


async def test_a_gap_that_waits_lets_other_gaps_pass(ear: Ear) -> None:
    ear.configured.add(OTHER)
    newest = await away(ear, *many())
    ear.homeserver.fail_gaps(ROOM, Unreachable("500"), times=3)

    async with ear.listening():
        await ear.clock.pass_nap()
        await ear.clock.until_asleep()
        ear.homeserver.happen(*many(OTHER))
        await ear.inbox.until(lambda: (None, TOO_MANY) in ear.inbox.commits)
        assert await ear.heard() == bodies(many(OTHER))
        assert ear.inbox.kept == token(0) != newest
        await ear.clock.pass_nap()
        await ear.clock.pass_nap()
        await ear.until_kept(token(2 * TOO_MANY))
    assert await ear.heard() == [*bodies(many(OTHER)), *bodies(many())]


async def fail_on(ear: Ear, times: int) -> None:
    """The gap is asked for so many times more, each time with a sync before."""
    for number in range(times):
        await ear.homeserver.until(lambda: len(ear.homeserver.asked) == 2 + number)  # noqa: B023 - it ends here
        await ear.clock.until_asleep()
        ear.homeserver.happen(typed("elsewhere", room=OTHER))
        await ear.homeserver.until(lambda: len(ear.homeserver.asked) == 3 + number)  # noqa: B023
        await ear.clock.pass_nap()


async def test_a_gap_that_is_never_answered_while_syncs_are_is_given_up_and_the_room_is_told(
    ear: Ear, log: FakeLog
) -> None:
    await away(ear, *many())
    ear.homeserver.fail_gaps(ROOM, Unreachable("500"), times=GAP_TRIES)

    async with ear.listening():
        await fail_on(ear, GAP_TRIES - 1)
        await ear.until_kept(token(TOO_MANY + GAP_TRIES - 1))
    assert await inbox(ear) == [(Kind.GAP_LOST, f"0–{START_MS}"), *((Kind.TEXT, each.body) for each in many()[5:])]
    assert log.of("sync.gap_lost") == [{"room": ROOM, "error": "500"}]


async def test_while_no_sync_succeeds_no_gap_is_given_up(ear: Ear, log: FakeLog) -> None:
    newest = await away(ear, *many())
    ear.homeserver.fail_gaps(ROOM, Unreachable("500"), times=2 * GAP_TRIES)

    async with ear.listening():
        for _ in range(2 * GAP_TRIES):
            await ear.clock.pass_nap()
        await ear.until_kept(newest)
    assert await ear.heard() == bodies(many())
    assert log.of("sync.gap_lost") == []


async def test_what_waits_behind_a_gap_has_a_limit(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "MOST_HELD", TIMELINE_LIMIT)
    newest = await away(ear, *many())
    ear.homeserver.fail_gaps(ROOM, Unreachable("500"), times=2)

    async with ear.listening():
        await ear.homeserver.until(lambda: ear.homeserver.asked == [token(0), newest])
        ear.homeserver.happen(typed("one too many"))
        await ear.homeserver.until(lambda: len(ear.homeserver.asked) == 3)
        await ear.clock.pass_nap()
        await ear.until_kept(token(TOO_MANY + 1))
    assert [kind for kind, _ in await inbox(ear)] == [Kind.GAP_LOST] + [Kind.TEXT] * (TIMELINE_LIMIT + 1)


async def test_a_gap_that_is_refused_is_given_up_at_once(ear: Ear, log: FakeLog) -> None:
    newest = await away(ear, *many())
    ear.homeserver.fail_gaps(ROOM, Refused("403"))

    async with ear.listening():
        await ear.until_kept(newest)
    [lost, *rest] = await ear.kept()
    assert (lost.kind, lost.body, lost.sender, lost.room) == (Kind.GAP_LOST, f"0–{START_MS}", ME, ROOM)
    assert bodies(rest) == bodies(many()[5:])
    assert log.of("sync.gap_lost") == [{"room": ROOM, "error": "403"}]


async def test_a_gap_is_lost_since_somebody_last_listened(ear: Ear) -> None:
    await ear.ledger.lives.installation(START_MS)
    await ear.ledger.lives.alive(START_MS - 1234)
    newest = await away(ear, *(event(Kind.TEXT, "x", sent_at=0) for _ in range(TOO_MANY)))
    ear.homeserver.fail_gaps(ROOM, Refused("403"))
    ear.homeserver.now = START_MS + 77

    async with ear.listening():
        await ear.until_kept(newest)
    assert (await inbox(ear))[0] == (Kind.GAP_LOST, f"{START_MS - 1234}–{START_MS + 77}")


async def test_where_the_homeserver_has_no_clock_a_gap_ends_by_ours(ear: Ear) -> None:
    ear.homeserver.now = None
    newest = await away(ear, *(event(Kind.TEXT, "x", sent_at=0) for _ in range(TOO_MANY)))
    ear.homeserver.fail_gaps(ROOM, Refused("403"))

    async with ear.listening():
        await ear.until_kept(newest)
    assert (await inbox(ear))[0] == (Kind.GAP_LOST, f"0–{START_MS}")


async def test_a_gap_that_was_read_forgets_its_failures(ear: Ear) -> None:
    newest = await away(ear, *many())
    ear.homeserver.fail_gaps(ROOM, Unreachable("500"), times=2)
    async with ear.listening():
        await ear.clock.pass_nap()
        await ear.clock.pass_nap()
        await ear.until_kept(newest)
        ear.homeserver.fail_gaps(ROOM, Unreachable("500"))
        ear.homeserver.happen(*many())
        assert await ear.clock.pass_nap() == pytest.approx(0.5)
        await ear.until_kept(token(2 * TOO_MANY))

    assert ear.homeserver.asked_gaps[-1] == (ROOM, newest)


async def test_a_login_that_is_gone_ends_the_service(ear: Ear) -> None:
    await away(ear, *many())
    ear.homeserver.fail_gaps(ROOM, LoginFailed("M_UNKNOWN_TOKEN"))

    with pytest.raises(ExceptionGroup) as ended:
        async with ear.listening():
            await asyncio.Event().wait()
    assert ended.group_contains(LoginFailed)


# ── a crash, and much at once ──


@pytest.mark.parametrize("dies_at", range(4))
async def test_a_death_at_any_commit_repeats_the_batch_and_nothing_else(ear: Ear, dies_at: int) -> None:
    third = RoomId("!third:hs")
    ear.homeserver.enter(third)
    ear.configured |= {OTHER, third}
    async with ear.listening():
        await ear.until_asked(None, 1)
    ear.homeserver.happen(*many(), *many(OTHER), typed("hello", room=third))
    newest = token(2 + 2 * TOO_MANY)
    ear.inbox.dies_at = ear.inbox.begun + 1 + dies_at

    async with ear.listening():
        await ear.inbox.until(lambda: ear.inbox.dies_at is None)
    assert await ear.ledger.inbox.token() == token(1)

    async with ear.listening():
        await ear.until_kept(newest)
    heard = await ear.heard()
    assert [body for body in heard if body[0] == ROOM[1]] == bodies(many())
    assert [body for body in heard if body[0] == OTHER[1]] == bodies(many(OTHER))
    assert len(heard) == 2 * TOO_MANY + 1


async def a_hundred_rooms(ear: Ear) -> list[RoomId]:
    """We have listened in so many rooms."""
    rooms = [RoomId(f"!{number}:hs") for number in range(100)]
    for room in rooms:
        ear.homeserver.enter(room)
    ear.configured |= {*rooms}
    async with ear.listening():
        await ear.until_asked(None, 100)
    ear.inbox.commits.clear()
    return rooms


@pytest.mark.long
async def test_ten_thousand_events_over_a_hundred_rooms_are_taken_in_piece_by_piece(
    ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = await a_hundred_rooms(ear)
    said = [typed(f"{number}", room=room) for number in range(100) for room in rooms]
    ear.homeserver.happen(*said)
    looked, kept = list[int](), list[Incoming]()

    def watch(event: Incoming, _: int | None) -> Incoming:
        kept.append(event)
        return event

    monkeypatch.setattr(sieve, "dated", watch)

    async def look() -> None:
        while len(kept) < len(said):
            looked.append(len(kept))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group, ear.listening():
        group.create_task(look())
        await ear.until_kept(token(100 + len(said)))
    assert await ear.heard() == [f"{number}" for _ in rooms for number in range(100)]
    assert max(after - before for before, after in pairwise(looked)) <= EVENTS_PER_BREATH
    assert max(count for _, count in ear.inbox.commits) <= 100


async def test_rooms_without_a_gap_share_transactions_of_a_bounded_size(ear: Ear) -> None:
    rooms = await a_hundred_rooms(ear)
    said = [typed("x", room=room) for room in rooms for _ in range(TIMELINE_LIMIT)]
    ear.homeserver.happen(*said)
    newest = token(100 + len(said))

    async with ear.listening():
        await ear.until_kept(newest)
    assert ear.inbox.commits == [(None, COMMIT)] * 3 + [(newest, COMMIT)]
    assert len(await ear.heard()) == len(said)


# ── what is kept to be found again ──


async def history(ear: Ear, room: RoomId = ROOM) -> list[str]:
    return [said.body for said in (await ear.ledger.history.latest(room, 1000)).messages]


async def test_everything_that_is_said_is_kept_also_what_is_nothing_to_routing(ear: Ear) -> None:
    first = typed("yours")
    ours = replace(typed("ours", sender=ME), txn=TxnId("txn"))
    newest = await away(
        ear, first, ours, event(Kind.NOTICE, "automatic"), event(Kind.EDIT, "edited", target=first.event)
    )

    async with ear.listening():
        await ear.until_kept(newest)
    assert await history(ear) == ["edited", "ours", "automatic"]
    assert await ear.heard() == ["yours"]


async def test_what_was_said_in_a_gap_is_kept_in_its_place(ear: Ear) -> None:
    said = [event(Kind.NOTICE, str(number)) for number in range(TOO_MANY)]
    newest = await away(ear, *said)

    async with ear.listening():
        await ear.until_kept(newest)
    assert await history(ear) == bodies(said)


async def test_of_other_rooms_and_of_what_is_encrypted_nothing_is_kept(ear: Ear) -> None:
    newest = await away(ear, typed("elsewhere", room=OTHER), replace(typed("sealed"), encrypted=True))

    async with ear.listening():
        await ear.until_kept(newest)
    assert (await history(ear), await history(ear, OTHER)) == ([], [])
    assert await ear.heard() == ["sealed"]


async def test_what_was_said_before_our_first_sync_is_not_kept(ear: Ear) -> None:
    ear.homeserver.happen(typed("before our time"))
    async with ear.listening():
        await ear.until_kept(token(1))

    assert await history(ear) == []


async def test_our_own_event_tells_that_its_parcel_is_there(ear: Ear) -> None:
    txn = TxnId("txn")
    await ear.ledger.outbox.put([Parcel(txn=txn, room=OTHER, content={"body": "ours"})], START_MS)
    await ear.ledger.outbox.claim(START_MS, device="D")
    ours = replace(typed("ours", sender=ME, room=OTHER), txn=txn)
    newest = await away(ear, ours)

    async with ear.listening():
        await ear.until_kept(newest)
    assert await ear.ledger.outbox.event_of(txn) == ours.event
    assert await ear.ledger.outbox.unsent() == 0


async def test_a_crash_before_the_commit_keeps_it_once(ear: Ear) -> None:
    newest = await away(ear, typed("one"), event(Kind.NOTICE, "two"))
    ear.inbox.dies_at = ear.inbox.begun + 1
    async with ear.listening():
        await ear.inbox.until(lambda: ear.inbox.dies_at is None)

    async with ear.listening():
        await ear.until_kept(newest)
    assert await history(ear) == ["one", "two"]
