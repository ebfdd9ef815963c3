"""Without a gateway: what is put into a room, and what is made of what stands there."""

from collections.abc import Mapping
from typing import Any

import pytest

from aiagentchat.cli.exchange.direct import Direct, contents, instance
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.said import folded, said
from aiagentchat.cli.exchange.states import outcome
from aiagentchat.cli.exchange.wishes import Words
from aiagentchat.core.ids import MessageId
from aiagentchat.core.instances import INSTANCE, TTL_SECONDS
from aiagentchat.core.meta import META_KEY, Meta, read_meta
from aiagentchat.core.parcels import TXN_KEY
from tests.fakes.plain_homeserver import PlainHomeserver

ROOM, BOT, EVE = "!den:hs", "@bot:hs", "@eve:hs"
ID = MessageId("m1")
NOW = 1_764_120_000_000


def event(id_: str, sender: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "m.room.message",
        "event_id": id_,
        "sender": sender,
        "origin_server_ts": NOW,
        "content": {"msgtype": "m.text", **content},
        **more,
    }


def edit(id_: str, sender: str, target: str, text: str, **meta: Any) -> dict[str, Any]:
    relation = {"rel_type": "m.replace", "event_id": target}
    new = {"msgtype": "m.text", "body": text, **meta}
    return event(id_, sender, {"body": f"* {text}", "m.new_content": new, "m.relates_to": relation, **meta})


def answer(text: str, *, part: int = 0, last: bool = True, kind: str = "answer", to: str = ID) -> dict[str, Any]:
    meta = {"version": 1, "id": f"a{part}", "kind": kind, "in_reply_to": to, "part": part, "last": last}
    return {"body": text, META_KEY: meta}


def test_a_message_to_nobody_is_what_a_person_types() -> None:
    content = contents(Words(room=ROOM, body="run \x1b[31mit"), ID)

    assert content == {"msgtype": "m.text", "body": "run it", "m.mentions": {}}


class Cutting(PlainHomeserver):
    """It takes what is put, and is not heard any more."""

    def put(self, where: str, body: Mapping[str, Any]) -> Any:
        super().put(where, body)
        raise NotDone("https://hs does not answer (time is up)", Exit.UNCERTAIN)


def test_what_may_have_arrived_is_told_with_its_key() -> None:
    asked = Direct(Cutting("@anna:hs", "!den:hs"), "@anna:hs")  # type: ignore[arg-type]
    with pytest.raises(NotDone, match="may have arrived; the same command with --key k says nothing twice") as raised:
        asked.send(Words(room="!den:hs", body="Is it green?"), "k")

    assert raised.value.exit is Exit.UNCERTAIN


def test_who_does_not_wait_any_longer_is_told_where_the_message_is() -> None:
    homeserver = PlainHomeserver("@anna:hs", "!den:hs")
    asked = Direct(homeserver, "@anna:hs")  # type: ignore[arg-type]
    sent = asked.send(Words(room="!den:hs", body="Is it green?", to="@bot:hs"), "k")

    assert f"cchat status {sent['id']} tells how far it is" in asked.given_up("k")


def test_who_has_said_nothing_yet_is_told_so() -> None:
    homeserver = PlainHomeserver("@anna:hs", "!den:hs")
    homeserver.problem = NotDone("it does not answer", Exit.UNREACHABLE)
    asked = Direct(homeserver, "@anna:hs")  # type: ignore[arg-type]
    with pytest.raises(NotDone):
        asked.send(Words(room="!den:hs", body="Is it green?", to="@bot:hs"), "k")

    assert asked.given_up("k") == "nothing was sent"


@pytest.mark.parametrize(("kind", "body"), [("task", "[TASK] x"), ("question", "[QUESTION] x"), ("message", "x")])
def test_people_see_what_a_message_is_for(kind: str, body: str) -> None:
    assert contents(Words(room=ROOM, body="x", kind=kind), ID)["body"] == body
    assert contents(Words(room=ROOM, body=body, kind=kind), ID)["body"] == body


def test_a_message_to_somebody_rings_them_and_has_the_meta_of_the_protocol() -> None:
    words = Words(room=ROOM, body="x", kind="task", to="@bot:hs/box", budget=3, expires_at=NOW, thread="$root")
    content = contents(words, ID)
    meta = read_meta(content)

    assert isinstance(meta, Meta)
    assert (meta.id, meta.kind, str(meta.to), meta.hop, meta.budget, meta.expires_at) == (
        "m1",
        "task",
        "@bot:hs/box",
        0,
        3,
        NOW,
    )
    assert content["m.mentions"] == {"user_ids": ["@bot:hs"]}
    assert content["m.relates_to"] == {"rel_type": "m.thread", "event_id": "$root"}


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(NotDone, match="write @user:server"):
        contents(Words(room=ROOM, body="x", to="@bot"), ID)


@pytest.mark.parametrize(
    ("relations", "body"),
    [
        ({"m.replace": edit("$3", BOT, "$1", "Hello")}, "Hello"),
        ({"m.replace": edit("$3", EVE, "$1", "Send me your key")}, "Hell"),
        ({"m.replace": edit("$3", BOT, "$0", "Bye")}, "Hell"),
        ({"m.replace": {"event_id": "$3", "sender": BOT}}, "Hell"),
        ({"m.replace": 7}, "Hell"),
        (7, "Hell"),
    ],
)
def test_the_edit_that_a_homeserver_bundles_is_the_last(relations: object, body: str) -> None:
    first = event("$1", BOT, {"body": "Hel"}, unsigned={"m.relations": relations})

    assert [each["body"] for each in folded([first, edit("$2", BOT, "$1", "Hell")], ROOM)] == [body]


def test_messages_read_as_after_their_edits_and_nobody_edits_anothers() -> None:
    events = [
        event("$1", BOT, {"body": "Hel"}),
        edit("$2", BOT, "$1", "Hello"),
        edit("$3", EVE, "$1", "Send me your key"),
        event("$4", EVE, {"body": "hi", TXN_KEY: "t"}),
        event("$5", EVE, {"body": 7}),
        {"type": "m.reaction", "event_id": "$6"},
    ]

    assert [(each["body"], each["edited_at"], each["by_agent"]) for each in folded(events, ROOM)] == [
        ("Hello", NOW, False),
        ("hi", None, True),
    ]


def test_a_message_has_its_thread_its_reply_and_its_meta() -> None:
    relation = {"rel_type": "m.thread", "event_id": "$root", "m.in_reply_to": {"event_id": "$0"}}
    message = said(event("$1", BOT, {**answer("x"), "msgtype": "m.notice", "m.relates_to": relation}), ROOM)

    assert message is not None
    assert (message["thread"], message["reply_to"], message["kind"], message["by_agent"]) == (
        "$root",
        "$0",
        "notice",
        True,
    )
    assert message["meta"]["kind"] == "answer"


def test_an_answer_is_its_parts_in_their_order_as_they_read_at_the_end() -> None:
    events = [
        event("$2", BOT, answer("two", part=1, last=False)),
        event("$1", BOT, answer("[ANSWER] on", last=False)),
        edit("$3", BOT, "$1", "[ANSWER] one", **{META_KEY: answer("", last=False)[META_KEY]}),
    ]
    assert outcome(events, ID, "@bot:hs/box", "$q") is None
    events.append(event("$4", BOT, answer("three", part=2)))

    assert outcome(events, ID, "@bot:hs/box", "$q") == {
        "state": "answered",
        "answer": "one\n\ntwo\n\nthree",
        "answer_event_id": "$4",
        "ended_at": NOW,
    }


@pytest.mark.parametrize("kind", ["refused", "expired"])
def test_a_no_is_told_with_its_words(kind: str) -> None:
    found = outcome([event("$1", BOT, answer("Not now.", kind=kind))], ID, BOT, "$q")

    assert found == {"state": kind, "why": "Not now.", "answer_event_id": "$1", "ended_at": NOW}


@pytest.mark.parametrize(
    "foreign",
    [
        event("$1", EVE, answer("mine")),
        event("$1", BOT, answer("other", to="m2")),
        event("$1", BOT, answer("status", kind="status")),
        event("$1", BOT, {"body": "plain"}),
        event("$1", BOT, answer("x"), type="m.reaction"),
        event("$1", BOT, {"body": "elsewhere", "m.relates_to": {"m.in_reply_to": {"event_id": "$other"}}}),
        event("$1", BOT, {"body": "a program", TXN_KEY: "t", "m.relates_to": {"m.in_reply_to": {"event_id": "$q"}}}),
    ],
)
def test_what_others_say_is_no_answer(foreign: dict[str, Any]) -> None:
    assert outcome([foreign], ID, BOT, "$q") is None


def entry(**more: Any) -> dict[str, Any]:
    content = {
        "kind": "daemon",
        "host": "box",
        "skills": ["python", 7],
        "status": "online",
        "software": "0.1.0",
        "version": 1,
    }
    key = more.pop("state_key", "_@bot:hs/box")
    content |= more
    return {"type": INSTANCE, "sender": BOT, "state_key": key, "origin_server_ts": NOW, "content": content}


def test_an_instance_is_there_as_long_as_it_says_so() -> None:
    found = instance(entry(), NOW + TTL_SECONDS * 1000)
    silent = instance(entry(), NOW + TTL_SECONDS * 1000 + 1)
    gone = instance(entry(status="offline"), NOW)

    assert found is not None
    assert (found["address"], found["alive"], found["skills"]) == ("@bot:hs/box", True, ["python"])
    assert silent is not None
    assert gone is not None
    assert (silent["alive"], gone["alive"]) == (False, False)


@pytest.mark.parametrize(
    "foreign",
    [
        entry(state_key="_@eve:hs/box"),
        entry(state_key="@bot:hs/box"),
        entry(state_key="_@bot:hs"),
        entry(state_key="_@bot:hs/Box!"),
        {**entry(), "content": {}},
        entry(version=2),
        {**entry(), "type": "m.room.member"},
        "nonsense",
    ],
)
def test_what_does_not_carry_its_sender_is_no_instance(foreign: object) -> None:
    assert instance(foreign, NOW) is None
