"""Commands: only the moves of core/commands.py, rooms are serial, ends are told together with what the room reads."""

import itertools
from dataclasses import replace

import pytest

from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState
from aiagentchat.core.commands import Command, CommandState, TurnRecord, may_move
from aiagentchat.core.effects import EditCommand, EraseText, SetTimeLimit
from aiagentchat.core.ids import ApprovalId, CallerName, EventId, InstanceName, MessageId
from aiagentchat.core.meta import Meta
from aiagentchat.core.parcels import Urgency
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    BERT,
    NOW,
    OTHER_ROOM,
    ROOM,
    SESSION,
    accept,
    command,
    command_in,
    parcel,
    settle,
    state_of,
    stop,
    waiting_texts,
)

A, B, C = EventId("$a"), EventId("$b"), EventId("$c")
USED = TurnRecord(duration_ms=1500, cost_micro_usd=20_000, input_tokens=300, output_tokens=40)


@pytest.mark.parametrize("before", CommandState)
async def test_only_what_may_run_is_started(ledger: Ledger, before: CommandState) -> None:
    event = await command_in(ledger, before)
    allowed = may_move(before, CommandState.RUNNING)

    assert await ledger.commands.start(event, NOW) is allowed
    assert await state_of(ledger, event) is (CommandState.RUNNING if allowed else before)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(CommandState, CommandState)))
async def test_only_a_running_command_is_finished_and_only_by_an_end(
    ledger: Ledger, before: CommandState, after: CommandState
) -> None:
    event = await command_in(ledger, before)
    allowed = before is CommandState.RUNNING and may_move(before, after)

    assert await ledger.commands.finish(event, after, USED, [parcel("p")], NOW) is allowed
    assert await state_of(ledger, event) is (after if allowed else before)
    assert await ledger.outbox.unsent() == int(allowed)
    assert (await ledger.spending.session(SESSION)).cost_micro_usd == (USED.cost_micro_usd if allowed else 0)


async def test_what_a_command_answers_and_who_has_sent_it_is_kept(ledger: Ledger) -> None:
    meta = Meta(id=MessageId("m1"), instance=InstanceName("attic"), hop=1)
    asked = replace(command("$a"), meta=meta, caller=CallerName("ci"))
    await accept(ledger, asked)

    assert await ledger.commands.get(asked.event) == asked


@pytest.mark.parametrize("before", CommandState)
async def test_a_stop_moves_only_what_is_queued(ledger: Ledger, before: CommandState) -> None:
    event = await command_in(ledger, before)
    await stop(ledger, event)

    queued = before is CommandState.QUEUED
    assert await state_of(ledger, event) is (CommandState.CANCELLED if queued else before)
    asked = before in {CommandState.QUEUED, CommandState.RUNNING}
    assert await ledger.commands.stop_requested(event) == (ANNA if asked else None)


async def test_the_first_who_asks_to_stop_is_remembered(ledger: Ledger) -> None:
    event = await command_in(ledger, CommandState.RUNNING)
    await stop(ledger, event, ANNA)
    await stop(ledger, event, BERT)

    assert await ledger.commands.stop_requested(event) == ANNA


@pytest.mark.parametrize("before", CommandState)
async def test_time_is_given_only_to_what_runs(ledger: Ledger, before: CommandState) -> None:
    event = await command_in(ledger, before)
    await settle(ledger, SetTimeLimit(event, 900))

    assert await ledger.commands.time_limit(event) == (900 if before is CommandState.RUNNING else None)
    assert await state_of(ledger, event) is before


async def test_the_last_word_about_the_time_counts(ledger: Ledger) -> None:
    event = await command_in(ledger, CommandState.RUNNING)
    for number, seconds in enumerate((900, 60)):
        await settle(ledger, SetTimeLimit(event, seconds), event=f"$timeout-{number}")

    assert await ledger.commands.time_limit(event) == 60
    assert await ledger.commands.time_limit(A) is None


async def test_who_runs_a_turn_hears_that_its_time_has_changed(ledger: Ledger) -> None:
    event = await command_in(ledger, CommandState.RUNNING)
    while await ledger.commands.bell.wait(0):
        pass
    await settle(ledger, SetTimeLimit(event, 900))

    assert await ledger.commands.bell.wait(0)


async def test_nobody_asks_to_stop_what_does_not_exist(ledger: Ledger) -> None:
    await stop(ledger, A)

    assert await ledger.commands.stop_requested(A) is None
    assert await ledger.commands.get(A) is None


async def test_a_started_command_knows_since_when(ledger: Ledger) -> None:
    await accept(ledger, command(A))
    await ledger.commands.start(A, NOW + 7)

    found = await ledger.commands.get(A)
    assert found == Command(
        event=A,
        room=ROOM,
        sender=ANNA,
        text="make tea",
        session=SESSION,
        state=CommandState.RUNNING,
        queued_at=NOW,
        started_at=NOW + 7,
    )


async def test_a_room_runs_one_command_at_a_time(ledger: Ledger) -> None:
    await accept(ledger, command(A), command(B), command(C, OTHER_ROOM))
    assert await ledger.commands.start(A, NOW)

    assert not await ledger.commands.start(B, NOW)
    assert await ledger.commands.start(C, NOW)


async def test_what_waits_longest_is_next(ledger: Ledger) -> None:
    await accept(ledger, command(A), command(B))
    assert (await ledger.commands.next_queued(ROOM)) == command(A)
    await ledger.commands.start(A, NOW)

    assert (await ledger.commands.next_queued(ROOM)) == command(B)
    assert (await ledger.commands.next_queued(OTHER_ROOM)) is None


async def test_rooms_come_in_the_order_of_their_oldest_queued_command(ledger: Ledger) -> None:
    await accept(ledger, command(A, OTHER_ROOM), command(B), command(C, OTHER_ROOM))
    assert await ledger.commands.rooms_with_work() == [OTHER_ROOM, ROOM]
    await ledger.commands.start(A, NOW)

    assert await ledger.commands.rooms_with_work() == [ROOM, OTHER_ROOM]


async def test_a_room_whose_last_command_runs_has_no_more_work(ledger: Ledger) -> None:
    await command_in(ledger, CommandState.RUNNING)

    assert await ledger.commands.rooms_with_work() == []


async def test_the_queue_shows_the_running_command_and_then_the_waiting_ones(ledger: Ledger) -> None:
    await accept(ledger, command(A), command(B), command(C), command("$elsewhere", OTHER_ROOM))
    await ledger.commands.start(B, NOW)

    assert [queued.event for queued in await ledger.commands.queue(ROOM)] == [B, A, C]


async def test_running_commands_of_all_rooms_are_found(ledger: Ledger) -> None:
    await accept(ledger, command(A, OTHER_ROOM), command(B), command(C))
    await ledger.commands.start(B, NOW)
    await ledger.commands.start(A, NOW)

    assert [found.event for found in await ledger.commands.running()] == [A, B]


async def test_every_state_is_counted_even_an_empty_one(ledger: Ledger) -> None:
    await command_in(ledger, CommandState.FAILED)
    await accept(ledger, command(A), command(B))

    expected = dict.fromkeys(CommandState, 0) | {CommandState.FAILED: 1, CommandState.QUEUED: 2}
    assert await ledger.commands.counts() == expected


async def test_an_end_and_its_parcels_are_one(ledger: Ledger) -> None:
    event = await command_in(ledger, CommandState.RUNNING)
    await ledger.commands.finish(event, CommandState.DONE, USED, [parcel("p1", "one"), parcel("p2", "two")], NOW)
    await ledger.commands.finish(event, CommandState.FAILED, USED, [parcel("p3", "three")], NOW)

    assert await waiting_texts(ledger) == ["one", "two"]


async def test_the_open_questions_of_a_finished_command_are_withdrawn(ledger: Ledger) -> None:
    event = await command_in(ledger, CommandState.RUNNING)
    mine = Approval(id=ApprovalId("mine"), room=ROOM, command=event, tool="Bash", expires_at=NOW)
    other = Approval(id=ApprovalId("other"), room=ROOM, command=A, tool="Bash", expires_at=NOW)
    await ledger.approvals.ask(mine, [], NOW)
    await ledger.approvals.ask(other, [], NOW)
    await ledger.commands.finish(event, CommandState.TIMED_OUT, USED, [], NOW)

    withdrawn = await ledger.approvals.get(mine.id)
    assert withdrawn is not None
    assert withdrawn.state is ApprovalState.WITHDRAWN
    assert await ledger.approvals.open_in(ROOM) == [other]


async def test_an_end_rings_for_the_next_command_and_for_its_parcels(ledger: Ledger) -> None:
    event = await command_in(ledger, CommandState.RUNNING)
    await ledger.commands.bell.wait(0)
    await ledger.commands.finish(event, CommandState.DONE, USED, [parcel("p")], NOW)

    assert await ledger.commands.bell.wait(0)
    assert await ledger.outbox.bell.wait(0)


async def test_a_command_remembers_what_it_takes_up_again_and_whom_it_answers(ledger: Ledger) -> None:
    again = replace(command(B), origin=A, reply_to=C, granted="digest")
    await accept(ledger, again)

    found = await ledger.commands.get(B)
    assert found == again
    assert found.shown_at == C


async def test_a_command_of_its_own_is_shown_at_itself(ledger: Ledger) -> None:
    await accept(ledger, command(A))

    found = await ledger.commands.next_queued(ROOM)
    assert found is not None
    assert (found.shown_at, found.origin, found.granted) == (A, None, "")


async def test_what_is_open_is_queued_or_running_in_any_room(ledger: Ledger) -> None:
    assert await ledger.commands.open() == 0
    for state in sorted(CommandState, key=lambda state: state is CommandState.RUNNING):
        await command_in(ledger, state)
    await accept(ledger, command(A, OTHER_ROOM))

    assert await ledger.commands.open() == await ledger.commands.owing() == 3
    assert await ledger.commands.owing() == 3


@pytest.mark.parametrize("state", CommandState)
async def test_only_what_came_to_a_bad_end_can_be_tried_again(ledger: Ledger, state: CommandState) -> None:
    event = await command_in(ledger, state)

    found = await ledger.commands.retryable(ROOM, 9)
    bad = {CommandState.FAILED, CommandState.TIMED_OUT, CommandState.INTERRUPTED, CommandState.CANCELLED}
    assert [each.event for each in found] == ([event] if state in bad else [])
    assert await ledger.commands.retryable(OTHER_ROOM, 9) == []


async def test_the_last_bad_end_is_tried_again_and_only_once(ledger: Ledger) -> None:
    for state in (CommandState.INTERRUPTED, CommandState.FAILED, CommandState.DONE):
        await command_in(ledger, state)
    [before] = await ledger.commands.retryable(ROOM, 1)
    assert before.state is CommandState.FAILED
    await accept(ledger, replace(command(A), origin=before.event))

    found = await ledger.commands.retryable(ROOM, 9)
    assert [each.state for each in found] == [CommandState.INTERRUPTED]


async def test_what_was_taken_back_is_not_tried_again(ledger: Ledger) -> None:
    await accept(ledger, command(A))
    await settle(ledger, EraseText(A, ROOM), event="$taken back")

    assert await ledger.commands.retryable(ROOM, 9) == []


@pytest.mark.parametrize("before", CommandState)
async def test_only_a_queued_command_takes_another_text(ledger: Ledger, before: CommandState) -> None:
    event = await command_in(ledger, before)
    await settle(ledger, EditCommand(event, "make coffee", ANNA))

    found = await ledger.commands.get(event)
    assert found is not None
    assert found.text == ("make coffee" if before is CommandState.QUEUED else "make tea")
    assert found.state is before


async def test_only_who_wrote_a_command_changes_its_text(ledger: Ledger) -> None:
    await accept(ledger, command(A))
    await settle(ledger, EditCommand(A, "drop everything", BERT), EditCommand(B, "nothing is there", ANNA))

    assert await ledger.commands.queue(ROOM) == [command(A)]


@pytest.mark.parametrize("before", CommandState)
async def test_only_a_running_command_is_interrupted(ledger: Ledger, before: CommandState) -> None:
    event = await command_in(ledger, before)
    question = Approval(
        id=ApprovalId("go on?"), room=ROOM, command=event, tool="Bash", expires_at=NOW, kind=ApprovalKind.RESUME
    )
    allowed = before is CommandState.RUNNING

    assert await ledger.commands.interrupt(event, question, USED, [parcel("p", "cut short")], NOW) is allowed
    assert await state_of(ledger, event) is (CommandState.INTERRUPTED if allowed else before)
    assert await ledger.approvals.open_of(event) == ([question] if allowed else [])
    assert await waiting_texts(ledger) == (["cut short"] if allowed else [])


async def test_an_interrupted_turn_asks_no_more_and_its_new_question_stays(ledger: Ledger) -> None:
    event = await command_in(ledger, CommandState.RUNNING)
    asked = Approval(id=ApprovalId("may I?"), room=ROOM, command=event, tool="Bash", expires_at=NOW)
    resume = replace(asked, id=ApprovalId("go on?"), kind=ApprovalKind.RESUME)
    await ledger.approvals.ask(asked, [], NOW)
    await ledger.commands.interrupt(event, resume, USED, [], NOW)

    assert await ledger.approvals.open_in(ROOM) == [resume]
    assert await ledger.approvals.get(asked.id) == replace(asked, state=ApprovalState.WITHDRAWN)
    assert (await ledger.spending.session(SESSION)).cost_micro_usd == USED.cost_micro_usd


async def test_a_turn_may_be_interrupted_without_a_question(ledger: Ledger) -> None:
    event = await command_in(ledger, CommandState.RUNNING)

    assert await ledger.commands.interrupt(event, None, USED, [], NOW)
    assert await ledger.approvals.open_in(ROOM) == []
    assert await ledger.commands.running() == []


@pytest.mark.parametrize("before", CommandState)
async def test_only_a_queued_command_is_turned_away(ledger: Ledger, before: CommandState) -> None:
    event = await command_in(ledger, before)
    allowed = before is CommandState.QUEUED

    assert await ledger.commands.turn_away(event, [parcel("p", "not run")], NOW) is allowed
    assert await state_of(ledger, event) is (CommandState.CANCELLED if allowed else before)
    assert await waiting_texts(ledger) == (["not run"] if allowed else [])


async def test_what_was_to_be_said_about_a_command_that_is_turned_away_is_dropped(ledger: Ledger) -> None:
    await accept(ledger, command(A))
    spare = replace(parcel("place", "yours is next"), command=A, urgency=Urgency.SPARE)
    await ledger.outbox.put([spare], NOW)

    assert await ledger.commands.turn_away(A, [parcel("p", "not run")], NOW)
    assert await waiting_texts(ledger) == ["not run"]
    assert [each.event for each in await ledger.commands.retryable(ROOM, 9)] == [A]
