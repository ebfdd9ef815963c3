"""The line editor: what keys do to a line, and where the cursor is drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from aiagentchat.cli.chat.editor import MOST_REMEMBERED, Editor, Key, Press, Typed, layout


def edited(*presses: Press | str, text: str = "") -> Editor:
    editor = Editor()
    editor.clear(text)
    for press in presses:
        editor.press(press if isinstance(press, Key | Typed) else Typed(press))
    return editor


@pytest.mark.parametrize(
    ("text", "presses", "after"),
    [
        pytest.param("", ["hello"], "hello|", id="text is typed at the end"),
        pytest.param("ab", [Key.LEFT, "x"], "ax|b", id="in the middle"),
        pytest.param("ab", [Key.LEFT, Key.RIGHT, "x"], "abx|", id="and back"),
        pytest.param("ab", [Key.HOME, Key.LEFT, "x"], "x|ab", id="not before the beginning"),
        pytest.param("ab", [Key.RIGHT, "x"], "abx|", id="not behind the end"),
        pytest.param("a\nb", [Key.HOME, "x"], "a\nx|b", id="home is the start of the line"),
        pytest.param("a\nb", [Key.UP, Key.END, "x"], "ax|\nb", id="end is the end of the line"),
        pytest.param("ab", [Key.BACKSPACE], "a|", id="backspace"),
        pytest.param("", [Key.BACKSPACE, Key.DELETE], "|", id="nothing to delete"),
        pytest.param("ab", [Key.HOME, Key.DELETE], "|b", id="delete"),
        pytest.param("aé", [Key.BACKSPACE], "a|", id="an accent goes with its letter"),
        pytest.param("a👩‍💻", [Key.BACKSPACE], "a|", id="joined people go together"),
        pytest.param("👍🏽b", [Key.HOME, Key.DELETE], "|b", id="a hand goes with its colour"),
        pytest.param("⏱️b", [Key.LEFT, Key.LEFT, "x"], "x|⏱️b", id="a selector is no place for the cursor"),
        pytest.param("one two", [Key.KILL_WORD], "one |", id="word"),
        pytest.param("one two  ", [Key.KILL_WORD], "one |", id="word with spaces behind it"),
        pytest.param("  ", [Key.KILL_WORD], "|", id="no word"),
        pytest.param("one two", [Key.WORD_LEFT, Key.KILL_LINE], "|two", id="to the start of the line"),
        pytest.param("one two", [Key.HOME, Key.WORD_RIGHT, Key.KILL_END], "one|", id="to the end of the line"),
        pytest.param("one", [Key.WORD_RIGHT], "one|", id="no word behind the last"),
        pytest.param("ab", [Key.NEWLINE, "c"], "ab\nc|", id="a line break"),
        pytest.param("ab\\", [Key.ENTER, "c"], "ab\nc|", id="a backslash goes on in the next line"),
        pytest.param("abc\nx", [Key.UP, "y"], "ay|bc\nx", id="up stays in the column"),
        pytest.param("a\nxyz", [Key.UP, "b"], "ab|\nxyz", id="up to a shorter line"),
        pytest.param("abc\nx", [Key.UP, Key.END, Key.DOWN, "y"], "abc\nxy|", id="down to a shorter line"),
        pytest.param("a\nb\nc", [Key.UP, Key.UP, Key.DOWN, "x"], "a\nbx|\nc", id="down in the middle"),
        pytest.param("ab", [Key.TAB, Key.UNKNOWN], "ab|", id="other keys do nothing"),
        pytest.param("", ["a\x1b[31mb\r\nc"], "ab\nc|", id="what is pasted is cleaned"),
    ],
)
def test_keys_edit_the_line(text: str, presses: list[Press | str], after: str) -> None:
    editor = edited(*presses, text=text)

    assert f"{editor.text[: editor.cursor]}|{editor.text[editor.cursor :]}" == after


def test_enter_gives_the_text_and_empties_the_line() -> None:
    editor = edited("hello")

    entered = editor.press(Key.ENTER)

    assert (entered, editor.text, editor.cursor) == ("hello", "", 0)


def test_up_and_down_walk_through_what_was_entered_and_back_to_the_draft() -> None:
    editor = edited("one", Key.ENTER, "two", Key.ENTER, "dra")
    seen = []
    for key in (Key.UP, Key.UP, Key.UP, Key.DOWN, Key.DOWN, Key.DOWN):
        editor.press(key)
        seen.append(editor.text)

    assert seen == ["two", "one", "one", "two", "dra", "dra"]


def test_the_history_keeps_no_repetition_no_emptiness_and_not_everything() -> None:
    editor = Editor()
    for line in ("a", "a", " ", *map(str, range(MOST_REMEMBERED))):
        editor.remember(line)

    assert editor.history == [str(number) for number in range(MOST_REMEMBERED)]


@pytest.mark.parametrize(
    ("text", "cursor", "expected"),
    [
        pytest.param("", 0, ([""], 0, 0), id="empty"),
        pytest.param("abc", 1, (["abc"], 0, 1), id="in a line"),
        pytest.param("abcdef", 5, (["abcd", "ef"], 1, 1), id="in the second row of a long line"),
        pytest.param("abcd", 4, (["abcd", ""], 1, 0), id="behind a full row"),
        pytest.param("a\nb", 1, (["a", "b"], 0, 1), id="at a line break"),
        pytest.param("a\nb", 2, (["a", "b"], 1, 0), id="behind a line break"),
        pytest.param("abcd\nb", 4, (["abcd", "b"], 0, 3), id="at a line break behind a full row"),
        pytest.param("漢字漢", 2, (["漢字", "漢"], 1, 0), id="wide characters"),
        pytest.param("a\tb", 2, (["a b"], 0, 2), id="a tab takes one cell"),
    ],
)
def test_the_line_is_laid_out_in_rows(text: str, cursor: int, expected: tuple[list[str], int, int]) -> None:
    assert layout(text, cursor, 4) == expected


@given(st.text(max_size=40), st.data(), st.integers(min_value=4, max_value=20))
def test_no_row_is_too_wide_and_the_cursor_is_in_the_picture(text: str, data: st.DataObject, width: int) -> None:
    cursor = data.draw(st.integers(min_value=0, max_value=len(text)))

    rows, row, column = layout(text, cursor, width)

    assert all(cell_len(line) <= width for line in rows)
    assert 0 <= row < len(rows)
    assert 0 <= column < width


_PRESSES = st.one_of(st.sampled_from(list(Key)), st.text(max_size=5).map(Typed))


@given(st.lists(_PRESSES, max_size=60))
def test_whatever_is_pressed_the_cursor_stays_in_the_text(presses: list[Press]) -> None:
    editor = Editor()
    for press in presses:
        editor.press(press)

        assert 0 <= editor.cursor <= len(editor.text)
