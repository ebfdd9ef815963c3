"""An answer to an agent: its parts in order, as they read in the end, are the answer, and the last parcel says so."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiagentchat.core.ids import InstanceName, MessageId, TaskId, txn_id
from aiagentchat.core.meta import Address, Meta, MetaKind, read_meta
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.showing import Form, Showing
from aiagentchat.render import words
from aiagentchat.render.message import PAGE_BYTES
from aiagentchat.send.answer import MAX_EDITS, Answer
from aiagentchat.send.appended import Appended
from aiagentchat.send.whole import PREVIEW_BYTES
from tests.fakes.people import ANNA, command
from tests.fakes.reader import play

ATTIC = InstanceName("attic")
ASKED = Meta(id=MessageId("m1"), kind=MetaKind.TASK, instance=InstanceName("cellar"), task=TaskId("t1"), hop=1)
COMMAND = command(meta=ASKED)
FOOTER = "— 0.4 s"
FORMS = [pytest.param(Form.LIVE, id="live"), pytest.param(Form.APPEND, id="append")]


def answer(form: Form, file_after: int = 0) -> Answer | Appended:
    made = Answer if form is Form.LIVE else Appended
    return made(COMMAND, Showing(form=form, file_after=file_after), ATTIC)


def meta_of(parcel: Parcel) -> Meta:
    found = read_meta(parcel.content)
    assert isinstance(found, Meta)
    return found


def parts(parcels: Sequence[Parcel]) -> list[int]:
    """The numbers of the messages that a reader sees in the end."""
    metas = [read_meta(content) for content in play(parcels)]
    return [meta.part for meta in metas if isinstance(meta, Meta)]


def is_whole(parcels: Sequence[Parcel]) -> bool:
    """Whether nothing but the very last parcel says that it is the last."""
    return [meta_of(parcel).last for parcel in parcels] == [False] * (len(parcels) - 1) + [True]


@pytest.mark.parametrize("form", FORMS)
def test_a_short_answer_is_one_part_and_the_last(form: Form) -> None:
    made = answer(form)
    made.add("Hello.")

    [parcel] = made.close("", FOOTER)
    assert meta_of(parcel) == Meta(
        id=MessageId(txn_id(COMMAND.event, "page", "0")),
        kind=MetaKind.ANSWER,
        instance=ATTIC,
        to=Address(ANNA, InstanceName("cellar")),
        in_reply_to=MessageId("m1"),
        task=TaskId("t1"),
        hop=2,
        part=0,
        last=True,
    )


def test_the_states_of_a_page_are_one_part_and_one_message() -> None:
    made = answer(Form.LIVE)
    parcels = []
    for text in ("Hel", "lo", "."):
        made.add(text)
        parcels += made.flush()
    parcels += made.close("", FOOTER)

    assert {(meta_of(parcel).part, meta_of(parcel).id) for parcel in parcels} == {(0, MessageId(parcels[0].txn))}
    assert is_whole(parcels)


@pytest.mark.parametrize("form", FORMS)
def test_the_pages_of_a_long_answer_are_numbered(form: Form) -> None:
    made = answer(form)
    parcels = []
    for _ in range(6):
        made.add("word " * (PAGE_BYTES // 10) + "\n\n")
        parcels += made.flush()
    parcels += made.close("", FOOTER)

    assert len(parts(parcels)) > 3
    assert parts(parcels) == list(range(len(parts(parcels))))
    assert is_whole(parcels)


@pytest.mark.parametrize("form", FORMS)
def test_what_stands_beside_the_answer_is_no_part_of_it(form: Form) -> None:
    made = answer(form)
    made.progress("⏳ waiting")
    aside = made.flush()
    made.add("Done.")
    parcels = made.close("", FOOTER)

    assert [read_meta(parcel.content) for parcel in aside] == [read_meta({})]
    assert is_whole(parcels)


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_goes_on_behind_a_question(form: Form) -> None:
    made = answer(form)
    made.add("Let me ask.")
    parcels = made.break_off()
    made.add("Thank you.")
    parcels += made.close("", FOOTER)

    assert parts(parcels) == [0, 1]
    assert is_whole(parcels)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_shown", [True, False], ids=["shown before", "shown at the end"])
def test_an_answer_that_is_too_long_ends_with_its_file(form: Form, is_shown: bool) -> None:
    made = answer(form, file_after=1)
    if is_shown:
        made.add("A beginning. ")
        parcels = made.flush()
    else:
        parcels = []
    made.add("word " * PREVIEW_BYTES)
    parcels += [*made.flush(), *made.close("", FOOTER)]

    assert parcels[-1].attachment is not None
    assert parts(parcels) == list(range(len(parts(parcels))))
    assert is_whole(parcels)


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_that_says_no_more_ends_all_the_same(form: Form) -> None:
    made = answer(form)
    made.add("All there is.")
    parcels = [*made.flush(), *made.break_off(), *made.close("", "")]

    assert parcels[-1].content["body"].endswith((words.TURN_OVER, "All there is."))
    assert is_whole(parcels)


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_without_a_word_ends_all_the_same(form: Form) -> None:
    [parcel] = answer(form).close("", "")

    assert parcel.content["body"] == words.TURN_OVER
    assert is_whole([parcel])


def test_a_page_that_was_edited_as_often_as_it_may_is_still_ended() -> None:
    made = answer(Form.LIVE)
    parcels = []
    for number in range(MAX_EDITS + 20):
        made.add(f"Line {number}\n")
        parcels += made.flush()
    parcels += made.close("", FOOTER)

    assert is_whole(parcels)


STEPS = st.lists(
    st.tuples(st.just("add"), st.sampled_from(["word ", "A sentence. ", "\n\n", "```\n", " ", "x" * 5000]))
    | st.tuples(st.sampled_from(["flush", "break_off", "block_ended", "retract"]), st.just("")),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(Form), STEPS, st.sampled_from(["", FOOTER]), st.sampled_from([0, 1]))
def test_however_an_answer_comes_only_its_last_parcel_is_the_last(
    form: Form, steps: list[tuple[str, str]], footer: str, file_after: int
) -> None:
    made = answer(form, file_after)
    parcels: list[Parcel] = []
    for step, text in steps:
        if step == "add":
            made.add(text)
        elif step in {"flush", "break_off"}:
            parcels += getattr(made, step)()
        else:
            getattr(made, step)()
    parcels += made.close("", footer)

    numbers = parts(parcels)
    assert is_whole(parcels)
    assert numbers == sorted(set(numbers))


def test_an_answer_to_a_person_says_nothing_of_the_kind() -> None:
    made = Answer(replace(COMMAND, meta=None), Showing(), ATTIC)
    made.add("Hello.")

    [parcel] = made.close("", FOOTER)
    assert read_meta(parcel.content) == read_meta({})
