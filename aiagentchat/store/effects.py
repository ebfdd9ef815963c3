"""What routing an event changes, inside the transaction that marks the event as routed."""

from collections.abc import Sequence
from typing import assert_never

from aiagentchat.core.commands import Command
from aiagentchat.core.effects import (
    AcceptCommand,
    AwaitRoom,
    CountRefusal,
    DecideApproval,
    EditCommand,
    Effect,
    EnterRoom,
    EraseText,
    ForgetRoom,
    LeaveRoom,
    MakeRoom,
    NewSession,
    OpenApproval,
    PutParcel,
    RequestStop,
    SetTimeLimit,
    UnmakeRoom,
)
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.store import made_rooms
from aiagentchat.store.approvals import put_approval
from aiagentchat.store.bell import Bells, EventBell
from aiagentchat.store.database import Transaction
from aiagentchat.store.outbox import put_parcels
from aiagentchat.store.queries import statements

_FOR_EXECUTOR = AcceptCommand | RequestStop | SetTimeLimit | DecideApproval | LeaveRoom | EnterRoom | MakeRoom

_APPROVALS = statements("approvals")
_COMMANDS = statements("commands")
_INBOX = statements("inbox")
_REFUSALS = statements("refusals")
_ROOMS = statements("rooms")


async def apply(transaction: Transaction, effect: Effect, now: int) -> None:
    """Apply one effect. What is not possible (any more) changes nothing."""
    match effect:
        case AcceptCommand(command):
            await _accept(transaction, command, now)
        case PutParcel(parcel):
            await put_parcels(transaction, [parcel], now)
        case RequestStop() | SetTimeLimit():
            await _steer(transaction, effect, now)
        case EditCommand(command=event, text=text, by=by):
            await transaction.run(_COMMANDS["edit"], event=event, text=text, by=by)
            await transaction.run(_INBOX["edit_offered"], event=event, text=text, by=by)
        case EraseText(event=event, room=room):
            await _erase(transaction, event, room)
        case OpenApproval(approval):
            await put_approval(transaction, approval)
        case LeaveRoom() | EnterRoom():
            await _move(transaction, effect, now)
        case NewSession(room=room, session=session):
            await transaction.run(_ROOMS["set_session"], room=room, session=session)
        case DecideApproval(approval=approval, state=state, by=by, reason=reason):
            await transaction.run(_APPROVALS["decide"], id=approval, state=state.value, by=by, reason=reason)
        case CountRefusal(room=room, day=day):
            await transaction.run(_REFUSALS["count_one"], room=room, day=day)
        case MakeRoom() | UnmakeRoom() | AwaitRoom() | ForgetRoom():
            await made_rooms.change(transaction, effect, now)
        case _:
            assert_never(effect)


async def _steer(transaction: Transaction, effect: RequestStop | SetTimeLimit, now: int) -> None:
    match effect:
        case RequestStop(command=event, by=by):
            await transaction.run(_COMMANDS["request_stop"], event=event, by=by, now=now)
        case SetTimeLimit(command=event, seconds=seconds):
            await transaction.run(_COMMANDS["set_time_limit"], event=event, seconds=seconds)
        case _:
            assert_never(effect)


async def _move(transaction: Transaction, effect: LeaveRoom | EnterRoom, now: int) -> None:
    match effect:
        case LeaveRoom(room=room, by=by):
            await transaction.run(_ROOMS["leave"], room=room, now=now)
            await transaction.run(_COMMANDS["stop_running"], room=room, by=by)
        case EnterRoom(room=room):
            await transaction.run(_ROOMS["enter"], room=room)
        case _:
            assert_never(effect)


async def _erase(transaction: Transaction, event: EventId, room: RoomId) -> None:
    await transaction.run(_INBOX["erase"], event=event, room=room)
    if await transaction.run(_COMMANDS["erase"], event=event, room=room):
        await transaction.run(_APPROVALS["withdraw_of"], command=event)


async def _accept(transaction: Transaction, command: Command, now: int) -> None:
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
        now=now,
    )
    if accepted:
        await transaction.run(_ROOMS["set_first_session"], room=command.room, session=command.session)


def bells_for(effects: Sequence[Effect], bells: Bells) -> list[EventBell]:
    """The bells of those who wait for what the effects bring."""
    rung = []
    if any(isinstance(effect, _FOR_EXECUTOR) for effect in effects):
        rung.append(bells.commands)
    if any(isinstance(effect, PutParcel | EnterRoom) for effect in effects):
        rung.append(bells.outbox)
    return rung
