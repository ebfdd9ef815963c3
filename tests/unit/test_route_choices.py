"""Answers that last, choices, plans: what follows from them, and what a room reads."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.approvals import ApprovalKind, ApprovalState, Picked, Rule
from aiagentchat.core.audit import AuditFilter, AuditKind
from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import EventId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.render import asking_words, words
from tests.fakes.front import Front, open_front
from tests.fakes.people import ADA, ANNA, BEN, KITCHEN, OTHER, ROOM, command, event, settings, typed

SESSION = command().session
RULE = Rule(session=SESSION, digest="rule", shown="Bash: `make tea`")
DIGEST = "3fa9c1d2" * 8
TOOL: Mapping[str, Any] = {"rule": RULE, "digest": DIGEST}
CHOICE: Mapping[str, Any] = {"kind": ApprovalKind.CHOICE, "options": ("Tea", "Milk", "Water")}
MANY: Mapping[str, Any] = {**CHOICE, "many": True}
PLAN: Mapping[str, Any] = {"kind": ApprovalKind.PLAN, "digest": DIGEST}


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


def reacted(key: str, target: EventId, sender: UserId = ANNA) -> Incoming:
    return event(Kind.REACTION, key, target=target, sender=sender)


def replied(body: str, target: EventId, sender: UserId = ANNA) -> Incoming:
    return typed(body, target=target, sender=sender)


async def audited(front: Front, kind: AuditKind) -> list[Mapping[str, str | int]]:
    return [line.deed.detail for line in await front.ledger.audit.lines(AuditFilter(kind=kind), limit=10)]


# ── for as long as the conversation lasts ──


async def test_a_reaction_allows_for_good_and_says_so(front: Front) -> None:
    question = await front.asked("a", **TOOL)

    assert await front.told(reacted("♾️", question)) == [asking_words.allowed_always(ANNA, RULE.shown)]
    assert (await front.answer("a")).state is ApprovalState.ALLOWED
    assert await front.ledger.approvals.rules(ROOM) == [replace(RULE, by=ANNA)]
    assert await audited(front, AuditKind.APPROVED) == [
        {"question": "tool", "tool": "Bash", "command": f"$asks {ROOM} {ANNA}", "always": 1}
    ]


@pytest.mark.parametrize("said", ["/approve always", "!approve Always", f"/approve {DIGEST[:8]} always"])
async def test_words_allow_for_good(front: Front, said: str) -> None:
    await front.asked("a", **TOOL)

    assert await front.told(typed(said)) == [asking_words.allowed_always(ANNA, RULE.shown)]
    assert await front.ledger.approvals.rules(ROOM) == [replace(RULE, by=ANNA)]


async def test_a_reply_allows_for_good(front: Front) -> None:
    question = await front.asked("a", **TOOL)

    assert await front.told(replied("always", question)) == [asking_words.allowed_always(ANNA, RULE.shown)]


async def test_a_yes_allows_nothing_more_than_once(front: Front) -> None:
    question = await front.asked("a", **TOOL)
    await front.hear(reacted("✅", question))

    assert await front.ledger.approvals.rules(ROOM) == []
    assert await audited(front, AuditKind.APPROVED) == [
        {"question": "tool", "tool": "Bash", "command": f"$asks {ROOM} {ANNA}"}
    ]


async def test_who_may_not_answer_allows_nothing_for_good(front: Front) -> None:
    question = await front.asked("a", asker=ADA, **TOOL)

    assert await front.told(reacted("♾️", question)) == [words.not_yours_to_answer(ADA)]
    assert await front.ledger.approvals.rules(ROOM) == []


async def test_an_answer_that_comes_too_late_allows_nothing_for_good(front: Front) -> None:
    question = await front.asked("a", **TOOL)

    assert await front.told(reacted("❌", question), reacted("♾️", question)) == [words.approval_already_answered(ANNA)]
    assert await front.ledger.approvals.rules(ROOM) == []


async def test_what_is_allowed_for_good_is_in_the_status_and_can_be_taken_back(front: Front) -> None:
    await front.hear(reacted("♾️", await front.asked("a", **TOOL)))
    await front.hear(reacted("♾️", await front.asked("b", OTHER, **TOOL)), typed("/help"))
    await front.deliver()

    [status] = await front.told(typed("/status"))
    assert "- ♾️ Not asked about: Bash: `make tea`, by `@anna:hs`\n- `/approve none` takes that back" in status
    assert await front.told(typed("/approve none", sender=ADA)) == [asking_words.rules_ended(1)]
    assert await front.ledger.approvals.rules(ROOM) == []
    assert await audited(front, AuditKind.SETTING) == [{"name": "always", "count": 1}]
    assert await front.told(typed("/approve none")) == [asking_words.rules_ended(0)]
    [status] = await front.told(typed("/status"))
    assert "♾️" not in status


async def test_taking_back_counts_however_late_it_comes(front: Front) -> None:
    await front.hear(reacted("♾️", await front.asked("a", **TOOL)))
    await front.deliver()

    assert await front.told(typed("/approve none", late_ms=10**8)) == [asking_words.rules_ended(1)]


async def test_a_new_conversation_begins_with_nothing_allowed(front: Front) -> None:
    await front.accepted(command("make tea"))
    await front.hear(reacted("♾️", await front.asked("a", **TOOL)))
    assert await front.ledger.approvals.rules(ROOM) != []

    await front.hear(typed("/new_session"))

    assert await front.ledger.approvals.rules(ROOM) == []


# ── words ──


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no: use the other one", words.approval_denied(ANNA, "use the other one")),
        ("use the other one", words.approval_denied(ANNA, "use the other one")),
        ("yes please", words.approval_allowed(ANNA)),
    ],
)
async def test_a_reply_may_say_more_than_one_word(front: Front, said: str, told: str) -> None:
    question = await front.asked("a", **TOOL)

    assert await front.told(replied(said, question)) == [told]
    assert not await front.is_open("a")
    assert await front.ledger.commands.queue(ROOM) == []


async def test_a_yes_with_a_condition_decides_nothing(front: Front) -> None:
    question = await front.asked("a", **TOOL)

    assert await front.told(replied("yes, but not today", question)) == [asking_words.YES_AND_MORE]
    assert await front.is_open("a")


async def test_more_than_a_word_about_a_question_that_is_closed_is_a_message(front: Front) -> None:
    question = await front.asked("a", **TOOL)
    await front.hear(reacted("✅", question))
    late = replied("and now the next one", question)

    await front.hear(late)

    assert await front.state(late.event) is CommandState.QUEUED
    assert await front.told(replied("no", question)) != [words.approval_denied(ANNA, "")]


async def test_what_others_have_to_say_about_a_question_is_a_message(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, users=frozenset({ANNA, BEN})))
    question = await front.asked("a", **TOOL)
    said = replied("what is it good for", question, BEN)
    await front.hear(said)

    assert await front.is_open("a")
    assert await front.state(said.event) is CommandState.QUEUED
    assert await front.told(replied("yes", question, BEN)) == [words.not_yours_to_answer(ANNA)]


async def test_a_question_is_named_by_its_request(front: Front) -> None:
    await front.asked("a", digest="0" * 64)
    await front.asked("b", **TOOL)

    await front.hear(typed(f"/approve {DIGEST[:8]}"))

    assert [await front.is_open(name) for name in "ab"] == [True, False]


async def test_a_request_that_is_not_open_is_answered_by_nothing(front: Front) -> None:
    await front.asked("a", **TOOL)

    assert await front.told(typed("/approve 00000000")) == [asking_words.APPROVE_FORMS]
    assert await front.is_open("a")


@pytest.mark.parametrize("said", ["not yet", "no", "2", "yes and more"])
async def test_an_approval_with_other_words_decides_nothing(front: Front, said: str) -> None:
    await front.asked("a", **TOOL)

    assert await front.told(typed(f"/approve {said}")) == [asking_words.APPROVE_FORMS]
    assert await front.is_open("a")


@pytest.mark.parametrize("said", ["because it is late", "Because: it is late", "it is late", f"{DIGEST} it is late"])
async def test_a_denial_gives_its_reason(front: Front, said: str) -> None:
    await front.asked("a", **TOOL)

    assert await front.told(typed(f"/deny {said}")) == [words.approval_denied(ANNA, "it is late")]


# ── choices ──


@pytest.mark.parametrize(
    ("said", "picked", "told"),
    [
        ("2", Picked((2,)), ["Milk"]),
        ("milk", Picked((2,)), ["Milk"]),
        ("rather coffee", Picked(text="rather coffee"), ["rather coffee"]),
    ],
)
@pytest.mark.parametrize("how", ["reply", "command"])
async def test_a_choice_is_answered_in_words(
    front: Front, how: str, said: str, picked: Picked, told: list[str]
) -> None:
    question = await front.asked("a", **CHOICE)
    answer = replied(said, question) if how == "reply" else typed(f"/approve {said}")

    assert await front.told(answer) == [asking_words.answered_with(ANNA, told)]
    decided = await front.answer("a")
    assert (decided.state, decided.picked, decided.decided_by) == (ApprovalState.ALLOWED, picked, ANNA)
    assert await audited(front, AuditKind.ANSWERED) == [
        {"question": "choice", "tool": "Bash", "command": f"$asks {ROOM} {ANNA}", "answer": "yes"}
    ]


async def test_a_choice_is_answered_by_a_tap(front: Front) -> None:
    question = await front.asked("a", **CHOICE)

    assert await front.told(reacted("3️⃣", question)) == []
    assert (await front.answer("a")).picked == Picked((3,))


async def test_several_are_ticked_first_and_a_tick_that_is_taken_back_does_not_count(front: Front) -> None:
    question = await front.asked("a", **MANY)
    mistake = reacted("2️⃣", question)
    others = reacted("2️⃣", question, ADA)
    ticks = (reacted("3️⃣", question), mistake, others, reacted("1️⃣", question))

    assert await front.told(*ticks, event(Kind.REDACTION, target=mistake.event)) == []
    assert await front.is_open("a")
    assert await front.told(reacted("✅", question)) == []
    assert (await front.answer("a")).picked == Picked((1, 3))


async def test_without_a_tick_the_question_stays_open(front: Front) -> None:
    question = await front.asked("a", **MANY)

    assert await front.told(reacted("✅", question)) == [asking_words.TICK_FIRST]
    assert await front.is_open("a")


async def test_a_yes_is_no_choice(front: Front) -> None:
    question = await front.asked("a", **CHOICE)

    assert await front.told(reacted("✅", question), typed("/approve")) == [asking_words.CHOOSE_A_NUMBER] * 2
    assert await front.is_open("a")


@pytest.mark.parametrize(("said", "reason"), [("/deny", ""), ("/deny not now", "not now")])
async def test_a_question_of_the_agent_may_be_left_unanswered(front: Front, said: str, reason: str) -> None:
    await front.asked("a", **CHOICE)

    assert await front.told(typed(said)) == [asking_words.not_answered_by(ANNA, reason)]
    assert (await front.answer("a")).state is ApprovalState.DENIED


async def test_where_words_are_wanted_a_tap_chooses_nothing(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, approvals="reply"))
    question = await front.asked("a", **CHOICE)

    assert await front.told(reacted("2️⃣", question)) == [words.IN_WORDS_HERE]
    assert await front.told(replied("2", question)) == [asking_words.answered_with(ANNA, ["Milk"])]


# ── plans ──


@pytest.mark.parametrize(
    ("said", "state", "picked", "told"),
    [
        ("/approve", ApprovalState.ALLOWED, Picked((1,)), asking_words.plan_allowed(ANNA, accept_edits=False)),
        ("/approve 2", ApprovalState.ALLOWED, Picked((2,)), asking_words.plan_allowed(ANNA, accept_edits=True)),
        ("/approve 3", ApprovalState.OPEN, None, asking_words.APPROVE_FORMS),
        ("/approve always", ApprovalState.OPEN, None, asking_words.APPROVE_FORMS),
        ("/deny tests first", ApprovalState.DENIED, None, asking_words.plan_denied(ANNA, "tests first")),
    ],
)
async def test_a_plan_is_answered_in_words(
    front: Front, said: str, state: ApprovalState, picked: Picked | None, told: str
) -> None:
    await front.asked("a", **PLAN)

    assert await front.told(typed(said)) == [told]
    decided = await front.answer("a")
    assert (decided.state, decided.picked) == (state, picked)


@pytest.mark.parametrize(
    ("key", "state", "picked"),
    [
        ("1️⃣", ApprovalState.ALLOWED, Picked((1,))),
        ("2️⃣", ApprovalState.ALLOWED, Picked((2,))),
        ("3️⃣", ApprovalState.DENIED, None),
        ("4️⃣", ApprovalState.OPEN, None),
    ],
)
async def test_a_plan_is_answered_by_a_tap(front: Front, key: str, state: ApprovalState, picked: Picked | None) -> None:
    question = await front.asked("a", **PLAN)

    assert await front.told(reacted(key, question)) == []
    decided = await front.answer("a")
    assert (decided.state, decided.picked) == (state, picked)


async def test_a_reply_to_a_plan_is_what_it_lacks(front: Front) -> None:
    question = await front.asked("a", **PLAN)

    assert await front.told(replied("add tests first", question)) == [asking_words.plan_denied(ANNA, "add tests first")]
    assert (await front.answer("a")).reason == "add tests first"
    assert await audited(front, AuditKind.DENIED) == [
        {"question": "plan", "tool": "Bash", "command": f"$asks {ROOM} {ANNA}"}
    ]


# ── questions of our own ──


async def test_a_reply_of_more_than_a_word_to_a_question_of_our_own_is_a_message(front: Front) -> None:
    question = await front.asked("a", kind=ApprovalKind.RESUME)
    said = replied("no, do something else", question)

    await front.hear(said)

    assert await front.is_open("a")
    assert await front.state(said.event) is CommandState.QUEUED


def test_of_much_that_is_allowed_for_good_the_first_is_listed() -> None:
    rules = [replace(RULE, by=ANNA, shown="")] * (asking_words.MOST_RULES + 2)
    lines = asking_words.rules_listed(rules)

    assert lines[0] == "- ♾️ Not asked about: (its text was deleted), by `@anna:hs`"
    assert lines[-2:] == ["- ♾️ … and 2 more", "- `/approve none` takes that back"]
    assert asking_words.rules_listed([]) == []
