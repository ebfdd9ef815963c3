"""Why a message was answered, or not: one sentence out of what the ledger knows. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiagentchat.cli.why.between import verdict_of_sent, verdict_of_task
from aiagentchat.core.approvals import ApprovalState
from aiagentchat.core.audit import AuditKind
from aiagentchat.core.commands import MOST_HELD_MS, CommandState
from aiagentchat.core.messages import Kind
from aiagentchat.core.parcels import Urgency
from aiagentchat.render.words import count, duration
from aiagentchat.store.life import Asked, Heard, Life, Put

_ON_THE_WAY = ("waiting", "claimed")
_EXCHANGE = "see `exchange` of its room in config.yaml"
_NO_DAEMON = "no daemon runs on this data_dir; start it: aiagentchat run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What the ledger does not know."""

    now: int
    """Milliseconds since the epoch."""
    pid: int | None
    """Of the daemon that runs on this data_dir; None: none does."""
    is_ours: bool = True
    """Whether the message's room is one that is answered, by today's settings."""
    today: str = ""
    """What routing would say today, by config.yaml as it is now; empty: nobody can tell."""


def verdict(life: Life, here: Here) -> tuple[bool, str]:
    """Whether it was answered, and the sentence."""
    if life.command is not None:
        return _of_command(life, life.command, here)
    if life.task is not None and str(life.task.id) == life.id:
        return verdict_of_task(life.task, here.now)
    if life.sent is not None:
        return verdict_of_sent(life.sent, here.now)
    if life.heard is not None:
        return _of_message(life, life.heard, here)
    return _of_nothing_else(life, here)


def unknown(life: Life, here: Here) -> Sequence[str]:
    """What could be the reason why the ledger knows nothing of an id."""
    reasons = [
        "It is of a room that is not answered here; these are: aiagentchat rooms.",
        "It is the daemon's own, or of a kind that is not looked at: a change of the room's state, a notice of a bot.",
        "It was said before the daemon came into the room, or while it was away for longer than catch_up_max_age.",
        "It is mistyped: an event's id begins with $, and capitals matter. In a shell put it in single quotes.",
    ]
    if life.first_at is not None:
        ago = duration(here.now - life.first_at)
        reasons.insert(0, f"It is older than what is kept: the first message here came {ago} ago (`retention`).")
    if here.pid is None:
        seen = "" if life.alive_at is None else f"; the last one was alive {duration(here.now - life.alive_at)} ago"
        reasons.insert(0, f"It has not been taken in yet: no daemon runs on this data_dir{seen}.")
    return reasons


def _of_command(life: Life, command: Asked, here: Here) -> tuple[bool, str]:
    match command.state:
        case CommandState.QUEUED:
            return False, f"Not answered yet because {_waits(life, command, here)}."
        case CommandState.RUNNING:
            return False, f"Not answered yet because {_runs(life, command, here)}."
        case CommandState.DONE:
            return _is_sent(life, here)
        case _:
            return False, f"Not answered because {_ENDS[command.state](life, command)}"


def _waits(life: Life, command: Asked, here: Here) -> str:
    if life.left_at is not None:
        return "the daemon is not in the room any more; what waits goes on when it is invited again"
    if here.pid is None:
        return f"it waits, and {_NO_DAEMON}"
    if here.now < command.held_until <= here.now + MOST_HELD_MS:
        return f"what its sender types next may belong to it (debounce), for {duration(command.held_until - here.now)}"
    if command.busy_with is not None:
        others = f", and {count(command.ahead_now, 'other')} before it" if command.ahead_now else ""
        return f"the turn of {command.busy_with} runs in its room{others}"
    if command.ahead_now:
        return f"{count(command.ahead_now, 'command')} of its room wait before it"
    return (
        "it waits for a turn: all of max_parallel_turns are taken, the daemon is draining, the room rests after it has "
        "reached a limit, or the homeserver does not say whether its sender is in the room; see room.rests and "
        "membership.unknown in the log"
    )


def _runs(life: Life, command: Asked, here: Here) -> str:
    since = duration(here.now - (command.started_at or command.queued_at))
    if here.pid is None:
        return (
            f"the daemon ended in its turn, which began {since} ago; the next start reports it as interrupted and does "
            "not run it again"
        )
    for question in life.questions:
        if question.state is ApprovalState.OPEN:
            left = duration(max(0, question.expires_at - here.now))
            return f"its turn waits for an answer of the room about {question.tool or question.kind}, for {left} more"
    if command.host is not None:
        return f"it was given to the turn of {command.host}, which runs"
    return f"its turn runs, since {since}"


def _rejected(_: Life, __: Asked) -> str:
    return "too many messages waited (max_queue, max_queue_total); the room was told."


def _cancelled(life: Life, command: Asked) -> str:
    kinds = {line.deed.kind: line.deed.actor for line in life.lines}
    if AuditKind.TAKEN_BACK in kinds:
        return f"it was deleted from the room by {kinds[AuditKind.TAKEN_BACK]}."
    if command.stop_by is not None:
        when = "in its turn" if command.started_at is not None else "while it waited"
        return f"{command.stop_by} stopped it {when}."
    if command.started_at is None:
        return (
            "it was turned away when its turn came: its sender had left the room or may not any more, or a budget was "
            "used up; the room was told. See command.turned_away and command.budget_used_up in the log."
        )
    return "its turn ended by itself before it was done; the room was told."


def _timed_out(_: Life, command: Asked) -> str:
    return f"its turn took longer than it may (timeout): {duration(command.duration_ms)}; the room was told."


def _interrupted(life: Life, _: Asked) -> str:
    again = f" It was taken up again by {life.retries[-1][0]}." if life.retries else " In its room: /retry."
    return f"the daemon ended in its turn, and nobody knows how far it came; it is not run again by itself.{again}"


def _failed(life: Life, _: Asked) -> str:
    told = next((each for each in reversed(life.parcels) if each.is_message and each.state == "sent"), None)
    read = f" The room reads why in {told.event}." if told is not None and told.event else ""
    return f"its turn failed.{read} Its log events (turn.agent_failed, turn.not_started, turn.broken) say more."


_ENDS: Mapping[CommandState, Callable[[Life, Asked], str]] = {
    CommandState.REJECTED: _rejected,
    CommandState.CANCELLED: _cancelled,
    CommandState.TIMED_OUT: _timed_out,
    CommandState.INTERRUPTED: _interrupted,
    CommandState.FAILED: _failed,
}


def _is_sent(life: Life, here: Here) -> tuple[bool, str]:
    """Whether the room has what it is to read."""
    needed = [each for each in life.parcels if each.is_message and each.urgency is not Urgency.SPARE]
    waiting = [each for each in needed if each.state in _ON_THE_WAY]
    if waiting:
        return False, f"Not answered yet because {_unsent(life, waiting, here)}."
    given_up = [each for each in needed if each.state == "given_up"]
    if given_up:
        return False, f"Not answered because the homeserver does not take the answer: {given_up[-1].why or 'refused'}."
    sent = [each for each in needed if each.state == "sent" and each.ended_at is not None]
    if not sent:
        return True, "Answered; what was sent is not kept any more."
    first, last = min(sent, key=_moment), max(sent, key=_moment)
    began = life.command.queued_at if life.command else (life.heard.taken_at if life.heard else first.put_at)
    whole = f", all of it after {duration(_moment(last) - began)}" if last is not first else ""
    return True, f"Answered: the first words were in the room {duration(_moment(first) - began)} after it came{whole}."


def _moment(put: Put) -> int:
    return put.put_at if put.ended_at is None else put.ended_at


def _unsent(life: Life, waiting: Sequence[Put], here: Here) -> str:
    parcels = "parcel" if len(waiting) == 1 else "parcels"
    since = duration(here.now - waiting[0].put_at)
    if here.pid is None:
        return f"{len(waiting)} {parcels} of the answer wait since {since}, and {_NO_DAEMON}"
    if life.left_at is not None:
        return "the daemon is not in the room any more; the answer waits until it is invited again"
    before = f", behind {life.unsent} others of its room" if life.unsent else ""
    faults = max(each.faults for each in waiting)
    failed = f"; the homeserver has failed over it {count(faults, 'time')}" if faults else ""
    return (
        f"{len(waiting)} {parcels} of the answer wait to be sent since {since}{before}{failed}; see "
        "outbox.rate_limited, outbox.unreachable and outbox.failed in the log"
    )


def _of_message(life: Life, heard: Heard, here: Here) -> tuple[bool, str]:
    if heard.routed_at is None:
        return False, f"Not answered yet because {_unrouted(life, heard, here)}."
    refused = next((line.deed for line in life.lines if line.deed.kind is AuditKind.REFUSED), None)
    if refused is not None:
        what = refused.detail.get("what", "this")
        if heard.of_program:
            return False, f"Not answered because what a program asked for was turned away ({what}); {_EXCHANGE}."
        return False, f"Not answered because {heard.sender} may not do that there ({what}); see: aiagentchat audit."
    if any(each.is_message for each in life.parcels):
        return _is_sent(life, here)
    if heard.kind not in (Kind.TEXT, Kind.FILE):
        return False, f"Not answered because what is a {heard.kind} has no answer of its own."
    if heard.of_program:
        return False, (
            "Not answered because a program has written it, which begins a turn only when it says so, to this agent, "
            f"and may; {_EXCHANGE}."
        )
    if not here.is_ours:
        return False, "Not answered because its room is not one of ours (any more); see: aiagentchat rooms."
    if here.today:
        return False, f"Not answered because it started nothing when it was routed; {here.today}."
    return False, (
        "Not answered because it started nothing when it was routed: it may have answered a question, been a file that "
        "waits for what its sender says next, or not have been addressed to the account (mention_only). The log has "
        "the decision in event.decided."
    )


def _unrouted(life: Life, heard: Heard, here: Here) -> str:
    if heard.kind is Kind.SEALED:
        return "it is encrypted, and the key to it has not come; see event.sealed and seal.shut in the log"
    if here.pid is None:
        return f"it is taken in and not routed, and {_NO_DAEMON}"
    if life.unrouted:
        return f"{count(life.unrouted, 'message')} of its room have to be routed before it"
    return (
        "it is taken in and not routed: the power levels of its room are not known yet, or the database cannot be "
        "written; see store.stalled in the log"
    )


def _of_nothing_else(life: Life, here: Here) -> tuple[bool, str]:
    if any(each.is_message for each in life.parcels):
        return _is_sent(life, here)
    if any(line.deed.detail.get("what") == "before" for line in life.lines):
        return False, "Not answered because it was said before the daemon came into the room; nobody had said it to it."
    return False, "Only the audit still knows of it; the message itself is not kept any more (retention)."
