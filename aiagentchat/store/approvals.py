"""Questions to people. They are answered by the effect `DecideApproval`."""

import json
from collections.abc import Collection, Sequence

from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState, Picked, Rule
from aiagentchat.core.audit import AuditKind, AuditLine, Deed
from aiagentchat.core.ids import ApprovalId, EventId, RoomId, SessionId, UserId
from aiagentchat.core.parcels import Parcel
from aiagentchat.store import audit
from aiagentchat.store.bell import Bells, ringing
from aiagentchat.store.database import Database, Row, Transaction
from aiagentchat.store.outbox import put_parcels
from aiagentchat.store.queries import statements

_APPROVALS = statements("approvals")


class SqliteApprovals:
    """`core.ports.ledger.Approvals` on SQLite."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._bells = bells

    async def ask(self, approval: Approval, parcels: Sequence[Parcel], now: int) -> None:
        """Write the question and the messages that show it, together."""

        async def write(transaction: Transaction) -> None:
            await put_approval(transaction, approval)
            await put_parcels(transaction, parcels, now)

        with ringing(self._bells.outbox):
            await self._database.transact(write)

    async def get(self, approval: ApprovalId) -> Approval | None:
        """The question with its present state."""
        rows = await self._database.run(_APPROVALS["get"], id=approval)
        return _approval(rows[0]) if rows else None

    async def open_in(self, room: RoomId) -> list[Approval]:
        """The open questions of a room, oldest first."""
        return [_approval(row) for row in await self._database.run(_APPROVALS["open_in"], room=room)]

    async def open_of(self, command: EventId) -> list[Approval]:
        """The open questions of a command's turn, oldest first."""
        return [_approval(row) for row in await self._database.run(_APPROVALS["open_of"], command=command)]

    async def close(self, approval: ApprovalId, state: ApprovalState) -> bool:
        """open → EXPIRED or WITHDRAWN. False, and no change, for any other move."""
        return bool(await self._database.run(_APPROVALS["close"], id=approval, state=state.value))

    async def rules(self, room: RoomId) -> list[Rule]:
        """What is allowed in the room's conversations without a question, the oldest first."""
        return [_rule(row) for row in await self._database.run(_APPROVALS["rules"], room=room)]

    async def use_rule(
        self, session: SessionId, digest: str, by: Collection[UserId], command: EventId, now: int
    ) -> Rule | None:
        """The rule that allows it, if there is one; then the audit has a line about it."""

        async def write(transaction: Transaction) -> tuple[Rule, list[AuditLine]] | None:
            given_by = json.dumps(sorted(set(by)))
            rows = await transaction.run(_APPROVALS["use_rule"], session=session, rule=digest, by=given_by)
            if not rows:
                return None
            deed = Deed(
                kind=AuditKind.ALLOWED,
                room=RoomId(rows[0]["room_id"]),
                actor=UserId(rows[0]["given_by"]),
                subject=command,
                detail={"tool": rows[0]["tool"]},
            )
            return _rule(rows[0]), await audit.write(transaction, deed, now)

        used = await self._database.transact(write)
        if used is None:
            return None
        rule, lines = used
        audit.tell(lines)
        return rule


async def put_approval(transaction: Transaction, approval: Approval) -> None:
    """Write a question down. One that is known changes nothing, answered or not."""
    await transaction.run(
        _APPROVALS["ask"],
        id=approval.id,
        room=approval.room,
        command=approval.command,
        tool=approval.tool,
        expires_at=approval.expires_at,
        state=approval.state.value,
        decided_by=approval.decided_by,
        reason=approval.reason,
        kind=approval.kind.value,
        digest=approval.digest,
        shown=approval.shown,
        events=json.dumps(approval.events),
        options=json.dumps(approval.options),
        many=approval.many,
        session=None if approval.rule is None else approval.rule.session,
        rule="" if approval.rule is None else approval.rule.digest,
        rule_shown="" if approval.rule is None else approval.rule.shown,
    )


def _approval(row: Row) -> Approval:
    return Approval(
        id=ApprovalId(row["approval_id"]),
        room=RoomId(row["room_id"]),
        command=EventId(row["command"]),
        tool=row["tool"],
        expires_at=row["expires_at"],
        state=ApprovalState(row["state"]),
        decided_by=None if row["decided_by"] is None else UserId(row["decided_by"]),
        reason=row["reason"],
        kind=ApprovalKind(row["kind"]),
        digest=row["digest"],
        shown=row["shown"],
        events=tuple(map(EventId, json.loads(row["events"]))),
        options=tuple(json.loads(row["options"])),
        many=bool(row["many"]),
        picked=None if row["picked"] is None else Picked(tuple(json.loads(row["picked"])), row["picked_text"]),
        rule=_offered(row),
    )


def _offered(row: Row) -> Rule | None:
    if row["session_id"] is None:
        return None
    return Rule(session=SessionId(row["session_id"]), digest=row["rule"], shown=row["rule_shown"])


def _rule(row: Row) -> Rule:
    return Rule(
        session=SessionId(row["session_id"]), digest=row["rule"], shown=row["shown"], by=UserId(row["given_by"])
    )
