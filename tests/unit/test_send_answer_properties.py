"""Whatever the agent says in whatever pieces: the room reads all of it, in order, once.

Every piece of text carries a numbered mark, so that what is missing, doubled or out of order shows.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiagentchat.core.ids import UserId
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.showing import Form, Showing
from aiagentchat.render.fences import open_fence
from aiagentchat.render.markdown import to_html
from aiagentchat.render.message import fits
from aiagentchat.render.partial import mended
from aiagentchat.send.answer import MAX_EDITS, Answer
from aiagentchat.send.appended import Appended
from tests.fakes.people import command
from tests.fakes.reader import most_edits, play

anything = settings(
    max_examples=int(os.environ.get("ANSWER_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

COMMAND = command()
PAGES_ALONE = Showing(file_after=0)
MARK = re.compile("⟪(\\d+)⟫")

FRAGMENTS = st.sampled_from(
    [
        *(
            "word",
            "A sentence. ",
            "\n",
            "\n\n",
            "  ",
            "\t",
            "\n- ",
            "\n> ",
            "\n# ",
            "\n---\n",
            "\n|a|b|\n|-|-|\n",
            "\n    ",
        ),
        *("```", "\n```\n", "\n```py\n", "\n~~~\n", "\n````\n", "\n- ```\n", "\n> ```\n", "`", "``", "**", "_", "\\"),
        *("<b>", "&amp;", '"', "@room", "@bob:hs", "é", "日本", "👩‍👩‍👧", "\ud800", "\udc00", "[a](http://b.c)"),
    ]
)
LONG = st.sampled_from(
    ["x" * 3000, "日" * 1500, "word " * 900, "line\n" * 900, '"<&' * 900, "\ud800" * 900, "\n" * 900]
)
TEXT = st.lists(FRAGMENTS | st.text(st.characters(exclude_categories=["Cc"]), max_size=10) | LONG, max_size=4)
STEPS = st.lists(
    st.tuples(st.just("add"), TEXT.map("".join))
    | st.tuples(st.sampled_from(["tool", "block_ended", "retract", "flush", "break_off"]), st.just("")),
    max_size=25,
)
CALM_STEPS = st.lists(
    st.tuples(st.just("add"), st.lists(FRAGMENTS, max_size=4).map("".join))
    | st.tuples(st.sampled_from(["tool", "block_ended", "retract", "flush"]), st.just("")),
    max_size=25,
)
WAITING_STEPS = st.lists(
    st.tuples(st.just("add"), TEXT.map("".join))
    | st.tuples(st.just("progress"), st.sampled_from(["⏳ one", "⏳ two"]))
    | st.tuples(st.sampled_from(["tool", "block_ended", "flush", "break_off"]), st.just("")),
    max_size=25,
)
MANY_FLUSHES = st.lists(st.sampled_from(["x ", "word. ", "\n\n", "\n```\n", "y" * 90]), min_size=70, max_size=200)


@dataclass
class Story:
    """What was said so far, and what it became."""

    answer: Answer | Appended = field(default_factory=lambda: Answer(COMMAND, PAGES_ALONE))
    mention: UserId | None = None
    states: list[list[Parcel]] = field(default_factory=list)
    final: set[int] = field(default_factory=set)
    taken_back: set[int] = field(default_factory=set)
    _block: set[int] = field(default_factory=set)
    _marks: int = 0

    @property
    def parcels(self) -> list[Parcel]:
        """Everything that was handed out."""
        return [parcel for state in self.states for parcel in state]

    def tell(self, steps: list[tuple[str, str]]) -> None:
        """Take the steps, and close."""
        for step, text in steps:
            getattr(self, f"_{step}")(text)
        self._block_ended("")
        last_words, footer = f"The last words {self._mark(self.final)}", f"— {self._mark(self.final)}"
        self.states.append(self.answer.close(last_words, footer, mention=self.mention))

    def _mark(self, marks: set[int]) -> str:
        self._marks += 1
        marks.add(self._marks)
        return f"⟪{self._marks}⟫"

    def _add(self, text: str) -> None:
        self.answer.add(f"{text} {self._mark(self._block)} ")

    def _tool(self, _: str) -> None:
        self._block_ended("")
        self.answer.tool(f"▸ Bash: `{self._mark(self.final)}`")

    def _block_ended(self, _: str) -> None:
        self.answer.block_ended()
        self.final |= self._block
        self._block.clear()

    def _retract(self, _: str) -> None:
        self.answer.retract()
        self.taken_back |= self._block
        self._block.clear()

    def _progress(self, line: str) -> None:
        self.answer.progress(line)

    def _flush(self, _: str) -> None:
        self.states.append(self.answer.flush())

    def _break_off(self, _: str) -> None:
        self.states.append(self.answer.break_off())


def told(steps: list[tuple[str, str]]) -> Story:
    story = Story()
    story.tell(steps)
    return story


def read(parcels: list[Parcel], is_dropped: Callable[[], bool] = lambda: False) -> list[int]:
    """The marks that one reads in the end, from top to bottom."""
    messages = play(parcels, is_dropped=is_dropped)
    return [int(mark) for message in messages for mark in MARK.findall(str(message["body"]))]


@anything
@given(STEPS, st.randoms(use_true_random=False))
def test_the_room_reads_everything_in_order_and_once(steps: list[tuple[str, str]], random: Random) -> None:
    story = told(steps)

    marks = read(story.parcels, lambda: random.random() < 0.5)
    assert marks == sorted(set(marks))
    assert story.final <= set(marks) <= story.final | story.taken_back


@anything
@given(WAITING_STEPS, st.randoms(use_true_random=False))
def test_what_goes_on_meanwhile_leaves_nothing_in_the_answer(steps: list[tuple[str, str]], random: Random) -> None:
    with_it, without = told(steps), told([step for step in steps if step[0] != "progress"])

    read_in_the_end = play(with_it.parcels, is_dropped=lambda: random.random() < 0.5)
    assert [said for said in read_in_the_end if not str(said["body"]).startswith("⏳")] == play(without.parcels)
    assert all(said["msgtype"] == "m.notice" for said in read_in_the_end if str(said["body"]).startswith("⏳"))


@anything
@given(st.lists(st.sampled_from(["add", "progress", "flush"]), min_size=100, max_size=300))
def test_what_goes_on_meanwhile_costs_no_edit_too_many(steps: list[str]) -> None:
    story = told([(step, f"⏳ {index} " if step == "progress" else "x. ") for index, step in enumerate(steps)])

    assert most_edits(story.parcels) <= MAX_EDITS
    assert read([each for each in story.parcels if not each.content["body"].startswith("⏳")]) == sorted(story.final)


@anything
@given(CALM_STEPS)
def test_what_was_taken_back_is_not_read_while_its_page_is_not_full(steps: list[tuple[str, str]]) -> None:
    story = told(steps)

    assert set(read(story.parcels)) == story.final


@pytest.mark.long
@anything
@given(MANY_FLUSHES)
def test_an_answer_that_grows_for_long_is_read_whole(texts: list[str]) -> None:
    story = told([step for text in texts for step in (("add", text), ("flush", ""))])

    assert read(story.parcels) == sorted(story.final)
    assert most_edits(story.parcels) <= MAX_EDITS


@anything
@given(STEPS)
def test_every_state_of_every_message_fits(steps: list[tuple[str, str]]) -> None:
    story = told(steps)

    assert all(fits(parcel.content) for parcel in story.parcels)


@anything
@given(STEPS)
def test_no_state_leaves_a_fence_open(steps: list[tuple[str, str]]) -> None:
    story = told(steps)

    assert [parcel.content["body"] for parcel in story.parcels if open_fence(parcel.content["body"]) is not None] == []


@anything
@given(STEPS)
def test_the_first_and_the_last_message_ring_and_no_other(steps: list[tuple[str, str]]) -> None:
    rings = [message["msgtype"] == "m.text" for message in play(told(steps).parcels)]

    assert rings == [index in (0, len(rings) - 1) for index in range(len(rings))]


@anything
@given(STEPS)
def test_only_the_first_message_is_a_reply(steps: list[tuple[str, str]]) -> None:
    answers = ["m.relates_to" in message for message in play(told(steps).parcels)]

    assert answers == [True] + [False] * (len(answers) - 1)


@anything
@given(STEPS)
def test_transactions_are_unique_and_the_same_in_every_life(steps: list[tuple[str, str]]) -> None:
    story, again = told(steps), told(steps)

    txns = [parcel.txn for parcel in story.parcels]
    assert len(set(txns)) == len(txns)
    assert again.parcels == story.parcels


@anything
@given(STEPS)
def test_an_edit_follows_the_message_it_changes(steps: list[tuple[str, str]]) -> None:
    seen = set()

    for parcel in told(steps).parcels:
        assert parcel.edits is None or parcel.edits in seen
        seen.add(parcel.txn)


@anything
@given(STEPS)
def test_no_state_is_said_twice_in_a_row(steps: list[tuple[str, str]]) -> None:
    newest: dict[str, object] = {}

    for parcel in told(steps).parcels:
        message = parcel.edits or parcel.txn
        assert newest.get(message) != parcel.content
        newest[message] = parcel.content


# ── the other ways to show an answer ──


def _told(steps: list[tuple[str, str]], answer: Answer | Appended, mention: UserId | None = None) -> Story:
    story = Story(answer=answer, mention=mention)
    story.tell(steps)
    return story


def _appended() -> Appended:
    return Appended(COMMAND, Showing(form=Form.APPEND, file_after=0))


@anything
@given(STEPS)
def test_messages_of_their_own_say_everything_in_order_and_once(steps: list[tuple[str, str]]) -> None:
    story = _told(steps, _appended())

    marks = read(story.parcels)
    assert marks == sorted(set(marks))
    assert story.final <= set(marks) <= story.final | story.taken_back
    assert [parcel for parcel in story.parcels if parcel.edits is not None] == []
    assert all(fits(parcel.content) for parcel in story.parcels)


@anything
@given(STEPS)
def test_of_messages_of_their_own_the_first_and_the_last_ring(steps: list[tuple[str, str]]) -> None:
    story = _told(steps, _appended())

    rings = [parcel.content["msgtype"] == "m.text" for parcel in story.parcels]
    assert rings == [index in (0, len(rings) - 1) for index in range(len(rings))]
    assert [parcel.content["body"] for parcel in story.parcels if open_fence(parcel.content["body"]) is not None] == []


SENTENCE = st.lists(
    st.sampled_from(["plain", "Mr. Smith", "**bold. Still so**", "`code. Still so`", "[a link. Still so](http://a.b)"]),
    min_size=1,
    max_size=3,
).map(lambda parts: f"{' '.join(parts)}. ")
SENTENCES = st.lists(SENTENCE, min_size=1, max_size=3).map(lambda parts: "".join(parts).rstrip())
BLOCKS = st.lists(
    SENTENCES
    | st.lists(SENTENCES, min_size=1, max_size=3).map(
        lambda items: "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))
    )
    | st.lists(SENTENCES, min_size=1, max_size=3).map(lambda items: f"- {f'{chr(10)}    - '.join(items)}")
    | SENTENCES.map(lambda text: f"> {text}")
    | SENTENCES.map(lambda text: f"## {text}"),
    min_size=1,
    max_size=4,
).map("\n\n".join)
COUNTED = re.compile("<(?:strong|code|a|blockquote|h2|li|pre)(?= |>)")


@anything
@given(BLOCKS, st.lists(st.integers(1, 30), min_size=1, max_size=10))
def test_between_messages_of_their_own_nothing_is_torn(text: str, sizes: list[int]) -> None:
    answer, parcels, rest, pieces = _appended(), [], text, 0
    while rest:
        size = sizes[pieces % len(sizes)]
        answer.add(rest[:size])
        parcels += answer.flush()
        rest, pieces = rest[size:], pieces + 1
    parcels += answer.close("", "")
    shown = [str(parcel.content.get("formatted_body", "")) for parcel in parcels]

    assert all(mended(parcel.content["body"]) == parcel.content["body"] for parcel in parcels)
    assert sorted(COUNTED.findall("".join(shown))) == sorted(COUNTED.findall(to_html(text)))
    assert "<li></li>" not in "".join(shown)


@anything
@given(STEPS, st.booleans())
def test_a_long_turn_ends_with_one_new_message_that_mentions(steps: list[tuple[str, str]], live: bool) -> None:
    answer = Answer(COMMAND, PAGES_ALONE) if live else _appended()
    parcels = _told(steps, answer, COMMAND.sender).parcels

    assert [bool(parcel.content["m.mentions"]) for parcel in parcels] == [False] * (len(parcels) - 1) + [True]
    assert (parcels[-1].edits, parcels[-1].content["msgtype"]) == (None, "m.text")
    rings = [content["msgtype"] == "m.text" for content in play(parcels)]
    assert rings == [index in (0, len(rings) - 1) for index in range(len(rings))]
    assert most_edits(parcels) <= MAX_EDITS


@anything
@given(STEPS, st.booleans())
def test_an_answer_that_is_too_long_is_whole_in_its_file(steps: list[tuple[str, str]], live: bool) -> None:
    showing = Showing(form=Form.LIVE if live else Form.APPEND, file_after=4)
    story = _told(steps, (Answer if live else Appended)(COMMAND, showing))

    last = story.parcels[-1]
    in_room = read([parcel for parcel in story.parcels if parcel.attachment is None])
    text = "" if last.attachment is None else last.attachment.data.decode()
    in_file = [int(mark) for mark in MARK.findall(text)]
    last_words, footer = sorted(story.final)[-2:]
    assert in_file in ([], sorted(story.final - {last_words, footer}))
    assert set(in_room) | set(in_file) >= story.final
    assert {last_words, footer} <= set(in_room)
    assert open_fence(text) is None
