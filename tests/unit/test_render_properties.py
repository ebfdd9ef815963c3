"""What holds for any text.

100 examples each; `make properties` looks at 10,000 (``RENDER_EXAMPLES``).
"""

import os
import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiagentchat.core.ids import EventId
from aiagentchat.render.approval import Asking, tool_question
from aiagentchat.render.fences import close_open, open_fence
from aiagentchat.render.folding import MARK, step, unmarked
from aiagentchat.render.hygiene import clean, no_ping, one_line, visible
from aiagentchat.render.markdown import ATTRIBUTES, TAGS, to_html
from aiagentchat.render.message import MAX_CONTENT_BYTES, PAGE_BYTES, content_size, edit, message
from aiagentchat.render.partial import mended
from aiagentchat.render.split import LEAST_LIMIT, join, split, split_once
from aiagentchat.render.tools import LINE_LIMIT, tool_line

anything = settings(
    max_examples=int(os.environ.get("RENDER_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

CHARACTERS = st.text(st.characters(exclude_categories=()), max_size=40)
SNIPPETS = st.sampled_from(
    [
        *"`*_~[]()<>|#!\\&@:-+ \t\n\r",
        *("```", "\n```\n", "\n```py\n", "\n~~~\n", "\n~~~~ a`b\n", "\n````\n", "\n   ```\n", "\n      ```\n"),
        *("\n\n", "\n> ", "\n> ```\n", "\n- ", "\n- ```\n", "\n1. ", "\n# ", "\n---\n", "\n    ", "\r\n", "\u2028"),
        *("\n|a|b|\n|-|-:|\n|1|2|\n", "\n- [ ] ", "\n- [x]\t", "[x]: y", "&lt;", "&#64;room", "&nbsp;", "&#0;"),
        *("[a](", "](http://a.b)", "](javascript:1)", "](x y)", "![", "](mxc://a/b)", "<http://x>", "<a@b.c>"),
        *("[u](https://matrix.to/#/@u:hs)", "<b>", "</p>", "<img src=x onerror=1>", "<!--", "<script>", "]]>"),
        *("@room", "@bob:hs", "word ", "Sentence. ", "x" * 90, "y " * 60, "日本" * 30),
        *("\x00", "\x1b[31m", "\x1b]8;;", "\x07", "\x9b", "\x85", "\ud800", "\udc00", "\U000e0041", "\u202e"),
        *("e\u0301", "👩‍👩‍👧", "🇩🇪", "مرحبا", "\ue000", "\ufffe", "\u2060", "\ufeff"),
    ]
)
TEXT = st.lists(SNIPPETS | CHARACTERS, max_size=60).map("".join)
LONG = st.tuples(TEXT, st.integers(1, 200)).map(lambda parts: parts[0] * parts[1])
PAGES = LONG.map(lambda text: clean(text).encode()[:PAGE_BYTES].decode(errors="ignore"))
LIMITS = st.integers(LEAST_LIMIT, 1_000)
VALUES = TEXT | st.integers() | st.lists(TEXT, max_size=2) | st.dictionaries(CHARACTERS, st.none(), max_size=2)


class Seen(HTMLParser):
    """Every tag and attribute of some HTML, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.links: list[str] = []
        self.classes: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update((tag, name) for name, _ in attrs)
        self.links.extend(str(value) for name, value in attrs if name == "href")
        self.classes.extend(str(value) for name, value in attrs if name == "class")


@anything
@given(LONG)
def test_clean_text_is_valid_free_of_controls_and_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)

    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert not any((c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f" for c in cleaned)
    assert clean(cleaned) == cleaned


@anything
@given(TEXT)
def test_visible_text_hides_nothing_and_stays_as_it_is(text: str) -> None:
    shown = visible(text)

    assert all(c.isprintable() or c in "\n\t" for c in shown)
    assert visible(shown) == shown
    assert clean(shown) == shown


@anything
@given(TEXT)
def test_defusing_only_adds(text: str) -> None:
    assert no_ping(text).replace("\u2060", "") == text.replace("\u2060", "")
    assert no_ping(no_ping(text)) == no_ping(text)


@anything
@given(TEXT, st.integers(1, 50))
def test_one_line_is_one_short_line(text: str, limit: int) -> None:
    line = one_line(text, limit)

    assert len(line) <= limit
    assert len(line.splitlines()) <= 1


@anything
@given(LONG)
def test_html_holds_only_what_matrix_allows(text: str) -> None:
    seen = Seen(to_html(text[:PAGE_BYTES]))

    assert seen.tags <= TAGS
    assert seen.attributes <= {(tag, name) for tag, names in ATTRIBUTES.items() for name in names}
    assert all(link.lower().startswith(("http:", "https:", "ftp:", "mailto:", "magnet:")) for link in seen.links)
    assert not any("#/@" in link for link in seen.links)
    assert all(name.startswith("language-") for name in seen.classes)


@anything
@given(PAGES, st.booleans())
def test_a_message_of_one_page_can_be_sent_and_edited(text: str, notice: bool) -> None:
    content = message(text, notice=notice, reply_to=EventId("$" + "a" * 43))

    assert content["body"].strip()
    assert content["m.mentions"] == {}
    assert content_size(content) <= MAX_CONTENT_BYTES
    assert content_size(edit(content, EventId("$" + "b" * 43))) <= MAX_CONTENT_BYTES


@anything
@given(TEXT)
def test_any_text_makes_a_message(text: str) -> None:
    content = message(text, notice=False)

    assert content["body"].strip()
    assert content.get("formatted_body", "x")


@anything
@given(LONG, LIMITS)
def test_pieces_are_small_enough_and_balanced_and_join_to_the_same_text(text: str, limit: int) -> None:
    pieces = split(text, limit)

    assert join(pieces) == text
    assert all(len(piece.text.encode("utf-8", "surrogatepass")) <= limit for piece in pieces)
    assert all(open_fence(piece.text) is None for piece in pieces)
    assert all(not piece.dropped.strip(" \t\n") for piece in pieces)
    assert all(piece.source for piece in pieces)


@anything
@given(LONG, LIMITS)
def test_the_first_piece_is_the_same_whether_or_not_the_rest_is_known(text: str, limit: int) -> None:
    piece, rest = split_once(text, limit)

    assert [piece] == list(split(text, limit)[:1]) or not text
    assert rest.endswith(text[len(piece.source) :])


@anything
@given(LONG)
def test_closing_what_is_open_only_adds_and_leaves_nothing_open(text: str) -> None:
    closed = close_open(text)

    assert closed.startswith(text)
    assert open_fence(closed) is None


@anything
@given(st.lists(st.sampled_from(["```", "```py", "````", "~~~", "~~~ x", "   ```", "text", "", "``", "a ```"])))
def test_fences_are_what_the_renderer_takes_for_fences(lines: list[str]) -> None:
    rendered = to_html(close_open("\n".join(lines)) + "\n\n**after**")

    assert rendered.endswith("<p><strong>after</strong></p>")


@anything
@given(LONG)
def test_what_is_half_written_leaves_nothing_open_and_keeps_every_letter(text: str) -> None:
    shown = mended(text)

    assert open_fence(shown) is None
    # But for where a link leads that is not complete, unless that is code.
    assert letters(shown) in (letters(text), letters(re.sub(r"\]\([^()\s]*$", "", text)))


def letters(text: str) -> list[str]:
    """What of it is no markup."""
    return [c for c in text if c.isalpha()]


@anything
@given(TEXT, st.lists(TEXT, min_size=2, max_size=4))
def test_an_answer_with_folded_tools_holds_only_what_matrix_allows(text: str, tools: list[str]) -> None:
    marked = "\n\n".join([unmarked(close_open(text)), *(step(tool_line(tool, {})) for tool in tools), "— 1.0 s"])
    content = message(marked, notice=False, fold=True)

    assert MARK not in content["body"]
    seen = Seen(content.get("formatted_body", ""))
    assert seen.tags <= TAGS
    assert {"details", "summary"} <= seen.tags


CELLS = st.text(st.sampled_from("ab 1`*_é日"), max_size=12)
WORDS = st.lists(st.sampled_from(["word", "a. sentence.", "日本", "x" * 30]), max_size=40).map(" ".join)
LINKS = st.sampled_from(
    [
        "[a label of words](https://example.org/a)",
        "<https://example.org/b>",
        "https://example.org/c?d=e",
        "![x](http://y)",
    ]
)


@anything
@given(WORDS, st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=60), WORDS, st.integers(300, 900))
def test_every_piece_of_a_table_is_a_table(before: str, rows: list[tuple[str, str]], after: str, limit: int) -> None:
    lines = [f"| row {number} {one} | {two} |" for number, (one, two) in enumerate(rows)]
    text = "\n".join([before, "", "| a | b |", "|---|---|", *lines, "", after])

    pieces = split(text, limit)
    assert join(pieces) == text
    htmls = [to_html(piece.text) for piece in pieces]
    assert [html for html in htmls if "| row" in html or "|---" in html] == []
    assert sum(html.count("<td>row ") for html in htmls) == len(rows)


@anything
@given(st.lists(WORDS | LINKS, max_size=30), st.integers(300, 900))
def test_no_link_is_cut(parts: list[str], limit: int) -> None:
    text = " ".join(parts)

    shown = " ".join(piece.text for piece in split(text, limit))
    for link in ("[a label of words](https://example.org/a)", "<https://example.org/b>", "![x](http://y)"):
        assert shown.count(link) == text.count(link)


@anything
@given(TEXT, st.dictionaries(st.sampled_from(["command", "file_path", "x"]), VALUES))
def test_a_tool_line_is_one_line_without_markup(tool: str, tool_input: dict[str, Any]) -> None:
    line = tool_line(tool, tool_input)

    assert len(line) <= LINE_LIMIT
    assert "\n" not in line
    assert Seen(to_html(line)).tags <= {"p", "code"}


@anything
@given(
    st.sampled_from(["Bash", "Write", "Edit", "Other"]),
    st.dictionaries(
        st.sampled_from(["command", "file_path", "content", "old_string", "new_string", "description", "x"]), VALUES
    ),
)
def test_an_approval_shows_every_text_and_ends_with_how_to_answer(tool: str, tool_input: dict[str, Any]) -> None:
    text = tool_question(tool, tool_input, Asking(who="Asked.", minutes=60, digest="0123456789")).text
    rendered = to_html(text)

    assert open_fence(text) is None
    assert rendered.endswith("Request <code>01234567</code>.</p>")
    assert Seen(rendered).tags <= {"p", "strong", "code", "pre"}
