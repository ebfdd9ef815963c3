"""Approvals: the first answer stands, and an end is an end."""

from dataclasses import replace

import pytest

from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState, Picked, Rule, request_digest
from aiagentchat.core.audit import AuditFilter, AuditKind
from aiagentchat.core.effects import DecideApproval, EndRules, EraseText, NewSession, OpenApproval
from aiagentchat.core.ids import ApprovalId, EventId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import Urgency
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    BERT,
    NOW,
    OTHER_ROOM,
    OTHER_SESSION,
    ROOM,
    SESSION,
    accept,
    command,
    incoming,
    parcel,
    settle,
    waiting_texts,
)

ASKED = Approval(id=ApprovalId("a1"), room=ROOM, command=EventId("$c"), tool="Bash", expires_at=NOW + 60_000)
RULE = Rule(session=SESSION, digest="rule", shown="Bash: `make tea`")
DECISIONS = frozenset({ApprovalState.ALLOWED, ApprovalState.DENIED})
CLOSINGS = frozenset({ApprovalState.EXPIRED, ApprovalState.WITHDRAWN})


async def test_a_question_is_written_with_the_message_that_shows_it(ledger: Ledger) -> None:
    await ledger.approvals.ask(ASKED, [parcel("p", "may I?")], NOW)

    assert await ledger.outbox.bell.wait(0)
    assert await ledger.approvals.get(ASKED.id) == ASKED
    assert await waiting_texts(ledger) == ["may I?"]


async def test_whoever_waits_for_an_answer_owes_none(ledger: Ledger) -> None:
    await accept(ledger, command("$c"))
    await ledger.commands.start(EventId("$c"), NOW)
    await ledger.approvals.ask(ASKED, [], NOW)
    while_it_asks = await ledger.commands.owing()
    await _decide(ledger, ApprovalState.ALLOWED)

    assert (while_it_asks, await ledger.commands.owing()) == (0, 1)


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
        options=("tea", "it's"),
        many=True,
        rule=RULE,
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


@pytest.mark.parametrize("picked", [Picked((2, 1)), Picked(text="it's"), Picked(), None])
async def test_what_was_chosen_is_kept(ledger: Ledger, picked: Picked | None) -> None:
    await ledger.approvals.ask(replace(ASKED, kind=ApprovalKind.CHOICE), [], NOW)
    decided = DecideApproval(approval=ASKED.id, state=ApprovalState.ALLOWED, by=ANNA, picked=picked)
    await settle(ledger, decided, event="$answer")

    found = await ledger.approvals.get(ASKED.id)
    assert found is not None
    assert found.picked == picked


async def test_an_answer_drops_what_is_still_to_be_tapped_and_nothing_else(ledger: Ledger) -> None:
    tapped = replace(parcel("tap"), type="m.reaction", approval=ASKED.id, urgency=Urgency.SPARE)
    others = replace(tapped, txn=parcel("other").txn, approval=ApprovalId("a2"))
    await ledger.approvals.ask(ASKED, [replace(parcel("q", "may I?"), approval=ASKED.id), tapped, others], NOW)
    await _decide(ledger, ApprovalState.ALLOWED)

    assert await waiting_texts(ledger) == ["may I?", ""]


# ── for as long as a conversation lasts ──


async def _allow_always(ledger: Ledger, name: str = "a1", **more: object) -> None:
    asked = replace(ASKED, id=ApprovalId(name), **{"rule": RULE, **more})  # type: ignore[arg-type]
    await ledger.approvals.ask(asked, [], NOW)
    decided = DecideApproval(approval=asked.id, state=ApprovalState.ALLOWED, by=ANNA, always=True)
    await settle(ledger, decided, event=f"$always-{name}")


async def test_a_yes_for_good_makes_the_rule_of_the_question_and_a_second_one_no_other(ledger: Ledger) -> None:
    await _allow_always(ledger)
    await _allow_always(ledger, "a2")

    assert await ledger.approvals.rules(ROOM) == [replace(RULE, by=ANNA)]
    assert await ledger.approvals.rules(OTHER_ROOM) == []


@pytest.mark.parametrize(
    ("state", "rule"), [(ApprovalState.DENIED, RULE), (ApprovalState.ALLOWED, None), (ApprovalState.EXPIRED, RULE)]
)
async def test_only_a_yes_to_a_question_that_has_a_rule_makes_one(
    ledger: Ledger, state: ApprovalState, rule: Rule | None
) -> None:
    await ledger.approvals.ask(replace(ASKED, rule=rule), [], NOW)
    await settle(ledger, DecideApproval(approval=ASKED.id, state=state, by=ANNA, always=True), event="$answer")

    assert await ledger.approvals.rules(ROOM) == []


async def test_a_late_yes_for_good_makes_no_rule(ledger: Ledger) -> None:
    await ledger.approvals.ask(replace(ASKED, rule=RULE), [], NOW)
    await _decide(ledger, ApprovalState.ALLOWED)
    late = DecideApproval(approval=ASKED.id, state=ApprovalState.ALLOWED, by=BERT, always=True)
    await settle(ledger, late, event="$late")

    assert await ledger.approvals.rules(ROOM) == []


async def test_a_rule_is_used_by_its_conversation_and_digest_and_by_whose_word_counts(ledger: Ledger) -> None:
    await _allow_always(ledger)
    use = ledger.approvals.use_rule

    assert await use(SESSION, "rule", [BERT, ANNA], EventId("$c"), NOW) == replace(RULE, by=ANNA)
    assert await use(OTHER_SESSION, "rule", [ANNA], EventId("$c"), NOW) is None
    assert await use(SESSION, "other", [ANNA], EventId("$c"), NOW) is None
    assert await use(SESSION, "rule", [BERT], EventId("$c"), NOW) is None
    assert await use(SESSION, "rule", [], EventId("$c"), NOW) is None
    [line] = await ledger.audit.lines(AuditFilter(kind=AuditKind.ALLOWED), limit=9)
    assert (line.deed.room, line.deed.actor, line.deed.subject) == (ROOM, ANNA, "$c")
    assert line.deed.detail == {"tool": "Bash"}


async def test_rules_end_with_their_conversation(ledger: Ledger) -> None:
    await accept(ledger, command("$c"))
    await _allow_always(ledger)
    await _allow_always(ledger, "a2", rule=replace(RULE, session=OTHER_SESSION))
    await settle(ledger, NewSession(ROOM, OTHER_SESSION), event="$new")

    assert [rule.session for rule in await ledger.approvals.rules(ROOM)] == [OTHER_SESSION]


async def test_rules_end_with_a_conversation_that_the_agent_has_lost(ledger: Ledger) -> None:
    await _allow_always(ledger)
    await ledger.sessions.replace(ROOM, SESSION, OTHER_SESSION, NOW)

    assert await ledger.approvals.rules(ROOM) == []


async def test_rules_are_taken_back_for_the_room(ledger: Ledger) -> None:
    await _allow_always(ledger)
    await _allow_always(ledger, "a2", room=OTHER_ROOM, rule=replace(RULE, session=OTHER_SESSION))
    await settle(ledger, EndRules(ROOM, ANNA), event="$end")
    await settle(ledger, EndRules(ROOM, ANNA), event="$again")

    assert await ledger.approvals.rules(ROOM) == []
    assert len(await ledger.approvals.rules(OTHER_ROOM)) == 1
    [line] = await ledger.audit.lines(AuditFilter(kind=AuditKind.SETTING), limit=9)
    assert line.deed.detail == {"name": "always", "count": 1}


async def test_a_rule_stays_without_its_text_when_the_message_is_taken_back(ledger: Ledger) -> None:
    await accept(ledger, command("$c"))
    await _allow_always(ledger)
    await settle(ledger, EraseText(EventId("$c"), ROOM), event="$redaction")

    assert await ledger.approvals.rules(ROOM) == [replace(RULE, shown="", by=ANNA)]
    found = await ledger.approvals.get(ASKED.id)
    assert found is not None
    assert found.rule == replace(RULE, shown="")


# ── what somebody has put on a message ──


def _reaction(event: str, key: str) -> Incoming:
    return replace(incoming(event, key), kind=Kind.REACTION, target=EventId("$q"))


async def test_the_reactions_of_somebody_on_a_message_are_those_that_stand(ledger: Ledger) -> None:
    said = [
        _reaction("$1", "1️⃣"),
        _reaction("$2", "2️⃣"),
        replace(_reaction("$3", "3️⃣"), sender=BERT),
        replace(_reaction("$4", "4️⃣"), target=EventId("$other")),
        replace(incoming("$5", "no reaction"), target=EventId("$q")),
    ]
    await ledger.inbox.take_in("t", said, NOW)
    await settle(ledger, EraseText(EventId("$1"), ROOM), event="$redaction")

    assert await ledger.inbox.reactions(EventId("$q"), ANNA) == ["2️⃣"]
