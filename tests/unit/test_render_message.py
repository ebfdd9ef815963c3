"""Markdown becomes the content of events."""

import pytest

from aiagentchat.core.ids import EventId, UserId
from aiagentchat.core.meta import META_KEY
from aiagentchat.core.parcels import REACTION_KEYS
from aiagentchat.render.marks import ACCEPTED, REACTIONS
from aiagentchat.render.message import (
    MAX_CONTENT_BYTES,
    PAGE_BYTES,
    content_size,
    edit,
    fits,
    fitted,
    limit,
    message,
    reaction,
    shows_nothing,
)
from aiagentchat.route.dispatch import CHANGED

EVENT = EventId("$event")
BOB = UserId("@bob:hs")


def test_plain_text_has_a_body_and_rings_nobody() -> None:
    assert message("hi @room", notice=False) == {"msgtype": "m.text", "body": "hi @\u2060room", "m.mentions": {}}


def test_a_notice_with_markup_has_html() -> None:
    assert message("**x**", notice=True) == {
        "msgtype": "m.notice",
        "body": "**x**",
        "m.mentions": {},
        "format": "org.matrix.custom.html",
        "formatted_body": "<p><strong>x</strong></p>",
    }


def test_a_reply_names_what_it_answers_and_whom_it_rings() -> None:
    content = message("done", notice=False, reply_to=EVENT, mentions=[BOB, BOB])

    assert content["m.relates_to"] == {"m.in_reply_to": {"event_id": EVENT}}
    assert content["m.mentions"] == {"user_ids": [BOB]}


@pytest.mark.parametrize("markdown", ["", " \n", "\x00", "\x1b[0m"])
def test_a_body_is_never_empty(markdown: str) -> None:
    assert message(markdown, notice=True)["body"] == "(nothing to show)"


def test_an_edit_replaces_the_text_and_rings_nobody() -> None:
    new = message("**x**", notice=False, reply_to=EVENT, mentions=[BOB])

    assert edit(new, EventId("$first")) == {
        "msgtype": "m.text",
        "body": "* **x**",
        "m.mentions": {},
        "m.new_content": {
            "msgtype": "m.text",
            "body": "**x**",
            "format": "org.matrix.custom.html",
            "formatted_body": "<p><strong>x</strong></p>",
            "m.mentions": {"user_ids": [BOB]},
        },
        "m.relates_to": {"rel_type": "m.replace", "event_id": "$first"},
    }


def test_a_reaction_annotates() -> None:
    assert reaction(EVENT, "👀") == {
        "m.relates_to": {"rel_type": "m.annotation", "event_id": "$event", "key": "👀"},
    }


def test_size_counts_bytes_of_canonical_json() -> None:
    assert content_size({"b": "é", "a": 1}) == len('{"a":1,"b":"é"}'.encode())


@pytest.mark.parametrize(
    "markdown",
    [
        pytest.param("**a**\n", id="markup"),
        pytest.param('"', id="quotes"),
        pytest.param("\\", id="backslashes"),
        pytest.param("@a:b\n", id="pings"),
        pytest.param("<", id="brackets"),
        pytest.param("> a\n\n", id="quotations"),
        pytest.param("- a\n", id="lists"),
        pytest.param("- > - > - > # a\n\n", id="nesting"),
        pytest.param("|a|b\n|-|-\n|c\n\n", id="tables"),
        pytest.param("*a*_b_`c`", id="spans"),
        pytest.param("[a](http://x)", id="links"),
    ],
)
def test_a_full_page_fits_also_as_an_edit(markdown: str) -> None:
    page = (markdown * PAGE_BYTES)[:PAGE_BYTES]
    content = message(page, notice=False, reply_to=EVENT)

    assert fits(content)
    assert content_size(edit(content, EVENT)) <= MAX_CONTENT_BYTES


def test_html_that_makes_a_page_too_large_is_left_away() -> None:
    content = message("- > - > - > # a\n\n" * 470, notice=False)

    assert "formatted_body" not in content
    assert content["body"].startswith("- > - > - > # a")


@pytest.mark.parametrize(
    "text", ["x" * PAGE_BYTES, "é" * (PAGE_BYTES // 2), '"' * PAGE_BYTES, "\n- x" * (PAGE_BYTES // 4)]
)
def test_a_page_fits_encrypted_too_as_an_edit_perhaps_without_its_html(text: str) -> None:
    content = fitted(edit(message(text, notice=False), EVENT), encrypted=True)

    assert content_size(content) <= limit(encrypted=True) < limit(encrypted=False)
    assert content["m.new_content"]["body"] == message(text, notice=False)["body"]


def test_what_fits_is_left_as_it_is() -> None:
    content = edit(message("**x**", notice=False), EVENT)

    assert fitted(content, encrypted=True) is content


def test_html_goes_where_it_makes_a_message_too_large() -> None:
    content = {"msgtype": "m.text", "body": "x" * 30_000, "format": "f", "formatted_body": "x" * 20_000}

    assert fitted(content, encrypted=False) is content
    assert fitted(content, encrypted=True) == {"msgtype": "m.text", "body": "x" * 30_000}
    edited = fitted({"body": "* x", "m.new_content": content}, encrypted=True)
    assert edited == {"body": "* x", "m.new_content": {"msgtype": "m.text", "body": "x" * 30_000}}


def test_what_is_no_json_is_left_to_be_refused() -> None:
    content = {"body": "half \ud83d of it"}

    assert fitted(content, encrypted=True) is content


def test_only_our_own_signs_show_nothing() -> None:
    assert all(shows_nothing(reaction(EVENT, key)) for key in [*REACTIONS.values(), ACCEPTED, CHANGED])
    assert {*REACTIONS.values(), ACCEPTED, CHANGED} <= REACTION_KEYS
    assert not shows_nothing(reaction(EVENT, "hello"))
    assert not shows_nothing({"m.relates_to": "✅"})
    assert not shows_nothing({})


def test_an_edit_says_to_an_agent_what_it_is_in_both_places() -> None:
    meta = {"version": 1, "id": "m1", "kind": "answer"}
    new = {**message("Hello", notice=False), META_KEY: meta}

    content = edit(new, EventId("$first"))

    assert content[META_KEY] == content["m.new_content"][META_KEY] == meta
    assert META_KEY not in edit(message("Hello", notice=False), EventId("$first"))
