"""Raw events become ours, and no JSON whatsoever breaks that."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.files import FileKeys, MediaFile
from aiagentchat.core.ids import EventId, MessageId, RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import META_KEY, Meta, NoMeta, written
from aiagentchat.core.parcels import TXN_KEY
from aiagentchat.core.rooms import DIRECT
from aiagentchat.matrix.events import MAX_RAW, Step, came_in, invite, left, read, said_to_us, sent_at

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


def incoming(source: object) -> Incoming | None:
    return read(ROOM, source, ME).told


def only(source: object) -> Incoming:
    found = incoming(source)
    assert found is not None
    return found


REPLY = {"m.relates_to": {"m.in_reply_to": {"event_id": TARGET}}}


def in_thread(**more: object) -> dict[str, Any]:
    return {"m.relates_to": {"rel_type": "m.thread", "event_id": "$root", **more}}


ANSWERED = {"m.in_reply_to": {"event_id": TARGET}}


@pytest.mark.parametrize(
    ("content", "target"),
    [
        pytest.param(in_thread(), None, id="said in it"),
        pytest.param(in_thread(is_falling_back=True, **ANSWERED), None, id="a reply for clients without threads only"),
        pytest.param(in_thread(is_falling_back=False, **ANSWERED), TARGET, id="a reply in it"),
        pytest.param(in_thread(**ANSWERED), TARGET, id="a reply in it, that does not say so"),
    ],
)
def test_what_is_said_in_a_thread_knows_its_first_event(content: dict[str, Any], target: EventId | None) -> None:
    found = only(said("hello", **content))

    assert (found.thread, found.target) == ("$root", target)


def test_a_message_keeps_all_that_it_says() -> None:
    assert incoming(said("hello", **{"m.mentions": {"user_ids": [ME]}}, **REPLY)) == Incoming(
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

    assert (found.kind, found.body) == (kind, "" if kind is Kind.FILE else "b")


SEALED = {
    "url": "mxc://hs/a",
    "v": "v2",
    "key": {"k": "the key", "alg": "A256CTR"},
    "iv": "the start",
    "hashes": {"sha256": "the sum"},
}
INFO = {"mimetype": "image/PNG", "size": 3, "w": 1}


def file_of(**content: object) -> MediaFile | None:
    found = only(raw("m.room.message", {"msgtype": "m.image", "body": "a.png", **content}))
    assert found.kind is Kind.FILE
    return found.file


def test_a_file_says_where_and_what_it_is() -> None:
    assert file_of(url="mxc://hs/a", info=INFO) == MediaFile(name="a.png", mime="image/png", size=3, url="mxc://hs/a")


def test_an_encrypted_file_says_how_it_is_opened() -> None:
    keys = FileKeys(key="the key", iv="the start", sha256="the sum")

    assert file_of(file=SEALED, url="mxc://hs/other") == MediaFile(name="a.png", url="mxc://hs/a", keys=keys)


@pytest.mark.parametrize(
    ("content", "name", "caption"),
    [
        ({"body": "a.png"}, "a.png", ""),
        ({"body": "a.png", "filename": "a.png"}, "a.png", ""),
        ({"body": "look at this", "filename": "a.png"}, "a.png", "look at this"),
        ({"body": "look", "filename": ""}, "look", "look"),
        ({"body": "a.png", "filename": 3}, "a.png", ""),
    ],
)
def test_what_is_said_beside_the_name_is_a_caption(content: dict[str, Any], name: str, caption: str) -> None:
    found = only(raw("m.room.message", {"msgtype": "m.file", "url": "mxc://hs/a", **content}))

    assert found.file is not None
    assert (found.file.name, found.body) == (name, caption)


@pytest.mark.parametrize(
    "info", [3, None, {"size": -1, "mimetype": 3}, {"size": "3"}, {"size": 2**60, "mimetype": "text"}, {"size": 1.5}]
)
def test_what_is_said_of_a_file_and_makes_no_sense_is_not_kept(info: object) -> None:
    assert file_of(url="mxc://hs/a", info=info) == MediaFile(name="a.png", url="mxc://hs/a")


@pytest.mark.parametrize(
    "content",
    [{}, {"url": 3}, {"file": "x"}, {"file": {"url": "mxc://hs/a"}}, {"file": {**SEALED, "iv": 1}}, {"file": {"v": 1}}],
)
def test_a_file_that_is_nowhere_is_none(content: dict[str, Any]) -> None:
    assert file_of(**content) is None


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
            raw("m.room.redaction", {"redacts": TARGET}, redacts=TARGET),
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
    source = {**said("hello"), "origin_server_ts": value}

    assert (sent_at(source), only(source).sent_at) == (kept, kept)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param({}, id="nothing"),
        pytest.param("x", id="no object"),
        pytest.param({**said("x"), "event_id": None}, id="no id"),
        pytest.param({**said("x"), "sender": 5}, id="no sender"),
        pytest.param({**raw("m.reaction", {}), "content": "x"}, id="no content"),
        pytest.param(raw("m.room.message", {}), id="a redacted message"),
        pytest.param(raw("m.room.message", {"msgtype": "m.location", "body": "here"}), id="a strange message"),
        pytest.param(raw("m.reaction", {}), id="a redacted reaction"),
        pytest.param(raw("m.reaction", {"m.relates_to": {"key": "✅"}}), id="a reaction to nothing"),
        pytest.param(raw("m.room.redaction", {"redacts": 5}), id="a redaction of nothing"),
        pytest.param(raw("m.room.redaction", "x", redacts=TARGET), id="a redaction that is no object"),
        pytest.param(raw("m.room.encrypted", {"ciphertext": "…"}), id="what we cannot read"),
        pytest.param(raw("m.room.topic", {"topic": "x"}, state_key=""), id="state"),
        pytest.param(raw("m.room.tombstone", {"replacement_room": "!new:hs"}), id="a tombstone that is no state"),
        pytest.param(raw("m.room.tombstone", {}, state_key="x"), id="a tombstone of something else"),
    ],
)
def test_what_is_nothing_that_we_act_upon_is_nothing(source: object) -> None:
    assert read(ROOM, source, ME) == Step(None)


# ── messages that are none ──


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(raw("m.room.message", {"msgtype": "m.text"}), id="no body"),
        pytest.param(raw("m.room.message", {"msgtype": "m.text", "body": 5}), id="a body that is no text"),
        pytest.param(raw("m.room.message", {"body": "hello"}), id="no type"),
        pytest.param(raw("m.room.message", {"body": "hello", "msgtype": []}), id="a type that is no text"),
        pytest.param(raw("m.room.message", "hello"), id="no object"),
        pytest.param(raw("m.room.message", None), id="nothing"),
        pytest.param(
            said("* new", **{"m.relates_to": {"rel_type": "m.replace", "event_id": TARGET}}), id="half an edit"
        ),
        pytest.param(
            said("* new", **{"m.new_content": {"body": "new"}, "m.relates_to": {"rel_type": "m.replace"}}),
            id="an edit of nothing",
        ),
    ],
)
def test_a_message_without_the_shape_of_one_is_kept_as_it_came(source: dict[str, Any]) -> None:
    found = only(source)

    assert (found.event, found.sender, found.kind, found.body) == ("$event", ANNA, Kind.MALFORMED, "")
    assert found.raw is not None
    assert json.loads(found.raw) == source


def test_whom_it_was_for_is_known_all_the_same() -> None:
    assert only(raw("m.room.message", {"body": 5, "m.mentions": {"user_ids": [ME]}})).mentions == {ME}


@pytest.mark.parametrize("text", ["x" * MAX_RAW, "ä" * MAX_RAW, "\ud83d" * MAX_RAW])
def test_what_is_kept_of_it_has_a_limit(text: str) -> None:
    kept = only(raw("m.room.message", {"body": [text]})).raw

    assert kept is not None
    assert MAX_RAW - 4 < len(kept.encode("utf-8")) <= MAX_RAW


def test_what_cannot_be_written_is_kept_without_it() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    found = only(raw("m.room.message", {"body": deep}))

    assert (found.kind, found.raw) == (Kind.MALFORMED, None)


def test_a_message_is_not_kept_twice() -> None:
    assert only(said("hello")).raw is None


# ── the end of a room ──


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ({"body": "moved", "replacement_room": "!new:hs"}, "!new:hs"),
        ({"body": "moved"}, ""),
        ({"replacement_room": 5}, ""),
        ({}, ""),
    ],
)
def test_a_tombstone_tells_by_which_room_it_was_replaced(content: dict[str, Any], body: str) -> None:
    found = only(raw("m.room.tombstone", content, state_key=""))

    assert (found.kind, found.body, found.sender) == (Kind.TOMBSTONE, body, ANNA)


# ── timelines ──


def steps(*sources: dict[str, Any]) -> list[Step]:
    return [read(ROOM, source, ME) for source in sources]


def told(*sources: dict[str, Any]) -> list[str]:
    """What was said, and what became of us."""
    return [
        event.body if event.kind is Kind.TEXT else f"{event.kind}:{event.body}" for event in said_to_us(steps(*sources))
    ]


def test_a_timeline_is_told_in_order_and_without_what_is_nothing() -> None:
    assert told(said("one"), raw("m.room.topic", {}), said("two"), member("join", who=ANNA)) == ["one", "two"]


ENTRANCES = [
    pytest.param(member("invite"), [], id="an invite"),
    pytest.param(member("invite", before="leave"), [], id="another invite"),
    pytest.param(member("join"), ["joined:"], id="a join out of nowhere"),
    pytest.param(member("join", before="leave"), ["joined:"], id="a return"),
    pytest.param(member("join", before="ban"), ["joined:"], id="a return after a ban"),
    pytest.param({**member("join"), "unsigned": None}, ["joined:"], id="a join that says nothing of before"),
    pytest.param(
        {**member("join"), "unsigned": {"prev_content": "x"}}, ["joined:"], id="a join that says nonsense of before"
    ),
]


@pytest.mark.parametrize(("entrance", "about_us"), ENTRANCES)
def test_what_was_said_before_we_came_was_not_said_to_us(entrance: dict[str, Any], about_us: list[str]) -> None:
    assert told(said("behind our back"), entrance, said("hello")) == ["before:$event", *about_us, "hello"]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(member("join", before="join"), id="a new name of ours"),
        pytest.param(member("leave", before="invite"), id="an invite that was taken back"),
        pytest.param(member("leave", before="ban"), id="a ban that was lifted"),
        pytest.param(member("ban", before="leave"), id="a ban of who is out already"),
        pytest.param(member("knock"), id="our knocking"),
        pytest.param(member("join", who=ANNA), id="the join of somebody else"),
        pytest.param(member("leave", before="join", who=ANNA), id="the leaving of somebody else"),
        pytest.param(member("invite", who=ANNA), id="the invite of somebody else"),
        pytest.param(raw("m.room.member", {"membership": "join"}), id="a join of nobody"),
        pytest.param(raw("m.room.member", {"membership": 5}, state_key=ME), id="nonsense about us"),
        pytest.param(raw("m.room.member", "x", state_key=ME), id="more nonsense about us"),
    ],
)
def test_what_is_neither_entrance_nor_end_changes_nothing(event: dict[str, Any]) -> None:
    assert told(said("hello"), event, said("again")) == ["hello", "again"]


def test_what_was_typed_between_invite_and_join_was_typed_to_us() -> None:
    heard = told(said("before"), member("invite"), said("welcome"), member("join", before="invite"), said("sit down"))

    assert heard == ["before:$event", "welcome", "joined:", "sit down"]


def test_another_invite_takes_nothing_back_of_what_was_typed_since_the_first() -> None:
    again = member("invite", before="invite")
    heard = told(member("invite"), said("run the tests"), again, said("please"), member("join", before="invite"))

    assert heard == ["run the tests", "please", "joined:"]


def test_who_has_said_something_before_we_came_is_known_where_it_cannot_be_read() -> None:
    sealed = raw("m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2", "session_id": "s"})
    spoke = Incoming(event=EventId("$event"), room=ROOM, sender=ANNA, sent_at=1, kind=Kind.SEALED, body="s", raw="{}")

    [before] = said_to_us([Step(spoke), read(ROOM, sealed, ME), read(ROOM, member("invite"), ME)])

    assert (before.kind, before.sender, before.body) == (Kind.BEFORE, ANNA, "$event")


@pytest.mark.parametrize(
    ("event", "how"),
    [
        pytest.param(member("leave", before="join"), "kick", id="a kick"),
        pytest.param(member("leave"), "kick", id="a kick that says nothing of before"),
        pytest.param({**member("leave", before="join"), "sender": ME}, "leave", id="our leaving"),
        pytest.param(member("ban", before="join"), "ban", id="a ban"),
    ],
)
def test_who_is_put_out_learns_how_and_keeps_what_was_said_before(event: dict[str, Any], how: str) -> None:
    [hello, end] = said_to_us(steps(said("hello"), event))

    assert hello.body == "hello"
    assert (end.kind, end.body, end.event, end.sender) == (Kind.LEFT, how, "$event", event["sender"])


def test_what_was_said_while_we_were_out_was_not_said_to_us() -> None:
    heard = told(
        said("one"),
        member("leave", before="join"),
        said("behind our back"),
        member("invite", before="leave"),
        said("welcome"),
        member("join", before="invite"),
        said("two"),
        member("ban", before="join"),
        said("and again"),
        member("join", before="leave"),
        said("three"),
    )

    before = "before:$event"
    assert heard == ["one", "left:kick", before, "welcome", "joined:", "two", "left:ban", before, "joined:", "three"]


def test_of_what_was_said_before_we_came_the_last_of_each_sender_is_known() -> None:
    first, last, bert = (
        {**said("x"), "event_id": event, "sender": sender}
        for event, sender in (("$1", ANNA), ("$2", ANNA), ("$3", "@bert:hs"))
    )
    again = {**said("y"), "event_id": "$4"}
    entrances = member("invite", before="leave"), member("join", before="leave")

    heard = said_to_us(steps(first, bert, last, entrances[0], again, entrances[1], said("hello")))

    assert [(event.kind, event.event, event.sender, event.body) for event in heard[:2]] == [
        (Kind.BEFORE, "before $4", ANNA, "$4"),
        (Kind.BEFORE, "before $3", "@bert:hs", "$3"),
    ]
    assert [event.body for event in heard[2:]] == ["", "hello"]


@pytest.mark.parametrize(
    ("sources", "came"),
    [
        pytest.param([said("one")], False, id="we were there"),
        pytest.param([], False, id="nothing happened"),
        pytest.param([said("one"), member("invite"), said("two")], True, id="we were invited"),
        pytest.param([member("join", before="leave")], True, id="we came back"),
        pytest.param([member("join", before="invite")], False, id="we accepted an invite that came before"),
        pytest.param(
            [member("leave", before="join"), member("join", before="leave")], False, id="we left and came back"
        ),
    ],
)
def test_only_who_was_not_there_before_misses_nothing(sources: list[dict[str, Any]], came: bool) -> None:
    assert came_in(steps(*sources)) is came


# ── the end of our stay ──


def test_the_end_is_told_by_the_last_event_about_us() -> None:
    events = [member("ban", before="join"), said("hello"), {**member("leave", before="ban"), "event_id": "$unban"}]

    end = left(ROOM, events, ME, "s1")

    assert end == Incoming(event=EventId("$unban"), room=ROOM, sender=ANNA, sent_at=NOW, kind=Kind.LEFT, body="kick")


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="nothing"),
        pytest.param([said("hello"), "x"], id="nothing about us"),
        pytest.param([member("join")], id="something else about us"),
        pytest.param([{**member("leave"), "sender": None}], id="an end by nobody"),
    ],
)
def test_an_end_without_an_event_is_named_by_room_and_token(events: list[object]) -> None:
    end = left(ROOM, events, ME, "s1")

    assert (end.event, end.sender, end.kind, end.body) == ("left !kitchen:hs s1", ME, Kind.LEFT, "leave")


# ── invites ──


def stripped(membership: str, who: UserId = ME, sender: UserId = ANNA) -> dict[str, Any]:
    return {"type": "m.room.member", "state_key": who, "sender": sender, "content": {"membership": membership}}


def test_an_invite_tells_who_invited_us_and_is_named_by_room_and_token() -> None:
    states = [{"type": "m.room.name", "content": {"name": "Kitchen"}}, stripped("join", ANNA), stripped("invite")]

    assert invite(ROOM, states, ME, "s1") == Incoming(
        event=EventId("invite !kitchen:hs s1"), room=ROOM, sender=ANNA, sent_at=0, kind=Kind.INVITE
    )


@pytest.mark.parametrize(
    ("said", "body"), [(True, DIRECT), (False, ""), ("yes", ""), (1, ""), (None, ""), ([True], "")]
)
def test_an_invite_into_a_direct_chat_says_so_in_one_way(said: object, body: str) -> None:
    state = stripped("invite")
    state["content"]["is_direct"] = said

    found = invite(ROOM, [state], ME, "s1")
    assert found is not None
    assert found.body == body


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


# ── programs ──

META = Meta(id=MessageId("m1"))
SAYS = {META_KEY: written(META)}
BROKEN = {META_KEY: {"version": 1}}


def changed(new: dict[str, Any], **outside: object) -> dict[str, Any]:
    relation = {"rel_type": "m.replace", "event_id": TARGET}
    return said(
        "* tea", **{"m.relates_to": relation, "m.new_content": {"msgtype": "m.text", "body": "tea", **new}, **outside}
    )


@pytest.mark.parametrize(
    ("source", "meta"),
    [
        pytest.param(said("hello"), None, id="none"),
        pytest.param(said("hello", **SAYS), META, id="one"),
        pytest.param(said("hello", **BROKEN), NoMeta("id or kind is missing"), id="one that is none"),
        pytest.param(raw("m.room.message", {"msgtype": "m.notice", "body": "b", **SAYS}), META, id="of a notice"),
        pytest.param(raw("m.room.message", {"msgtype": "m.file", "body": "b", **SAYS}), META, id="of a file"),
        pytest.param(changed(SAYS), META, id="of what a message reads now"),
        pytest.param(changed(SAYS, **BROKEN), META, id="of what it reads now, whatever stands outside"),
        pytest.param(changed({}, **SAYS), META, id="outside of a change only"),
        pytest.param(said("hello", **{"m.new_content": SAYS}), None, id="inside of what is no change"),
    ],
)
def test_what_an_agent_says_about_its_message_is_read(source: dict[str, Any], meta: Meta | NoMeta | None) -> None:
    assert only(source).meta == meta


@pytest.mark.parametrize(
    ("content", "by_agent"),
    [
        pytest.param({}, False, id="typed"),
        pytest.param(SAYS, True, id="an agent's"),
        pytest.param({META_KEY: "of another shape"}, True, id="an agent's that we cannot read"),
        pytest.param({TXN_KEY: "t"}, True, id="a daemon's"),
        pytest.param({TXN_KEY: None}, True, id="a daemon's that we cannot read"),
        pytest.param({"m.new_content": SAYS}, True, id="an agent's change"),
        pytest.param({"m.new_content": "text"}, False, id="nonsense"),
    ],
)
def test_what_has_a_mark_was_not_typed(content: dict[str, object], by_agent: bool) -> None:
    assert only(said("hello", **content)).by_agent is by_agent


def test_a_reaction_of_a_daemon_was_not_typed() -> None:
    relation = {"event_id": TARGET, "key": "👀"}

    assert only(raw("m.reaction", {"m.relates_to": relation, TXN_KEY: "t"})).by_agent


def test_what_is_ours_says_which_parcel_it_is_and_is_no_other_agents() -> None:
    ours = {**said("hello", **{TXN_KEY: "t1"}, **SAYS), "sender": ME}

    found = only(ours)
    assert (found.txn, found.by_agent, found.meta) == ("t1", False, META)


def test_a_parcel_of_somebody_elses_is_none_of_ours() -> None:
    assert only(said("hello", **{TXN_KEY: "t1"})).txn is None


# ── anything ──

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["m.room.message", "m.reaction", "m.room.redaction", "m.room.member", "m.room.encrypted"])
KEYS = st.sampled_from(
    [
        *(
            "body",
            "msgtype",
            "m.relates_to",
            "m.new_content",
            "m.mentions",
            "event_id",
            "key",
            "membership",
            "user_ids",
        ),
        *(META_KEY, TXN_KEY),
    ]
)
NESTED = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON | st.sampled_from(["m.text", "join"]), max_size=3))
SOURCES = st.fixed_dictionaries(
    {},
    optional={
        "type": TYPES | JSON,
        "event_id": st.just("$event") | JSON,
        "sender": st.just(ANNA) | st.just(ME) | JSON,
        "origin_server_ts": st.integers() | JSON,
        "content": NESTED | JSON,
        "state_key": st.just(ME) | JSON,
        "unsigned": NESTED | JSON,
        "redacts": JSON,
    },
)


@given(st.lists(SOURCES | JSON, max_size=4))
def test_no_json_breaks_us(sources: list[object]) -> None:
    found = [read(ROOM, source, ME) for source in sources]
    for event in (*said_to_us(found), left(ROOM, sources, ME, "s1")):
        assert (event.room, type(event.body), 0 <= event.sent_at < 2**53) == (ROOM, str, True)


@given(st.lists(SOURCES | JSON, max_size=4), st.text())
def test_no_invite_breaks_us(sources: list[object], token: str) -> None:
    found = invite(ROOM, sources, ME, token)

    assert found is None or found.kind is Kind.INVITE


def test_a_redaction_that_names_two_events_is_of_neither() -> None:
    assert incoming(raw("m.room.redaction", {"redacts": TARGET}, redacts="$other")) is None


# ── our own ──


@pytest.mark.parametrize(
    ("sender", "txn", "known"), [(ME, "t1", "t1"), (ANNA, "t1", None), (ME, 7, None), (ME, None, None)]
)
def test_an_event_of_ours_names_the_parcel_that_it_is(sender: UserId, txn: object, known: str | None) -> None:
    content = {"msgtype": "m.notice", "body": "x", "com.aiagentchat.txn": txn}
    found = only({**raw("m.room.message", content), "sender": sender})

    kind = Kind.FORGED if sender == ME and known is None else Kind.NOTICE
    assert (found.kind, found.txn) == (kind, known)


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        pytest.param({"msgtype": "m.location", "body": "x", "geo_uri": "geo:0,0"}, [Kind.FORGED], id="a place"),
        pytest.param({"msgtype": "m.location", "body": "x", "com.aiagentchat.txn": "t"}, [], id="a place, by us"),
        pytest.param({"msgtype": "org.example", "body": "x"}, [Kind.FORGED], id="a kind of its own"),
        pytest.param({}, [], id="what was taken back"),
    ],
)
def test_what_is_said_with_our_account_and_not_by_us_is_forged(content: dict[str, Any], kinds: list[Kind]) -> None:
    step = read(ROOM, {**raw("m.room.message", content), "sender": ME}, ME)

    assert [told.kind for told in [step.told] if told is not None] == kinds
