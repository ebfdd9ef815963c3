"""What routing an event changes, inside the transaction that marks the event as routed."""

import json
from collections.abc import Sequence
from typing import assert_never

from aiagentchat.core.audit import Detail
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
from aiagentchat.core.files import FILES_WAIT_MS
from aiagentchat.core.guards import AgentTurn
from aiagentchat.core.ids import UserId
from aiagentchat.core.meta import kept
from aiagentchat.store import guards, made_rooms, sessions, task_moves
from aiagentchat.store.approvals import put_approval
from aiagentchat.store.bell import Bells, EventBell
from aiagentchat.store.database import Row, Transaction
from aiagentchat.store.erase import erase, forget_answer, forget_edits
from aiagentchat.store.grants import grant_values
from aiagentchat.store.joining import edit_part, join
from aiagentchat.store.outbox import put_parcels
from aiagentchat.store.queries import statements

_FOR_EXECUTOR = (
    AcceptCommand | RequestStop | SetTimeLimit | DecideApproval | EraseText | LeaveRoom | EnterRoom | MakeRoom
)
_FOR_SENDER = PutParcel | EnterRoom | ForgetAnswer | ForgetEdits | MoveTask | RequestStop | EraseText
_FOR_TASKS = OpenTask | MoveTask

_APPROVALS = statements("approvals")
_COMMANDS = statements("commands")
_GRANTS = statements("grants")
_INBOX = statements("inbox")
_OUTBOX = statements("outbox")
_REFUSALS = statements("refusals")
_ROOMS = statements("rooms")


async def apply(transaction: Transaction, effect: Effect, by: UserId, now: int) -> Detail | None:
    """Apply one effect. What is not possible (any more) changes nothing.

    `by` is who sent the event that it follows from. Returns what is known of what was changed; None: nothing was.
    """
    match effect:
        case AcceptCommand(command=command, joins=joins):
            if joins is not None and await join(transaction, command, joins):
                await _take_files(transaction, command, now)
                return {}
            return await _accept(transaction, effect, now)
        case RequestStop() | SetTimeLimit() | EditCommand() | OpenTask() | MoveTask():
            return await _steer(transaction, effect, now)
        case EraseText(event=event, room=room):
            return await erase(transaction, event, room, by, now)
        case ForgetAnswer(command=event, by=by):
            return await forget_answer(transaction, event, by, now)
        case ForgetEdits(event=event, room=room):
            await forget_edits(transaction, event, room, now)
        case DecideApproval() | EndRules():
            return await _answer(transaction, effect, now)
        case KeepFile() | PutParcel() | OpenApproval() | NoteDeed():
            await _add(transaction, effect, now)
        case GiveRole() | TakeRole() | AgentTurn() | HaltAgents() | LetAgentsGoOn():
            return await _let_in(transaction, effect, now)
        case LeaveRoom() | EnterRoom() | NewSession() | NameSession() | SetModel() | CountRefusal():
            await _settle_room(transaction, effect, now)
        case MakeRoom() | UnmakeRoom() | AwaitRoom() | ForgetRoom():
            await made_rooms.change(transaction, effect, now)
        case _:
            assert_never(effect)
    return {}


async def _answer(transaction: Transaction, effect: DecideApproval | EndRules, now: int) -> Detail | None:
    match effect:
        case DecideApproval():
            return await _decide(transaction, effect, now)
        case EndRules(room=room):
            rows = await transaction.run(_APPROVALS["end_rules_of_room"], room=room)
            return {"count": len(rows)} if rows else None
        case _:
            assert_never(effect)


async def _decide(transaction: Transaction, effect: DecideApproval, now: int) -> Detail | None:
    picked = effect.picked
    rows = await transaction.run(
        _APPROVALS["decide"],
        id=effect.approval,
        state=effect.state.value,
        by=effect.by,
        reason=effect.reason,
        picked=None if picked is None else json.dumps(picked.numbers),
        picked_text="" if picked is None else picked.text,
    )
    if not rows:
        return None
    await transaction.run(_OUTBOX["drop_offered_answers"], approval=effect.approval, now=now)
    always = await transaction.run(_APPROVALS["allow_always"], id=effect.approval, now=now) if effect.always else []
    return {"question": rows[0]["kind"], **_named(rows[0]), **({"always": 1} if always else {})}


def _named(row: Row) -> Detail:
    """A question of our own may be about more than one tool, or none."""
    return {name: row[name] for name in ("tool", "command") if row[name]}


async def _steer(
    transaction: Transaction, effect: RequestStop | SetTimeLimit | EditCommand | OpenTask | MoveTask, now: int
) -> Detail | None:
    match effect:
        case OpenTask() | MoveTask():
            return await task_moves.change(transaction, effect, now)
        case RequestStop(command=event, by=by):
            rows = await transaction.run(_COMMANDS["request_stop"], event=event, by=by, now=now)
            await task_moves.follow(transaction, event, now)
            return {"asked_by": rows[0]["sender"]} if rows else None
        case SetTimeLimit(command=event, seconds=seconds):
            return {} if await transaction.run(_COMMANDS["set_time_limit"], event=event, seconds=seconds) else None
        case EditCommand(command=event, text=text, by=by):
            changed = await edit_part(transaction, event, text, by)
            changed = changed or bool(await transaction.run(_COMMANDS["edit"], event=event, text=text, by=by))
            await transaction.run(_INBOX["edit_offered"], event=event, text=text, by=by)
            return {} if changed else None
        case _:
            assert_never(effect)


async def _add(transaction: Transaction, effect: KeepFile | PutParcel | OpenApproval | NoteDeed, now: int) -> None:
    match effect:
        case KeepFile(event=event, command=command):
            await transaction.run(_INBOX["keep_file"], event=event, command=command or "")
        case PutParcel(parcel):
            await put_parcels(transaction, [parcel], now)
        case OpenApproval(approval):
            await put_approval(transaction, approval)
        case NoteDeed():
            return  # it is a line of the audit, and whoever asks for the effect writes that
        case _:
            assert_never(effect)


async def _let_in(transaction: Transaction, effect: GiveRole | TakeRole | GuardChange, now: int) -> Detail | None:
    match effect:
        case AgentTurn() | HaltAgents() | LetAgentsGoOn():
            return await guards.change(transaction, effect, now)
        case GiveRole(grant):
            await transaction.run(_GRANTS["give"], **grant_values(grant))
            return {"role": grant.role.name.lower(), **({} if grant.until is None else {"until": grant.until})}
        case TakeRole(room=room, user=user):
            await transaction.run(_GRANTS["take"], room=room, user=user)
            return {}
        case _:
            assert_never(effect)


async def _settle_room(
    transaction: Transaction,
    effect: LeaveRoom | EnterRoom | NewSession | NameSession | SetModel | CountRefusal,
    now: int,
) -> None:
    match effect:
        case LeaveRoom(room=room, by=by):
            await transaction.run(_ROOMS["leave"], room=room, now=now)
            await transaction.run(_COMMANDS["stop_running"], room=room, by=by)
        case EnterRoom(room=room):
            await transaction.run(_ROOMS["enter"], room=room)
        case NewSession(room=room, session=session, thread=thread):
            await sessions.enter(transaction, room, thread, session)
        case NameSession():
            await sessions.name(transaction, effect, now)
        case SetModel(room=room, model=model):
            await transaction.run(_ROOMS["set_model"], room=room, model=model)
        case CountRefusal(room=room, day=day):
            await transaction.run(_REFUSALS["count_one"], room=room, day=day)
        case _:
            assert_never(effect)


async def _accept(transaction: Transaction, effect: AcceptCommand, now: int) -> Detail | None:
    command = effect.command
    accepted = await transaction.run(
        _COMMANDS["accept"],
        event=command.event,
        room=command.room,
        sender=command.sender,
        text=command.text,
        session=command.session,
        state=command.state.value,
        queued_at=command.queued_at,
        origin=command.origin,
        reply_to=command.reply_to,
        granted=command.granted,
        urgent=int(command.urgent),
        held_until=command.held_until,
        about=command.about,
        thread=command.thread,
        own=command.own,
        meta=kept(command.meta),
        caller=command.caller,
        now=now,
    )
    if not accepted:
        return None
    if command.state is CommandState.QUEUED and command.origin is None:
        await _take_files(transaction, command, now)
    await sessions.begin(transaction, effect, now)
    if effect.task is not None:
        await task_moves.take(transaction, effect.task, command, now)
    return {}


async def _take_files(transaction: Transaction, command: Command, now: int) -> None:
    await transaction.run(
        _INBOX["take_files"],
        command=command.event,
        room=command.room,
        sender=command.sender,
        since=now - FILES_WAIT_MS,
    )


def bells_for(effects: Sequence[Effect], bells: Bells) -> list[EventBell]:
    """The bells of those who wait for what the effects bring."""
    rung = []
    if any(isinstance(effect, _FOR_EXECUTOR) for effect in effects):
        rung.append(bells.commands)
    is_taken = any(isinstance(effect, AcceptCommand) and effect.task is not None for effect in effects)
    if is_taken or any(isinstance(effect, _FOR_SENDER) for effect in effects):
        rung.append(bells.outbox)
    if is_taken or any(isinstance(effect, _FOR_TASKS) for effect in effects):
        rung.append(bells.tasks)
    return rung
