"""Markdown becomes the content of events."""

import pytest

from aiagentchat.core.ids import EventId, UserId
from aiagentchat.render.message import MAX_CONTENT_BYTES, PAGE_BYTES, content_size, edit, fits, message, reaction

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
