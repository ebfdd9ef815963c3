"""Which events are worth writing down: each row is a sentence."""

from dataclasses import replace

import pytest

from aiagentchat.core.ids import MessageId, RoomId, TaskId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Address, Meta, NoMeta
from aiagentchat.receive.intake import LATE_MS, Rules, by_room, came_back, dated, gap_lost, keep, since_we_came
from tests.fakes.clock import START_MS
from tests.fakes.people import ANNA, EVE, ME, OTHER, ROOM, event, typed


def to(user: UserId) -> Meta:
    """The meta of a message for somebody."""
    return Meta(id=MessageId("m"), to=Address(user))


RULES = Rules(ME, lambda room: room == ROOM)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param(typed("hello"), True, id="a message of a user"),
        pytest.param(typed("hello", sender=EVE), True, id="a message of a stranger, who may have to be told"),
        pytest.param(event(Kind.FILE, "plan.pdf"), True, id="a file"),
        pytest.param(event(Kind.REACTION, "✅"), True, id="a reaction"),
        pytest.param(event(Kind.EDIT, "hello you"), True, id="an edit"),
        pytest.param(event(Kind.REDACTION), True, id="a redaction"),
        pytest.param(event(Kind.NOTICE, "hello"), False, id="a notice"),
        pytest.param(event(Kind.NOTICE, "/approve"), True, id="a notice that looks like a bot command"),
        pytest.param(event(Kind.NOTICE, f"{ME}: run it"), True, id="a notice that speaks to us"),
        pytest.param(event(Kind.NOTICE, "x", mentions=frozenset({ME})), True, id="a notice that mentions us"),
        pytest.param(event(Kind.NOTICE, "x", meta=to(ME)), True, id="a notice of an agent for us"),
        pytest.param(event(Kind.NOTICE, "x", meta=to(EVE)), False, id="a notice of an agent for somebody else"),
        pytest.param(
            event(Kind.NOTICE, "x", meta=Meta(id=MessageId("m"))), False, id="a notice of an agent for nobody"
        ),
        pytest.param(
            event(Kind.NOTICE, "x", meta=Meta(id=MessageId("m"), task=TaskId("t"))), True, id="news of somebody's task"
        ),
        pytest.param(event(Kind.NOTICE, "x", meta=NoMeta()), False, id="a notice of something like an agent"),
        pytest.param(event(Kind.NOTICE, "/approve", room=OTHER), False, id="a notice in a room not configured"),
        pytest.param(typed("hello", sender=ME), False, id="our own message"),
        pytest.param(event(Kind.REACTION, "✅", sender=ME), False, id="our own reaction"),
        pytest.param(typed("hello", room=OTHER), False, id="a message in a room that is not configured"),
        pytest.param(event(Kind.JOINED, sender=ME), True, id="our coming"),
        pytest.param(event(Kind.LEFT, "kick"), True, id="our being put out"),
        pytest.param(event(Kind.LEFT, "leave", sender=ME), True, id="our leaving"),
        pytest.param(event(Kind.LEFT, "kick", room=OTHER), False, id="our being put out of a room not configured"),
        pytest.param(event(Kind.TOMBSTONE, "!new:hs"), True, id="the end of a room"),
        pytest.param(event(Kind.MALFORMED), True, id="a message that cannot be read"),
        pytest.param(event(Kind.MALFORMED, sender=ME), False, id="a message of ours that cannot be read"),
        pytest.param(event(Kind.INVITE, room=OTHER), True, id="an invite into a room that is not configured"),
        pytest.param(event(Kind.INVITE, sender=EVE), True, id="an invite of a stranger"),
    ],
)
def test_what_is_for_us_is_kept(said: Incoming, kept: bool) -> None:
    assert keep([said], RULES, first=False) == [said] * kept


def test_of_the_first_sync_only_invites_count() -> None:
    invite = event(Kind.INVITE)

    said = [typed("old"), invite, event(Kind.JOINED, sender=ME), event(Kind.REACTION, "✅"), event(Kind.LEFT)]

    assert keep(said, RULES, first=True) == [invite]


def test_the_order_stays() -> None:
    said = [typed("one"), event(Kind.NOTICE, "x"), typed("two"), event(Kind.INVITE), typed("three", sender=ANNA)]

    assert keep(said, RULES, first=False) == [said[0], said[2], said[3], said[4]]


def test_whether_a_room_is_configured_is_asked_once() -> None:
    asked: list[RoomId] = []

    def is_configured(room: RoomId) -> bool:
        asked.append(room)
        return room == ROOM

    keep([typed("one"), typed("two", room=OTHER), typed("three")], Rules(ME, is_configured), first=False)

    assert asked == [ROOM, OTHER]


# ── time ──


@pytest.mark.parametrize(
    ("ago", "late"),
    [
        pytest.param(0, 0, id="at once"),
        pytest.param(LATE_MS, 0, id="on its way"),
        pytest.param(LATE_MS + 1, LATE_MS + 1, id="late"),
        pytest.param(-1000, 0, id="from the future"),
    ],
)
def test_an_event_tells_how_late_it_is(ago: int, late: int) -> None:
    said = typed("hello", sent_at=START_MS - ago)

    assert dated(said, START_MS) == replace(said, late_ms=late)


@pytest.mark.parametrize(("sent_at", "now"), [(0, START_MS), (1, None)])
def test_nothing_is_late_where_nobody_knows_the_time(sent_at: int, now: int | None) -> None:
    assert dated(typed("hello", sent_at=sent_at), now).late_ms == 0


# ── rooms ──


@pytest.mark.parametrize(
    ("kinds", "back"),
    [
        ([], False),
        ([Kind.TEXT, Kind.JOINED], False),
        ([Kind.LEFT, Kind.TEXT], False),
        ([Kind.JOINED, Kind.LEFT], False),
        ([Kind.LEFT, Kind.TEXT, Kind.JOINED], True),
    ],
)
def test_who_leaves_and_joins_has_come_back(kinds: list[Kind], back: bool) -> None:
    assert came_back([event(kind) for kind in kinds]) is back


def test_who_has_come_is_told_what_was_said_since_he_was_last_away() -> None:
    one, two, three = typed("one"), typed("two"), typed("three")
    left = event(Kind.LEFT, "kick")

    assert since_we_came([one, left, two, left, three, two]) == [three, two]
    assert since_we_came([one, two]) == [one, two]
    assert since_we_came([one, left]) == []


def test_each_room_has_its_own_order() -> None:
    one, two, three = typed("one"), typed("two", room=OTHER), typed("three")

    assert by_room([one, two, three]) == {ROOM: [one, three], OTHER: [two]}


@pytest.mark.parametrize(("first", "body"), [(1000, "1000–5000"), (0, "0–5000"), (9000, "5000–5000")])
def test_a_gap_that_is_lost_names_two_moments(first: int, body: str) -> None:
    lost = gap_lost(ROOM, "s1", ME, first=first, last=5000)

    assert lost == Incoming(
        event=gap_lost(ROOM, "s1", ME, first=1, last=2).event,
        room=ROOM,
        sender=ME,
        sent_at=5000,
        kind=Kind.GAP_LOST,
        body=body,
    )
