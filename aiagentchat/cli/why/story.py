"""From what the ledger knows of a message to a story: what happened when, and how it ends. Pure.

No row and no verdict has a text of anybody in it; `Row.text` has, for whoever asks for it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aiagentchat.cli.why.between import rows_of_sent, rows_of_task
from aiagentchat.cli.why.row import Row
from aiagentchat.cli.why.verdict import Here, verdict
from aiagentchat.core.approvals import ApprovalState
from aiagentchat.core.audit import AuditKind, AuditLine
from aiagentchat.core.commands import CommandState
from aiagentchat.render.words import count, duration, money
from aiagentchat.store.life import Asked, Heard, Life, Put, Question

_TOLD_OTHERWISE = frozenset({AuditKind.ASKED, AuditKind.REJECTED})
"""Kinds whose moment has a row of its own."""
_SLOW_MS = 60_000
"""A message that took longer from the homeserver to us was late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The life of one message."""

    rows: Sequence[Row]
    answered: bool
    verdict: str
    """One sentence, and perhaps what to do."""


def tell(life: Life, here: Here) -> Story:
    """The story of what is known."""
    rows = sorted(_rows(life, here), key=lambda row: (row.at is None, row.at or 0))
    answered, sentence = verdict(life, here)
    return Story(rows=rows, answered=answered, verdict=sentence)


def _rows(life: Life, here: Here) -> Iterator[Row]:
    if life.sent is not None:
        yield from rows_of_sent(life.sent)
    if life.task is not None:
        yield from rows_of_task(life.task)
    if life.heard is not None:
        yield from _came(life.heard)
        yield from _routed(life, life.heard, here)
    if life.command is not None:
        yield from _ran(life.command, is_heard=life.heard is not None)
    yield from (_line(line) for line in life.lines if line.deed.kind not in _TOLD_OTHERWISE)
    for question in life.questions:
        yield from _asked(question)
    yield from _parcels(life.parcels)
    for event, state, at in life.retries:
        yield Row(at=at, what="taken up again", more=f"by {event}, which is {state}")


def _came(heard: Heard) -> Iterator[Row]:
    yield Row(at=heard.sent_at, what="sent", more=f"{heard.kind} by {heard.sender}, by the homeserver's clock")
    way = heard.taken_at - heard.sent_at
    late = f", {duration(way)} later" if way >= _SLOW_MS else ""
    away = "; it was read from the room's history" if heard.late_ms else ""
    yield Row(at=heard.taken_at, what="taken in", more=f"written down{late}{away}", text=heard.body)


def _routed(life: Life, heard: Heard, here: Here) -> Iterator[Row]:
    if heard.routed_at is None:
        return
    command = life.command
    if command is None:
        refused = next((line.deed for line in life.lines if line.deed.kind is AuditKind.REFUSED), None)
        known = f"; {here.today}" if here.today else ""
        more = f"no command{known}" if refused is None else f"refused: {refused.detail.get('what', '')}"
    elif command.event != heard.event:
        more = f"joined to the command {command.event}" if heard.event in life.parts else f"about {command.event}"
    elif command.state is CommandState.REJECTED:
        more = "turned away: too many messages waited"
    else:
        more = f"a command; {count(command.ahead, 'other')} before it" if command.ahead else "a command"
    at = heard.routed_at
    if command is not None and command.event == heard.event:
        at = min(at, command.queued_at)  # which is when it was looked at; what follows is committed a moment later
    yield Row(at=at, what="routed", more=more)


def _ran(command: Asked, *, is_heard: bool) -> Iterator[Row]:
    if command.state is not CommandState.REJECTED:
        again = f"takes up {command.origin} again" if command.origin else ""
        yield Row(at=command.queued_at, what="queued", more=again, text="" if is_heard else command.text)
    if command.started_at is not None:
        given = f" in the turn of {command.host}" if command.host else ""
        waited = command.started_at - command.queued_at
        yield Row(at=command.started_at, what="started", more=f"after {duration(waited)} in the queue{given}")
    if command.ended_at is not None and command.state is not CommandState.REJECTED:
        used = [duration(command.duration_ms)] if command.started_at is not None else []
        used += [money(command.cost_micro_usd)] if command.cost_micro_usd else []
        yield Row(at=command.ended_at, what=str(command.state), more=", ".join(used))


def _line(line: AuditLine) -> Row:
    deed = line.deed
    details = " ".join(f"{key}={value}" for key, value in deed.detail.items() if key != "command")
    return Row(at=line.at, what=deed.kind.value, more=f"by {deed.actor or 'the operator'} {details}".rstrip())


def _asked(question: Question) -> Iterator[Row]:
    about = question.tool or question.kind.value
    yield Row(at=question.asked_at, what="asked the room", more=f"{question.kind}: {about}, question {question.id}")
    if question.state in (ApprovalState.EXPIRED, ApprovalState.WITHDRAWN):
        at = question.expires_at if question.state is ApprovalState.EXPIRED else None
        yield Row(at=at, what=f"question {question.state}", more=f"{question.id}: nobody has decided it")


def _parcels(parcels: Sequence[Put]) -> Iterator[Row]:
    edits = [each for each in parcels if each.is_edit]
    for each in parcels:
        if not each.is_edit:
            yield _parcel(each)
    if edits:
        states = {state: sum(each.state == state for each in edits) for state in dict.fromkeys(e.state for e in edits)}
        more = ", ".join(f"{number} {state}" for state, number in states.items())
        last = edits[-1]
        yield Row(
            at=last.ended_at or last.put_at, what="edits", more=f"{more}; the last is {last.state}", text=last.body
        )


def _parcel(put: Put) -> Row:
    what = "message" if put.is_message else "reaction"
    what = "question" if put.approval and put.is_message else what
    tries = f", tried {count(put.claims, 'time')}" if put.claims > 1 else ""
    wait = f" after {duration(put.ended_at - put.put_at)}" if put.ended_at is not None else ""
    why = f": {put.why}" if put.why else ""
    became = f" as {put.event}" if put.event else ""
    at = put.put_at if put.ended_at is None else put.ended_at
    return Row(at=at, what=what, more=f"{put.state}{wait}{tries}{became}{why}", text=put.body)
