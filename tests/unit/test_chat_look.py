"""Looking back: a window on all that is known of the room."""

import io

import pytest

from aiagentchat.cli.chat.editor import Key, Press, Typed
from aiagentchat.cli.chat.look import Look, Wish
from aiagentchat.cli.chat.paint import Painter, console
from tests.unit.test_chat_timeline import EVE, ME, Story

SIZE = 60, 10


class Back:
    """Somebody who looks back on a room with thirty messages, each of two lines."""

    def __init__(self) -> None:
        self.story = Story()
        self.ids = [self.story.says(EVE, f"message {number}") for number in range(30)]
        self.look = Look(Painter(console(io.StringIO()), ME))

    def seen(self, *, more: bool = False, trouble: str = "") -> list[str]:
        frame = self.look.frame(self.story.timeline, SIZE, trouble, more=more)
        assert len(frame.live) == SIZE[1]
        return [line.strip() for line in frame.live if line.strip()]


@pytest.fixture
def back() -> Back:
    return Back()


def test_it_begins_at_the_end_and_moves_by_lines_and_pages(back: Back) -> None:
    assert back.seen()[-2] == "message 29"
    back.look.press(Key.UP)
    back.look.press(Key.UP)
    assert back.seen()[-2] == "message 28"
    back.look.press(Key.PAGE_UP)
    assert back.seen()[-2] == "message 24"
    back.look.press(Key.PAGE_DOWN)
    back.look.press(Key.DOWN)
    back.look.press(Key.DOWN)
    back.look.press(Key.DOWN)

    assert back.seen()[-2] == "message 29"


def test_what_lies_before_is_wanted_at_the_upper_edge(back: Back) -> None:
    back.seen(more=True)

    assert back.look.press(Key.UP) is Wish.STAY
    assert back.look.press(Key.HOME) is Wish.OLDER
    assert back.seen(more=True)[0] == "… more is loaded here"
    assert back.seen(more=False)[0] == "the room begins here"
    assert back.look.press(Key.END) is Wish.STAY
    assert back.seen()[-2] == "message 29"


def test_what_is_loaded_above_moves_nothing(back: Back) -> None:
    back.seen()
    for _ in range(10):
        back.look.press(Key.PAGE_UP)
    before = back.seen()
    older = Story()
    for number in range(5):
        older.says(EVE, f"older {number}")
    for message in back.story.timeline.messages:
        older.says(EVE, message.body)
    back.story = older

    assert back.seen()[2:] == before[3:]  # the beginning, and the name that stood above the first message, are gone


def test_whoever_goes_to_the_beginning_sees_it_when_it_is_loaded(back: Back) -> None:
    back.seen(more=True)
    back.look.press(Key.HOME)
    for number in range(9):
        back.story.says(EVE, f"message {number + 30}")

    assert back.seen(more=False)[0] == "the room begins here"


def test_an_edit_is_seen_in_its_place(back: Back) -> None:
    back.seen()
    back.story.edits(EVE, back.ids[28], "edited")

    assert back.seen()[-3:-1] == ["edited", "message 29"]


@pytest.mark.parametrize("press", [Key.ESCAPE, Key.ENTER, Key.INTERRUPT, Key.EOF])
def test_it_is_left_by_a_key(back: Back, press: Press) -> None:
    assert back.look.press(press) is Wish.LEAVE


def test_what_is_typed_is_nothing_here(back: Back) -> None:
    assert back.look.press(Typed("y")) is Wish.STAY


def test_trouble_stands_below(back: Back) -> None:
    assert back.seen(trouble="It cannot be loaded.")[-1] == "It cannot be loaded."


def test_a_short_room_is_whole(back: Back) -> None:
    back.story = Story()
    back.story.says(EVE, "hello")

    assert back.seen()[:3] == ["the room begins here", "eve", "hello"]
