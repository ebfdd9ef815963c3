"""What is final goes up once; what may still change stays below, as much of it as fits."""

import io
from collections.abc import Sequence

import pytest

from aiagentchat.cli.chat.editor import Editor
from aiagentchat.cli.chat.paint import Painter, console
from aiagentchat.cli.chat.screen import Screen
from aiagentchat.cli.chat.timeline import Message
from aiagentchat.cli.chat.view import UNANSWERED_SECONDS, Bottom, View
from tests.e2e.terminal import Picture
from tests.unit.test_chat_timeline import BOT, EVE, ME, QUESTION, Story

SIZE = 60, 20
NOW = 100.0


class Seen:
    """A view, and all that has left it."""

    def __init__(self) -> None:
        self.story = Story()
        self.painter = Painter(console(io.StringIO()), ME)
        self.view = View(self.painter, self.story.timeline)
        self.editor = Editor()
        self.above: list[str] = []

    def look(self, now: float = NOW, *, question: Message | None = None, reason: bool = False) -> list[str]:
        """The live part of the next picture, without its last two lines."""
        bottom = Bottom(editor=self.editor, status="status", question=question, reason=reason)
        frame = self.view.frame(bottom, SIZE, now)
        del self.above[len(self.above) - frame.back :]
        self.above += frame.settled
        assert len(frame.live) <= SIZE[1]
        self.live, self.cursor = list(frame.live), (frame.row, frame.column)
        return _said(frame.live[:-2])

    @property
    def settled(self) -> list[str]:
        """What stands above the live part."""
        return _said(self.above)


def _said(lines: Sequence[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_a_command_and_its_answer_are_final_together(seen: Seen) -> None:
    command = seen.story.says(ME, "do it")
    assert (seen.look(), seen.settled) == (["› do it"], [])
    seen.story.reacts(BOT, command, "👀")
    answer = seen.story.says(BOT, "Wor")
    assert (seen.look(NOW + 60), seen.settled) == (["› do it  👀", "bot", "Wor"], [])
    seen.story.edits(BOT, answer, "Work")
    seen.story.reacts(BOT, command, "✅")

    assert seen.look() == []
    assert seen.settled == ["› do it  ✅", "bot", "Work"]


def test_what_nobody_takes_for_a_command_is_talk(seen: Seen) -> None:
    seen.story.says(ME, "hello")
    seen.look(NOW)
    assert seen.settled == []

    seen.look(NOW + UNANSWERED_SECONDS)

    assert seen.settled == ["› hello"]


def test_what_was_there_before_is_final(seen: Seen) -> None:
    seen.story.says(ME, "hello")
    seen.story.says(EVE, "hi")
    seen.view.begin()

    assert (seen.look(), seen.settled) == ([], ["› hello", "eve", "hi"])


def test_a_name_stands_only_above_the_first_of_several_messages(seen: Seen) -> None:
    for text in ("one", "two"):
        seen.story.says(EVE, text)
        seen.look()

    assert seen.settled == ["eve", "one", "two"]


def test_a_late_edit_and_a_late_outcome_are_shown_in_their_place(seen: Seen) -> None:
    command = seen.story.says(ME, "do it")
    said = seen.story.says(EVE, "hmm")
    seen.story.says(EVE, "so")
    seen.view.begin()
    seen.look()
    seen.story.edits(EVE, said, "aha\n\noh")
    seen.story.reacts(BOT, command, "✅")
    seen.look()
    seen.story.edits(EVE, said, "yes")
    seen.look()

    assert seen.settled == ["› do it  ✅", "eve", "yes", "so"]


def test_what_has_left_the_screen_and_is_edited_is_shown_again_below(seen: Seen) -> None:
    command = seen.story.says(ME, "do it")
    said = seen.story.says(EVE, "hmm")
    seen.view.begin()
    seen.look()
    for number in range(SIZE[1]):
        seen.story.says(EVE, str(number))
    seen.look()
    before = seen.settled
    seen.story.edits(EVE, said, "aha")
    seen.story.reacts(BOT, command, "✅")
    seen.look()
    seen.look()

    assert seen.settled == [*before, "✅  do it", "eve", "aha"]


def test_on_a_real_screen_an_edit_replaces_what_was_there_and_nothing_else(seen: Seen) -> None:
    picture, screen = Picture(*SIZE), Screen()
    ids = []
    for number in range(30):
        ids.append(seen.story.says(EVE, f"message {number}"))
        picture.feed(screen.draw(seen.view.frame(Bottom(editor=seen.editor, status="status"), SIZE, NOW)))
    for number in (29, 25, 24):
        seen.story.edits(EVE, ids[number], f"edited {number}")
        picture.feed(screen.draw(seen.view.frame(Bottom(editor=seen.editor, status="status"), SIZE, NOW)))

    said = [line.strip() for line in picture.text.split("\n") if "message" in line or "edited" in line]
    assert said == [f"{'edited' if number in (29, 25, 24) else 'message'} {number}" for number in range(30)]


def test_after_a_change_of_size_an_edit_finds_its_place_again(seen: Seen) -> None:
    ids = [seen.story.says(EVE, f"message {number} {'long ' * 12}") for number in range(4)]
    seen.look()
    size = (30, 40)
    drawn = seen.view.again(size, 38)
    seen.story.edits(EVE, ids[2], "short")
    frame = seen.view.frame(Bottom(editor=seen.editor, status="status"), size, NOW)
    shown = " ".join(_said([*drawn[: len(drawn) - frame.back], *frame.settled]))

    assert [shown.count(f"message {number}") for number in range(4)] == [1, 1, 0, 1]
    assert shown.index("message 1") < shown.index("short") < shown.index("message 3")


def test_who_is_in_the_room_stands_above_the_line_that_is_typed(seen: Seen) -> None:
    frame = seen.view.frame(Bottom(editor=seen.editor, status="status", members=[BOT, EVE]), SIZE, NOW)

    assert [line for line in frame.live if "bot" in line]
    assert frame.row == len(frame.live) - 1


def test_what_does_not_fit_goes_up_but_for_the_newest_whose_end_is_shown(seen: Seen) -> None:
    command = seen.story.says(ME, "count")
    seen.story.reacts(BOT, command, "👀")
    seen.story.says(BOT, "\n".join(f"- {number}" for number in range(40)))
    live = seen.look()

    assert seen.settled == ["› count  👀"]
    assert live[0].endswith("lines more, whole at the end")
    assert live[-1] == "• 39"


def test_a_question_is_always_whole(seen: Seen) -> None:
    command = seen.story.says(ME, "do it")
    seen.story.reacts(BOT, command, "👀")
    seen.story.says(BOT, "\n\n".join([*map(str, range(30)), QUESTION]))
    live = seen.look(question=seen.story.timeline.question)

    assert {"0", "29"} <= set(seen.settled)
    assert "y  allow once" in "".join(live)


def test_the_box_gives_way_to_the_reason(seen: Seen) -> None:
    seen.story.says(BOT, QUESTION)
    live = seen.look(question=seen.story.timeline.question, reason=True)

    assert live == []
    assert seen.live[-1] == "why not › "


def test_what_is_taken_back_is_gone_while_it_is_live(seen: Seen) -> None:
    said = seen.story.says(ME, "oops")
    seen.look()
    seen.story.redacts(said)

    assert (seen.look(), seen.settled) == ([], [])


def test_a_long_line_scrolls_with_its_cursor(seen: Seen) -> None:
    seen.editor.clear("\n".join(map(str, range(30))))
    seen.look()
    at_the_end = seen.live[-1], seen.cursor
    seen.editor.cursor = 0
    seen.look()

    assert at_the_end == ("  29", (len(seen.live) - 1, 4))
    assert [line for line in seen.live if line.startswith("›")] == ["› 0"]
    assert seen.live[seen.cursor[0]] == "› 0"


def test_at_the_end_nothing_is_left_unsaid(seen: Seen) -> None:
    command = seen.story.says(ME, "do it")
    seen.story.reacts(BOT, command, "👀")
    seen.look()
    seen.story.says(BOT, "half")

    assert _said(seen.view.last(SIZE).settled) == ["› do it  👀", "bot", "half"]


def test_after_a_change_of_size_the_newest_is_drawn_again(seen: Seen) -> None:
    for text in ("one", "two", "three"):
        seen.story.says(EVE, text)
    seen.look()

    assert _said(seen.view.again((40, 20), 4)) == ["two", "three"]
    assert seen.view.again((40, 20), 0) == []
