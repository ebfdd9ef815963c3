"""How far messages between agents have come: we say it of theirs, and hear it of ours."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest

from aiagentchat.core.exchange import Message, MessageState
from aiagentchat.core.ids import CallerName, EventId, InstanceName, MessageId, RoomId, UserId
from aiagentchat.core.messages import MAIN, Incoming, Kind, Receipt
from aiagentchat.core.meta import Address, Meta, MetaKind, NoMeta
from aiagentchat.core.ports.messages import Messages
from aiagentchat.send.post import RoomPost
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.people import ANNA, EVE, ME, OTHER, ROOM, command, event, typed
from tests.fakes.signals import FakeSignals

FOR_US = Meta(id=MessageId("m1"), to=Address(ME))
FOR_EVE = Meta(id=MessageId("m2"), to=Address(EVE))
ANSWER = Meta(id=MessageId("a1"), kind=MetaKind.ANSWER, in_reply_to=MessageId("m1"))


class Ledger:
    """Of the Messages port what is told of others, written down."""

    def __init__(self) -> None:
        self.read: list[Receipt] = []
        self.said: list[Incoming] = []
        self.ours: dict[EventId, Message] = {}

    async def received(self, receipts: Sequence[Receipt], now: int) -> list[MessageId]:
        assert now == START_MS
        self.read += receipts
        return []

    async def heard(self, said: Incoming, now: int) -> None:
        assert now == START_MS
        self.said.append(said)

    async def by_event(self, event: EventId) -> Message | None:
        return self.ours.get(event)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def signals() -> FakeSignals:
    return FakeSignals()


@pytest.fixture
def post(ledger: Ledger, signals: FakeSignals) -> RoomPost:
    return RoomPost(signals=signals, messages=cast(Messages, ledger), me=ME, clock=FakeClock())


def receipt(event: str, thread: str | None = None, user: UserId = ME, room: RoomId = ROOM) -> Receipt:
    return Receipt(room=room, event=EventId(event), user=user, thread=thread, at=START_MS)


# ── what others have sent ──


async def test_whoever_has_sent_us_something_is_told_that_it_is_here(post: RoomPost, signals: FakeSignals) -> None:
    await post.landed([typed("make tea", event=EventId("$1"), meta=FOR_US)])

    assert signals.shown == [(ROOM, "$1")]
    assert signals.begun_with == []


async def test_one_receipt_says_it_of_all_that_came_in_a_room(post: RoomPost, signals: FakeSignals) -> None:
    said = [typed(str(number), event=EventId(f"${number}"), meta=FOR_US) for number in range(3)]
    await post.landed([*said, typed("there", event=EventId("$there"), meta=FOR_US, room=OTHER)])

    assert signals.shown == [(ROOM, "$2"), (OTHER, "$there")]


async def test_each_thread_has_a_receipt_of_its_own(post: RoomPost, signals: FakeSignals) -> None:
    inside = [
        typed(str(number), event=EventId(f"${number}"), meta=FOR_US, thread=EventId("$root")) for number in range(2)
    ]
    await post.landed([inside[0], typed("outside", event=EventId("$out"), meta=FOR_US), inside[1]])

    assert signals.shown == [(ROOM, "$out"), (ROOM, "$1")]
    assert signals.read_in == {"$out": None, "$1": "$root"}


async def test_what_waits_is_told_of_once(post: RoomPost, signals: FakeSignals) -> None:
    waiting = typed("make tea", event=EventId("$1"), meta=FOR_US)
    await post.landed([waiting])
    await post.landed([waiting, typed("more", event=EventId("$2"))])

    assert signals.shown == [(ROOM, "$1")]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(typed("hello"), id="typed by a person"),
        pytest.param(typed("hello", meta=FOR_EVE), id="for somebody else"),
        pytest.param(typed("hello", meta=NoMeta("hop has the wrong shape")), id="nonsense"),
    ],
)
async def test_what_is_not_for_us_is_not_acknowledged(
    post: RoomPost, signals: FakeSignals, ledger: Ledger, said: Incoming
) -> None:
    await post.landed([said])

    assert (signals.shown, ledger.read) == ([], [])


async def test_whoever_has_sent_it_is_told_that_its_turn_begins(post: RoomPost, signals: FakeSignals) -> None:
    await post.begun(command(event=EventId("$1"), meta=FOR_US))

    assert signals.begun_with == [(ROOM, "$1")]
    assert signals.shown == []


async def test_what_is_taken_up_again_was_begun_before(post: RoomPost, signals: FakeSignals) -> None:
    await post.begun(command(meta=FOR_US, origin=EventId("$first")))

    assert signals.begun_with == []


async def test_a_person_is_not_told(post: RoomPost, signals: FakeSignals, ledger: Ledger) -> None:
    await post.begun(command())

    assert (signals.begun_with, signals.shown, ledger.read) == ([], [], [])


# ── what callers of ours have sent to ourselves ──


async def test_of_what_our_own_caller_has_sent_the_ledger_is_told(
    post: RoomPost, signals: FakeSignals, ledger: Ledger
) -> None:
    own = typed("make tea", event=EventId("$1"), sender=ME, meta=FOR_US, caller=CallerName("ci"))
    await post.landed([own])
    await post.begun(command(event=EventId("$1"), sender=ME, meta=FOR_US, caller=own.caller))

    assert ledger.read == [receipt("$1", MAIN), receipt("$1")]
    assert [each.says for each in ledger.read] == [MessageState.DELIVERED, MessageState.READ]
    assert (signals.shown, signals.begun_with) == ([], [])


async def test_what_a_session_of_ours_was_sent_is_delivered_to_it(post: RoomPost, ledger: Ledger) -> None:
    meta = replace(FOR_US, to=Address(ME, InstanceName("laptop")))
    await post.landed([typed("tea?", event=EventId("$1"), sender=ME, meta=meta, caller=CallerName("ci"))])

    assert ledger.read == [receipt("$1", MAIN)]


# ── what answers ours ──


@pytest.mark.parametrize(
    ("said", "is_told"),
    [
        pytest.param(typed("done", meta=ANSWER, by_agent=True), True, id="an answer"),
        pytest.param(event(Kind.NOTICE, "more", meta=ANSWER, by_agent=True), True, id="more of it"),
        pytest.param(event(Kind.EDIT, "done", target=EventId("$a"), meta=ANSWER, by_agent=True), True, id="an edit"),
        pytest.param(event(Kind.FILE, "done", meta=ANSWER, by_agent=True), True, id="a file"),
        pytest.param(typed("yes", target=EventId("$ours")), True, id="a reply of a person"),
        pytest.param(typed("hello"), False, id="what a person types"),
        pytest.param(event(Kind.REACTION, "✅", target=EventId("$ours")), False, id="a reaction"),
        pytest.param(event(Kind.EDIT, "hello", target=EventId("$a")), False, id="an edit of a person"),
        pytest.param(typed("yes", target=EventId("$ours"), by_agent=True), False, id="a reply of some program"),
        pytest.param(typed("yes", meta=NoMeta(), by_agent=True), False, id="nonsense"),
    ],
)
async def test_what_may_answer_a_message_of_ours_is_told(
    post: RoomPost, ledger: Ledger, said: Incoming, is_told: bool
) -> None:
    assert not await post.heard(said)

    assert ledger.said == [said] * is_told


async def test_a_reply_that_was_taken_as_an_answer_asks_for_nothing_also_when_it_is_heard_again(
    post: RoomPost, ledger: Ledger
) -> None:
    reply, late = typed("half past nine", target=EventId("$ours")), typed("or ten", target=EventId("$ours"))
    ours = Message(meta=FOR_US, room=ROOM, caller=CallerName("ci"), body="When?", answer_event=reply.event)
    ledger.ours[EventId("$ours")] = ours

    assert [await post.heard(each) for each in (reply, reply, replace(late, event=EventId("$late")))] == [
        True,
        True,
        False,
    ]


async def test_how_far_others_have_read_is_told(post: RoomPost, ledger: Ledger) -> None:
    await post.received([receipt("$1", user=ANNA)])

    assert ledger.read == [receipt("$1", user=ANNA)]
