"""What a crash cut short is reported once; what waited for an answer can go on with a yes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState, request_digest
from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import DecideApproval, EraseText
from aiagentchat.core.ids import ApprovalId, EventId, InstanceName, MessageId, new_run_id
from aiagentchat.core.meta import AFTERWORD, Meta, read_meta
from aiagentchat.core.parcels import KEY, MESSAGE
from aiagentchat.core.ports.ledger import RunRecord
from aiagentchat.execute.recovery import ALIVE_EVERY_MS, RESUME_OPEN_MS, report_interrupted, report_leftovers
from aiagentchat.execute.scheduler import Scheduler
from aiagentchat.process.leftovers import MARKER
from aiagentchat.render import away, guard_words, words
from aiagentchat.render.approval import MOST_SHOWN_AGAIN, request_text
from aiagentchat.render.message import PAGE_BYTES
from tests.contract.store_fixtures import ANNA, NOW, OTHER_ROOM, ROOM, accept, command, settle
from tests.fakes.agent import Say, Use, plays
from tests.unit.execute_house import BOOT, PATIENCE, House, house_for_a_scheduler, open_house

TOUCH = {"command": "touch tea"}
TEA = {"file_path": "tea"}


@pytest.fixture
async def crashed(tmp_path: Path) -> AsyncIterator[House]:
    """A house in which a command was running when the last life ended, 90 seconds ago, and another one waited."""
    async with house_for_a_scheduler(tmp_path, plays(Say("So.")), ROOM) as house:
        await accept(house.ledger, command("$1"), command("$2"))
        await house.ledger.commands.start(EventId("$1"), NOW)
        house.clock.advance(90)
        yield house


async def ask(house: House, name: str, tool_input: dict[str, str], tool: str = "Bash") -> Approval:
    approval = Approval(
        id=ApprovalId(name),
        room=ROOM,
        command=EventId("$1"),
        tool=tool,
        expires_at=NOW + 1,
        digest=request_digest(tool, tool_input),
        shown=request_text(tool, tool_input),
    )
    await house.ledger.approvals.ask(approval, [], NOW)
    return approval


async def report(house: House) -> int:
    return await report_interrupted(house.shop.ledgers, house.clock)


async def test_what_a_crash_cut_short_is_reported_once_and_never_run_again(crashed: House) -> None:
    reported = [await report(crashed) for _ in range(2)]

    assert reported == [1, 0]
    assert await crashed.read() == [away.interrupted(90_000), "⚠️"]
    assert await crashed.state("$1") is CommandState.INTERRUPTED
    assert crashed.agent.runs == []


@pytest.mark.parametrize(
    ("alive_at", "lasted"),
    [
        pytest.param(NOW + 41_000, 41_000 + ALIVE_EVERY_MS, id="known to live in the turn"),
        pytest.param(NOW - 5_000, ALIVE_EVERY_MS, id="known to live before the turn"),
        pytest.param(NOW + 80_000, 90_000, id="back at once"),
    ],
)
async def test_the_time_in_which_nobody_lived_is_not_counted(crashed: House, alive_at: int, lasted: int) -> None:
    await report_interrupted(crashed.shop.ledgers, crashed.clock, alive_at=alive_at)

    assert (await crashed.read())[0] == away.interrupted(lasted)


async def test_a_clock_that_was_turned_back_counts_as_no_time(crashed: House) -> None:
    crashed.clock.turn(-1000)

    await report(crashed)

    assert (await crashed.read())[0] == away.interrupted(0)


async def test_what_had_not_started_runs_after_the_report(crashed: House) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        serving = group.create_task(
            Scheduler(crashed.shop, max_parallel=1, alive_at=crashed.ledger.lives.alive_at).run()
        )
        while await crashed.state("$2") is not CommandState.DONE:
            await crashed.ledger.outbox.bell.wait(PATIENCE)
        serving.cancel()
    shown = await crashed.read()

    assert shown[0] == away.interrupted(90_000)
    assert shown[1].startswith("So.")
    assert sorted(shown[2:]) == sorted(["⚠️", "✅"])
    assert [prompt.text for run in crashed.agent.runs for prompt in run.prompts] == ["make tea"]


# ── a turn that waited for an answer ──────────────────────────────────────────────────────────────────────────────


async def test_what_was_taken_back_is_not_asked_about(crashed: House) -> None:
    await ask(crashed, "a", TOUCH)
    await settle(crashed.ledger, EraseText(EventId("$1"), ROOM))
    await report(crashed)

    assert await crashed.read() == [away.interrupted(90_000), "⚠️"]
    assert await crashed.ledger.approvals.open_in(ROOM) == []


async def test_a_question_that_waited_becomes_the_question_whether_to_go_on(crashed: House) -> None:
    asked = await ask(crashed, "a", TOUCH)

    assert await report(crashed) == 1

    [question] = await crashed.ledger.approvals.open_in(ROOM)
    assert (question.kind, question.command, question.tool) == (ApprovalKind.RESUME, EventId("$1"), "Bash")
    assert question.digest == asked.digest
    assert question.expires_at == crashed.clock.now_ms() + RESUME_OPEN_MS
    old = await crashed.ledger.approvals.get(asked.id)
    assert old is not None
    assert old.state is ApprovalState.WITHDRAWN
    [attempt] = [await crashed.ledger.outbox.claim(NOW, device="D")]
    assert attempt is not None
    assert (attempt.parcel.content["body"], attempt.parcel.approval) == (
        away.resume_question(asked.shown, ANNA),
        question.id,
    )
    assert attempt.parcel.content["m.relates_to"] == {"m.in_reply_to": {"event_id": "$1"}}


@pytest.mark.parametrize(("in_words", "keys"), [(False, ["✅", "❌"]), (True, [])])
async def test_the_question_whether_to_go_on_can_be_tapped_where_reactions_count(
    crashed: House, in_words: bool, keys: list[str]
) -> None:
    await ask(crashed, "a", TOUCH)
    if in_words:
        await crashed.ledger.keyring.mark_encrypted(ROOM, NOW)

    await report_interrupted(crashed.shop.ledgers, crashed.clock, wants_words=crashed.shop.wants_words)

    assert [parcel.content[KEY] for parcel in await crashed.send_all() if KEY in parcel.content] == keys


async def test_what_the_agent_had_asked_the_room_is_asked_again(crashed: House) -> None:
    choice = Approval(
        id=ApprovalId("a"),
        room=ROOM,
        command=EventId("$1"),
        tool="AskUserQuestion",
        expires_at=NOW + 1,
        kind=ApprovalKind.CHOICE,
        shown="❓ Milk?",
        options=("Yes", "No"),
    )
    await crashed.ledger.approvals.ask(choice, [], NOW)

    await report(crashed)

    assert (await crashed.read())[0] == away.resume_question("❓ Milk?", ANNA, asks_again=True)


async def test_several_questions_are_asked_as_one(crashed: House) -> None:
    first = await ask(crashed, "a", TOUCH)
    second = await ask(crashed, "b", {"file_path": "x"}, "Read")

    await report(crashed)

    [question] = await crashed.ledger.approvals.open_in(ROOM)
    assert (question.tool, question.digest) == ("Bash, Read", f"{first.digest},{second.digest}")
    assert question.shown == f"{first.shown}\n\n{second.shown}"
    assert (await crashed.read())[0] == away.resume_question(f"{first.shown}\n\n{second.shown}", ANNA)


async def test_an_answered_question_is_not_asked_again(crashed: House) -> None:
    asked = await ask(crashed, "a", TOUCH)
    await settle(crashed.ledger, DecideApproval(approval=asked.id, state=ApprovalState.ALLOWED, by=ANNA))

    await report(crashed)

    assert await crashed.ledger.approvals.open_in(ROOM) == []
    assert (await crashed.read())[0] == away.interrupted(90_000)


def test_a_long_request_is_shown_by_its_name() -> None:
    text = request_text("Write", {"file_path": "x", "content": "y" * MOST_SHOWN_AGAIN})

    assert text == f"🔐 `Write`\n\n{away.AS_ASKED_ABOVE}"


async def test_the_allowed_request_is_answered_once_and_to_the_letter(tmp_path: Path) -> None:
    plan = [Use("Read", {"file_path": "milk"}), Use("Read", TEA), Use("Read", TEA)]
    async with open_house(tmp_path, plays(*plan), ROOM) as house:
        turn, run = await house.turn(granted=request_digest("Read", TEA))
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            group.create_task(turn.go())
            other = await house.question()
            await house.decide(other.id, ApprovalState.DENIED)
            again = await house.question()
            await house.decide(again.id, ApprovalState.DENIED)

    assert (other.digest, again.digest) == (
        request_digest("Read", {"file_path": "milk"}),
        request_digest("Read", TEA),
    )
    assert [allowed for allowed, _ in run.answers] == [False, True, False]


async def test_the_answer_stands_under_the_message_that_was_cut_short(tmp_path: Path) -> None:
    async with open_house(tmp_path, plays(Say("So.")), ROOM) as house:
        await house.execute(replace(command("$yes"), reply_to=EventId("$1"), origin=EventId("$1")))
        answer, done = [parcel.content["m.relates_to"] for parcel in await house.send_all()]

    assert answer == {"m.in_reply_to": {"event_id": "$1"}}
    assert (done["event_id"], done["key"]) == ("$1", "✅")


# ── what was left running ─────────────────────────────────────────────────────────────────────────────────────────


async def test_each_room_is_told_once_how_much_was_left_running_in_it(crashed: House) -> None:
    await report_leftovers(crashed.shop.ledgers, crashed.clock, {ROOM: 2, OTHER_ROOM: 1})
    await report_leftovers(crashed.shop.ledgers, crashed.clock, {})

    assert await crashed.read() == [words.leftovers(2)]


async def test_the_next_life_ends_what_the_last_one_left_and_says_so(crashed: House) -> None:
    run = new_run_id()
    record = RunRecord(run=run, room=ROOM, boot_id=BOOT, uid=None, started_at=NOW)
    await crashed.ledger.runs.begun(record)
    await crashed.ledger.runs.begun(replace(record, run=new_run_id(), boot_id="an earlier boot"))
    left = await asyncio.create_subprocess_exec("/bin/sleep", "81", env={MARKER: run}, start_new_session=True)
    counts = await crashed.runs.end_leftovers()

    assert counts == {ROOM: 1}
    assert await left.wait() == -9
    assert await crashed.ledger.runs.left() == []
    assert await crashed.runs.end_leftovers() == {}


async def test_a_program_whose_turn_was_cut_short_is_told_in_words_and_people_may_let_it_go_on(tmp_path: Path) -> None:
    async with house_for_a_scheduler(tmp_path, plays(Say("So.")), ROOM) as house:
        asked = replace(command("$1"), meta=Meta(id=MessageId("m1")))
        await accept(house.ledger, asked)
        await house.ledger.commands.start(asked.event, NOW)
        await ask(house, "a1", TOUCH)
        await report(house)

        [told] = await house.read()
        assert guard_words.may_answer(asked) in told
        assert "They may answer" not in told


async def test_an_agent_reads_it_as_the_end_of_the_answer(tmp_path: Path) -> None:
    async with house_for_a_scheduler(tmp_path, plays(Say("So.")), ROOM) as house:
        await accept(house.ledger, replace(command("$1"), meta=Meta(id=MessageId("m1"))))
        await house.ledger.commands.start(EventId("$1"), NOW)
        await ask(house, "q", {"command": "x" * 2 * PAGE_BYTES})
        await report_interrupted(house.shop.ledgers, house.clock, instance=InstanceName("attic"))

        metas = [read_meta(parcel.content) for parcel in await house.send_all() if parcel.type == MESSAGE]
    assert [(meta.part, meta.last, meta.instance) for meta in metas if isinstance(meta, Meta)] == [
        (AFTERWORD + number, number == len(metas) - 1, "attic") for number in range(len(metas))
    ]
