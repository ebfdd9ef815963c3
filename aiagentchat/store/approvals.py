"""Questions to people. They are answered by the effect `DecideApproval`."""

from collections.abc import Sequence

from aiagentchat.core.approvals import Approval, ApprovalState
from aiagentchat.core.ids import ApprovalId, EventId, RoomId, UserId
from aiagentchat.core.parcels import Parcel
from aiagentchat.store.bell import Bells, ringing
from aiagentchat.store.database import Database, Row
from aiagentchat.store.outbox import put_parcels
from aiagentchat.store.queries import statements

_APPROVALS = statements("approvals")


class SqliteApprovals:
    """`core.ports.Approvals` on SQLite."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._bells = bells

    async def ask(self, approval: Approval, parcels: Sequence[Parcel], now: int) -> None:
        """Write the question and the messages that show it, together."""
        with ringing(self._bells.outbox):
            async with self._database.transaction() as transaction:
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
                )
                await put_parcels(transaction, parcels, now)

    async def get(self, approval: ApprovalId) -> Approval | None:
        """The question with its present state."""
        rows = await self._database.run(_APPROVALS["get"], id=approval)
        return _approval(rows[0]) if rows else None

    async def open_in(self, room: RoomId) -> list[Approval]:
        """The open questions of a room, oldest first."""
        return [_approval(row) for row in await self._database.run(_APPROVALS["open_in"], room=room)]

    async def close(self, approval: ApprovalId, state: ApprovalState) -> bool:
        """open → EXPIRED or WITHDRAWN. False, and no change, for any other move."""
        return bool(await self._database.run(_APPROVALS["close"], id=approval, state=state.value))


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
    )
