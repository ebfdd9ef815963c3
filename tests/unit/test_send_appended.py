"""An answer in messages that are never edited."""

import pytest

from aiagentchat.core.agent_events import PlanChanged, PlanState, PlanStep
from aiagentchat.core.parcels import Parcel, Urgency
from aiagentchat.core.showing import Form, Showing
from aiagentchat.render import words
from aiagentchat.render.message import PAGE_BYTES
from aiagentchat.send.appended import MOST_WAITING, Appended
from aiagentchat.send.whole import PREVIEW_BYTES
from tests.fakes.people import command
from tests.fakes.reader import bodies, kinds

COMMAND = command()
FOOTER = "— 0.4 s"
TABLE = "| a | b |\n|---|---|\n"


@pytest.fixture
def answer() -> Appended:
    return Appended(COMMAND, Showing(form=Form.APPEND, file_after=0))


def said(answer: Appended, *texts: str) -> list[str]:
    """What the windows say, one for each text."""
    parcels: list[Parcel] = []
    for text in texts:
        answer.add(text)
        parcels += answer.flush()
    return bodies(parcels)


def test_each_window_is_a_message_and_nothing_is_edited_or_repeated(answer: Appended) -> None:
    parcels = []
    for number in range(5):
        answer.add(f"Sentence {number}. ")
        parcels += answer.flush()
    parcels += answer.close("", FOOTER)

    assert bodies(parcels) == [*(f"Sentence {number}." for number in range(5)), FOOTER]
    assert kinds(parcels) == ["m.text", *["m.notice"] * 4, "m.text"]
    assert all(parcel.edits is None for parcel in parcels)
    assert ["m.relates_to" in parcel.content for parcel in parcels] == [True] + [False] * 5
    assert len({parcel.txn for parcel in parcels}) == 6
    assert [parcel.urgency for parcel in parcels] == [Urgency.PROGRESS] * 5 + [Urgency.NEEDED]


@pytest.mark.parametrize(
    ("texts", "messages"),
    [
        pytest.param(["One. Tw", "o. Three"], ["One.", "Two."], id="sentences"),
        pytest.param(["One\nTw", "o\n"], ["One", "Two"], id="lines"),
        pytest.param(["a\n\nb", ".\n\n"], ["a", "b."], id="paragraphs"),
        pytest.param(["no end yet", " of it"], [], id="nothing complete"),
        pytest.param(["日本。日", "本。"], ["日本。", "日本。"], id="without spaces"),
        pytest.param(["a\n\n```\nx\n\ny. z", "\n```\nb"], ["a", "```\nx\n\ny. z\n```"], id="code"),
        pytest.param(["```\nx\n\ny. z"], [], id="code that is not complete"),
        pytest.param(["a. b\n\n```\n" + "x\n\n" * 30], [], id="and has many empty lines"),
        pytest.param([f"a.\n\n{TABLE}| 1 | 2. 3 |\n", "| 3 | 4 |\n\nb"], ["a.", f"{TABLE}| 1 | 2. 3 |\n| 3 | 4 |"]),
        pytest.param([TABLE], [], id="a table that is not complete"),
        pytest.param([f"See:\n{TABLE}| 1 | 2 |\n", "so"], ["See:"], id="a table behind a line"),
        pytest.param([f"See:\n{TABLE}| 1 | 2 |\n", "so\n"], ["See:", f"{TABLE}| 1 | 2 |\nso"], id="and its end"),
        pytest.param(["日本！日", "本？日"], ["日本！", "日本？"], id="other signs without spaces"),
        pytest.param(
            ["1. First st", "ep.\n2. Second st", "ep.\n\nEnd"], ["1. First step.", "2. Second step."], id="a list"
        ),
        pytest.param(["1. First. St", "ep.\n"], [], id="an item of a list"),
        pytest.param(["1. a\n\n", "    - b\n", "- c"], ["1. a\n\n    - b"], id="a list in a list"),
        pytest.param(["- a\n\n", "b"], ["- a"], id="a list that has ended"),
        pytest.param(["> quoted. mo", "re\n"], ["> quoted. more"], id="a quotation"),
        pytest.param(["Title\n===", "==\n\nText"], ["Title\n====="], id="a title"),
        pytest.param(["Title\n-", "--\nText\n", "x"], ["Title\n---\nText"], id="another title"),
        pytest.param(["# About it. An", "d more\n"], ["# About it. And more"], id="a heading"),
        pytest.param(
            ["See [notes of Mr. Smi", "th](http://a.b). So"], ["See [notes of Mr. Smith](http://a.b)."], id="a link"
        ),
        pytest.param(['[a](http://a.b "See. Tit', 'le"). So'], ['[a](http://a.b "See. Title").'], id="its title"),
        pytest.param(
            ["Well. **Careful. It dele", "tes files**. So"], ["Well.", "**Careful. It deletes files**."], id="bold"
        ),
        pytest.param(["Run `make. a` no", "w. `b. "], ["Run `make. a` now."], id="code in a line"),
        pytest.param(
            ["There are. - two and. 3) thr", "ee. "], ["There are. - two and. 3) three."], id="what would be a list"
        ),
    ],
)
def test_a_message_ends_where_something_is_complete(answer: Appended, texts: list[str], messages: list[str]) -> None:
    assert [body.strip() for body in said(answer, *texts)] == messages


@pytest.mark.parametrize("text", ["**bold. ", "1. item. ", "> quoted. ", "[link. ", "| cell. ", "# head. "])
def test_what_never_ends_is_not_held_for_ever(answer: Appended, text: str) -> None:
    parcels = said(answer, text * (MOST_WAITING // len(text)))

    assert parcels == []
    assert said(answer, text * 2) != []


def test_a_block_that_has_ended_is_complete(answer: Appended) -> None:
    answer.add("no end")
    answer.block_ended()
    first = answer.flush()
    answer.tool("▸ Read")
    answer.tool("▸ Edit")
    answer.add("so")

    assert bodies([*first, *answer.flush()]) == ["no end", "▸ Read  \n▸ Edit"]


def test_what_is_complete_does_not_wait_for_ever(answer: Appended) -> None:
    [message] = said(answer, "word " * 500)

    assert len(message) <= MOST_WAITING
    assert said(answer, "") == []


def test_long_code_and_long_tables_go_on_as_such(answer: Appended) -> None:
    code = said(answer, "```py\n" + "x = 1\n" * 500)
    assert code[0].startswith("```py\nx = 1")
    assert code[0].endswith("\n```")
    assert said(answer, "x = 2\n" * 400)[0].startswith("```py\nx = 1")


def test_a_long_answer_is_whole(answer: Appended) -> None:
    lines = [f"line {number:05} of an answer that is long\n" for number in range(3000)]
    parcels = []
    for start in range(0, 3000, 300):
        answer.add("".join(lines[start : start + 300]))
        parcels += answer.flush()
    parcels += answer.close("Stopped.", FOOTER)

    assert "\n".join(bodies(parcels)).split() == [*"".join(lines).split(), "Stopped.", *FOOTER.split()]
    assert max(len(body.encode()) for body in bodies(parcels)) <= PAGE_BYTES


def test_a_question_comes_after_all_that_was_said_before_it(answer: Appended) -> None:
    answer.add("May I")
    before = answer.break_off()

    assert (bodies(before), before[0].urgency) == (["May I"], Urgency.NEEDED)
    assert answer.break_off() == []


def test_what_was_taken_back_is_not_said_unless_it_was(answer: Appended) -> None:
    answer.add("Cut. Cut o")
    first = answer.flush()
    answer.retract()
    answer.add("Cut off no more.")

    assert bodies([*first, *answer.close("", "")]) == ["Cut.", "Cut off no more."]


def test_nothing_is_said_of_nothing(answer: Appended) -> None:
    assert answer.silent
    answer.add("")
    assert (answer.silent, answer.flush(), answer.close("", "")) == (True, [], [])


def test_what_goes_on_is_a_quiet_message_and_no_part_of_the_answer(answer: Appended) -> None:
    answer.progress("⏳ Try 2.")
    aside = answer.flush()
    answer.progress("⏳ Try 3.")
    answer.add("So.")
    answer.block_ended()
    parcels = answer.flush()
    answer.progress("⏳ Try 4.")

    assert (bodies(aside), kinds(aside)) == (["⏳ Try 2."], ["m.notice"])
    assert (bodies(parcels), kinds(parcels)) == (["So."], ["m.text"])
    assert answer.break_off() == []


def test_a_plan_is_said_whole_once_and_then_in_one_line(answer: Appended) -> None:
    for state in (PlanState.TODO, PlanState.DOING):
        answer.plan(PlanChanged((PlanStep("Tea", state),)))
    answer.plan(PlanChanged(()))

    assert bodies(answer.flush()) == [
        "**Plan: 0 of 1 done**\n- [ ] Tea\n\n**Plan: 0 of 1 done** · now: Tea",
    ]


def test_thoughts_are_quoted(answer: Appended) -> None:
    answer.think("Hm.")

    assert bodies(answer.flush()) == ["> 💭 Hm."]


def test_an_answer_that_is_too_long_is_a_preview_and_a_file() -> None:
    answer, text = Appended(COMMAND, Showing(form=Form.APPEND, file_after=20)), "A sentence of words. " * 1000
    answer.add(text)
    answer.add("More. ")
    answer.think("Hm.")
    parcels = answer.flush()
    answer.tool("▸ Read")
    answer.plan(PlanChanged((PlanStep("Tea", PlanState.DOING),)))
    parcels += answer.flush()
    answer.tool("▸ Edit")
    answer.add("Well.")
    parcels += answer.close("", FOOTER, mention=COMMAND.sender)

    preview, plan, last, file = bodies(parcels)
    assert len(preview.encode()) < PREVIEW_BYTES + 200
    assert preview.endswith(words.goes_on_in_file(20))
    assert (plan, last) == ("**Plan: 0 of 1 done** · now: Tea", f"Well.\n\n{FOOTER}")
    assert kinds(parcels) == ["m.text", "m.notice", "m.notice", "m.file"]
    assert file == "📄 The whole answer (22 KB)"
    assert parcels[-1].attachment is not None
    assert parcels[-1].attachment.data.decode() == f"{text}More. \n\n> 💭 Hm.\n\n▸ Read  \n▸ Edit\n\nWell.\n"


def test_what_was_said_stays_when_an_answer_grows_too_long() -> None:
    answer = Appended(COMMAND, Showing(form=Form.APPEND, file_after=1))
    answer.add("One. ")
    parcels = answer.flush()
    answer.add("Two. " * 300)

    assert bodies([*parcels, *answer.flush()]) == ["One.", words.goes_on_in_file(1)]
