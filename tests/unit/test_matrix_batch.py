"""The answer of a sync becomes ours, in pieces, whatever it holds."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import MAIN, Incoming, Kind, Receipt
from aiagentchat.core.ports.matrix import Gap, SyncBatch
from aiagentchat.matrix import reading
from aiagentchat.matrix.batch import encrypted, read_batch
from aiagentchat.matrix.events import Step, read
from aiagentchat.matrix.reading import EVENTS_PER_BREATH, Answer
from aiagentchat.matrix.receipts import MOST_RECEIPTS
from tests.fakes.log import FakeLog

ME = UserId("@claude:hs")
ANNA = UserId("@anna:hs")
ROOM = RoomId("!kitchen:hs")


def said(body: str, number: int = 0) -> dict[str, Any]:
    return {
        "type": "m.room.message",
        "event_id": f"${body}{number}",
        "sender": ANNA,
        "origin_server_ts": 1,
        "content": {"msgtype": "m.text", "body": body},
    }


def moved(after: str, before: str) -> dict[str, Any]:
    return {
        "type": "m.room.member",
        "event_id": f"${after}",
        "sender": ANNA,
        "origin_server_ts": 1,
        "state_key": ME,
        "content": {"membership": after},
        "unsigned": {"prev_content": {"membership": before}},
    }


def timeline(*events: object, **more: object) -> dict[str, Any]:
    return {"timeline": {"events": list(events), **more}}


def answer(body: dict[str, Any] | None = None, **rooms: object) -> Answer:
    return Answer({"next_batch": "s1", "rooms": rooms, **(body or {})}, now=5)


def bodies(batch: SyncBatch) -> list[str]:
    return [event.body for event in batch.events]


# ── what it holds ──


async def test_what_was_said_in_each_room_is_told_in_order() -> None:
    rooms = {"!a": timeline(said("one"), said("two")), "!b": timeline(said("three"))}

    batch = await read_batch(answer(join=rooms), ME)

    assert [(event.room, event.body) for event in batch.events] == [("!a", "one"), ("!a", "two"), ("!b", "three")]
    assert (batch.token, batch.now, batch.joined) == ("s1", 5, frozenset({RoomId("!a"), RoomId("!b")}))


@pytest.mark.parametrize(
    ("told", "gaps"),
    [
        pytest.param(timeline(said("x"), limited=True, prev_batch="p"), (Gap(room=ROOM, before="p"),), id="cut"),
        pytest.param(timeline(said("x"), limited=False, prev_batch="p"), (), id="whole"),
        pytest.param(timeline(said("x"), limited="yes", prev_batch="p"), (), id="nonsense"),
        pytest.param(timeline(said("x"), limited=True), (), id="cut, nobody says where"),
        pytest.param(timeline(moved("join", "leave"), limited=True, prev_batch="p"), (), id="we have just come"),
    ],
)
async def test_a_timeline_that_was_cut_has_a_gap(told: dict[str, Any], gaps: tuple[Gap, ...]) -> None:
    batch = await read_batch(answer(join={ROOM: told}), ME)

    assert batch.gaps == gaps


@pytest.mark.parametrize(
    ("told", "heard"),
    [
        pytest.param(timeline(said("x"), moved("leave", "join")), [(Kind.TEXT, "x"), (Kind.LEFT, "kick")], id="a kick"),
        pytest.param(timeline(moved("leave", "invite")), [(Kind.LEFT, "kick")], id="an invite that was taken back"),
        pytest.param(
            timeline(moved("ban", "join"), moved("leave", "ban")), [(Kind.LEFT, "ban")], id="a ban that was lifted"
        ),
        pytest.param(
            timeline(moved("join", "leave"), moved("leave", "join")),
            [(Kind.JOINED, ""), (Kind.LEFT, "kick")],
            id="a short visit",
        ),
        pytest.param(
            timeline(moved("join", "leave")), [(Kind.JOINED, ""), (Kind.LEFT, "leave")], id="a visit without an end"
        ),
        pytest.param({}, [(Kind.LEFT, "leave")], id="nothing else"),
    ],
)
async def test_a_room_that_we_are_out_of_says_so_once(told: dict[str, Any], heard: list[tuple[Kind, str]]) -> None:
    batch = await read_batch(answer(leave={ROOM: told}), ME)

    assert [(event.kind, event.body) for event in batch.events] == heard
    assert batch.joined == frozenset()


async def test_what_a_room_that_we_were_put_out_of_has_left_out_is_a_gap() -> None:
    told = timeline(moved("leave", "join"), limited=True, prev_batch="p")

    batch = await read_batch(answer(leave={ROOM: told}), ME)

    assert batch.gaps == (Gap(room=ROOM, before="p"),)


async def test_an_invite_comes_from_its_stripped_state() -> None:
    stripped = {"type": "m.room.member", "state_key": ME, "sender": ANNA, "content": {"membership": "invite"}}

    batch = await read_batch(answer(invite={ROOM: {"invite_state": {"events": [stripped]}}, "!b": {}}), ME)

    assert batch.events == (
        Incoming(event=EventId(f"invite {ROOM} s1"), room=ROOM, sender=ANNA, sent_at=0, kind=Kind.INVITE),
    )


@pytest.mark.parametrize(
    ("events", "owner"),
    [
        ([{"type": "com.aiagentchat.owner", "content": {"installation": "me"}}], "me"),
        ([{"type": "x"}, 5, {"type": "com.aiagentchat.owner", "content": {"installation": "me"}}], "me"),
        ([{"type": "com.aiagentchat.owner", "content": {}}], None),
        ([{"type": "com.aiagentchat.owner", "content": {"installation": 5}}], None),
        ([{"type": "m.direct", "content": {"installation": "me"}}], None),
        ([], None),
    ],
)
async def test_the_account_data_names_the_owner(events: list[object], owner: str | None) -> None:
    batch = await read_batch(answer({"account_data": {"events": events}}), ME)

    assert batch.owner == owner


ENCRYPTION = {"type": "m.room.encryption", "state_key": ""}


@pytest.mark.parametrize(
    ("room", "is_so"),
    [
        pytest.param({"state": {"events": [{**ENCRYPTION, "content": {}}]}}, True, id="by its state"),
        pytest.param(timeline(ENCRYPTION), True, id="by its timeline, redacted"),
        pytest.param(timeline({"type": "m.room.encryption"}), False, id="a message that is called so"),
        pytest.param(timeline(said("hello")), False, id="not"),
        pytest.param("x", False, id="nonsense"),
    ],
)
def test_a_room_is_known_to_be_encrypted(room: object, is_so: bool) -> None:
    assert encrypted(room) is is_so


async def test_what_cannot_be_read_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    log = FakeLog()
    monkeypatch.setattr(reading, "log", log)
    sealed = {"type": "m.room.encrypted", "event_id": "$e", "sender": ANNA, "content": {}}

    def reads(room: RoomId, source: object, me: UserId) -> Step:
        if source is not sealed:
            return read(room, source, me)
        return Step(Incoming(event=EventId("$e"), room=room, sender=ANNA, sent_at=0, kind=Kind.SEALED))

    await read_batch(answer(join={"!a": timeline(sealed, said("x"), sealed), "!b": timeline(said("y"))}), ME, reads)

    assert log.of("event.sealed") == [{"room": "!a", "count": 2}]


# ── nonsense ──

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.lists(JSON | st.just(said("x")) | st.just(moved("leave", "join")), max_size=3)
TIMELINE = JSON | st.fixed_dictionaries({}, optional={"events": EVENTS | JSON, "limited": JSON, "prev_batch": JSON})
ROOMS = JSON | st.dictionaries(
    st.text(max_size=3),
    JSON | st.fixed_dictionaries({}, optional={"timeline": TIMELINE, "state": JSON, "invite_state": TIMELINE}),
    max_size=2,
)
BODIES = st.fixed_dictionaries(
    {"next_batch": st.just("s1")},
    optional={
        "rooms": JSON | st.fixed_dictionaries({}, optional={"join": ROOMS, "leave": ROOMS, "invite": ROOMS}),
        "account_data": JSON | TIMELINE,
    },
)


@given(BODIES)
def test_no_json_breaks_us(body: dict[str, Any]) -> None:
    batch = asyncio.run(read_batch(Answer(body, None), ME))

    assert batch.token == "s1"


@pytest.mark.parametrize("body", [{}, {"next_batch": None}, {"next_batch": 5}])
async def test_an_answer_without_a_token_is_none(body: dict[str, Any]) -> None:
    with pytest.raises(Unreachable):
        await read_batch(Answer(body, None), ME)


# ── much of it ──


class Counted(dict[str, Any]):
    """An event that is counted when somebody looks into it for the first time."""

    seen = 0

    def get(self, *args: Any) -> Any:
        """Count, and answer."""
        if not self.__dict__.get("looked"):
            self.__dict__["looked"] = True
            Counted.seen += 1
        return super().get(*args)


@pytest.mark.parametrize("rooms", [1, 100])
async def test_ten_thousand_events_leave_the_loop_to_others_all_the_time(rooms: int) -> None:
    total = 10_000
    Counted.seen = 0
    join = {
        f"!{room}": timeline(*(Counted(said("x", room * total + number)) for number in range(total // rooms)))
        for room in range(rooms)
    }
    steps = [0]

    async def look() -> None:
        while steps[-1] < total:
            steps.append(Counted.seen)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(look())
        batch = await read_batch(answer(join=join), ME)

    assert len(batch.events) == total
    assert max(after - before for before, after in pairwise(steps)) <= EVENTS_PER_BREATH


# ── how far others have read ──


def receipts(content: object, type_: str = "m.receipt") -> dict[str, Any]:
    return {"ephemeral": {"events": [{"type": type_, "content": content}, "nonsense"]}}


async def told(**rooms: object) -> tuple[Receipt, ...]:
    return (await read_batch(answer(join=rooms), ME)).receipts


async def test_a_receipt_says_who_has_read_how_far_and_where() -> None:
    content = {
        "$a": {"m.read": {ANNA: {"ts": 7}, "@bert:hs": {"ts": 8, "thread_id": "main"}, ME: {"ts": 9}}},
        "$b": {"m.read": {ANNA: {"ts": 10, "thread_id": "$root"}}, "m.read.private": {"@bert:hs": {"ts": 11}}},
    }

    assert await told(**{ROOM: receipts(content)}) == (
        Receipt(room=ROOM, event=EventId("$a"), user=ANNA, at=7),
        Receipt(room=ROOM, event=EventId("$a"), user=UserId("@bert:hs"), thread=MAIN, at=8),
        Receipt(room=ROOM, event=EventId("$b"), user=ANNA, thread="$root", at=10),
    )


@pytest.mark.parametrize("moment", [None, -1, 1.5, True, "7", 2**53, [7]])
async def test_a_receipt_counts_also_when_it_does_not_say_when(moment: object) -> None:
    [receipt] = await told(**{ROOM: receipts({"$a": {"m.read": {ANNA: {"ts": moment}}}})})

    assert receipt.at == 0


@pytest.mark.parametrize(
    "room",
    [
        receipts({"$a": {"m.read": {ANNA: {"thread_id": 3}}}}),
        receipts({"$a": {"m.read": {ANNA: "now"}}}),
        receipts({"$a": {"m.read": [ANNA]}}),
        receipts({"$a": []}),
        receipts("all"),
        receipts({"user_ids": [ANNA]}, "m.typing"),
        {"ephemeral": []},
        {},
        None,
    ],
)
async def test_what_has_not_the_shape_of_a_receipt_is_none(room: object) -> None:
    assert await told(**{ROOM: room}) == ()


async def test_more_receipts_than_anybody_needs_are_not_read() -> None:
    many: dict[str, Any] = {f"${number}": {"m.read": {ANNA: {}}} for number in range(MOST_RECEIPTS + 5)}

    assert len(await told(**{ROOM: receipts(many)})) == MOST_RECEIPTS


OWN_RECEIPT = {"ephemeral": {"events": [{"type": "m.receipt", "content": {"$a": {"m.read": {ME: {"ts": 1}}}}}]}}
THEIR_RECEIPT = {"ephemeral": {"events": [{"type": "m.receipt", "content": {"$a": {"m.read": {ANNA: {"ts": 1}}}}}]}}


@pytest.mark.parametrize(
    ("body", "is_quiet"),
    [
        ({}, True),
        ({"rooms": {"join": {ROOM: {**OWN_RECEIPT, "unread_notifications": {"highlight_count": 0}}}}}, True),
        ({"rooms": {"join": {ROOM: timeline()}}, "device_one_time_keys_count": {"signed_curve25519": 50}}, True),
        ({"account_data": {"events": [{"type": "com.aiagentchat.owner", "content": {"installation": "i"}}]}}, True),
        ({"rooms": {"join": {ROOM: THEIR_RECEIPT}}}, False),
        ({"rooms": {"join": {ROOM: timeline(said("hello"))}}}, False),
        ({"rooms": {"join": {ROOM: timeline({"type": "unknown"})}}}, False),
        ({"rooms": {"join": {ROOM: timeline(limited=True)}}}, False),
        ({"rooms": {"join": {ROOM: {"state": {"events": [{"type": "m.room.power_levels"}]}}}}}, False),
        ({"rooms": {"leave": {ROOM: timeline()}}}, False),
        ({"rooms": {"invite": {ROOM: {}}}}, False),
        ({"to_device": {"events": [{"type": "m.room.encrypted"}]}}, False),
        ({"device_lists": {"changed": [ANNA]}}, False),
        ({"device_lists": {"left": [ANNA]}}, False),
    ],
)
async def test_a_batch_is_quiet_if_nothing_in_it_would_be_missed(body: dict[str, Any], is_quiet: bool) -> None:
    batch = await read_batch(Answer({"next_batch": "s1", **body}, now=5), ME)

    assert batch.is_quiet is is_quiet
