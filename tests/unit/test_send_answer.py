"""The states of an answer while it grows, by example; what holds for any answer is in the properties beside this."""

import re

import pytest

from aiagentchat.core.agent_events import PlanChanged, PlanState, PlanStep
from aiagentchat.core.parcels import MESSAGE, Parcel, Urgency
from aiagentchat.core.showing import Showing
from aiagentchat.render import words
from aiagentchat.render.message import PAGE_BYTES, fits
from aiagentchat.send.answer import MAX_EDITS, Answer
from aiagentchat.send.whole import PREVIEW_BYTES
from tests.fakes.people import ROOM, command
from tests.fakes.reader import bodies, kinds, most_edits, play

COMMAND = command()
FOOTER = "— 0.4 s"


@pytest.fixture
def answer() -> Answer:
    return Answer(COMMAND, Showing(file_after=0))


def test_a_short_answer_is_one_message_that_replies(answer: Answer) -> None:
    answer.add("Hello **Anna**.")

    [parcel] = answer.close("", FOOTER)

    assert (parcel.room, parcel.type, parcel.edits, parcel.command) == (ROOM, MESSAGE, None, COMMAND.event)
    assert parcel.content["body"] == f"Hello **Anna**.\n\n{FOOTER}"
    assert parcel.content["m.relates_to"] == {"m.in_reply_to": {"event_id": COMMAND.event}}
    assert "<strong>Anna</strong>" in parcel.content["formatted_body"]


def test_more_words_edit_the_message(answer: Answer) -> None:
    answer.add("Hel")
    [first] = answer.flush()
    answer.add("lo")
    [second] = answer.flush()

    assert first.edits is None
    assert second.edits == first.txn
    assert second.content["body"] == "Hello"


def test_an_edit_carries_the_new_content_alone(answer: Answer) -> None:
    answer.add("Hel")
    answer.flush()
    answer.add("lo")

    [parcel] = answer.flush()

    assert "m.new_content" not in parcel.content


def test_nothing_new_says_nothing(answer: Answer) -> None:
    answer.add("Hello")
    answer.flush()

    assert answer.flush() == []


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_nothing_to_read_is_not_put_into_a_room(answer: Answer, text: str) -> None:
    answer.add(text)

    assert answer.flush() == []
    assert answer.close("", "") == []


def test_an_answer_without_a_word_is_silent(answer: Answer) -> None:
    assert answer.silent
    answer.tool("▸ Bash: `ls`")
    answer.add("")
    assert answer.silent

    answer.add("done")
    assert not answer.silent


def test_the_pieces_of_a_block_are_joined_and_blocks_are_paragraphs(answer: Answer) -> None:
    answer.add("one ")
    answer.add("block")
    answer.block_ended()
    answer.add("another")

    assert bodies(answer.close("", FOOTER)) == [f"one block\n\nanother\n\n{FOOTER}"]


def test_tools_in_a_row_stand_together_and_apart_from_words(answer: Answer) -> None:
    answer.tool("▸ Read")
    answer.tool("▸ Edit")
    answer.add("done")
    answer.tool("▸ Bash")

    assert bodies(answer.flush()) == ["▸ Read  \n▸ Edit\n\ndone\n\n▸ Bash"]


def test_words_that_are_taken_back_are_edited_away(answer: Answer) -> None:
    answer.add("Kept.")
    answer.block_ended()
    answer.add("Cut o")
    parcels = answer.flush()
    answer.retract()
    answer.add("Cut off no more.")

    assert bodies([*parcels, *answer.flush()]) == ["Kept.\n\nCut off no more."]


def test_a_tool_ends_the_block_before_it(answer: Answer) -> None:
    answer.add("Let me look.")
    answer.tool("▸ Read")
    answer.retract()

    assert bodies(answer.flush()) == ["Let me look.\n\n▸ Read"]


def test_what_has_left_the_page_is_not_taken_back(answer: Answer) -> None:
    answer.add("Kept.")
    answer.block_ended()
    answer.add("cut off " * 1500)
    parcels = answer.flush()
    answer.retract()

    full, last = bodies([*parcels, *answer.close("", FOOTER)])
    assert full.startswith("Kept.\n\ncut off cut off")
    assert last == FOOTER


def test_what_is_final_stays_when_its_page_was_turned(answer: Answer) -> None:
    answer.add("kept " * 1700)
    answer.block_ended()
    answer.add("cut off")
    answer.flush()
    answer.retract()

    parcels = answer.close("", FOOTER)

    assert bodies(parcels)[-1].count("kept") > 0
    assert "cut off" not in bodies(parcels)[-1]


def test_code_that_is_final_stays_when_its_page_was_turned(answer: Answer) -> None:
    answer.add("```\n" + "kept\n" * 1800 + "```")
    answer.block_ended()
    answer.add("cut off")
    parcels = answer.flush()
    answer.retract()

    text = "\n".join(bodies([*parcels, *answer.close("", FOOTER)]))
    assert text.count("kept") == 1800
    assert text.endswith(f"kept\n```\n\n{FOOTER}")


def test_blocks_and_tools_stay_apart_when_a_page_was_turned_between_them(answer: Answer) -> None:
    answer.add("word " * 1700 + "end")
    answer.block_ended()
    answer.flush()
    answer.add("Another block.")
    answer.flush()
    answer.tool("▸ Read")

    assert bodies(answer.flush())[-1].endswith("end\n\nAnother block.\n\n▸ Read")


def test_a_tool_behind_a_page_of_words_is_a_paragraph(answer: Answer) -> None:
    answer.add("word " * 1700 + "end")
    answer.flush()
    answer.tool("▸ Read")

    assert bodies(answer.flush())[-1].endswith("end\n\n▸ Read")


def test_last_words_and_footer_are_paragraphs(answer: Answer) -> None:
    answer.add("Hello")

    assert bodies(answer.close("Stopped.", FOOTER)) == [f"Hello\n\nStopped.\n\n{FOOTER}"]


def test_last_words_stand_alone_when_nothing_was_said(answer: Answer) -> None:
    assert bodies(answer.close("Stopped.", FOOTER)) == [f"Stopped.\n\n{FOOTER}"]


# ── fences ──


def test_a_fence_that_is_still_written_is_closed_in_what_is_shown(answer: Answer) -> None:
    answer.add("```py\nprint(1)")
    first = answer.flush()
    answer.add("\nprint(2)\n```\ndone")

    assert bodies(first) == ["```py\nprint(1)\n```"]
    assert bodies([*first, *answer.flush()]) == ["```py\nprint(1)\nprint(2)\n```\ndone"]


def test_a_stop_in_the_middle_of_code_is_not_part_of_the_code(answer: Answer) -> None:
    answer.add("```py\nprint(1)")

    assert bodies(answer.close("Stopped.", FOOTER)) == [f"```py\nprint(1)\n```\n\nStopped.\n\n{FOOTER}"]


def test_code_that_was_left_open_swallows_neither_tools_nor_the_next_block(answer: Answer) -> None:
    answer.add("```\ncode")
    answer.tool("▸ Read")
    answer.add("~~~\nmore code")
    answer.block_ended()
    answer.add("words")

    assert bodies(answer.flush()) == ["```\ncode\n```\n\n▸ Read\n\n~~~\nmore code\n~~~\n\nwords"]


def test_the_end_of_an_answer_closes_its_code(answer: Answer) -> None:
    answer.add("```\ncode")

    assert bodies(answer.close("", "")) == ["```\ncode\n```"]


# ── pages ──


def test_a_long_answer_is_whole_and_its_full_pages_are_never_touched_again(answer: Answer) -> None:
    lines = [f"line {number:05} of an answer that is long\n" for number in range(10_000)]
    states = []
    for start in range(0, len(lines), 100):
        answer.add("".join(lines[start : start + 100]))
        states.append(answer.flush())
    states.append(answer.close("", FOOTER))

    parcels = [parcel for state in states for parcel in state]
    texts = bodies(parcels)
    assert sum(map(len, lines)) > 300_000
    assert re.findall(r"line (\d{5})", "\n".join(texts)) == [f"{number:05}" for number in range(10_000)]
    assert texts[-1].endswith(FOOTER)
    assert kinds(parcels) == ["m.text", *["m.notice"] * (len(texts) - 2), "m.text"]
    messages = [parcel.txn for parcel in parcels if parcel.edits is None]
    touched = [messages.index(parcel.edits or parcel.txn) for parcel in parcels]
    assert touched == sorted(touched)


def test_an_answer_that_comes_at_once_is_whole(answer: Answer) -> None:
    text = "\n".join(f"{number:05}" for number in range(20_000))
    answer.add(text)

    parcels = answer.close("", FOOTER)

    assert "\n".join(bodies(parcels)).split() == [*text.split(), *FOOTER.split()]
    assert most_edits(parcels) == 0
    assert all(fits(parcel.content) for parcel in parcels)


def test_a_page_is_measured_in_bytes(answer: Answer) -> None:
    answer.add("日" * 5000)

    pages = bodies(answer.close("", FOOTER))
    assert max(len(page.encode()) for page in pages) <= PAGE_BYTES
    assert "".join(pages).count("日") == 5000


def test_a_page_that_is_full_begins_a_message(answer: Answer) -> None:
    answer.add("x" * PAGE_BYTES)
    [first] = answer.flush()
    answer.add("y")
    parcels = answer.flush()

    assert "".join(bodies([first, *parcels])) == "x" * PAGE_BYTES + "y"
    assert len(bodies([first, *parcels])) == 2


def test_the_page_that_was_last_rings_only_at_the_end(answer: Answer) -> None:
    answer.add("word " * 2000)

    growing = answer.flush()

    assert kinds(growing) == ["m.text", "m.notice"]
    assert kinds([*growing, *answer.close("", FOOTER)]) == ["m.text", "m.text"]


# ── breaking off ──


def test_what_comes_after_a_break_is_a_new_message(answer: Answer) -> None:
    answer.add("May I?")
    before = answer.break_off()
    answer.add("Thanks.")
    after = answer.flush()

    assert bodies(before) == ["May I?"]
    assert after[0].edits is None
    assert bodies([*before, *after]) == ["May I?", "Thanks."]


def test_a_break_before_the_first_word_breaks_nothing(answer: Answer) -> None:
    assert answer.break_off() == []
    answer.add("Hello")

    assert "m.relates_to" in answer.flush()[0].content


def test_two_breaks_in_a_row_are_one(answer: Answer) -> None:
    answer.add("one")
    parcels = [*answer.break_off(), *answer.break_off()]
    answer.add("two")

    assert bodies([*parcels, *answer.flush()]) == ["one", "two"]


def test_words_that_were_taken_back_do_not_pull_the_next_ones_over_the_break(answer: Answer) -> None:
    answer.add("May")
    shown = answer.flush()
    answer.retract()
    answer.break_off()
    answer.add("May I?")

    [after] = answer.flush()

    assert after.edits is None
    assert bodies([*shown, after]) == ["May", "May I?"]


# ── edits ──


def test_no_message_is_edited_too_often(answer: Answer) -> None:
    parcels = []
    for number in range(200):
        answer.add(f"Sentence {number} is here. ")
        parcels += answer.flush()
    parcels += answer.close("", FOOTER)

    assert most_edits(parcels) == MAX_EDITS == 60
    assert re.findall(r"Sentence (\d+)", " ".join(bodies(parcels))) == [str(number) for number in range(200)]


def test_a_short_page_that_was_edited_often_is_left_whole(answer: Answer) -> None:
    parcels = []
    for _ in range(MAX_EDITS + 5):
        answer.add("x")
        parcels += answer.flush()

    first, second = bodies(parcels)
    assert (len(first), len(second)) == (MAX_EDITS + 1, 4)


def test_a_page_that_was_edited_often_ends_at_the_best_border(answer: Answer) -> None:
    parcels = []
    for number in range(MAX_EDITS + 1):
        answer.add(("One ends. Another ", "begins. ")[number % 2])
        parcels += answer.flush()

    first, second = bodies(parcels)
    assert first.endswith(".")
    assert f"{first} {second.strip()}" == "One ends. Another begins. " * (MAX_EDITS // 2) + "One ends. Another"


@pytest.mark.parametrize("pages_before", [0, 1])
def test_a_page_that_was_edited_often_stays_while_nothing_is_new(answer: Answer, pages_before: int) -> None:
    parcels = []
    for _ in range(pages_before):
        answer.add("A page.")
        answer.break_off()
    for _ in range(MAX_EDITS):
        answer.add("Another sentence. ")
        parcels += answer.flush()

    assert answer.edits == MAX_EDITS - 1
    assert answer.flush() == []
    assert len(bodies([*parcels, *answer.close("", FOOTER)])) == 1


def test_the_count_of_edits_starts_again_with_each_message(answer: Answer) -> None:
    answer.add("one")
    answer.flush()
    answer.add("two")
    answer.flush()
    assert answer.edits == 1

    answer.break_off()
    assert answer.edits == 0


# ── urgency ──


def test_every_state_is_progress_and_the_end_is_needed(answer: Answer) -> None:
    answer.add("page " * 2000)
    states = answer.flush()
    for _ in range(MAX_EDITS + 5):
        answer.add("more. ")
        states += answer.flush()
    answer.add("page " * 2000)
    end = answer.close("", FOOTER)

    assert {parcel.urgency for parcel in states} == {Urgency.PROGRESS}
    assert len(end) > 1
    assert {parcel.urgency for parcel in end} == {Urgency.NEEDED}


def test_what_comes_before_a_break_is_needed(answer: Answer) -> None:
    answer.add("page " * 2000)

    assert [parcel.urgency for parcel in answer.break_off()] == [Urgency.NEEDED] * 2


# ── what goes on while nothing is said ──


def test_what_goes_on_stands_below_what_was_said_until_more_is_said(answer: Answer) -> None:
    answer.add("Let me think.")
    parcels = answer.flush()
    answer.progress("⏳ Still working.")
    parcels += answer.flush()
    assert bodies(parcels) == ["Let me think.\n\n⏳ Still working."]

    answer.add(" So.")
    assert bodies([*parcels, *answer.flush()]) == ["Let me think. So."]


def test_what_goes_on_before_the_first_word_is_a_quiet_message_of_its_own(answer: Answer) -> None:
    answer.progress("⏳ Try 2.")
    parcels = answer.flush()
    answer.progress("⏳ Try 3.")
    parcels += [*answer.flush(), *answer.flush()]
    answer.add("So.")
    parcels += answer.flush()

    assert bodies(parcels) == ["⏳ Try 3.", "So."]
    assert kinds(parcels) == ["m.notice", "m.text"]
    assert {each.urgency for each in parcels} == {Urgency.PROGRESS}
    assert "m.relates_to" in parcels[-1].content


def test_a_tool_a_break_and_the_end_take_it_away_too(answer: Answer) -> None:
    parcels = []
    for _ in range(2):
        answer.add("So.")
        parcels += answer.flush()
        answer.progress("⏳ Still working.")
        parcels += answer.flush()
        answer.tool("▸ Bash: `ls`")
        answer.progress("⏳ Still working.")
        parcels += [*answer.flush(), *answer.break_off()]
    answer.add("So.")
    answer.progress("⏳ Still working.")
    parcels += [*answer.flush(), *answer.close("", FOOTER)]

    assert not any("⏳" in body for body in bodies(parcels))


def test_it_takes_the_place_of_words_that_were_taken_back(answer: Answer) -> None:
    answer.add("Te")
    parcels = answer.flush()
    answer.retract()
    answer.progress("⏳ Try 2.")

    assert bodies([*parcels, *answer.flush()]) == ["⏳ Try 2."]


def test_a_message_of_its_own_is_not_edited_too_often(answer: Answer) -> None:
    parcels = []
    for number in range(MAX_EDITS + 10):
        answer.progress(f"⏳ Try {number}.")
        parcels += answer.flush()

    assert most_edits(parcels) == MAX_EDITS


# ── tools, folded in the end ──


def test_tools_fold_when_the_answer_is_done_and_not_before(answer: Answer) -> None:
    answer.add("Let me look.")
    answer.tool("▸ Read")
    answer.tool("▸ Edit")
    growing = answer.flush()
    end = answer.close("", FOOTER)

    assert "<details>" not in growing[0].content["formatted_body"]
    assert end[0].content["formatted_body"].endswith("<summary>2 steps</summary><p>▸ Read<br>▸ Edit</p></details>")
    assert end[0].content["body"] == f"Let me look.\n\n▸ Read  \n▸ Edit\n\n{FOOTER}"


def test_tools_fold_on_a_page_that_is_full_and_before_a_question(answer: Answer) -> None:
    for _ in range(2):
        answer.tool("▸ Read")
    answer.add("word " * 2000)
    pages = answer.flush()
    for _ in range(2):
        answer.tool("▸ Edit")
    question = answer.break_off()

    folds = ["<details>" in str(content.get("formatted_body")) for content in play([*pages, *question])]
    assert folds == [True, True]


# ── the plan ──


def plan(*states: PlanState) -> PlanChanged:
    return PlanChanged(tuple(PlanStep(f"Step {number}", state) for number, state in enumerate(states)))


def test_a_plan_stands_below_the_words_and_is_updated_there(answer: Answer) -> None:
    answer.plan(plan(PlanState.DOING, PlanState.TODO))
    parcels = answer.flush()
    answer.add("First.")
    parcels += answer.flush()
    answer.plan(plan(PlanState.DONE, PlanState.DONE))
    parcels += answer.close("", FOOTER)

    assert parcels[0].content["body"] == "**Plan: 0 of 2 done**\n- [ ] Step 0 ⏳\n- [ ] Step 1"
    assert parcels[1].content["body"] == "First.\n\n**Plan: 0 of 2 done**\n- [ ] Step 0 ⏳\n- [ ] Step 1"
    assert bodies(parcels) == [f"First.\n\n**Plan: 2 of 2 done**\n- [x] Step 0\n- [x] Step 1\n\n{FOOTER}"]


def test_a_plan_that_did_not_change_is_not_said_again_before_there_are_words(answer: Answer) -> None:
    answer.plan(plan(PlanState.DOING))
    before = answer.break_off()

    assert (len(before), answer.flush()) == (1, [])
    answer.plan(plan(PlanState.DONE))
    assert bodies(answer.flush()) == ["**Plan: 1 of 1 done**\n- [x] Step 0"]


def test_a_plan_goes_on_to_the_next_page_and_leaves_room_for_itself(answer: Answer) -> None:
    answer.plan(plan(*[PlanState.TODO] * 20))
    answer.add("word " * 1590)
    pages = bodies(answer.flush())

    assert ["**Plan" in page for page in pages] == [False, True]
    assert max(len(page.encode()) for page in pages) <= PAGE_BYTES


def test_a_plan_that_is_given_up_is_gone(answer: Answer) -> None:
    answer.plan(plan(PlanState.DOING))
    answer.add("So.")
    answer.plan(PlanChanged(()))

    assert bodies(answer.close("", "")) == ["So."]


def test_a_plan_that_changes_often_goes_on_in_a_new_message(answer: Answer) -> None:
    parcels = []
    for number in range(MAX_EDITS + 5):
        answer.plan(plan(*[PlanState.DONE] * (number % 2 + 1)))
        parcels += answer.flush()

    assert most_edits(parcels) < MAX_EDITS
    assert len(bodies(parcels)) == 2


# ── thoughts ──


def test_thoughts_are_quoted_apart_from_the_words(answer: Answer) -> None:
    answer.think("Hm.\n\n```\nx")
    answer.add("So.")

    assert bodies(answer.close("", "")) == ["> 💭 Hm.\n> \n> ```\n> x\n> ```\n\nSo."]


# ── what is not complete ──


def test_what_is_half_written_does_not_look_broken_and_is_as_written_in_the_end(answer: Answer) -> None:
    answer.add("See **the [page](http")
    growing = answer.flush()
    answer.add("s://x.org)")

    assert bodies(growing) == ["See **the page**"]
    assert bodies([*growing, *answer.close("", "")]) == ["See **the [page](https://x.org)"]


def test_a_mark_alone_is_not_shown(answer: Answer) -> None:
    answer.add("**")

    assert answer.flush() == []
    answer.progress("⏳ Try 2.")
    assert kinds(answer.flush()) == ["m.notice"]


# ── the end of a long turn ──


def test_a_long_turn_ends_with_a_new_message_that_mentions_whoever_asked(answer: Answer) -> None:
    answer.add("So.")
    answer.tool("▸ Read")
    answer.tool("▸ Edit")
    first = answer.flush()
    page, last = answer.close("", FOOTER, mention=COMMAND.sender)

    assert page.edits == first[0].txn
    assert "<details>" in page.content["formatted_body"]
    assert page.content["m.mentions"] == {}
    assert (last.edits, last.content["msgtype"]) == (None, "m.text")
    assert last.content["body"] == f"{words.TURN_OVER}\n\n{FOOTER}"
    assert last.content["m.mentions"] == {"user_ids": [COMMAND.sender]}
    assert last.content["m.relates_to"] == {"m.in_reply_to": {"event_id": COMMAND.event}}


def test_a_long_turn_that_failed_says_why_in_that_message(answer: Answer) -> None:
    answer.add("So.")
    parcels = [*answer.flush(), *answer.close("Stopped.", FOOTER, mention=COMMAND.sender)]

    assert bodies(parcels) == ["So.", f"Stopped.\n\n{FOOTER}"]


def test_an_answer_that_nobody_has_seen_yet_is_that_message_itself(answer: Answer) -> None:
    answer.add("So.")

    [only] = answer.close("", FOOTER, mention=COMMAND.sender)

    assert only.content["body"] == f"So.\n\n{FOOTER}"
    assert only.content["m.mentions"] == {"user_ids": [COMMAND.sender]}


def test_the_last_of_many_pages_mentions_and_no_other(answer: Answer) -> None:
    answer.add("word " * 1000)
    parcels = answer.flush()
    answer.add("word " * 3000)
    parcels += answer.close("", FOOTER, mention=COMMAND.sender)

    read = play(parcels)
    assert [bool(content["m.mentions"]) for content in read] == [False] * (len(read) - 1) + [True]
    assert kinds(parcels) == ["m.text", *["m.notice"] * (len(read) - 2), "m.text"]
    assert parcels[-1].edits is None


def test_words_that_were_taken_back_do_not_stand_at_the_end_of_a_long_turn(answer: Answer) -> None:
    answer.add("Te")
    parcels = answer.flush()
    answer.retract()

    assert bodies([*parcels, *answer.close("Stopped.", "", mention=COMMAND.sender)]) == [words.NOTHING, "Stopped."]


# ── an answer that is too long for its room ──

SHORT = Showing(file_after=20)


def file_of(parcels: list[Parcel]) -> str:
    """What is in the file that comes last."""
    attachment = parcels[-1].attachment
    assert attachment is not None
    content = parcels[-1].content
    assert (content["msgtype"], content["info"]["size"]) == ("m.file", len(attachment.data))
    return attachment.data.decode()


def test_an_answer_that_comes_at_once_and_is_too_long_is_a_preview_and_a_file() -> None:
    answer, text = Answer(COMMAND, SHORT), "A sentence of some words.\n\n" * 1000
    answer.add(text)

    preview, file = answer.close("", FOOTER)

    assert file_of([file]) == f"{text}\n"
    assert preview.content["body"].startswith("A sentence of some words.\n\n")
    assert preview.content["body"].endswith(f"{words.goes_on_in_file(20)}\n\n{FOOTER}")
    assert len(preview.content["body"]) < PREVIEW_BYTES + 200
    assert (preview.content["msgtype"], file.content["body"]) == ("m.text", "📄 The whole answer (28 KB)")
    assert (file.content["filename"].startswith("answer-"), file.content["info"]["mimetype"]) == (True, "text/markdown")


def test_an_answer_that_grows_too_long_stands_as_it_was_read_and_comes_whole_as_a_file() -> None:
    answer, parcels = Answer(COMMAND, SHORT), []
    lines = [f"line {number:05} of an answer\n" for number in range(2000)]
    for start in range(0, 2000, 100):
        answer.add("".join(lines[start : start + 100]))
        parcels += answer.flush()
    answer.block_ended()
    answer.tool("▸ Bash")
    parcels += answer.flush()
    answer.think("Hm.")
    answer.add("All is well.")
    parcels += answer.close("", FOOTER, mention=COMMAND.sender)

    assert file_of(parcels) == "".join(lines) + "\n\n▸ Bash\n\n> 💭 Hm.\n\nAll is well.\n"
    room = "\n".join(bodies(parcels[:-1]))
    read = re.findall(r"line (\d{5})", room)
    assert read == [f"{number:05}" for number in range(len(read))]
    assert 10_000 < len(read) * 25 <= 20_000
    assert room.endswith(f"{words.goes_on_in_file(20)}\n\nAll is well.\n\n{FOOTER}")
    assert kinds(parcels)[-2:] == ["m.notice", "m.file"]
    assert [bool(content["m.mentions"]) for content in play(parcels)][-2:] == [False, True]


def test_meanwhile_the_room_sees_what_is_done() -> None:
    answer = Answer(COMMAND, SHORT)
    answer.add("word " * 5000)
    answer.flush()
    answer.tool("▸ Bash: `ls`")
    answer.tool("▸ Bash: `make`")

    [parcel] = answer.flush()
    assert parcel.content["body"].endswith(f"{words.goes_on_in_file(20)}\n\n▸ Bash: `make`")


def test_what_is_taken_back_is_not_in_the_file() -> None:
    answer = Answer(COMMAND, SHORT)
    answer.add("kept " * 5000)
    answer.block_ended()
    answer.add("cut o")
    answer.retract()
    answer.add("```\ncode")
    answer.tool("▸ one")
    answer.tool("▸ two")

    parcels = answer.close("", "")
    assert file_of(parcels) == "kept " * 5000 + "\n\n```\ncode\n```\n\n▸ one  \n▸ two\n"


def test_where_no_length_is_too_long_there_is_no_file() -> None:
    answer = Answer(COMMAND, Showing(file_after=0))
    answer.add("word " * 50_000)
    answer.think("Hm.")

    parcels = answer.close("", "")
    assert "".join(bodies(parcels)).count("word") == 50_000
    assert all(parcel.attachment is None for parcel in parcels)
