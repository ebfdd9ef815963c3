"""The seven ports on one database. Another database would get another `open_ledger`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiagentchat.core.ports import Accounts, Approvals, Commands, Inbox, Outbox, Rooms, Sessions
from aiagentchat.store.accounts import SqliteAccounts
from aiagentchat.store.approvals import SqliteApprovals
from aiagentchat.store.bell import Bells
from aiagentchat.store.commands import SqliteCommands
from aiagentchat.store.database import open_database
from aiagentchat.store.inbox import SqliteInbox
from aiagentchat.store.outbox import SqliteOutbox
from aiagentchat.store.rooms import SqliteRooms
from aiagentchat.store.sessions import SqliteSessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Where the stages meet."""

    inbox: Inbox
    commands: Commands
    outbox: Outbox
    approvals: Approvals
    sessions: Sessions
    rooms: Rooms
    accounts: Accounts


@asynccontextmanager
async def open_ledger(path: Path) -> AsyncIterator[Ledger]:
    """Open the ledger in the file `path`, which is created where it is missing. Raises as `open_database` does."""
    async with open_database(path) as database:
        bells = Bells()
        yield Ledger(
            inbox=SqliteInbox(database, bells),
            commands=SqliteCommands(database, bells),
            outbox=SqliteOutbox(database, bells),
            approvals=SqliteApprovals(database, bells),
            sessions=SqliteSessions(database),
            rooms=SqliteRooms(database),
            accounts=SqliteAccounts(database),
        )
