"""What the audit says of each effect: each row is a sentence."""

from typing import Any

import pytest

from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState
from aiagentchat.core.audit import MOST_CHARACTERS, MOST_DETAILS, AuditKind, Deed, small
from aiagentchat.core.commands import CommandState
from aiagentchat.core.deeds import Cause, deed_of
from aiagentchat.core.effects import (
    AcceptCommand,
    CountRefusal,
    DecideApproval,
    EditCommand,
    Effect,
    EndRules,
    EnterRoom,
    EraseText,
    ForgetAnswer,
    ForgetEdits,
    HaltAgents,
    LeaveRoom,
    LetAgentsGoOn,
    NewSession,
    NoteDeed,
    OpenApproval,
    PutParcel,
    RequestStop,
    SetTimeLimit,
)
from aiagentchat.core.guards import AgentTurn, Halt, Limit
from aiagentchat.core.ids import ApprovalId, CallerName, EventId, MessageId, SessionId, TxnId
from aiagentchat.core.messages import Kind
from aiagentchat.core.meta import Meta
from aiagentchat.core.parcels import Parcel
from tests.fakes.people import ADA, ANNA, ME, ROOM, command

EVENT, COMMAND = EventId("$event"), EventId("$command")
ASKED = ApprovalId("a1")
APPROVAL = Approval(id=ASKED, room=ROOM, command=COMMAND, tool="Bash", expires_at=1)
TOOL = {"question": ApprovalKind.TOOL.value, "tool": "Bash", "command": COMMAND}
PLAN = {"question": ApprovalKind.PLAN.value, "tool": "ExitPlanMode", "command": COMMAND}
CHOICE = {"question": ApprovalKind.CHOICE.value, "tool": "AskUserQuestion", "command": COMMAND}
RESUME = {"question": ApprovalKind.RESUME.value, "tool": "Bash", "command": COMMAND}


def deed(kind: AuditKind, **more: Any) -> Deed:
    return Deed(**{"kind": kind, "room": ROOM, "actor": ANNA, **more})


def decided(state: ApprovalState) -> DecideApproval:
    return DecideApproval(approval=ASKED, state=state, by=ADA, reason="because")


@pytest.mark.parametrize(
    ("effect", "found", "expected"),
    [
        pytest.param(
            AcceptCommand(command(event=COMMAND)), {}, deed(AuditKind.ASKED, subject=COMMAND), id="somebody asks"
        ),
        pytest.param(
            AcceptCommand(command(event=COMMAND, origin=EVENT)),
            {},
            deed(AuditKind.ASKED, subject=COMMAND, detail={"origin": EVENT}),
            id="somebody asks again",
        ),
        pytest.param(
            AcceptCommand(command(event=COMMAND, state=CommandState.REJECTED)),
            {},
            deed(AuditKind.REJECTED, subject=COMMAND),
            id="somebody asks too much",
        ),
        pytest.param(
            RequestStop(COMMAND, ADA),
            {"asked_by": ANNA},
            deed(AuditKind.STOPPED, actor=ADA, subject=COMMAND, detail={"asked_by": ANNA}),
            id="somebody stops it",
        ),
        pytest.param(
            SetTimeLimit(COMMAND, 60),
            {},
            deed(AuditKind.SETTING, subject=COMMAND, detail={"name": "timeout", "seconds": 60}),
            id="somebody gives it time",
        ),
        pytest.param(
            EditCommand(COMMAND, "a secret", ANNA),
            {},
            deed(AuditKind.EDITED, subject=COMMAND),
            id="somebody changes it",
        ),
        pytest.param(
            EraseText(COMMAND, ROOM), {}, deed(AuditKind.TAKEN_BACK, subject=COMMAND), id="somebody takes it back"
        ),
        pytest.param(
            ForgetAnswer(COMMAND, ADA),
            {"messages": 2, "edits": 1},
            deed(AuditKind.FORGOTTEN, actor=ADA, subject=COMMAND, detail={"messages": 2, "edits": 1}),
            id="somebody has it forgotten",
        ),
        pytest.param(
            NewSession(ROOM, SessionId("s")),
            {},
            deed(AuditKind.SETTING, subject="s", detail={"name": "session"}),
            id="somebody begins anew",
        ),
        pytest.param(
            decided(ApprovalState.ALLOWED),
            TOOL,
            deed(AuditKind.APPROVED, actor=ADA, subject=ASKED, detail=TOOL),
            id="somebody says yes",
        ),
        pytest.param(
            decided(ApprovalState.DENIED),
            TOOL,
            deed(AuditKind.DENIED, actor=ADA, subject=ASKED, detail=TOOL),
            id="somebody says no",
        ),
        pytest.param(
            decided(ApprovalState.ALLOWED),
            RESUME,
            deed(AuditKind.ANSWERED, actor=ADA, subject=ASKED, detail={**RESUME, "answer": "yes"}),
            id="somebody goes on",
        ),
        pytest.param(
            decided(ApprovalState.DENIED),
            RESUME,
            deed(AuditKind.ANSWERED, actor=ADA, subject=ASKED, detail={**RESUME, "answer": "no"}),
            id="somebody does not go on",
        ),
        pytest.param(
            LeaveRoom(ROOM, ADA), {}, deed(AuditKind.REMOVED, actor=ADA, subject=EVENT), id="somebody puts us out"
        ),
        pytest.param(NoteDeed(deed(AuditKind.REFUSED)), {}, deed(AuditKind.REFUSED), id="somebody tries"),
        pytest.param(EnterRoom(ROOM), {}, None, id="we come back"),
        pytest.param(PutParcel(Parcel(txn=TxnId("t"), room=ROOM, content={})), {}, None, id="we say something"),
        pytest.param(
            decided(ApprovalState.ALLOWED),
            PLAN,
            deed(AuditKind.APPROVED, actor=ADA, subject=ASKED, detail=PLAN),
            id="somebody approves a plan",
        ),
        pytest.param(
            decided(ApprovalState.ALLOWED),
            CHOICE,
            deed(AuditKind.ANSWERED, actor=ADA, subject=ASKED, detail={**CHOICE, "answer": "yes"}),
            id="somebody chooses",
        ),
        pytest.param(
            EndRules(ROOM, ADA),
            {"count": 2},
            deed(AuditKind.SETTING, subject=ROOM, detail={"name": "always", "count": 2}),
            id="somebody takes back what was allowed for good",
        ),
        pytest.param(
            AcceptCommand(command(event=COMMAND, sender=ME, caller=CallerName("ci"), meta=Meta(id=MessageId("m1")))),
            {},
            deed(AuditKind.ASKED, actor=ME, subject=COMMAND, detail={"caller": "ci", "hop": 0}),
            id="a caller asks",
        ),
        pytest.param(
            AcceptCommand(command(event=COMMAND, meta=Meta(id=MessageId("m1"), hop=2))),
            {},
            deed(AuditKind.ASKED, subject=COMMAND, detail={"hop": 2}),
            id="an agent asks",
        ),
        pytest.param(AgentTurn(event=EVENT, room=ROOM, pair="a b"), {}, None, id="which is counted"),
        pytest.param(
            HaltAgents(Halt(room=ROOM, limit=Limit.PAIR, turns=10, pair="a b", at=1)),
            {},
            deed(AuditKind.HALTED, subject=EVENT, detail={"budget": "pair", "turns": 10}),
            id="one turn too many halts the room",
        ),
        pytest.param(
            LetAgentsGoOn(ROOM, ADA),
            {},
            deed(AuditKind.CONTINUED, actor=ADA, subject=EVENT),
            id="it goes on",
        ),
        pytest.param(OpenApproval(APPROVAL), {}, None, id="we ask something"),
        pytest.param(CountRefusal(ROOM, "2026-01-01"), {}, None, id="we count"),
        pytest.param(ForgetEdits(EVENT, ROOM), {}, None, id="we delete what a moderator left"),
    ],
)
def test_what_somebody_does_is_a_deed(effect: Effect, found: dict[str, Any], expected: Deed | None) -> None:
    cause = Cause(event=EVENT, room=ROOM, sender=ANNA, kind=Kind.TEXT)

    assert deed_of(effect, cause, found) == expected


def test_an_invite_that_is_followed_is_the_deed_of_whoever_invited() -> None:
    cause = Cause(event=EVENT, room=ROOM, sender=ANNA, kind=Kind.INVITE)

    assert deed_of(EnterRoom(ROOM), cause, {}) == deed(AuditKind.INVITED)


def test_details_are_few_and_short() -> None:
    kept = small({"long": "x" * 1000, **{str(number): number for number in range(20)}})

    assert len(kept) == MOST_DETAILS
    assert kept["long"] == "x" * MOST_CHARACTERS
    assert kept["0"] == 0
