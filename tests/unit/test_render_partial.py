"""Markdown that is still being written does not look broken."""

import pytest

from aiagentchat.render.markdown import to_html
from aiagentchat.render.partial import mended


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("whole.", "whole.", id="nothing is open"),
        pytest.param("a **bold", "a **bold**", id="strong"),
        pytest.param("a **bold ", "a **bold**", id="strong, before a space"),
        pytest.param("a **bold*", "a **bold**", id="strong, half closed"),
        pytest.param("a **bold**", "a **bold**", id="strong, closed"),
        pytest.param("a **", "a", id="strong, with nothing in it"),
        pytest.param("**`", "", id="code in strong, with nothing in it"),
        pytest.param("a **b *c", "a **b *c***", id="emphasis in strong"),
        pytest.param("a **b *c***", "a **b *c***", id="emphasis in strong, closed at once"),
        pytest.param("a *b **", "a *b*", id="a mark with nothing behind it in another"),
        pytest.param("_a", "_a_", id="emphasis"),
        pytest.param("snake_case", "snake_case", id="a name"),
        pytest.param("~~old", "~~old~~", id="struck out"),
        pytest.param("2 * 3", "2 * 3", id="a sum"),
        pytest.param("a \\*b", "a \\*b", id="escaped"),
        pytest.param("run `make te", "run `make te`", id="code"),
        pytest.param("run ``a ` b", "run ``a ` b``", id="code with a backtick in it"),
        pytest.param("run `a` and", "run `a` and", id="code, closed"),
        pytest.param("`a *b` c", "`a *b` c", id="a mark in code"),
        pytest.param("**run `make", "**run `make`**", id="code in strong"),
        pytest.param("see [the page](https://exa", "see the page", id="a link without its end"),
        pytest.param("see ![it](", "see it", id="a picture without its end"),
        pytest.param("see [it](http://x)", "see [it](http://x)", id="a whole link"),
        pytest.param("Two\n-", "Two", id="a line that would make a heading of the one before"),
        pytest.param("Two\n- ", "Two", id="an empty item"),
        pytest.param("Two\n\n12.", "Two", id="an empty number"),
        pytest.param("- one\n- **two", "- one\n- **two**", id="in the last item"),
        pytest.param("- **one\n- two", "- **one\n- two", id="not in an earlier one"),
        pytest.param("a *b\n\nc", "a *b\n\nc", id="nor in an earlier paragraph"),
        pytest.param("# He", "# He", id="a heading"),
        pytest.param("```py\nx **y", "```py\nx **y\n```", id="a fence"),
        pytest.param("```\nx `y\n```\n\n**z", "```\nx `y\n```\n\n**z**", id="behind a fence"),
        pytest.param("```\nx\n```", "```\nx\n```", id="a fence that was closed last"),
        pytest.param("```\nx\n```\n-", "```\nx\n```\n", id="a mark behind a fence"),
        pytest.param("|", "", id="a border"),
        pytest.param("| a", "| a\n|---|", id="the first cell of a table"),
        pytest.param("| a | b |", "| a | b |\n|---|---|", id="the head of a table"),
        pytest.param("| a | **b", "| a | **b**\n|---|---|", id="the head of a table, with a mark"),
        pytest.param("| a | b |\n|--", "| a | b |\n|---|---|", id="half of what stands below the head"),
        pytest.param("| a | b |\n|:-", "| a | b |\n|---|---|", id="half of that, with a colon"),
        pytest.param("| a | b |\n|:-|-:|", "| a | b |\n|:-|-:|", id="all of it"),
        pytest.param("| a | b |\nno", "| a | b |\nno", id="no table after all"),
        pytest.param("| a |\n|---|\n| *x", "| a |\n|---|\n| *x*", id="the last row"),
        pytest.param("| a |\n|---|\n", "| a |\n|---|", id="before the first row"),
    ],
)
def test_what_is_begun_looks_as_it_will_when_it_is_done(text: str, shown: str) -> None:
    assert mended(text) == shown


@pytest.mark.parametrize("length", range(1, 40))
def test_a_table_is_one_from_its_first_cell_on(length: int) -> None:
    text = "| one | two |\n|:----|----:|\n| **1** | `2` |"[:length]

    assert to_html(mended(text)) == "" or "<table>" in to_html(mended(text))


def test_no_mark_is_ever_shown_while_an_answer_grows() -> None:
    text = "So **this is *very* strong**, `code` and ~~old~~ [a page](https://example.org/a)."

    seen = [to_html(mended(text[:length])) for length in range(1, len(text) + 1)]
    assert [html for html in seen if any(mark in html for mark in ("*", "`", "~", "]("))] == []
