"""Text from outside becomes fit to be shown."""

import pytest

from aiagentchat.render.hygiene import as_written, clean, no_ping, one_line, shown, visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain\ttext\n", "plain\ttext\n", id="tabs and newlines stay"),
        pytest.param("a\r\nb\rc", "a\nb\nc", id="every line end is a newline"),
        pytest.param("\x1b[1;31mred\x1b[0m", "red", id="colours go"),
        pytest.param("\x1b[2K\x1b[1Gdone", "done", id="cursor movements go"),
        pytest.param("\x9b31mred", "red", id="eight-bit sequences go"),
        pytest.param("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x07", "click", id="terminal links leave their text"),
        pytest.param("\x1b]0;title never ends\nnext", "0;title never ends\nnext", id="an unended one eats nothing"),
        pytest.param("\x1bPq#0\x1b\\x", "x", id="device control strings go"),
        pytest.param("\x1b(B\x1b7\x1bcx\x1b", "x", id="short sequences and a lone escape go"),
        pytest.param("a\x00b\x07c\x7fd\x85e", "abcde", id="control characters go"),
        pytest.param("\x1b[\x1b[0m31mx", "31mx", id="no sequence is made by removing another"),
        pytest.param("a\ud800b", "a\ufffdb", id="a lone surrogate is replaced"),
        pytest.param("\ud83d\ude00", "😀", id="two halves become one character"),
        pytest.param("مرحبا 👩‍👩‍👧 e\u0301", "مرحبا 👩‍👩‍👧 e\u0301", id="every script and emoji stays"),
    ],
)
def test_clean_keeps_what_is_text(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("ls -la\n\techo é", "ls -la\n\techo é", id="ordinary text"),
        pytest.param("rm \u202egpj.x\u202c", "rm \\u202egpj.x\\u202c", id="bidi controls"),
        pytest.param("a\u200bb\ufeff\u00ad", "a\\u200bb\\ufeff\\u00ad", id="zero width"),
        pytest.param("x\U000e0041", "x\\U000e0041", id="tag characters"),
        pytest.param("\ue000", "\\ue000", id="private use"),
        pytest.param("rm\u00a0-rf\u3164", "rm\\u00a0-rf\\u3164", id="spaces that are none"),
        pytest.param("a\ufe0f\U000e0101", "a\\ufe0f\\U000e0101", id="variation selectors"),
        pytest.param("\x1b[2K\r\x00", "\\u001b[2K\\u000d\\u0000", id="terminal tricks"),
        pytest.param("\ud800", "\\ud800", id="a lone surrogate"),
    ],
)
def test_visible_spells_out_what_hides(text: str, expected: str) -> None:
    assert visible(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("hi @room!", "hi @\u2060room!", id="the whole room"),
        pytest.param("@ROOM", "@\u2060ROOM", id="however it is written"),
        pytest.param("ask @bob:example.org", "ask @\u2060bob:example.org", id="a user"),
        pytest.param("`@bob:example.org`", "`@bob:example.org`", id="an id in code can be copied"),
        pytest.param("`@room`", "`@\u2060room`", id="but the room is not rung from code"),
        pytest.param("git@github.com:a/b", "git@github.com:a/b", id="an address of git"),
        pytest.param("me@room.example", "me@room.example", id="a mail address"),
        pytest.param("@rooms and @types/node", "@rooms and @types/node", id="neither"),
    ],
)
def test_nobody_is_rung(text: str, expected: str) -> None:
    assert no_ping(text) == expected


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        pytest.param(" a\n\n b\t c ", 10, "a b c", id="whitespace collapses"),
        pytest.param("abcdef", 6, "abcdef", id="what fits stays"),
        pytest.param("abc defg", 5, "abc…", id="the rest is cut"),
        pytest.param("\x1b[31m\x00", 5, "", id="nothing left"),
    ],
)
def test_one_line(text: str, limit: int, expected: str) -> None:
    assert one_line(text, limit) == expected


def test_what_reorders_text_is_spelled_out_and_every_script_stays() -> None:
    assert shown("a\u202eb\u2066c\u2069 مرحبا\u200f!") == "a\\u202eb\\u2066c\\u2069 مرحبا\u200f!"


@pytest.mark.parametrize(
    "text", ["ask @bert:hs/desk, then @room", "git@host:path and `@bert:hs`", "a @ b", "@claude:hs: hello @BERT:HS"]
)
def test_an_agent_reads_what_another_one_has_written(text: str) -> None:
    assert as_written(no_ping(text)) == text
