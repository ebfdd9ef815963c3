"""What a crash, or the daemon's own end, cut short is reported, and never run again by itself.

A turn that waited for an answer when it was cut short has done nothing of what it asked for: the room is asked whether
to go on, and a yes is a new turn in which that one request is allowed (`route/questions.py`, `execute/turn.py`).
"""

from collections.abc import Awaitable, Callable, Mapping

import structlog

from aiagentchat.core.approvals import Approval, ApprovalKind
from aiagentchat.core.commands import Command, CommandState, TurnRecord
from aiagentchat.core.ids import ApprovalId, InstanceName, RoomId, txn_id
from aiagentchat.core.meta import AFTERWORD
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.clock import Clock
from aiagentchat.execute.turn import Ledgers
from aiagentchat.render import away, guard_words, steering_words, words
from aiagentchat.render.agent_words import signed
from aiagentchat.render.marks import YES_OR_NO, mark_for_people, taps
from aiagentchat.render.message import PAGE_BYTES, message
from aiagentchat.render.split import split

RESUME_OPEN_MS = 24 * 3_600_000
"""How long a turn that waited for an answer can still be gone on with."""

ALIVE_EVERY_MS = 30_000
"""A life says that it lives at least this often; how much longer it lived, nobody knows."""

log = structlog.get_logger(__name__)


async def report_interrupted(
    ledgers: Ledgers,
    clock: Clock,
    *,
    alive_at: int | None = None,
    wants_words: Callable[[RoomId], Awaitable[bool]] | None = None,
    instance: InstanceName | None = None,
) -> int:
    """End every command that is marked as running. Returns how many.

    Where a room does not want words, by `wants_words`, its question comes with its answers to tap.

    Called at start, before anything runs, and when the daemon ends, after everything has. `alive_at` is when
    (milliseconds) the life that ran them was last known to live; None: it lives still, or nobody knows. `instance` is
    what other agents know us by.
    """
    now = clock.now_ms()
    running = await ledgers.commands.running()
    for command in running:
        lasted = _lasted(command.started_at or now, now, alive_at)
        # What was taken back is not gone on with.
        waited_for = await ledgers.approvals.open_of(command.event) if command.text else []
        question = _question(command, waited_for, now) if waited_for else None
        text = _told(command, lasted, waited_for)
        told = _parcels(command, text, question, instance)
        tapped: list[Parcel] = []
        if question is not None and wants_words is not None and not await wants_words(command.room):
            tapped = taps(told[-1], YES_OR_NO)
        parcels = [*told, *tapped, *mark_for_people(command, CommandState.INTERRUPTED)]
        await ledgers.commands.interrupt(command.event, question, TurnRecord(duration_ms=lasted), parcels, now)
        log.warning("command.interrupted", room=command.room, command=command.event, ran_ms=lasted)
    return len(running)


async def report_leftovers(ledgers: Ledgers, clock: Clock, counts: Mapping[RoomId, int]) -> None:
    """Tell each room how many processes of an earlier life were found in it, and ended."""
    now = clock.now_ms()
    parcels = [
        Parcel(txn=txn_id(room, "leftovers", str(now)), room=room, content=message(words.leftovers(count), notice=True))
        for room, count in counts.items()
    ]
    await ledgers.outbox.put(parcels, now)


def _lasted(started: int, now: int, alive_at: int | None) -> int:
    """How long it ran, as far as that is known: not for the time in which nobody lived."""
    until = now if alive_at is None else min(now, max(alive_at, started) + ALIVE_EVERY_MS)
    return max(0, until - started)


def _told(command: Command, lasted: int, waited_for: list[Approval]) -> str:
    if command.host is not None:
        return steering_words.now_interrupted(lasted)
    if not waited_for:
        return away.interrupted(lasted)
    asks_again = all(each.kind is ApprovalKind.CHOICE for each in waited_for)
    who = guard_words.may_answer(command)
    return away.resume_question(_shown(waited_for), command.sender, who=who, asks_again=asks_again)


def _shown(waited_for: list[Approval]) -> str:
    return "\n\n".join(each.shown for each in waited_for)


def _question(command: Command, waited_for: list[Approval], now: int) -> Approval:
    return Approval(
        id=ApprovalId(txn_id(command.event, "resume")),
        room=command.room,
        command=command.event,
        tool=", ".join(dict.fromkeys(each.tool for each in waited_for)),
        expires_at=now + RESUME_OPEN_MS,
        kind=ApprovalKind.RESUME,
        digest=",".join(each.digest for each in waited_for),
        shown=_shown(waited_for),
    )


def _parcels(command: Command, text: str, question: Approval | None, instance: InstanceName | None) -> list[Parcel]:
    """The pieces of what the room is told; a reaction on the last one answers the question, if there is one.

    To an agent they are the end of the answer, wherever that was.
    """
    pieces = split(text, PAGE_BYTES)
    parcels = []
    for index, piece in enumerate(pieces):
        txn, is_last = txn_id(command.event, "interrupted", str(index)), index == len(pieces) - 1
        content = message(piece.text, notice=False, reply_to=command.shown_at if index == 0 else None)
        parcels.append(
            Parcel(
                txn=txn,
                room=command.room,
                content=signed(content, command, txn, instance=instance, part=AFTERWORD + index, last=is_last),
                command=command.event,
                approval=question.id if question is not None and is_last else None,
            )
        )
    return parcels
