"""The ways to say a parcel."""

import json
from dataclasses import replace

import pytest

from aiagentchat.core.ids import EventId, TxnId, UserId
from aiagentchat.core.meta import META_KEY
from aiagentchat.core.parcels import REACTION, TXN_KEY, Parcel
from aiagentchat.render import words
from aiagentchat.render.message import content_size, edit, message, reaction
from aiagentchat.send.variants import (
    AS_WRITTEN,
    BEGINNING,
    BEGINNING_CHARACTERS,
    FILE,
    FILE_NAME,
    FILE_TYPE,
    LAST,
    PLAIN,
    content_of,
    content_without_file,
    is_edit,
    words_of,
)
from tests.fakes.people import ANNA, ROOM

TEXT = "**Hello** <b>Anna</b>"
WRITTEN = message(TEXT, notice=False, reply_to=EventId("$asked"), mentions=[UserId(ANNA)])
PARCEL = Parcel(txn=TxnId("t"), room=ROOM, content=WRITTEN)
EDIT = replace(PARCEL, edits=TxnId("first"))
FIRST = EventId("$first")
POISON = replace(PARCEL, content={**WRITTEN, "body": "half \ud83d of it", "cost": 0.5})


def test_as_written_it_is_what_was_written_with_our_mark() -> None:
    assert content_of(PARCEL, AS_WRITTEN) == {**WRITTEN, TXN_KEY: "t"}


def test_an_edit_has_the_mark_where_everything_has_it() -> None:
    assert content_of(EDIT, AS_WRITTEN, first=FIRST) == {**edit(WRITTEN, FIRST), TXN_KEY: "t"}


def test_a_reaction_has_it_too() -> None:
    content = reaction(EventId("$asked"), "✅")
    parcel = replace(PARCEL, type=REACTION, content=content)

    assert content_of(parcel, AS_WRITTEN) == {**content, TXN_KEY: "t"}


def test_plain_it_is_the_text_alone_and_keeps_whom_it_answers_and_rings() -> None:
    assert content_of(PARCEL, PLAIN) == {
        "msgtype": "m.text",
        "body": TEXT,
        "m.mentions": {"user_ids": [ANNA]},
        "m.relates_to": {"m.in_reply_to": {"event_id": "$asked"}},
        TXN_KEY: "t",
    }


@pytest.mark.parametrize(("written", "plain"), [("m.notice", "m.notice"), ("m.text", "m.text"), ("m.image", "m.text")])
def test_plain_it_is_as_loud_as_it_was(written: str, plain: str) -> None:
    content = content_of(replace(PARCEL, content={"msgtype": written, "body": "x"}), PLAIN)

    assert content == {"msgtype": plain, "body": "x", "m.mentions": {}, TXN_KEY: "t"}


def test_plain_it_can_be_an_edit() -> None:
    content = content_of(EDIT, PLAIN, first=FIRST)

    assert content["m.relates_to"] == {"rel_type": "m.replace", "event_id": FIRST}
    assert "formatted_body" not in content["m.new_content"]


@pytest.mark.parametrize("variant", range(PLAIN, LAST + 1))
def test_no_other_way_has_anything_that_is_no_text(variant: int) -> None:
    content = content_of(POISON, variant, file={"url": "mxc://hs/1"})

    assert "cost" not in content
    assert json.dumps(content, ensure_ascii=False).encode("utf-8")
    assert words_of(POISON) == "half \ufffd of it"


def test_as_a_file_it_says_that_all_of_it_is_there() -> None:
    text = words_of(replace(PARCEL, content={"body": "é" * 100}))
    assert content_of(replace(PARCEL, content={"body": text}), FILE, file={"url": "mxc://hs/1"}) == {
        "msgtype": "m.file",
        "body": words.AS_A_FILE,
        "filename": FILE_NAME,
        "url": "mxc://hs/1",
        "info": {"mimetype": FILE_TYPE, "size": 200},
        "m.mentions": {},
        TXN_KEY: "t",
    }


def test_in_the_end_it_is_how_it_begins_and_that_the_rest_is_missing() -> None:
    text = "```\n" + "x" * 100_000
    content = content_of(replace(PARCEL, content={"body": text}), BEGINNING)

    assert content["body"].startswith("```\n" + "x" * 200)
    assert "x …\n```\n\n⚠️ The rest of this message could not be delivered" in content["body"]
    assert content_size(content) < 10 * BEGINNING_CHARACTERS


@pytest.mark.parametrize(
    ("variant", "expected"), [(AS_WRITTEN, True), (PLAIN, True), (FILE, False), (BEGINNING, False)]
)
def test_a_file_and_a_beginning_stand_for_themselves(variant: int, expected: bool) -> None:
    assert is_edit(EDIT, variant) is expected
    assert not is_edit(PARCEL, variant)


def test_what_has_no_words_has_none_in_any_way() -> None:
    assert words_of(replace(PARCEL, content={})) == ""


def test_in_a_thread_every_way_says_so_and_an_edit_needs_not() -> None:
    threaded = replace(PARCEL, thread=EventId("$root"), command=EventId("$command"))
    ways = [content_of(threaded, variant) for variant in range(LAST + 1)]

    assert [way["m.relates_to"]["event_id"] for way in ways] == ["$root"] * len(ways)
    assert ways[AS_WRITTEN]["m.relates_to"]["m.in_reply_to"] == {"event_id": "$asked"}
    assert ways[BEGINNING]["m.relates_to"]["m.in_reply_to"] == {"event_id": "$command"}
    assert content_of(replace(threaded, edits=TxnId("first")), AS_WRITTEN, first=FIRST)["m.relates_to"] == {
        "rel_type": "m.replace",
        "event_id": FIRST,
    }
    assert content_of(replace(threaded, type=REACTION), AS_WRITTEN)["m.relates_to"] == WRITTEN["m.relates_to"]


@pytest.mark.parametrize("variant", range(LAST + 1))
def test_what_an_agent_must_know_is_said_in_every_way(variant: int) -> None:
    meta = {"version": 1, "id": "m1", "kind": "answer"}
    parcel = replace(EDIT, content={**WRITTEN, META_KEY: meta})
    first = FIRST if is_edit(parcel, variant) else None

    content = content_of(parcel, variant, first=first, file={"url": "mxc://hs/a"})

    assert content[META_KEY] == content.get("m.new_content", content)[META_KEY] == meta


def test_a_file_that_is_not_taken_still_says_it() -> None:
    meta = {"version": 1, "id": "m1", "kind": "answer"}

    content = content_without_file(replace(PARCEL, content={**WRITTEN, "filename": "a.md", META_KEY: meta}))
    assert content[META_KEY] == meta
