"""Raw events become ours, and no JSON whatsoever breaks that."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.matrix.events import incoming, invite, timeline

ROOM = RoomId("!kitchen:hs")
ME = UserId("@claude:hs")
ANNA = UserId("@anna:hs")
NOW = 1_700_000_000_000
TARGET = EventId("$target")


def raw(type_: str, content: object, **more: object) -> dict[str, Any]:
    return {
        "type": type_,
        "event_id": "$event",
        "sender": ANNA,
        "origin_server_ts": NOW,
        "content": content,
        **more,
    }


def said(body: str, **content: object) -> dict[str, Any]:
    return raw("m.room.message", {"msgtype": "m.text", "body": body, **content})


def member(membership: str, *, before: str = "", who: UserId = ME) -> dict[str, Any]:
    unsigned = {"prev_content": {"membership": before}} if before else {}
    return raw("m.room.member", {"membership": membership}, state_key=who, unsigned=unsigned)


def only(source: dict[str, Any]) -> Incoming:
    found = incoming(ROOM, source)
    assert found is not None
    return found


REPLY = {"m.relates_to": {"m.in_reply_to": {"event_id": TARGET}}}


def test_a_message_keeps_all_that_it_says() -> None:
    assert incoming(ROOM, said("hello", **{"m.mentions": {"user_ids": [ME]}}, **REPLY)) == Incoming(
        event=EventId("$event"),
        room=ROOM,
        sender=ANNA,
        sent_at=NOW,
        kind=Kind.TEXT,
        body="hello",
        target=TARGET,
        mentions=frozenset({ME}),
    )


@pytest.mark.parametrize(
    ("msgtype", "kind"),
    [
        ("m.text", Kind.TEXT),
        ("m.emote", Kind.TEXT),
        ("m.notice", Kind.NOTICE),
        ("m.image", Kind.FILE),
        ("m.file", Kind.FILE),
        ("m.audio", Kind.FILE),
        ("m.video", Kind.FILE),
    ],
)
def test_every_kind_of_message_is_one_of_ours(msgtype: str, kind: Kind) -> None:
    found = only(raw("m.room.message", {"msgtype": msgtype, "body": "b"}))

    assert (found.kind, found.body) == (kind, "b")


@pytest.mark.parametrize(
    ("source", "kind", "body", "target"),
    [
        pytest.param(
            raw("m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "key": "✅", "event_id": TARGET}}),
            Kind.REACTION,
            "✅",
            TARGET,
            id="a reaction",
        ),
        pytest.param(raw("m.room.redaction", {"redacts": TARGET}), Kind.REDACTION, "", TARGET, id="a redaction"),
        pytest.param(
            raw("m.room.redaction", {}, redacts=TARGET), Kind.REDACTION, "", TARGET, id="a redaction in an old room"
        ),
        pytest.param(
            raw("m.room.redaction", {"redacts": TARGET}, redacts="$other"),
            Kind.REDACTION,
            "",
            TARGET,
            id="a redaction in a new room that says it twice",
        ),
        pytest.param(
            said(
                "* new",
                **{"m.new_content": {"body": "new"}, "m.relates_to": {"rel_type": "m.replace", "event_id": TARGET}},
            ),
            Kind.EDIT,
            "new",
            TARGET,
            id="an edit",
        ),
        pytest.param(
            said(
                "in a thread",
                **{
                    "m.relates_to": {"rel_type": "m.thread", "event_id": "$root", "m.in_reply_to": {"event_id": TARGET}}
                },
            ),
            Kind.TEXT,
            "in a thread",
            TARGET,
            id="a message in a thread",
        ),
    ],
)
def test_what_an_event_speaks_of_is_kept(source: dict[str, Any], kind: Kind, body: str, target: EventId) -> None:
    found = only(source)

    assert (found.kind, found.body, found.target) == (kind, body, target)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        pytest.param("> <@bob:hs> hi\n\nhello", "hello", id="a quotation"),
        pytest.param("> <@bob:hs> hi\n> you\n\nhello\n\nagain", "hello\n\nagain", id="a long quotation"),
        pytest.param("> <@bob:hs> hi\n\n> mine", "> mine", id="a quotation of one's own behind it"),
        pytest.param("> <@bob:hs> hi", "", id="nothing but a quotation"),
        pytest.param("> mine\n\nhello", "> mine\n\nhello", id="a quotation of one's own"),
        pytest.param("hello\n> <@bob:hs> hi", "hello\n> <@bob:hs> hi", id="a quotation further down"),
    ],
)
def test_a_reply_is_read_without_the_quotation_of_older_clients(body: str, read: str) -> None:
    assert only(said(body, **REPLY)).body == read


def test_a_quotation_in_what_is_no_reply_is_text() -> None:
    assert only(said("> <@bob:hs> hi\n\nhello")).body == "> <@bob:hs> hi\n\nhello"


@pytest.mark.parametrize(
    ("mentions", "kept"),
    [
        pytest.param({"user_ids": [ME, ANNA]}, {ME, ANNA}, id="two"),
        pytest.param({"user_ids": [ME, ME, 5, None]}, {ME}, id="one twice, and nonsense"),
        pytest.param({"user_ids": [f"@u{n}:hs" for n in range(100)]}, {f"@u{n}:hs" for n in range(100)}, id="many"),
        pytest.param({"user_ids": [f"@u{n}:hs" for n in range(101)]}, set(), id="too many"),
        pytest.param({"user_ids": ME}, set(), id="no list"),
        pytest.param({"room": True}, set(), id="the whole room"),
        pytest.param([], set(), id="no object"),
    ],
)
def test_mentions_are_ids(mentions: object, kept: set[str]) -> None:
    assert only(said("hello", **{"m.mentions": mentions})).mentions == kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (0, 0),
        (2**53 - 1, 2**53 - 1),
        (2**53, 0),
        (2**64, 0),
        (-1, 0),
        ("now", 0),
        (None, 0),
        (1.5, 0),
    ],
)
def test_a_time_is_one_that_the_ledger_can_keep(value: object, kept: int) -> None:
    assert only({**said("hello"), "origin_server_ts": value}).sent_at == kept


@pytest.mark.parametrize(
    "source",
    [
        pytest.param({}, id="nothing"),
        pytest.param({**said("x"), "event_id": None}, id="no id"),
        pytest.param({**said("x"), "sender": 5}, id="no sender"),
        pytest.param({**said("x"), "content": "x"}, id="no content"),
        pytest.param(raw("m.room.message", {}), id="a redacted message"),
        pytest.param(raw("m.room.message", {"msgtype": "m.text"}), id="no body"),
        pytest.param(raw("m.room.message", {"msgtype": "m.text", "body": 5}), id="a body that is no text"),
        pytest.param(raw("m.room.message", {"msgtype": "m.location", "body": "here"}), id="a strange message"),
        pytest.param(raw("m.reaction", {}), id="a redacted reaction"),
        pytest.param(raw("m.reaction", {"m.relates_to": {"key": "✅"}}), id="a reaction to nothing"),
        pytest.param(raw("m.room.redaction", {"redacts": 5}), id="a redaction of nothing"),
        pytest.param(raw("m.room.encrypted", {"ciphertext": "…"}), id="what we cannot read"),
        pytest.param(raw("m.room.topic", {"topic": "x"}, state_key=""), id="state"),
    ],
)
def test_what_has_not_the_right_shape_is_nothing(source: dict[str, Any]) -> None:
    assert incoming(ROOM, source) is None


# ── timelines ──


def bodies(*sources: dict[str, Any]) -> list[str]:
    return [event.body for event in timeline(ROOM, sources, ME)]


def test_a_timeline_is_told_in_order_and_without_what_is_nothing() -> None:
    assert bodies(said("one"), raw("m.room.topic", {}), said("two"), member("join", who=ANNA)) == ["one", "two"]


@pytest.mark.parametrize(
    "entrance",
    [
        pytest.param(member("invite"), id="an invite"),
        pytest.param(member("join"), id="a join out of nowhere"),
        pytest.param(member("join", before="leave"), id="a return"),
        pytest.param(member("join", before="ban"), id="a return after a ban"),
        pytest.param({**member("join"), "unsigned": None}, id="a join that says nothing of before"),
        pytest.param({**member("join"), "unsigned": {"prev_content": "x"}}, id="a join that says nonsense of before"),
    ],
)
def test_what_was_said_before_we_came_was_not_said_to_us(entrance: dict[str, Any]) -> None:
    assert bodies(said("behind our back"), entrance, said("hello")) == ["hello"]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(member("join", before="invite"), id="a join after an invite"),
        pytest.param(member("join", before="join"), id="a new name of ours"),
        pytest.param(member("leave", before="join"), id="our leaving"),
        pytest.param(member("join", who=ANNA), id="the join of somebody else"),
        pytest.param(member("invite", who=ANNA), id="the invite of somebody else"),
        pytest.param(raw("m.room.member", {"membership": "join"}), id="a join of nobody"),
        pytest.param(raw("m.room.member", {"membership": 5}, state_key=ME), id="nonsense about us"),
    ],
)
def test_what_is_no_entrance_cuts_nothing(event: dict[str, Any]) -> None:
    assert bodies(said("hello"), event, said("again")) == ["hello", "again"]


def test_what_was_typed_between_invite_and_join_was_typed_to_us() -> None:
    told = bodies(said("before"), member("invite"), said("welcome"), member("join", before="invite"), said("sit down"))

    assert told == ["welcome", "sit down"]


# ── invites ──


def stripped(membership: str, who: UserId = ME, sender: UserId = ANNA) -> dict[str, Any]:
    return {"type": "m.room.member", "state_key": who, "sender": sender, "content": {"membership": membership}}


def test_an_invite_tells_who_invited_us_and_is_named_by_room_and_token() -> None:
    states = [{"type": "m.room.name", "content": {"name": "Kitchen"}}, stripped("join", ANNA), stripped("invite")]

    assert invite(ROOM, states, ME, "s1") == Incoming(
        event=EventId("invite !kitchen:hs s1"), room=ROOM, sender=ANNA, sent_at=0, kind=Kind.INVITE
    )


@pytest.mark.parametrize(
    "states",
    [
        pytest.param([], id="nothing"),
        pytest.param([stripped("invite", ANNA)], id="an invite of somebody else"),
        pytest.param([stripped("knock")], id="our knocking"),
        pytest.param([{**stripped("invite"), "sender": None}], id="an invite of nobody"),
        pytest.param([{"type": "m.room.member"}, {}], id="nonsense"),
    ],
)
def test_what_invites_us_not_is_no_invite(states: list[dict[str, Any]]) -> None:
    assert invite(ROOM, states, ME, "s1") is None


# ── anything ──

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["m.room.message", "m.reaction", "m.room.redaction", "m.room.member", "m.room.encrypted"])
KEYS = st.sampled_from(
    ["body", "msgtype", "m.relates_to", "m.new_content", "m.mentions", "event_id", "key", "membership", "user_ids"]
)
NESTED = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON | st.sampled_from(["m.text", "join"]), max_size=3))
SOURCES = st.fixed_dictionaries(
    {},
    optional={
        "type": TYPES | JSON,
        "event_id": st.just("$event") | JSON,
        "sender": st.just(ANNA) | JSON,
        "origin_server_ts": st.integers() | JSON,
        "content": NESTED | JSON,
        "state_key": st.just(ME) | JSON,
        "unsigned": NESTED | JSON,
        "redacts": JSON,
    },
)


@given(st.lists(SOURCES, max_size=4))
def test_no_json_breaks_us(sources: list[dict[str, Any]]) -> None:
    for event in timeline(ROOM, sources, ME):
        assert (event.room, type(event.body), 0 <= event.sent_at < 2**53) == (ROOM, str, True)


@given(st.lists(SOURCES, max_size=4), st.text())
def test_no_invite_breaks_us(sources: list[dict[str, Any]], token: str) -> None:
    found = invite(ROOM, sources, ME, token)

    assert found is None or found.kind is Kind.INVITE
