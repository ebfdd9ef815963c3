"""Which effects are somebody's deed, and what the audit says of them. Pure.

The store asks here for each effect that has changed something, so that no stage can forget to tell of one.
"""

from dataclasses import dataclass
from typing import assert_never

from aiagentchat.core.approvals import ApprovalKind, ApprovalState
from aiagentchat.core.audit import AuditKind, Deed, Detail
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.effects import (
    AcceptCommand,
    AwaitRoom,
    CountRefusal,
    DecideApproval,
    EditCommand,
    Effect,
    EndRules,
    EnterRoom,
    EraseText,
    ForgetAnswer,
    ForgetEdits,
    ForgetRoom,
    GiveRole,
    GuardChange,
    HaltAgents,
    KeepFile,
    LeaveRoom,
    LetAgentsGoOn,
    MakeRoom,
    MoveTask,
    NameSession,
    NewSession,
    NoteDeed,
    OpenApproval,
    OpenTask,
    PutParcel,
    RequestStop,
    SetModel,
    SetTimeLimit,
    TakeRole,
    UnmakeRoom,
)
from aiagentchat.core.guards import AgentTurn
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The event that the effects follow from."""

    event: EventId
    room: RoomId
    sender: UserId
    kind: Kind


def deed_of(effect: Effect, cause: Cause, found: Detail) -> Deed | None:
    """What the audit says of `effect`, which has changed something; None when it is nobody's deed.

    `found` is what the ledger knows about what was changed.
    """
    match effect:
        case NoteDeed(deed):
            return deed
        case AcceptCommand() | RequestStop() | EditCommand() | EraseText() | ForgetAnswer():
            return _about_a_command(effect, cause, found)
        case DecideApproval():
            return _decided(effect, cause, found)
        case SetTimeLimit() | NewSession() | NameSession() | SetModel():
            return _set(effect, cause)
        case EndRules(room=room):
            return _setting(cause, room, {"name": "always", **found})
        case GiveRole(grant):
            return Deed(kind=AuditKind.GRANTED, room=grant.room, actor=grant.by, subject=grant.user, detail=found)
        case TakeRole(room=room, user=user, by=by):
            return Deed(kind=AuditKind.REVOKED, room=room, actor=by, subject=user)
        case MakeRoom() | UnmakeRoom() | LeaveRoom() | EnterRoom():
            return _about_a_room(effect, cause)
        case AgentTurn() | HaltAgents() | LetAgentsGoOn():
            return _about_agents(effect, cause)
        case KeepFile() | PutParcel() | OpenApproval() | CountRefusal() | ForgetEdits() | AwaitRoom() | ForgetRoom():
            return None
        case OpenTask() | MoveTask():
            return None  # its command, and the end of that, are somebody's deeds
        case _:
            assert_never(effect)


def _about_a_command(
    effect: AcceptCommand | RequestStop | EditCommand | EraseText | ForgetAnswer, cause: Cause, found: Detail
) -> Deed:
    match effect:
        case AcceptCommand(command):
            kind = AuditKind.REJECTED if command.state is CommandState.REJECTED else AuditKind.ASKED
            return Deed(
                kind=kind, room=command.room, actor=command.sender, subject=command.event, detail=_of_command(command)
            )
        case RequestStop(command=command, by=by):
            return Deed(kind=AuditKind.STOPPED, room=cause.room, actor=by, subject=command, detail=found)
        case EditCommand(command=command, by=by):
            return Deed(kind=AuditKind.EDITED, room=cause.room, actor=by, subject=command)
        case EraseText(event=event):
            return Deed(kind=AuditKind.TAKEN_BACK, room=cause.room, actor=cause.sender, subject=event)
        case ForgetAnswer(command=command, by=by):
            return Deed(kind=AuditKind.FORGOTTEN, room=cause.room, actor=by, subject=command, detail=found)
        case _:
            assert_never(effect)


def _of_command(command: Command) -> Detail:
    """What it takes up again, and which program has asked for it, and how far that is from a person."""
    said: dict[str, str | int] = {"origin": command.origin} if command.origin else {}
    if command.caller is not None:
        said["caller"] = command.caller
    if command.meta is not None:
        said["hop"] = command.meta.hop
    return said


def _about_agents(effect: GuardChange, cause: Cause) -> Deed | None:
    match effect:
        case AgentTurn():
            return None  # the command itself is the deed
        case HaltAgents(halt):
            detail = {"budget": halt.limit.value, "turns": halt.turns}
            return Deed(kind=AuditKind.HALTED, room=halt.room, actor=cause.sender, subject=cause.event, detail=detail)
        case LetAgentsGoOn(room=room, by=by):
            return Deed(kind=AuditKind.CONTINUED, room=room, actor=by, subject=cause.event)
        case _:
            assert_never(effect)


def _about_a_room(effect: MakeRoom | UnmakeRoom | LeaveRoom | EnterRoom, cause: Cause) -> Deed | None:
    match effect:
        case MakeRoom(made):
            detail = {"folder": made.folder}
            return Deed(kind=AuditKind.ROOM_MADE, room=made.room, actor=made.by, subject=cause.event, detail=detail)
        case UnmakeRoom(room=room, by=by):
            return Deed(kind=AuditKind.ROOM_UNMADE, room=room, actor=by, subject=cause.event)
        case LeaveRoom(room=room, by=by):
            return Deed(kind=AuditKind.REMOVED, room=room, actor=by, subject=cause.event)
        case EnterRoom(room=room):
            is_invite = cause.kind is Kind.INVITE
            return Deed(kind=AuditKind.INVITED, room=room, actor=cause.sender) if is_invite else None
        case _:
            assert_never(effect)


def _decided(effect: DecideApproval, cause: Cause, found: Detail) -> Deed:
    is_yes = effect.state is ApprovalState.ALLOWED
    if found["question"] in (ApprovalKind.TOOL, ApprovalKind.PLAN):
        kind, detail = AuditKind.APPROVED if is_yes else AuditKind.DENIED, found
    else:
        kind, detail = AuditKind.ANSWERED, {**found, "answer": "yes" if is_yes else "no"}
    return Deed(kind=kind, room=cause.room, actor=effect.by, subject=effect.approval, detail=detail)


def _set(effect: SetTimeLimit | NewSession | NameSession | SetModel, cause: Cause) -> Deed:
    match effect:
        case SetTimeLimit(command=command, seconds=seconds):
            return _setting(cause, command, {"name": "timeout", "seconds": seconds})
        case NewSession(session=session):
            return _setting(cause, session, {"name": "session"})
        case NameSession(session=session):
            return _setting(cause, session, {"name": "session name"})
        case SetModel(model=model):
            return _setting(cause, cause.event, {"name": "model", "model": model or "default"})
        case _:
            assert_never(effect)


def _setting(cause: Cause, subject: str, detail: Detail) -> Deed:
    return Deed(kind=AuditKind.SETTING, room=cause.room, actor=cause.sender, subject=subject, detail=detail)
