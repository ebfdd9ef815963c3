"""Who did what: lines that are added and never changed."""

import json
from collections.abc import Iterable
from dataclasses import replace

import structlog

from aiagentchat.core.audit import (
    HOUR_MS,
    LIMITED,
    MOST_CHARACTERS,
    MOST_REFUSALS,
    AuditFilter,
    AuditKind,
    AuditLine,
    Deed,
    small,
)
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.store.database import Database, Row, Transaction
from aiagentchat.store.queries import statements

_AUDIT = statements("audit")

log = structlog.get_logger(__name__)


class SqliteAudit:
    """`core.ports.ledger.Audit` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, deed: Deed, now: int) -> None:
        """Write down what no event brings about."""

        async def body(transaction: Transaction) -> list[AuditLine]:
            return await write(transaction, deed, now)

        tell(await self._database.transact(body))

    async def lines(self, wanted: AuditFilter, *, limit: int) -> list[AuditLine]:
        """The newest lines that are wanted, in the order in which they were written."""
        rows = await self._database.run(
            _AUDIT["lines"],
            after=0,
            since=wanted.since,
            room=wanted.room,
            actor=wanted.actor,
            kind=None if wanted.kind is None else wanted.kind.value,
            limit=limit,
        )
        return [line_of(*tuple(row)[1:]) for row in reversed(rows)]


async def write(transaction: Transaction, deed: Deed, now: int) -> list[AuditLine]:
    """Write `deed` down; what is limited, after what was held back in hours that are over. Returns the lines."""
    if deed.kind not in LIMITED:
        return [await _add(transaction, deed, now)]
    lines = await write_held(transaction, now)
    return lines if await _has_enough(transaction, deed, now) else [*lines, await _add(transaction, deed, now)]


async def write_held(transaction: Transaction, now: int) -> list[AuditLine]:
    """One line for each sender and room of which more was refused in an hour that is over than has lines."""
    hour = now // HOUR_MS
    held = await transaction.run(_AUDIT["held_before"], hour=hour)
    if not held:
        return []
    await transaction.run(_AUDIT["release_before"], hour=hour)
    return [await _add(transaction, _more(row), now) for row in held]


def tell(lines: Iterable[AuditLine]) -> None:
    """Log what has become part of the ledger."""
    for line in lines:
        deed = line.deed
        log.info(
            "audit.line",
            kind=deed.kind.value,
            actor=deed.actor,
            room=deed.room,
            subject=deed.subject,
            detail=dict(deed.detail),
        )


async def _has_enough(transaction: Transaction, deed: Deed, now: int) -> bool:
    hour = now // HOUR_MS
    [row] = await transaction.run(_AUDIT["refused_since"], actor=deed.actor, room=deed.room, since=hour * HOUR_MS)
    if row["count"] < MOST_REFUSALS:
        return False
    await transaction.run(_AUDIT["hold"], actor=deed.actor, room=deed.room or "", hour=hour)
    return True


async def _add(transaction: Transaction, deed: Deed, now: int) -> AuditLine:
    line = AuditLine(at=now, deed=replace(deed, subject=deed.subject[:MOST_CHARACTERS], detail=small(deed.detail)))
    await transaction.run(_AUDIT["write"], **row_of(line))
    return line


def _more(row: Row) -> Deed:
    return Deed(
        kind=AuditKind.REFUSED_MORE,
        room=RoomId(row["room_id"]) if row["room_id"] else None,
        actor=UserId(row["actor"]),
        detail={"more": row["count"], "since": row["hour"] * HOUR_MS},
    )


def row_of(line: AuditLine) -> dict[str, str | int | None]:
    """What its row keeps of a line."""
    deed = line.deed
    return {
        "at": line.at,
        "kind": deed.kind.value,
        "room": deed.room,
        "actor": deed.actor,
        "subject": deed.subject,
        "detail": json.dumps(dict(deed.detail)),
    }


def line_of(at: int, kind: str, room: str | None, actor: str | None, subject: str, detail: str) -> AuditLine:
    """A line, as its row keeps it."""
    deed = Deed(
        kind=AuditKind(kind),
        room=None if room is None else RoomId(room),
        actor=None if actor is None else UserId(actor),
        subject=subject,
        detail=json.loads(detail),
    )
    return AuditLine(at=at, deed=deed)
