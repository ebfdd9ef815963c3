"""What is over is forgotten after a while: first its text, then the row. What something unfinished refers to stays."""

from collections.abc import Mapping

from aiagentchat.core.audit import AuditLine
from aiagentchat.store import audit, history
from aiagentchat.store.bell import Bells, telling
from aiagentchat.store.database import Database, Transaction
from aiagentchat.store.queries import statements

MOST_ROWS = 200
"""Rows that one transaction changes, so that whoever wants to write between two of them waits for milliseconds."""

_AUDIT = statements("audit")
_DATABASE = statements("database")
_HOUSEKEEPING = statements("housekeeping")


class Housekeeping:
    """Of one database. All moments are milliseconds since the epoch."""

    def __init__(self, database: Database, bells: Bells | None = None) -> None:
        self._database = database
        self._news = (bells or Bells()).history

    async def expire(self, now: int) -> int:
        """Close questions of our own whose time is over; how many."""
        return await self._all(_HOUSEKEEPING["expire"], now)

    async def erase(self, before: int) -> int:
        """Take the text from what was over before that moment; how many rows had one."""
        return sum(
            [
                await self._all(_HOUSEKEEPING["erase_approvals"], before),
                await self._all(_HOUSEKEEPING["erase_parcels"], before),
                await self._all(_HOUSEKEEPING["erase_commands"], before),
                await self._all(_HOUSEKEEPING["erase_events"], before),
                await self._all(_HOUSEKEEPING["erase_changes"], before),
                await self._all(_HOUSEKEEPING["erase_messages"], before),
                await self._forget(before),
                await self._all(_HOUSEKEEPING["erase_tasks"], before),
            ]
        )

    async def prune(self, before: int) -> Mapping[str, int]:
        """Remove what was over before that moment; how many rows, by what they were."""
        await self._all(_HOUSEKEEPING["prune_refusals"], before)
        await self._all(_HOUSEKEEPING["prune_grants"], before)
        await self._all(_HOUSEKEEPING["prune_rules"], before)
        await self._all(_HOUSEKEEPING["prune_changes"], before)
        await self._all(_HOUSEKEEPING["prune_messages"], before)
        await self._forget(before)
        await self._all(_HOUSEKEEPING["prune_tasks"], before)
        gone = {
            "questions": await self._all(_HOUSEKEEPING["prune_approvals"], before),
            "parcels": await self._all(_HOUSEKEEPING["prune_parcels"], before),
            "commands": await self._all(_HOUSEKEEPING["prune_commands"], before),
            "events": await self._all(_HOUSEKEEPING["prune_events"], before),
            "sessions": await self._all(_HOUSEKEEPING["prune_sessions"], before),
        }
        await self._all(_HOUSEKEEPING["prune_threads"], before)
        return gone

    async def prune_spending(self, before: int) -> int:
        """Remove what was spent on the days before that moment; how many rows."""
        return await self._all(_HOUSEKEEPING["prune_spending"], before)

    async def prune_agent_turns(self, before: int) -> int:
        """Remove the turns that agents had begun before that moment; how many. Their commands stay."""
        return await self._all(_HOUSEKEEPING["prune_agent_turns"], before)

    async def prune_audit(self, before: int) -> int:
        """Remove the lines of the audit from before that moment; how many. Nothing else may."""
        done = 0

        async def write(transaction: Transaction) -> int:
            await transaction.run(_AUDIT["open_horizon"], before=before)
            rows = await transaction.run(_AUDIT["prune"], before=before, most=MOST_ROWS)
            await transaction.run(_AUDIT["open_horizon"], before=0)
            return len(rows)

        while True:
            gone = await self._database.transact(write)
            done += gone
            if gone < MOST_ROWS:
                return done

    async def write_held(self, now: int) -> None:
        """Let the audit say what was held back in hours that are over."""

        async def write(transaction: Transaction) -> list[AuditLine]:
            return await audit.write_held(transaction, now)

        audit.tell(await self._database.transact(write))

    async def checkpoint(self) -> bool:
        """Empty the log into the file, so that what was erased is in neither, nor in the index of the history.

        False while somebody else reads.
        """
        await history.forget_words(self._database)
        [row] = await self._database.run(_DATABASE["checkpoint"])
        return not row["busy"]

    async def _forget(self, before: int) -> int:
        """Of the history: a row is nothing but its text, and goes with it."""
        done = 0
        while True:
            with telling(self._news, None):
                gone = await self._database.transact(lambda transaction: history.forget(transaction, before, MOST_ROWS))
            done += gone
            if gone < MOST_ROWS:
                return done

    async def _all(self, sql: str, before: int) -> int:
        done = 0
        while True:
            rows = await self._database.run(sql, before=before, most=MOST_ROWS)
            done += len(rows)
            if len(rows) < MOST_ROWS:
                return done
