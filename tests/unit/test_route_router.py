"""Every event is looked at once and settled, whatever it is and whatever it breaks."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from aiagentchat.config.settings import PowerNeeded
from aiagentchat.core.audit import AuditFilter, AuditKind
from aiagentchat.core.commands import Command
from aiagentchat.core.effects import Effect
from aiagentchat.core.errors import LoginFailed, MatrixError, RateLimited, Refused, StoreError, Unreachable
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.log_content import LogContent, Said
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.ports.post import Post
from aiagentchat.render import words
from aiagentchat.route.access import Role
from aiagentchat.route.bot_commands.catalog import catalog
from aiagentchat.route.bot_commands.spec import Asked, BotCommand
from aiagentchat.route.router import BATCH, JOIN_AGAIN, LONGEST_NAP, LOOK_AGAIN
from tests.contract.store_fixtures import DEVICE
from tests.fakes.changes import PATIENCE
from tests.fakes.front import Front, open_front
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.members import powers
from tests.fakes.people import ADA, ANNA, EVE, GARDEN, KITCHEN, ME, OTHER, ROOM, VERA, command, event, settings, typed

STRANGE = RoomId("!strange:hs")
NEW = RoomId("!new:hs")


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


def invite(sender: UserId = ANNA, room: RoomId = NEW) -> Incoming:
    return event(Kind.INVITE, sender=sender, room=room)


async def test_events_are_routed_in_the_order_of_their_arrival(front: Front) -> None:
    front.settings = settings(max_queue=1000)
    said = [typed(str(number)) for number in range(BATCH + 10)]

    await front.hear(*said)

    assert [queued.text for queued in await front.ledger.commands.queue(ROOM)] == [each.body for each in said]


async def test_what_came_while_we_were_away_is_routed(tmp_path: Path) -> None:
    said = typed("make tea")
    async with open_front(tmp_path / "other.db") as earlier:
        await earlier.take_in(said)

    async with open_front(tmp_path / "other.db") as later:
        await later.route()
        assert [queued.event for queued in await later.ledger.commands.queue(ROOM)] == [said.event]


async def test_a_router_that_waits_wakes_up_for_news(tmp_path: Path) -> None:
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        front = Front(ledger)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            routing = group.create_task(front.router.run())
            await front.take_in(typed("one"))
            assert await ledger.commands.bell.wait(PATIENCE)
            await front.take_in(typed("two"))
            assert await ledger.commands.bell.wait(PATIENCE)
            routing.cancel()

        assert [queued.text for queued in await ledger.commands.queue(ROOM)] == ["one", "two"]


async def test_a_router_without_work_sleeps_long(front: Front) -> None:
    assert await front.route() == LONGEST_NAP


async def test_a_room_that_was_taken_out_of_the_settings_is_silent(front: Front) -> None:
    front.settings = settings(GARDEN)

    assert await front.told(typed("make tea"), typed("/help"), typed("/version", room=OTHER)) == ["aiagentchat 1.2.3"]
    assert await front.ledger.commands.queue(ROOM) == []
    assert await front.ledger.inbox.unrouted(1) == []


class Postbox(Post):
    """Writes down what it is told, and what was settled by then."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self.told: list[tuple[str, EventId, int]] = []
        self.answers: set[str] = set()
        """What answers a message of ours."""

    async def landed(self, events: Sequence[Incoming]) -> None:
        left = await self._left()
        self.told += [("landed", each.event, left) for each in events]

    async def heard(self, event: Incoming) -> bool:
        self.told.append(("heard", event.event, await self._left()))
        return event.body in self.answers

    async def begun(self, command: Command) -> None:
        raise AssertionError(command)

    async def _left(self) -> int:
        return len(await self._front.ledger.inbox.unrouted(100))


async def test_the_post_is_told_what_is_there_and_then_each_before_it_is_settled(front: Front) -> None:
    front.post = Postbox(front)
    front.use(catalog(front.desk))
    one, two = typed("one"), typed("two", sender=EVE)

    await front.hear(one, two)

    assert front.post.told == [
        ("landed", one.event, 2),
        ("landed", two.event, 2),
        ("heard", one.event, 2),
        ("heard", two.event, 1),
    ]


@pytest.mark.parametrize("sender", [ANNA, VERA, EVE])
async def test_what_answers_a_message_of_ours_is_no_command_besides(front: Front, sender: UserId) -> None:
    front.post = Postbox(front)
    front.post.answers = {"claude: half past nine"}
    front.use(catalog(front.desk))
    said = typed("claude: half past nine", sender=sender)

    await front.hear(said)

    assert front.signals.shown == [(ROOM, said.event)]
    assert await front.ledger.commands.queue(ROOM) == []
    assert await front.ledger.outbox.claim(front.clock.now_ms(), device=DEVICE) is None


async def test_what_comes_in_the_clear_into_an_encrypted_room_answers_nothing(front: Front) -> None:
    front.post = Postbox(front)
    front.use(catalog(front.desk))
    await front.ledger.keyring.mark_encrypted(ROOM, front.clock.now_ms())
    clear, sealed = typed("half past nine"), replace(typed("half past ten"), encrypted=True)

    await front.hear(clear, sealed)

    assert [event for what, event, _ in front.post.told if what == "heard"] == [sealed.event]


async def test_a_bot_command_is_one_also_where_it_answers(front: Front) -> None:
    front.post = Postbox(front)
    front.post.answers = {"/help"}
    front.use(catalog(front.desk))

    await front.hear(typed("/help"))

    assert await front.ledger.outbox.claim(front.clock.now_ms(), device=DEVICE) is not None


# ── what breaks us ──


async def _break(_: Asked) -> Sequence[Effect]:
    raise ZeroDivisionError("token=secret")


BROKEN = BotCommand(name="break", usage="/break", summary="breaks", role=Role.VIEWER, run=_break)


async def test_an_event_that_breaks_us_is_told_and_not_looked_at_again(front: Front) -> None:
    front.use({"break": BROKEN})

    assert await front.told(typed("/break")) == [words.BROKEN]
    assert await front.ledger.inbox.unrouted(1) == []
    assert await front.told() == []


async def test_an_event_that_breaks_us_does_not_stop_the_next(front: Front) -> None:
    front.use({"break": BROKEN, **catalog(front.desk)})

    assert await front.told(typed("/break"), typed("/version")) == [words.BROKEN, "aiagentchat 1.2.3"]


async def test_a_reaction_that_breaks_us_is_not_talked_about(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front.ledger.outbox, "parcel_of", _break)

    assert await front.told(event(Kind.REACTION, "🛑", target=EventId("$any"))) == []
    assert await front.ledger.inbox.unrouted(1) == []


async def test_an_event_that_the_ledger_could_not_serve_waits_for_one_that_works(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = typed("make tea")
    await front.take_in(said)

    async def full(_: RoomId) -> None:
        raise StoreError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(front.ledger.commands, "queue", full)
        with pytest.raises(StoreError):
            await front.router.run()
    assert await front.ledger.inbox.unrouted(10) == [said]

    assert await front.told() == []
    assert [queued.event for queued in await front.ledger.commands.queue(ROOM)] == [said.event]


# ── rooms whose power levels count ──

BOUND = replace(KITCHEN, power=PowerNeeded(user=10))


async def test_what_is_typed_before_the_levels_are_known_waits_for_them_in_its_order(front: Front) -> None:
    front.settings = settings(BOUND, GARDEN)
    first, second = typed("one"), typed("two")
    await front.take_in(first, typed("elsewhere", room=OTHER), second)

    assert await front.route() == LOOK_AGAIN
    assert await front.ledger.inbox.unrouted(10) == [first, second]
    assert [queued.text for queued in await front.ledger.commands.queue(OTHER)] == ["elsewhere"]

    front.members.states[ROOM] = powers({"users": {ANNA: 10}})
    assert await front.route() == LONGEST_NAP
    assert [queued.text for queued in await front.ledger.commands.queue(ROOM)] == ["one", "two"]


async def test_what_comes_behind_it_waits_with_it(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    front.settings = settings(BOUND, GARDEN)
    told = [None, powers({"users": {ANNA: 10}})]
    monkeypatch.setattr(front.members, "powers", lambda _: told.pop(0))
    first, second = typed("one"), typed("two")
    await front.take_in(first, second)

    assert await front.route() == LOOK_AGAIN
    assert await front.ledger.inbox.unrouted(10) == [first, second]


async def test_what_happens_to_the_room_itself_waits_for_nothing(front: Front) -> None:
    front.settings = settings(BOUND, GARDEN)
    await front.accepted(command())

    await front.hear(event(Kind.LEFT, "kick", sender=EVE))
    assert await front.ledger.commands.next_queued(ROOM) is None


async def test_what_was_said_before_we_came_waits_for_no_levels_and_hides_no_end_behind_it(front: Front) -> None:
    front.settings = settings(BOUND, GARDEN)
    await front.accepted(command())
    spoke = [event(Kind.BEFORE, f"$said{number}", sender=UserId(f"@p{number}:hs")) for number in range(9)]

    await front.hear(*spoke, event(Kind.LEFT, "kick", sender=EVE))

    assert await front.ledger.commands.next_queued(ROOM) is None
    lines = await front.ledger.audit.lines(AuditFilter(kind=AuditKind.REFUSED), limit=99)
    assert [line.deed.subject for line in lines] == [f"$said{number}" for number in range(9)]


async def test_who_has_not_the_power_is_told_so_and_who_has_it_is_served(front: Front) -> None:
    front.settings = settings(replace(BOUND, power=PowerNeeded(viewer=0, user=10)), GARDEN)
    front.members.states[ROOM] = powers({"users": {ANNA: 10, VERA: -1}})

    assert await front.told(typed("make tea")) == []
    assert await front.told(typed("/status", sender=VERA)) == [
        words.power_too_low(VERA, -1, {Role.VIEWER: 0, Role.USER: 10})
    ]


# ── invites ──


async def test_an_invite_into_a_configured_room_is_accepted_in_silence(front: Front) -> None:
    front.outbound.room(ROOM, joined=False, invited=True)

    assert await front.told(invite(EVE, ROOM)) == []
    assert front.outbound.rooms[ROOM].joined


async def test_an_invite_that_is_gone_is_forgotten(front: Front) -> None:
    front.outbound.fail(Refused("M_FORBIDDEN"))

    assert await front.told(invite()) == []
    assert await front.ledger.inbox.unrouted(1) == []


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        pytest.param(Unreachable("nobody answers"), JOIN_AGAIN, id="no answer"),
        pytest.param(RateLimited("429", retry_after=60), 60, id="too many, for long"),
        pytest.param(RateLimited("429", retry_after=0.1), JOIN_AGAIN, id="too many, for a moment"),
        pytest.param(LoginFailed("who?"), JOIN_AGAIN, id="a login that may be renewed"),
    ],
)
async def test_an_invite_that_cannot_be_accepted_now_is_accepted_later(
    front: Front, error: MatrixError, wait: float
) -> None:
    front.outbound.room(NEW, joined=False, invited=True)
    front.outbound.fail(error)
    await front.take_in(invite())

    assert await front.route() == JOIN_AGAIN
    front.clock.advance(wait - 0.001)
    assert await front.route() == JOIN_AGAIN
    assert front.outbound.asked == [("join", NEW)]

    front.clock.advance(0.001)
    assert await front.route() == LONGEST_NAP
    assert front.outbound.rooms[NEW].joined
    assert await front.ledger.inbox.unrouted(1) == []


async def test_invites_that_wait_do_not_stop_messages(front: Front) -> None:
    front.outbound.fail(RateLimited("429", retry_after=60), BATCH + 1)
    rooms = [replace(KITCHEN, id=RoomId(f"!new{number}:hs")) for number in range(BATCH + 1)]
    front.settings = settings(KITCHEN, *rooms)
    invites = [invite(room=RoomId(f"!new{number}:hs")) for number in range(BATCH + 1)]

    assert await front.told(*invites, typed("/version")) == ["aiagentchat 1.2.3"]
    assert len(front.outbound.asked) == BATCH + 1


async def test_an_invite_that_waits_is_looked_at_by_the_rules_of_the_day(front: Front) -> None:
    front.outbound.room(NEW, joined=False, invited=True)
    front.outbound.fail(Unreachable("nobody answers"))
    await front.hear(invite())
    front.settings = settings(replace(GARDEN, users=frozenset()))
    front.clock.advance(JOIN_AGAIN)

    assert await front.route() == LONGEST_NAP
    assert front.outbound.asked == [("join", NEW), ("leave", NEW)]


async def test_an_invite_that_waits_outlives_us(tmp_path: Path) -> None:
    async with open_front(tmp_path / "other.db") as earlier:
        earlier.outbound.fail(Unreachable("nobody answers"))
        await earlier.hear(invite())

    async with open_front(tmp_path / "other.db") as later:
        later.outbound.room(NEW, joined=False, invited=True)
        await later.route()
        assert later.outbound.rooms[NEW].joined


# ── anything ──

ANY = st.text(st.characters(exclude_categories=()), max_size=30)
SPOKEN = st.sampled_from(
    [
        "/help",
        "/status",
        "!stop now",
        "/deny",
        "/approve ✅",
        "/new_session",
        "/version\n",
        "/x",
        "✅",
        "🛑",
        "❌",
        "\0",
        "//",
    ]
)
EVENTS = st.builds(
    Incoming,
    event=ANY.map(lambda text: EventId(f"${text}")),
    room=st.sampled_from([ROOM, OTHER, NEW]) | ANY.map(RoomId),
    sender=st.sampled_from([ADA, ANNA, VERA, EVE, ME]) | ANY.map(UserId),
    sent_at=st.integers(0, 2**53 - 1),
    kind=st.sampled_from(Kind),
    body=ANY | SPOKEN | st.tuples(SPOKEN, ANY).map("".join),
    target=st.none() | ANY.map(EventId),
    mentions=st.frozensets(st.sampled_from([ME, ANNA]), max_size=2),
)


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(EVENTS, max_size=8))
async def test_whatever_comes_is_settled(front: Front, events: list[Incoming]) -> None:
    await front.hear(*events)

    assert await front.ledger.inbox.unrouted(1) == []


async def test_an_invite_of_a_stranger_leaves_a_line_and_one_that_is_followed_too(front: Front) -> None:
    front.outbound.room(NEW, joined=False, invited=True)
    await front.hear(invite(ANNA), replace(invite(EVE), room=STRANGE))

    lines = [line.deed for line in await front.ledger.audit.lines(AuditFilter(), limit=9)]
    assert [(deed.kind, deed.actor, deed.room, deed.subject) for deed in lines] == [
        (AuditKind.INVITED, ANNA, NEW, ""),
        (AuditKind.INVITE_REFUSED, EVE, None, STRANGE),
    ]


async def test_what_is_typed_is_in_the_log_as_far_as_the_room_lets_it(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, log_content=LogContent.PREVIEW), GARDEN)
    with capture_logs() as lines:
        await front.hear(typed("make tea"), event(Kind.JOINED, "not typed"), typed("dig", room=OTHER))

    said = {line["text"] for line in lines if line["event"] == "event.decided"}
    assert said == {Said("make tea", LogContent.PREVIEW), Said("", LogContent.PREVIEW), Said("dig")}
