"""Markdown becomes the HTML that Matrix allows."""

import re

import pytest

from aiagentchat.render.markdown import needs_html, to_html


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        pytest.param(
            "**a** _b_ `c` ~~d~~", "<p><strong>a</strong> <em>b</em> <code>c</code> <s>d</s></p>", id="inline"
        ),
        pytest.param("a\nb", "<p>a<br>b</p>", id="a line end is a line end"),
        pytest.param("# T", "<h1>T</h1>", id="heading"),
        pytest.param(
            "3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>', id="numbers start where they start"
        ),
        pytest.param("- [ ] a\n- [X] b", "<ul>\n<li>☐ a</li>\n<li>☑ b</li>\n</ul>", id="task list"),
        pytest.param("[ ] a", "<p>[ ] a</p>", id="a box outside a list is text"),
        pytest.param("- [x]y", "<ul>\n<li>[x]y</li>\n</ul>", id="a box needs a space"),
        pytest.param("```c++ x\n<a>\n```", '<pre><code class="language-c++">&lt;a&gt;\n</code></pre>', id="code"),
        pytest.param("~~~\n```\n~~~", "<pre><code>```\n</code></pre>", id="a fence in a fence"),
        pytest.param(
            "<b>x</b><script>1</script>", "<p>&lt;b&gt;x&lt;/b&gt;&lt;script&gt;1&lt;/script&gt;</p>", id="HTML"
        ),
        pytest.param("[INFO]: started", "<p>[INFO]: started</p>", id="a log line is no reference definition"),
        pytest.param("[a](https://x.org)", '<p><a href="https://x.org">a</a></p>', id="link"),
        pytest.param(
            "[](https://x.org)", '<p><a href="https://x.org">https://x.org</a></p>', id="link without a label"
        ),
        pytest.param("[f](src/a.py)", "<p>f (src/a.py)</p>", id="a path is text"),
        pytest.param("[a.py](a.py)", "<p>a.py</p>", id="a path that is its own label"),
        pytest.param("[](a.py)", "<p>a.py</p>", id="a path without a label"),
        pytest.param("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>", id="script"),
        pytest.param("![cat](http://x/c.png)", '<p><a href="http://x/c.png">cat</a></p>', id="an image becomes a link"),
        pytest.param("![cat](mxc://a/b)", "<p>cat (mxc://a/b)</p>", id="an image from the homeserver becomes text"),
        pytest.param("[![i](http://x/i.png)](http://l)", '<p><a href="http://l">i</a></p>', id="an image in a link"),
        pytest.param(
            "[Bob](https://matrix.to/#/%40bob:hs)",
            "<p>Bob (https://matrix.to/#/%40bob:hs)</p>",
            id="no pill for a user",
        ),
        pytest.param(
            "<https://matrix.to/#/@bob:hs>", "<p>https://matrix.to/#/@\u2060bob:hs</p>", id="also not by an autolink"
        ),
        pytest.param(
            "[r](https://matrix.to/#/!r:hs)", '<p><a href="https://matrix.to/#/!r:hs">r</a></p>', id="a link to a room"
        ),
        pytest.param("hi @room", "<p>hi @\u2060room</p>", id="no ping"),
        pytest.param("`@room`", "<p><code>@room</code></p>", id="code is exact"),
        pytest.param("a\x00\ud800\x1b[1mb", "<p>a\ufffdb</p>", id="cleaned"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_markdown_becomes_html(markdown: str, expected: str) -> None:
    assert to_html(markdown) == expected


def test_a_table_is_a_table() -> None:
    rendered = to_html("| a | b |\n|---|--:|\n| 1 | 2 |")

    assert rendered.startswith("<table><thead><tr><th>a</th>")
    # Between its tags there is nothing, and it has rows: Hydrogen insists on both.
    assert re.search(r"\s<(?!table)", rendered) is None
    assert "<td>2</td>" in rendered


def test_a_table_that_would_take_too_long_is_text() -> None:
    rendered = to_html("|a" * 100 + "\n" + "|-" * 100 + "\n" + "|b\n" * 200)

    assert "<table>" not in rendered
    assert "|b<br>" in rendered


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        pytest.param("hello", False, id="one plain paragraph"),
        pytest.param('a "b" & <c>\nd\n\ne', False, id="plain paragraphs"),
        pytest.param("hi @room", False, id="a defused ping"),
        pytest.param("**a**", True, id="markup"),
        pytest.param("&lt;", True, id="an entity"),
        pytest.param("\\*", True, id="an escape"),
        pytest.param("```\nx\n```", True, id="code"),
        pytest.param("---", True, id="a ruler"),
        pytest.param("```\n```", False, id="an empty block must not hide its text"),
        pytest.param("-", False, id="an empty list neither"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_html_is_only_sent_when_it_shows_more(markdown: str, expected: bool) -> None:
    assert needs_html(markdown, to_html(markdown)) is expected
