"""Approvals: the first answer stands, and an end is an end."""

from dataclasses import replace

import pytest

from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState, request_digest
from aiagentchat.core.effects import DecideApproval, OpenApproval
from aiagentchat.core.ids import ApprovalId, EventId
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import ANNA, BERT, NOW, OTHER_ROOM, ROOM, parcel, settle, waiting_texts

ASKED = Approval(id=ApprovalId("a1"), room=ROOM, command=EventId("$c"), tool="Bash", expires_at=NOW + 60_000)
DECISIONS = frozenset({ApprovalState.ALLOWED, ApprovalState.DENIED})
CLOSINGS = frozenset({ApprovalState.EXPIRED, ApprovalState.WITHDRAWN})


async def test_a_question_is_written_with_the_message_that_shows_it(ledger: Ledger) -> None:
    await ledger.approvals.ask(ASKED, [parcel("p", "may I?")], NOW)

    assert await ledger.outbox.bell.wait(0)
    assert await ledger.approvals.get(ASKED.id) == ASKED
    assert await waiting_texts(ledger) == ["may I?"]


async def test_an_unknown_question_is_none(ledger: Ledger) -> None:
    assert await ledger.approvals.get(ApprovalId("never")) is None


async def test_an_answer_is_kept_with_who_gave_it_and_why(ledger: Ledger) -> None:
    await ledger.approvals.ask(ASKED, [], NOW)
    await _decide(ledger, ApprovalState.DENIED)

    assert await ledger.approvals.get(ASKED.id) == Approval(
        id=ASKED.id,
        room=ROOM,
        command=ASKED.command,
        tool="Bash",
        expires_at=ASKED.expires_at,
        state=ApprovalState.DENIED,
        decided_by=ANNA,
        reason="because",
    )


async def test_the_first_answer_stands(ledger: Ledger) -> None:
    await ledger.approvals.ask(ASKED, [], NOW)
    await _decide(ledger, ApprovalState.ALLOWED)
    late = DecideApproval(approval=ASKED.id, state=ApprovalState.DENIED, by=BERT)
    await settle(ledger, late, event="$late")

    found = await ledger.approvals.get(ASKED.id)
    assert found is not None
    assert (found.state, found.decided_by) == (ApprovalState.ALLOWED, ANNA)


async def test_asking_again_does_not_open_an_answered_question(ledger: Ledger) -> None:
    await ledger.approvals.ask(ASKED, [], NOW)
    await _decide(ledger, ApprovalState.ALLOWED)
    await ledger.approvals.ask(ASKED, [], NOW)

    assert await ledger.approvals.open_in(ROOM) == []


@pytest.mark.parametrize("state", ApprovalState)
async def test_a_person_can_only_allow_or_deny(ledger: Ledger, state: ApprovalState) -> None:
    await ledger.approvals.ask(ASKED, [], NOW)
    await _decide(ledger, state)

    found = await ledger.approvals.get(ASKED.id)
    assert found is not None
    assert found.state is (state if state in DECISIONS else ApprovalState.OPEN)


@pytest.mark.parametrize("state", ApprovalState)
async def test_a_question_is_closed_only_by_expiry_or_withdrawal(ledger: Ledger, state: ApprovalState) -> None:
    await ledger.approvals.ask(ASKED, [], NOW)

    assert await ledger.approvals.close(ASKED.id, state) is (state in CLOSINGS)
    found = await ledger.approvals.get(ASKED.id)
    assert found is not None
    assert found.state is (state if state in CLOSINGS else ApprovalState.OPEN)


async def test_an_answered_question_cannot_expire_and_an_expired_one_cannot_be_answered(ledger: Ledger) -> None:
    await ledger.approvals.ask(ASKED, [], NOW)
    assert await ledger.approvals.close(ASKED.id, ApprovalState.EXPIRED)
    await _decide(ledger, ApprovalState.ALLOWED)

    found = await ledger.approvals.get(ASKED.id)
    assert found is not None
    assert found.state is ApprovalState.EXPIRED
    assert not await ledger.approvals.close(ASKED.id, ApprovalState.WITHDRAWN)


async def test_the_open_questions_of_a_room_come_oldest_first(ledger: Ledger) -> None:
    second = Approval(id=ApprovalId("a0"), room=ROOM, command=EventId("$c"), tool="Edit", expires_at=NOW)
    elsewhere = Approval(id=ApprovalId("a2"), room=OTHER_ROOM, command=EventId("$d"), tool="Edit", expires_at=NOW)
    for question in (ASKED, second, elsewhere):
        await ledger.approvals.ask(question, [], NOW)

    assert await ledger.approvals.open_in(ROOM) == [ASKED, second]


async def test_the_open_questions_of_a_command_come_oldest_first(ledger: Ledger) -> None:
    second = replace(ASKED, id=ApprovalId("a0"), tool="Edit")
    other = replace(ASKED, id=ApprovalId("a2"), command=EventId("$d"))
    closed = replace(ASKED, id=ApprovalId("a3"))
    for question in (ASKED, second, other, closed):
        await ledger.approvals.ask(question, [], NOW)
    await ledger.approvals.close(closed.id, ApprovalState.WITHDRAWN)

    assert await ledger.approvals.open_of(ASKED.command) == [ASKED, second]


@pytest.mark.parametrize("kind", ApprovalKind)
async def test_a_question_keeps_what_it_is_bound_to(ledger: Ledger, kind: ApprovalKind) -> None:
    asked = replace(
        ASKED,
        kind=kind,
        digest=request_digest("Bash", {"command": "ls"}),
        shown="`ls` it's",
        events=(EventId("$b"), EventId("$a")),
    )
    await ledger.approvals.ask(asked, [], NOW)

    assert await ledger.approvals.get(ASKED.id) == asked


async def test_a_question_of_our_own_is_opened_by_routing_and_once(ledger: Ledger) -> None:
    offer = replace(ASKED, kind=ApprovalKind.OFFER, tool="", events=(EventId("$a"),))
    await settle(ledger, OpenApproval(offer), event="$first")
    await _decide(ledger, ApprovalState.DENIED)
    await settle(ledger, OpenApproval(offer), event="$second")

    assert await ledger.approvals.open_in(ROOM) == []
    assert await ledger.approvals.get(offer.id) == replace(
        offer, state=ApprovalState.DENIED, decided_by=ANNA, reason="because"
    )


async def _decide(ledger: Ledger, state: ApprovalState) -> None:
    await settle(ledger, DecideApproval(approval=ASKED.id, state=state, by=ANNA, reason="because"), event="$answer")
