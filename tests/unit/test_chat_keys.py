"""What a terminal sends becomes keys, however it is cut into pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.cli.chat.editor import Key, Press, Typed
from aiagentchat.cli.chat.keys import MOST_PASTED, Decoder


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        pytest.param("ä€👍", [Typed("ä€👍")], id="text"),
        pytest.param("a\rb", [Typed("a"), Key.ENTER, Typed("b")], id="enter"),
        pytest.param("\x7f\x08", [Key.BACKSPACE, Key.BACKSPACE], id="both backspaces"),
        pytest.param(
            "\x01\x05\x15\x17\x0b", [Key.HOME, Key.END, Key.KILL_LINE, Key.KILL_WORD, Key.KILL_END], id="ctrl"
        ),
        pytest.param("\x03\x04\x0c\t", [Key.INTERRUPT, Key.EOF, Key.REDRAW, Key.TAB], id="more ctrl"),
        pytest.param("\x00\x1f", [Key.UNKNOWN, Key.UNKNOWN], id="controls without a meaning"),
        pytest.param("\x1b[A\x1b[B\x1b[C\x1b[D", [Key.UP, Key.DOWN, Key.RIGHT, Key.LEFT], id="arrows"),
        pytest.param("\x1bOA\x1bOH\x1bOF", [Key.UP, Key.HOME, Key.END], id="arrows in application mode"),
        pytest.param(
            "\x1b[1;5C\x1b[1;3D\x1bb\x1bf", [Key.WORD_RIGHT, Key.WORD_LEFT, Key.WORD_LEFT, Key.WORD_RIGHT], id="words"
        ),
        pytest.param("\x1b[1;2C", [Key.RIGHT], id="shift changes nothing"),
        pytest.param("\x1b[3~\x1b[1~\x1b[4~\x1b[2~", [Key.DELETE, Key.HOME, Key.END, Key.UNKNOWN], id="numbered"),
        pytest.param("\x1b[5~\x1b[6~\x07", [Key.PAGE_UP, Key.PAGE_DOWN, Key.MEMBERS], id="looking"),
        pytest.param("\x1b\r\x1b\x7f\x1bx", [Key.NEWLINE, Key.KILL_WORD, Key.UNKNOWN], id="alt"),
        pytest.param("\x1b[200~a\rb\x1b[A\x1b[201~c", [Typed("a\rb\x1b[A", pasted=True), Typed("c")], id="paste"),
        pytest.param("\x1b[?1;2c", [Key.UNKNOWN], id="an answer of the terminal is no text"),
    ],
)
def test_bytes_are_keys(sent: str, keys: list[Press]) -> None:
    assert Decoder().feed(sent.encode()) == keys


def test_a_lone_escape_is_a_key_when_nothing_follows() -> None:
    decoder = Decoder()
    steps = [(decoder.feed(b"\x1b"), decoder.waits), (decoder.flush(), decoder.waits), (decoder.flush(), decoder.waits)]

    assert steps == [([], True), ([Key.ESCAPE], False), ([], False)]


def test_what_follows_an_escape_late_is_text() -> None:
    decoder = Decoder()
    decoder.feed(b"\x1b[")

    assert decoder.flush() == [Key.ESCAPE, Typed("[")]


def test_a_paste_is_awaited_and_a_paste_without_end_is_not_awaited_for_ever() -> None:
    decoder = Decoder()

    assert decoder.feed(b"\x1b[200~abc") == []
    assert not decoder.waits
    assert decoder.feed(b"x" * MOST_PASTED) == [Typed("abc" + "x" * MOST_PASTED, pasted=True)]


_SENT = "aä€\x1b[A\x1b[1;5C👍\r\x1b[200~in\ner\x1b[201~\x1bOHz\x1b[3~"


@given(st.lists(st.integers(min_value=0, max_value=len(_SENT.encode())), max_size=12))
def test_how_it_is_cut_changes_nothing(cuts: list[int]) -> None:
    whole = _SENT.encode()
    borders = [0, *sorted(cuts), len(whole)]
    decoder = Decoder()
    keys = [key for a, b in pairwise(borders) for key in decoder.feed(whole[a:b])]

    assert _joined(keys) == _joined(Decoder().feed(whole))


def _joined(keys: list[Press]) -> list[Press]:
    """Text that came in two pieces is still the same text."""
    found: list[Press] = []
    for key in keys:
        last = found[-1] if found else None
        if isinstance(key, Typed) and isinstance(last, Typed) and not key.pasted and not last.pasted:
            found[-1] = Typed(last.text + key.text)
        else:
            found.append(key)
    return found
