"""Markdown → the HTML that Matrix allows.

CommonMark with tables, strikethrough and task lists, and some choices for what agents write:

- raw HTML is shown as text, and so is everything that a sanitiser would have to throw away;
- a line end is a line end, as in a chat;
- there are no reference definitions: ``[INFO]: started`` is a line of a log, and would vanish;
- images become links, because loading one tells its server who reads the room;
- links that a room cannot follow (paths in the workspace) and links to users (which would become pills) are text.

The result goes through nh3 with the allow-list of the specification (Client-Server API, "m.room.message msgtypes").
"""

import html
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import takewhile
from urllib.parse import unquote

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from aiagentchat.render.hygiene import clean, no_ping, shown

# fmt: off
TAGS = frozenset({
    "del", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "p", "a", "ul", "ol", "sup", "sub", "li", "b", "i", "u",
    "strong", "em", "s", "code", "hr", "br", "div", "table", "thead", "tbody", "tr", "th", "td", "caption", "pre",
    "span", "details", "summary",
})
# fmt: on
"""The specification's list without `img`."""

ATTRIBUTES = {
    "a": {"target", "href"},
    "ol": {"start"},
    "code": {"class"},
    "span": {"data-mx-bg-color", "data-mx-color", "data-mx-spoiler", "data-mx-maths"},
    "div": {"data-mx-maths"},
}
SCHEMES = frozenset({"https", "http", "ftp", "mailto", "magnet"})

_MOST_CELLS = 10_000  # beyond that a few kilobytes of table would take a second; they are shown as text
_FOLLOWED = re.compile(rf"(?:{'|'.join(sorted(SCHEMES))}):", re.IGNORECASE)
_TO_USER = re.compile(r"#/(?:user/)?@")
_CHECKBOX = re.compile(r"\[([ xX])\](?=\s)")
_BETWEEN_CELLS = re.compile(r"(?<=>)\n(?=</?(?:thead|tbody|tr|th|td)>|</table>)")
_TAG = re.compile(r"<[^>]*>")


def to_html(markdown: str) -> str:
    """`markdown` as HTML of which every tag and attribute may stand in `formatted_body`."""
    text = shown(clean(markdown))
    rendered: str = _renderer(tables=_cells(text) <= _MOST_CELLS).render(text)
    sanitised = _sanitiser().clean(rendered).replace("<br>\n", "<br>").strip()
    # Hydrogen shows nothing of a message in which a table has anything but tags between its tags, or no rows.
    return _BETWEEN_CELLS.sub("", sanitised).replace("</thead></table>", "</thead><tbody></tbody></table>")


def needs_html(markdown: str, rendered: str) -> bool:
    """Whether `rendered` shows anything that the plain text does not; otherwise `formatted_body` is left away.

    Paragraphs without any markup are the same in both, and something that renders to nothing must not hide its text.
    """
    if not html.unescape(_TAG.sub("", rendered)).strip() and "<hr>" not in rendered:
        return False
    paragraphs = rendered.removeprefix("<p>").removesuffix("</p>").replace("</p>\n<p>", "\n\n").replace("<br>", "\n")
    return "<" in paragraphs or html.unescape(paragraphs) != no_ping(shown(clean(markdown)).strip())


def _cells(text: str) -> int:
    """How many cells the tables in `text` can have at most: missing ones are filled in, up to the widest row."""
    lines = text.split("\n")
    return len(lines) * max(line.count("|") for line in lines)


@cache
def _renderer(*, tables: bool) -> MarkdownIt:
    renderer = MarkdownIt("commonmark", {"html": False, "breaks": True})
    renderer.enable(["table", "strikethrough"] if tables else ["strikethrough"]).disable("reference")
    renderer.core.ruler.push("for_rooms", _for_rooms)
    return renderer


@cache
def _sanitiser() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_only_languages,
        url_schemes=SCHEMES,
        url_relative="deny",
        link_rel=None,
    )


def _only_languages(tag: str, attribute: str, value: str) -> str | None:
    return None if (tag, attribute) == ("code", "class") and not value.startswith("language-") else value


def _for_rooms(state: StateCore) -> None:
    previous = ["", ""]
    for token in state.tokens:
        if token.children:
            if previous == ["list_item_open", "paragraph_open"]:
                token.children[0].content = _CHECKBOX.sub(_box, token.children[0].content, count=1)
            token.children = list(_rewritten(token.children))
        previous = [previous[1], token.type]


def _box(match: re.Match[str]) -> str:
    return "☐" if match[1] == " " else "☑"


def _rewritten(tokens: Iterable[Token]) -> Iterator[Token]:
    rest = iter(tokens)
    for token in rest:
        if token.type == "link_open":
            yield from _link(token, [_text_of(inner) for inner in takewhile(_in_link, rest)])
        elif token.type == "image":
            yield from _link(_address(str(token.attrs["src"])), [_text_of(token)])
        else:
            yield _text_of(token)


def _in_link(token: Token) -> bool:
    return token.type != "link_close"


def _text_of(token: Token) -> Token:
    """The token itself, defused; of an image its description."""
    if token.type in ("text", "image"):
        return _text(token.content)
    return token


def _link(address: Token, label: list[Token]) -> Iterator[Token]:
    """A link, or where it leads as text behind its label."""
    href = str(address.attrs["href"])
    shown = "".join(token.content for token in label)
    if _FOLLOWED.match(href) and not _TO_USER.search(unquote(href)):
        yield address
        yield from label if shown else [_text(href)]
        yield Token("link_close", "a", -1)
    else:
        yield from label
        yield _text("" if shown == no_ping(href) else f" ({href})" if shown else href)


def _address(href: str) -> Token:
    return Token("link_open", "a", 1, attrs={"href": href})


def _text(content: str) -> Token:
    # Once more: an entity (`&#x202e;`) becomes a character only while Markdown is read.
    return Token("text", "", 0, content=no_ping(shown(clean(content))))
