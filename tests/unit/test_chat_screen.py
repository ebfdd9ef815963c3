"""The picture on a terminal is what it should be, whatever was there before, and only what changed is written."""

from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.cli.chat.screen import Frame, Screen
from tests.e2e.terminal import Picture

ROWS = 6
_LINES = st.lists(st.text(alphabet="ab漢 ", max_size=8), max_size=ROWS)


@st.composite
def _frames(draw: st.DrawFn) -> Frame:
    live = draw(_LINES.filter(bool))
    row = draw(st.integers(min_value=0, max_value=len(live) - 1))
    return Frame(settled=draw(_LINES), live=live, row=row, column=draw(st.integers(min_value=0, max_value=9)))


@given(st.lists(_frames(), min_size=1, max_size=8))
def test_all_that_is_final_is_there_once_and_in_order_above_what_is_live(frames: list[Frame]) -> None:
    picture, screen = Picture(columns=20, rows=ROWS), Screen()
    for frame in frames:
        picture.feed(screen.draw(frame))

    seen = [*picture.scrollback, *picture.screen]
    final = [line.rstrip() for frame in frames for line in frame.settled]
    expected = [*final, *(line.rstrip() for line in frames[-1].live)]
    assert seen[: len(expected)] == expected
    assert not any(seen[len(expected) :])
    assert len(picture.scrollback) + picture.row == len(final) + frames[-1].row
    assert picture.column == frames[-1].column


def test_lines_that_are_the_same_are_not_written_again() -> None:
    screen = Screen()
    screen.draw(Frame(live=["one", "two", "three"]))

    written = screen.draw(Frame(live=["one", "2", "three"]))

    assert "2" in written
    assert "one" not in written
    assert "three" not in written


def test_after_a_wipe_everything_is_drawn() -> None:
    picture, screen = Picture(columns=20, rows=ROWS), Screen()
    picture.feed(screen.draw(Frame(settled=["above"], live=["one", "two"], row=1)))
    picture.feed(screen.wipe() + screen.draw(Frame(settled=["above"], live=["one", "two"], row=1)))

    assert [line for line in picture.screen if line] == ["above", "one", "two"]
