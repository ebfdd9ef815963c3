"""All that the ledger knows of one message, read by another process while the daemon runs. Changes nothing."""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiagentchat.core.access import Grant, Role
from aiagentchat.core.approvals import ApprovalKind, ApprovalState
from aiagentchat.core.audit import AuditLine
from aiagentchat.core.commands import CommandState
from aiagentchat.core.exchange import MessageState
from aiagentchat.core.ids import ApprovalId, EventId, MessageId, RoomId, TaskId, UserId, txn_id
from aiagentchat.core.messages import Kind
from aiagentchat.core.meta import MetaKind
from aiagentchat.core.parcels import MESSAGE, Urgency
from aiagentchat.core.tasks import TaskState
from aiagentchat.store.audit import line_of
from aiagentchat.store.queries import statements

_LIFE = statements("life")
_BUSY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The message, as it came from its room. Moments are milliseconds since the epoch, here and below."""

    event: EventId
    room: RoomId
    sender: UserId
    kind: Kind
    body: str
    """Empty when it had no text, or is not kept any more."""
    sent_at: int
    """By the homeserver's clock; all else is by ours."""
    taken_at: int
    routed_at: int | None
    late_ms: int
    of_program: bool
    """Whether a program has written it, or sent it through our gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command that it is."""

    event: EventId
    room: RoomId
    sender: UserId
    state: CommandState
    text: str
    queued_at: int
    started_at: int | None
    ended_at: int | None
    held_until: int
    duration_ms: int
    cost_micro_usd: int
    stop_by: UserId | None
    host: EventId | None
    origin: EventId | None
    ahead: int
    """So many waited or ran before it when it came …"""
    ahead_now: int
    """… and so many wait before it now."""
    busy_with: EventId | None
    """What runs in its room, if that is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked in its turn, or about it."""

    id: ApprovalId
    kind: ApprovalKind
    tool: str
    state: ApprovalState
    decided_by: UserId | None
    asked_at: int | None
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """A parcel that answers it."""

    txn: str
    is_message: bool
    """Else it is a reaction, or a deletion."""
    is_edit: bool
    approval: ApprovalId | None
    state: str
    urgency: Urgency
    put_at: int
    not_before: int
    claims: int
    faults: int
    event: EventId | None
    ended_at: int | None
    why: str
    body: str
    """Empty when it has none, or is not kept any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a caller of the gateway, or a run, has sent, and how far it has come."""

    id: MessageId
    room: RoomId
    caller: str
    kind: MetaKind
    to: UserId | None
    state: MessageState
    event: EventId | None
    answer_event: EventId | None
    accepted_at: int
    sent_at: int | None
    delivered_at: int | None
    read_at: int | None
    ended_at: int | None
    expires_at: int | None
    parcel: str
    """The state of its parcel; empty when that is not kept any more."""
    parcel_why: str
    body: str
    """Empty when it is not kept any more, as the next two."""
    answer: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Work that somebody has given to an agent."""

    id: TaskId
    room: RoomId
    by: UserId
    to: UserId
    state: TaskState
    command: EventId | None
    thread: EventId | None
    message: MessageId | None
    created_at: int
    changed_at: int
    title: str
    """Empty when it is not kept any more, as the next."""
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One message and what became of it."""

    id: EventId
    """What was asked for."""
    heard: Heard | None
    command: Asked | None
    parts: Sequence[EventId] = ()
    """Further messages that are one command with it."""
    retries: Sequence[tuple[EventId, CommandState, int]] = ()
    questions: Sequence[Question] = ()
    lines: Sequence[AuditLine] = ()
    parcels: Sequence[Put] = ()
    unrouted: int = 0
    """So many messages of its room have to be routed before it."""
    unsent: int = 0
    """So many parcels of its room have to leave before its own."""
    slug: str | None = None
    left_at: int | None = None
    """When we left its room; None: we are there, as far as is known."""
    grants: Sequence[Grant] = ()
    """Roles that were given in the room, and hold now."""
    alive_at: int | None = None
    """When the daemon was last known to live."""
    sent: Sent | None = None
    """What it was before it was an event, if it was sent through us."""
    task: Given | None = None
    """What it gives, or was given with."""
    first_at: int | None = None
    """The first moment of which messages are still kept."""

    @property
    def room(self) -> RoomId | None:
        """Where it was said."""
        about = self.command or self.heard or self.sent or self.task
        return None if about is None else about.room

    @property
    def is_known(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.heard or self.command or self.lines or self.parcels or self.sent or self.task)


_Ask = Callable[..., list[sqlite3.Row]]


def life_of(path: Path, id_: EventId, now: int) -> Life | None:
    """What the database at `path` knows of `id_` at one moment; None if it cannot be read.

    `id_` is a message, a part of one, an answer of ours, a question, what a caller has sent, or a task.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        ) as database:
            database.row_factory = sqlite3.Row
            database.execute("BEGIN")  # everything as it is at one moment

            def ask(statement: str, **values: str | int | None) -> list[sqlite3.Row]:
                return database.execute(statement, values).fetchall()

            return _life(ask, id_, now)
    except sqlite3.Error:
        return None


def _life(ask: _Ask, id_: EventId, now: int) -> Life:
    task = next((_given(row) for row in ask(_LIFE["task"], id=id_)), None)
    sent = next((_sent(row) for row in ask(_LIFE["sent"], id=id_)), None)
    if sent is None and task is not None:
        sent = next((_sent(row) for row in ask(_LIFE["sent"], id=task.message or task.thread)), None)
    elif sent is not None and task is None:
        task = next((_given(row) for row in ask(_LIFE["task"], id=sent.id)), None)
    return replace(_of_event(ask, id_, _event_of(id_, sent, task), now), sent=sent, task=task)


def _event_of(id_: EventId, sent: Sent | None, task: Given | None) -> EventId:
    """The event that it has become, or whose command does it."""
    if id_.startswith("$"):
        return id_
    if sent is not None:
        return sent.event or id_
    return id_ if task is None else task.command or task.thread or id_


def _of_event(ask: _Ask, asked_for: EventId, id_: EventId, now: int) -> Life:
    about = _about(ask, id_)
    found = [EventId(row["event_id"]) for row in ask(_LIFE["command_of"], id=id_) or ask(_LIFE["command_of"], id=about)]
    command = found[0] if found else None
    heard = [_heard(row) for row in ask(_LIFE["message"], id=about) or ask(_LIFE["message"], id=command)]
    asked = [_asked(row) for row in ask(_LIFE["command"], command=command)]
    room = asked[0].room if asked else heard[0].room if heard else None
    position = next((row["position"] for row in ask(_LIFE["message"], id=about)), 0)
    [before] = ask(_LIFE["before"], room=room, position=position, command=command)
    [daemon] = ask(_LIFE["daemon"])
    place = next(iter(ask(_LIFE["room"], room=room)), None)
    parcels = ask(_LIFE["parcels"], id=about, command=command, room=room, reply=txn_id(about, "reply", "0"))
    return Life(
        id=asked_for,
        heard=heard[0] if heard else None,
        command=asked[0] if asked else None,
        parts=[EventId(row["event_id"]) for row in ask(_LIFE["parts"], command=command)],
        retries=[
            (EventId(row["event_id"]), CommandState(row["state"]), row["queued_at"])
            for row in ask(_LIFE["retries"], command=command)
        ],
        questions=[_question(row) for row in ask(_LIFE["questions"], command=command)],
        lines=[line_of(*tuple(row)) for row in ask(_LIFE["lines"], id=about, command=command)],
        parcels=[_put(row) for row in parcels],
        unrouted=before["unrouted"],
        unsent=before["unsent"],
        slug=None if place is None else place["slug"],
        left_at=None if place is None else place["left_at"],
        grants=[_grant(row, room) for row in ask(_LIFE["grants"], room=room, now=now)] if room else [],
        alive_at=daemon["alive_at"],
        first_at=daemon["first_at"],
    )


def _about(ask: _Ask, id_: EventId) -> EventId:
    """The message that `id_` is, or that it answers."""
    if ask(_LIFE["message"], id=id_):
        return id_
    return next((EventId(row["event_id"]) for row in ask(_LIFE["answered"], id=id_) if row["event_id"]), id_)


def _heard(row: sqlite3.Row) -> Heard:
    return Heard(
        event=EventId(row["event_id"]),
        room=RoomId(row["room_id"]),
        sender=UserId(row["sender"]),
        kind=Kind(row["kind"]),
        body=row["body"] if row["kind"] != Kind.SEALED else "",
        sent_at=row["sent_at"],
        taken_at=row["taken_at"],
        routed_at=row["routed_at"],
        late_ms=row["late_ms"],
        of_program=bool(row["of_program"]),
    )


def _asked(row: sqlite3.Row) -> Asked:
    return Asked(
        event=EventId(row["event_id"]),
        room=RoomId(row["room_id"]),
        sender=UserId(row["sender"]),
        state=CommandState(row["state"]),
        text=row["text"],
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        held_until=row["held_until"],
        duration_ms=row["duration_ms"],
        cost_micro_usd=row["cost_micro_usd"],
        stop_by=_maybe(UserId, row["stop_by"]),
        host=_maybe(EventId, row["host"]),
        origin=_maybe(EventId, row["origin"]),
        ahead=row["ahead"],
        ahead_now=row["ahead_now"],
        busy_with=_maybe(EventId, row["busy_with"]),
    )


def _question(row: sqlite3.Row) -> Question:
    return Question(
        id=ApprovalId(row["approval_id"]),
        kind=ApprovalKind(row["kind"]),
        tool=row["tool"],
        state=ApprovalState(row["state"]),
        decided_by=_maybe(UserId, row["decided_by"]),
        asked_at=row["asked_at"],
        expires_at=row["expires_at"],
    )


def _put(row: sqlite3.Row) -> Put:
    body = json.loads(row["content"]).get("body")
    return Put(
        txn=row["txn_id"],
        is_message=row["type"] == MESSAGE,
        is_edit=row["edits"] is not None,
        approval=_maybe(ApprovalId, row["approval"]),
        state=row["state"],
        urgency=Urgency(row["urgency"]),
        put_at=row["put_at"],
        not_before=row["not_before"],
        claims=row["claims"],
        faults=row["faults"],
        event=_maybe(EventId, row["event_id"]),
        ended_at=row["ended_at"],
        why=row["why"] or "",
        body=body if isinstance(body, str) else "",
    )


def _sent(row: sqlite3.Row) -> Sent:
    return Sent(
        id=MessageId(row["id"]),
        room=RoomId(row["room_id"]),
        caller=row["caller"],
        kind=MetaKind(row["kind"]),
        to=_maybe(UserId, row["to_user"]),
        state=MessageState(row["state"]),
        event=_maybe(EventId, row["event_id"]),
        answer_event=_maybe(EventId, row["answer_event"]),
        accepted_at=row["accepted_at"],
        sent_at=row["sent_at"],
        delivered_at=row["delivered_at"],
        read_at=row["read_at"],
        ended_at=row["ended_at"],
        expires_at=row["expires_at"],
        parcel=row["parcel_state"] or "",
        parcel_why=row["parcel_why"] or "",
        body=row["body"],
        answer=row["answer"],
        why=row["why"],
    )


def _given(row: sqlite3.Row) -> Given:
    return Given(
        id=TaskId(row["id"]),
        room=RoomId(row["room_id"]),
        by=UserId(row["by_user"]),
        to=UserId(row["to_user"]),
        state=TaskState(row["state"]),
        command=_maybe(EventId, row["command"]),
        thread=_maybe(EventId, row["thread"]),
        message=_maybe(MessageId, row["message"]),
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        title=row["title"],
        note=row["note"],
    )


def _grant(row: sqlite3.Row, room: RoomId) -> Grant:
    return Grant(
        room=room,
        user=UserId(row["user_id"]),
        role=Role[row["role"].upper()],
        by=UserId(row["given_by"]),
        given_at=row["given_at"],
        until=row["until"],
    )


def _maybe(kind: Callable[[Any], Any], value: str | None) -> Any:  # noqa: ANN401 - an id of that kind
    return None if value is None else kind(value)
