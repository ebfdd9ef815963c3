"""What a turn asks the room, and what the agent is answered."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from aiagentchat.core.agent_events import AgentEvent, ApprovalAsked, ApprovalWithdrawn
from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState, Picked, scope_of
from aiagentchat.core.audit import AuditFilter, AuditKind
from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import DecideApproval
from aiagentchat.core.ids import EventId
from aiagentchat.core.parcels import KEY, PARCEL, REACTION, Parcel, Urgency
from aiagentchat.core.ports.agent import Prompt
from aiagentchat.execute.asking import MOST_ASKED, MOST_OPEN, MOST_SECONDS
from aiagentchat.execute.room import RoomExecutor
from aiagentchat.execute.turn import Outcome
from aiagentchat.render import asking_words, words
from tests.contract.store_fixtures import ANNA, BERT, ROOM, SESSION, accept, command, settle
from tests.fakes.agent import Emit, Hang, Reach, Say, ScriptedRun, Step, Use, plays
from tests.unit.execute_house import APPROVAL_SECONDS, PATIENCE, House, open_house

MAKE = Use("Bash", {"command": "make tea"})
DRINK = {"question": "Which?", "header": "Tea", "options": [{"label": "Green"}, {"label": "Black"}]}
EXTRAS = {"question": "With?", "options": [{"label": "Milk"}, {"label": "Sugar"}], "multiSelect": True}
PLAN = Use("ExitPlanMode", {"plan": "# Make tea"})


async def _go(house: House) -> tuple[Outcome, ScriptedRun]:
    turn, run = await house.turn()
    async with asyncio.timeout(PATIENCE):
        return await turn.go(), run


async def _decide(house: House, question: Approval, **more: Any) -> None:
    decided = {"state": ApprovalState.ALLOWED, "by": ANNA, **more}
    await settle(house.ledger, DecideApproval(approval=question.id, **decided), event=f"$answer-{question.id}")
    house.nudge.set()


async def _answered(house: House, *answers: Mapping[str, Any]) -> tuple[Outcome, ScriptedRun, list[Approval]]:
    """A turn whose questions are answered like this, one after the other."""
    asked: list[Approval] = []
    async with asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        for answer in answers:
            asked.append(await _next(house, asked))
            await _decide(house, asked[-1], **answer)
    outcome, run = going.result()
    return outcome, run, asked


async def _next(house: House, before: list[Approval]) -> Approval:
    known = {each.id for each in before}
    async with asyncio.timeout(PATIENCE):
        while True:
            for each in await house.ledger.approvals.open_in(ROOM):
                if each.id not in known:
                    return each
            await house.ledger.outbox.bell.wait(PATIENCE)


def _keys(parcels: list[Parcel]) -> list[str]:
    return [parcel.content[KEY] for parcel in parcels if parcel.type == REACTION]


# ── how much is asked ──


def _asks(count: int, *, withdrawn: bool = False) -> Emit:
    """What else runs there says so in the agent's name, and does not wait for any answer."""
    events: list[AgentEvent] = []
    for number in range(count):
        events.append(ApprovalAsked(f"forged {number}", "Bash", {"command": f"make tea {number}"}))
        events += [ApprovalWithdrawn(f"forged {number}")] if withdrawn else []
    return Emit(tuple(events))


@pytest.mark.parametrize(
    ("asked", "most", "waiting"),
    [
        pytest.param(_asks(MOST_OPEN + 2), MOST_OPEN, MOST_OPEN, id="at once"),
        pytest.param(_asks(MOST_ASKED + 2, withdrawn=True), MOST_ASKED, 0, id="in all"),
    ],
)
async def test_a_room_is_not_filled_with_questions(tmp_path: Path, asked: Emit, most: int, waiting: int) -> None:
    here = asyncio.Event()
    with capture_logs() as logs:
        async with open_house(tmp_path, plays(asked, Reach(here), Hang())) as house, asyncio.TaskGroup() as group:
            going = group.create_task(_go(house))
            await here.wait()
            found = await house.ledger.approvals.open_in(ROOM)
            going.cancel()

    events = [line["event"] for line in logs]
    assert len(found) == waiting
    assert (events.count("approval.asked"), events.count("approval.too_many")) == (most, 1)


async def test_questions_do_not_keep_the_clock_standing_for_ever(tmp_path: Path) -> None:
    times = round(MOST_SECONDS / APPROVAL_SECONDS)
    async with open_house(tmp_path, plays(*[MAKE] * (times + 1))) as house, asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        asked: list[Approval] = []
        for _ in range(times):
            asked.append(await _next(house, asked))
            house.clock.advance(APPROVAL_SECONDS)
            house.nudge.set()
    outcome, run = going.result()

    assert outcome.state is CommandState.DONE
    assert run.answers == [*[(False, words.NOT_ANSWERED)] * times, (False, asking_words.TOO_MANY)]


async def test_the_clock_has_stood_also_while_an_answer_is_told_and_the_next_question_is_asked(tmp_path: Path) -> None:
    """And the room reads how long it has, where little is left of what all questions may take."""
    async with open_house(tmp_path, plays(Hang())) as house:
        turn, run = await house.turn()
        questions = turn._questions
        questions.manner = replace(questions.manner, seconds=MOST_SECONDS)
        telling = _Telling(run, lambda: questions.ask(ApprovalAsked("r2", "Bash", {"command": "ls"})))
        questions.run = cast("Any", telling)
        await questions.ask(ApprovalAsked("r1", "Bash", {"command": "pwd"}))
        house.clock.advance(MOST_SECONDS - 1200)
        await questions._answer("r1", allow=True, reason="")
        left = questions.left(house.clock.monotonic())
        house.clock.advance(1200)
        await questions.look()
        await questions.ask(ApprovalAsked("r3", "Bash", {"command": "id"}))
        shown = [parcel.content["body"] for parcel in await house.send_all() if "body" in parcel.content]

    assert left == 1200
    assert telling.told == ["", words.NOT_ANSWERED, asking_words.TOO_MANY]
    assert [minutes for body in shown for minutes in re.findall(r"Unanswered in (\d+) min", body)] == ["720", "20"]
    assert words.approval_expired(20) in shown


class _Telling:
    """A run, and something that happens while it is told an answer for the first time."""

    def __init__(self, run: Any, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self.told: list[str] = []
        self._run = run
        self._meanwhile: Callable[[], Awaitable[None]] | None = meanwhile

    async def answer(self, _request: str, *, reason: str, **_: Any) -> None:
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        self.told.append(reason)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)


async def test_one_that_has_many_parts_is_denied_when_there_is_no_more_to_ask(tmp_path: Path) -> None:
    asks = Use("AskUserQuestion", {"questions": [DRINK, EXTRAS]})
    before = _asks(MOST_ASKED - 1, withdrawn=True)
    async with open_house(tmp_path, plays(before, asks)) as house:
        outcome, run, _ = await _answered(house, {"picked": Picked(numbers=(1,))})

    assert outcome.state is CommandState.DONE
    assert run.answers == [(False, asking_words.TOO_MANY)]


# ── what is to be tapped, and what is long ──


async def test_a_question_comes_with_its_answers_to_tap(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(MAKE)) as house, asyncio.TaskGroup() as group:
        group.create_task(_go(house))
        question = await house.question()
        _, shown, *tapped = await house.send_all()
        await _decide(house, question)

    assert shown.approval == question.id
    assert _keys(tapped) == ["✅", "♾️", "❌"]
    assert {parcel.urgency for parcel in tapped} == {Urgency.SPARE}
    assert {parcel.content[PARCEL] for parcel in tapped} == {shown.txn}


async def test_what_is_to_be_tapped_is_dropped_once_somebody_has_answered(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(MAKE, Hang())) as house, asyncio.TaskGroup() as group:
        going = group.create_task(_go(house))
        question = await house.question()
        await _decide(house, question)
        sent = await house.send_all()
        going.cancel()

    assert _keys(sent) == []


async def test_a_long_request_is_a_file_above_the_question(tmp_path: Path) -> None:
    written = "leaf\n" * 4_000
    async with (
        open_house(tmp_path, plays(Use("Write", {"file_path": "tea.txt", "content": written}))) as house,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(_go(house))
        question = await house.question()
        _, file, shown, *_ = await house.send_all()
        await _decide(house, question)

    name = f"Write-{question.digest[:8]}.txt"
    assert (file.content["msgtype"], file.content["filename"]) == ("m.file", name)
    assert file.content["info"] == {"mimetype": "text/plain", "size": len(written)}
    assert file.approval is None
    assert shown.approval == question.id
    assert asking_words.whole_in_file(name) in shown.content["body"]


# ── for as long as the conversation lasts ──


async def test_what_was_allowed_for_good_is_not_asked_again_and_said_in_a_quiet_line(tmp_path: Path) -> None:
    again = Use("Bash", {"command": "make tea", "description": "once more"})
    async with open_house(tmp_path, plays(MAKE, again, Say("So."))) as house:
        await accept(house.ledger, command("$1"))
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            executor = RoomExecutor(ROOM, house.shop)
            group.create_task(executor.run(others_wait=lambda: False))
            asked = await house.question()
            await _decide(house, asked, always=True)
            executor.nudge.set()
        shown = "\n".join(await house.read())
        [run] = house.agent.runs
        lines = await house.ledger.audit.lines(AuditFilter(kind=AuditKind.ALLOWED), limit=9)

    assert [allowed for allowed, _ in run.answers] == [True, True]
    assert asked.rule is not None
    assert asked.rule.shown == "Bash: `make tea`"
    assert asking_words.rule_used(ANNA) in shown
    assert [(line.deed.actor, line.deed.subject, line.deed.detail) for line in lines] == [
        (ANNA, "$1", {"tool": "Bash"})
    ]


async def test_what_is_only_like_it_is_asked_about(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(MAKE, Use("Bash", {"command": "make tea "}))) as house:
        _, run, asked = await _answered(house, {"always": True}, {"state": ApprovalState.DENIED})

    assert [allowed for allowed, _ in run.answers] == [True, False]
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("by", "admins", "session", "asked_again"),
    [
        pytest.param(ANNA, (), SESSION, False, id="whoever asked for the turn"),
        pytest.param(BERT, (), SESSION, True, id="somebody else"),
        pytest.param(BERT, (BERT,), SESSION, False, id="an admin"),
        pytest.param(ANNA, (), "another conversation", True, id="in another conversation"),
    ],
)
async def test_a_rule_holds_where_its_giver_could_answer(
    tmp_path: Path, by: Any, admins: Any, session: Any, asked_again: bool
) -> None:
    async with open_house(tmp_path, plays(MAKE)) as house:
        turn, run = await house.turn()
        turn._questions.manner = replace(turn._questions.manner, admins=admins)
        request = ApprovalAsked("r1", "Bash", MAKE.input)
        await turn._take(request)
        [asked] = await house.ledger.approvals.open_in(ROOM)
        await _decide(house, asked, by=by, always=True)
        await turn._questions.look()
        turn._questions.session = session
        await turn._take(replace(request, request="r2"))

        assert bool(await house.ledger.approvals.open_in(ROOM)) is asked_again
        assert run.answers == []  # nobody has used the tool


async def test_the_conversation_is_the_one_that_the_agent_is_in(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(MAKE)) as house:
        _, run, [asked] = await _answered(house, {})

    assert asked.rule is not None
    assert asked.rule.session == run.spec.session
    assert asked.rule.digest == scope_of("Bash", MAKE.input)[1]


# ── an answer is to what was shown ──


async def test_what_runs_is_what_was_asked_about(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(MAKE)) as house:
        _, run, _ = await _answered(house, {})

    assert run.used == [MAKE.input]


async def test_another_request_under_the_same_name_needs_an_answer_of_its_own(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(MAKE)) as house:
        turn, _ = await house.turn()
        await turn._take(ApprovalAsked("r1", "Bash", {"command": "ls"}))
        [first] = await house.ledger.approvals.open_in(ROOM)
        await turn._take(ApprovalAsked("r1", "Bash", {"command": "rm"}))
        await _decide(house, first)
        await turn._questions.look()
        [second] = await house.ledger.approvals.open_in(ROOM)

    assert second.id != first.id
    assert turn._questions.left(0.0) is not None


# ── questions of the agent's own ──


async def test_choices_are_asked_one_after_the_other_and_answered_together(tmp_path: Path) -> None:
    ask = {"questions": [DRINK, EXTRAS]}
    async with open_house(tmp_path, plays(Use("AskUserQuestion", ask), Say("So."))) as house:
        outcome, run, asked = await _answered(house, {"picked": Picked((2,))}, {"picked": Picked((1, 2))})
        sent = await house.send_all()

    assert outcome.state is CommandState.DONE
    assert [(each.kind, each.options, each.many) for each in asked] == [
        (ApprovalKind.CHOICE, ("Green", "Black"), False),
        (ApprovalKind.CHOICE, ("Milk", "Sugar"), True),
    ]
    assert [each.rule for each in asked] == [None, None]
    assert run.answers == [(True, "")]
    assert run.used == [{**ask, "answers": {"Which?": "Black", "With?": "Milk, Sugar"}}]
    said = [parcel.content["body"] for parcel in sent if "body" in parcel.content]
    assert said[0].startswith("❓ **The agent asks** (1 of 2): Tea\n\nWhich?\n\n1. **Green**\n2. **Black**")
    assert said[1].startswith("❓ **The agent asks** (2 of 2)\n\nWith?")
    assert not any("AskUserQuestion" in text for text in said)


@pytest.mark.parametrize(("many", "keys"), [(DRINK, ["1️⃣", "2️⃣"]), (EXTRAS, ["1️⃣", "2️⃣", "✅"])])
async def test_choices_come_with_their_numbers_to_tap(tmp_path: Path, many: dict[str, Any], keys: list[str]) -> None:
    async with (
        open_house(tmp_path, plays(Use("AskUserQuestion", {"questions": [many]}))) as house,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(_go(house))
        question = await house.question()
        sent = await house.send_all()
        await _decide(house, question, picked=Picked(text="coffee"))

    assert _keys(sent) == keys


async def test_an_answer_in_ones_own_words_reaches_the_agent(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Use("AskUserQuestion", {"questions": [DRINK]}))) as house:
        _, run, _ = await _answered(house, {"picked": Picked(text="coffee")})

    assert run.used == [{"questions": [DRINK], "answers": {"Which?": "coffee"}}]


async def test_a_choice_shows_no_secret_and_is_answered_with_what_was_meant(tmp_path: Path) -> None:
    secret = "ghp_" + "aB3dE6gH9jK2" * 3
    ask = {"questions": [{"question": f"Use {secret}?", "options": [{"label": secret}, {"label": "No"}]}]}
    async with open_house(tmp_path, plays(Use("AskUserQuestion", ask))) as house:
        _, run, [asked] = await _answered(house, {"picked": Picked((1,))})
        shown = "\n".join(parcel.content.get("body", "") for parcel in await house.send_all())

    assert secret not in shown + asked.shown + "".join(asked.options)
    assert run.used == [{**ask, "answers": {f"Use {secret}?": secret}}]


async def test_who_does_not_want_to_answer_need_not(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Use("AskUserQuestion", {"questions": [DRINK, EXTRAS]}))) as house:
        _, run, asked = await _answered(house, {"state": ApprovalState.DENIED, "reason": "later"})

    assert len(asked) == 1
    assert run.answers == [(False, asking_words.no_answer_for_agent(ANNA, "later"))]


async def test_a_choice_that_is_withdrawn_while_it_is_answered_asks_no_more(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Hang())) as house:
        turn, run = await house.turn()
        await turn._take(ApprovalAsked("r1", "AskUserQuestion", {"questions": [DRINK, EXTRAS]}))
        waiting = turn._questions._waiting["r1"]
        await turn._take(ApprovalWithdrawn("r1"))
        await turn._questions._chosen(waiting, Picked((1,)))

        assert await house.ledger.approvals.open_in(ROOM) == []
    assert run.answers == []


async def test_a_question_that_is_withdrawn_while_it_is_written_down_is_closed(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Hang())) as house:
        turn, _ = await house.turn()
        writing = turn._questions.approvals.ask

        async def ask(*args: Any) -> None:
            turn._questions._waiting.clear()
            await writing(*args)

        turn._questions.approvals = _Approvals(house.ledger.approvals, ask)
        await turn._take(ApprovalAsked("r1", "Bash", {"command": "ls"}))

        assert await house.ledger.approvals.open_in(ROOM) == []


class _Approvals:
    """The real ones, with another way to ask."""

    def __init__(self, approvals: Any, ask: Any) -> None:
        self._approvals = approvals
        self.ask = ask

    def __getattr__(self, name: str) -> Any:
        return getattr(self._approvals, name)


# ── plans ──


@pytest.mark.parametrize(
    ("answer", "given", "accepts_edits"),
    [
        pytest.param({"picked": Picked((1,))}, (True, ""), False, id="carry it out"),
        pytest.param({}, (True, ""), False, id="yes"),
        pytest.param({"picked": Picked((2,))}, (True, ""), True, id="with its edits"),
        pytest.param(
            {"state": ApprovalState.DENIED, "reason": "tests first"},
            (False, asking_words.keep_planning(ANNA, "tests first")),
            False,
            id="keep planning",
        ),
    ],
)
async def test_a_plan_is_carried_out_or_not(
    tmp_path: Path, answer: dict[str, Any], given: tuple[bool, str], accepts_edits: bool
) -> None:
    async with open_house(tmp_path, plays(PLAN, Say("So."))) as house:
        outcome, run, [asked] = await _answered(house, answer)
        sent = await house.send_all()

    assert outcome.state is CommandState.DONE
    assert (asked.kind, asked.rule) == (ApprovalKind.PLAN, None)
    assert run.answers == [given]
    assert run.accepts_edits == [accepts_edits]
    assert sent[0].content["body"].startswith(f"{asking_words.PLAN_TITLE}\n\n# Make tea\n\n1. carry it out")
    assert not any("ExitPlanMode" in parcel.content.get("body", "") for parcel in sent)


@pytest.mark.parametrize("used", [{}, {"plan": " "}, {"plan": 1}])
async def test_a_plan_without_words_is_asked_about_too(tmp_path: Path, used: dict[str, Any]) -> None:
    async with open_house(tmp_path, plays(Use("ExitPlanMode", used))) as house:
        _, run, [asked] = await _answered(house, {})

    assert asked.kind is ApprovalKind.PLAN
    assert words.NOTHING in asked.shown
    assert run.answers == [(True, "")]


# ── nobody answers; reactions do not count ──


@pytest.mark.parametrize(
    ("step", "room", "agent"),
    [
        (MAKE, words.approval_expired(60), words.NOT_ANSWERED),
        (PLAN, asking_words.plan_expired(60), asking_words.PLAN_NOT_ANSWERED),
        (
            Use("AskUserQuestion", {"questions": [DRINK]}),
            asking_words.choice_expired(60),
            asking_words.NO_CHOICE_MADE,
        ),
    ],
)
async def test_what_nobody_answers_is_a_no_in_its_own_words(tmp_path: Path, step: Step, room: str, agent: str) -> None:
    async with open_house(tmp_path, plays(step)) as house:
        async with asyncio.TaskGroup() as group:
            going = group.create_task(_go(house))
            await house.question()
            house.clock.advance(APPROVAL_SECONDS)
            house.nudge.set()
        shown = [parcel.content.get("body") for parcel in await house.send_all()]

    assert going.result()[1].answers == [(False, agent)]
    assert room in shown


@pytest.mark.parametrize("step", [MAKE, PLAN, Use("AskUserQuestion", {"questions": [EXTRAS]})])
async def test_where_reactions_do_not_count_there_is_nothing_to_tap(tmp_path: Path, step: Step) -> None:
    async with open_house(tmp_path, plays(step, Say("So."))) as house:
        await house.ledger.keyring.mark_encrypted(ROOM, house.clock.now_ms())
        await accept(house.ledger, command("$1"))
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            executor = RoomExecutor(ROOM, house.shop)
            group.create_task(executor.run(others_wait=lambda: False))
            question = await house.question()
            sent = await house.send_all()
            await _decide(house, question, state=ApprovalState.DENIED)
            executor.nudge.set()

    assert _keys(sent) == []
    assert "Reactions do not count in this room." in sent[-1].content["body"]


async def test_a_plan_that_was_allowed_after_a_restart_is_not_asked_about_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(PLAN)) as house:
        turn, run = await house.turn()
        await turn._take(ApprovalAsked("r1", "ExitPlanMode", PLAN.input))
        [asked] = await house.ledger.approvals.open_in(ROOM)
        turn._questions._granted = {asked.digest}
        async with aclosing(run.turn(Prompt(uuid="1", text="go on"))) as events:
            async for event in events:
                await turn._take(event)
                if isinstance(event, ApprovalAsked):
                    break

    assert run.answers == [(True, "")]
    assert turn.granted == ""
    assert EventId("$1") == asked.command
