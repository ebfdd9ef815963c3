"""What words and reactions answer, and what they leave open."""

from typing import Any

import pytest

from aiagentchat.core.approvals import Approval, ApprovalKind, Picked, Rule
from aiagentchat.core.ids import ApprovalId, EventId, SessionId
from aiagentchat.render import asking_words
from aiagentchat.route.answers import Answer, No, Unclear, Yes, by_reaction, in_words, is_one_word
from tests.fakes.people import ROOM

RULE = Rule(session=SessionId("s"), digest="r", shown="`Bash`")
MORE = Unclear(asking_words.YES_AND_MORE)
NEITHER = Unclear(asking_words.NEITHER_YES_NOR_NO)


def asked(kind: ApprovalKind, **more: Any) -> Approval:
    return Approval(id=ApprovalId("a"), room=ROOM, command=EventId("$c"), tool="Bash", expires_at=0, kind=kind, **more)


TOOL = asked(ApprovalKind.TOOL, rule=RULE)
PLAN = asked(ApprovalKind.PLAN)
ONE = asked(ApprovalKind.CHOICE, options=("Tea", "Milk, cold", "No"))
MANY = asked(ApprovalKind.CHOICE, options=("Tea", "Milk", "No"), many=True)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("yes", Yes()),
        (" OK! ", Yes()),
        ("yes, please", Yes()),
        ("approve - go ahead.", Yes()),
        ("👍🏽", Yes()),
        ("✅", Yes()),
        ("always", Yes(always=True)),
        ("Always, please", Yes(always=True)),
        ("yes always", Yes(always=True)),
        ("♾️", Yes(always=True)),
        ("no", No()),
        ("No, use the staging database", No("use the staging database")),
        ("deny: not\non Fridays", No("not\non Fridays")),
        ("❌", No()),
        ("use the staging database", No("use the staging database")),
        ("🙈 never ever", No("🙈 never ever")),
        ("yes, but not in production", MORE),
        ("ok then only the first", MORE),
        ("always look on the bright side", MORE),
        ("why?", NEITHER),
        ("уes", NEITHER),
        ("2", NEITHER),
        ("🙈", NEITHER),
    ],
)
def test_words_to_a_question_about_a_tool(said: str, answer: Answer) -> None:
    assert in_words(TOOL, said) == answer


@pytest.mark.parametrize("said", ["always", "yes, always", "♾️"])
def test_what_comes_once_cannot_be_allowed_for_good(said: str) -> None:
    once = asked(ApprovalKind.TOOL)

    assert in_words(once, said) == Unclear(asking_words.NO_ALWAYS)
    assert by_reaction(once, "♾️") == Unclear(asking_words.NO_ALWAYS)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("1", Yes(picked=Picked((1,)))),
        ("2.", Yes(picked=Picked((2,)))),
        ("2️⃣", Yes(picked=Picked((2,)))),
        ("tea", Yes(picked=Picked((1,)))),
        ("Milk, cold!", Yes(picked=Picked((2,)))),
        ("no", Yes(picked=Picked((3,)))),
        ("yes", Yes(picked=Picked(text="yes"))),
        ("rather coffee\n", Yes(picked=Picked(text="rather coffee"))),
        ("4", Unclear(asking_words.no_such_choice(3, many=False))),
        ("1,2", Unclear(asking_words.no_such_choice(3, many=False))),
        ("👍", Unclear(asking_words.CHOOSE_A_NUMBER)),
        ("♾️", Unclear(asking_words.CHOOSE_A_NUMBER)),
        ("❌", No()),
    ],
)
def test_words_to_a_question_with_choices(said: str, answer: Answer) -> None:
    assert in_words(ONE, said) == answer


@pytest.mark.parametrize("said", ["1,3", "1, 3", "1 3", "1 and 3", "1+3", "1;3.", "1️⃣3"[:3] + " 3", "1,3,1"])
def test_several_numbers_answer_a_question_that_takes_several(said: str) -> None:
    assert in_words(MANY, said) == Yes(picked=Picked((1, 3)))


def test_none_of_several_numbers_may_be_none_of_the_choices() -> None:
    assert in_words(MANY, "1,4") == Unclear(asking_words.no_such_choice(3, many=True))
    assert in_words(MANY, "1,x") == Yes(picked=Picked(text="1,x"))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("yes", Yes(picked=Picked((1,)))),
        ("1", Yes(picked=Picked((1,)))),
        ("👍", Yes(picked=Picked((1,)))),
        ("2, please", Yes(picked=Picked((2,)))),
        ("3", No()),
        ("3: tests first", No("tests first")),
        ("no, tests first", No("tests first")),
        ("add tests first", No("add tests first")),
        ("1 but slowly", MORE),
        ("yes and more", MORE),
        ("hm", NEITHER),
    ],
)
def test_words_to_a_plan(said: str, answer: Answer) -> None:
    assert in_words(PLAN, said) == answer


@pytest.mark.parametrize("kind", [ApprovalKind.RESUME, ApprovalKind.OFFER])
def test_a_question_of_our_own_is_answered_by_one_word_and_else_the_reply_is_a_message(kind: ApprovalKind) -> None:
    ours = asked(kind)

    assert in_words(ours, "yes") == in_words(ours, "👍") == Yes()
    assert in_words(ours, "No.") == No()
    assert in_words(ours, "no, leave it") is in_words(ours, "always") is in_words(ours, "♾️") is None


@pytest.mark.parametrize(
    ("question", "key", "answer"),
    [
        (TOOL, "👍🏽", Yes()),
        (TOOL, "♾️", Yes(always=True)),
        (TOOL, "❌", No()),
        (TOOL, "1️⃣", None),
        (ONE, "2️⃣", Yes(picked=Picked((2,)))),
        (ONE, "4️⃣", None),
        (ONE, "♾️", None),
        (ONE, "✅", Unclear(asking_words.CHOOSE_A_NUMBER)),
        (ONE, "👎", No()),
        (MANY, "2️⃣", None),
        (MANY, "✅", Unclear(asking_words.TICK_FIRST)),
        (PLAN, "✅", Yes(picked=Picked((1,)))),
        (PLAN, "2️⃣", Yes(picked=Picked((2,)))),
        (PLAN, "3️⃣", No()),
        (PLAN, "4️⃣", None),
        (PLAN, "♾️", None),
        (asked(ApprovalKind.RESUME), "✅", Yes()),
        (asked(ApprovalKind.OFFER), "♾️", None),
    ],
)
def test_reactions(question: Approval, key: str, answer: Answer | None) -> None:
    assert by_reaction(question, key) == answer


def test_what_was_ticked_is_the_answer_when_the_yes_comes() -> None:
    assert by_reaction(MANY, "✅", ["3️⃣", "✅", "1️⃣", "1⃣", "9️⃣", "🎉"]) == Yes(picked=Picked((1, 3)))


@pytest.mark.parametrize(("said", "alone"), [("Yes.", True), ("3", True), ("1,2", True), ("👍", True), ("yes!!", True)])
def test_a_word_that_is_an_answer_and_nothing_else(said: str, alone: bool) -> None:
    assert is_one_word(said) is alone
    assert not is_one_word(f"{said} friend")
