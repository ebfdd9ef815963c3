"""The ports on one database. Another database would get another `open_ledger`."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiagentchat.core.health import StoreHealth
from aiagentchat.core.ports.access import Grants
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.gateway import GatewayTokens
from aiagentchat.core.ports.guards import Guards
from aiagentchat.core.ports.history import History
from aiagentchat.core.ports.ledger import (
    Accounts,
    Approvals,
    Audit,
    Changes,
    Commands,
    Identities,
    Inbox,
    Keyring,
    Lives,
    Outbox,
    Rooms,
    RunRecords,
    Seals,
    Sessions,
    Spending,
)
from aiagentchat.core.ports.messages import Messages
from aiagentchat.core.ports.tasks import Tasks
from aiagentchat.store.accounts import SqliteAccounts
from aiagentchat.store.approvals import SqliteApprovals
from aiagentchat.store.audit import SqliteAudit
from aiagentchat.store.bell import Bells
from aiagentchat.store.changes import SqliteChanges
from aiagentchat.store.commands import SqliteCommands
from aiagentchat.store.database import open_database
from aiagentchat.store.gateway_tokens import SqliteGatewayTokens
from aiagentchat.store.grants import SqliteGrants
from aiagentchat.store.guards import SqliteGuards
from aiagentchat.store.history import SqliteHistory
from aiagentchat.store.housekeeping import Housekeeping
from aiagentchat.store.identities import SqliteIdentities
from aiagentchat.store.inbox import SqliteInbox
from aiagentchat.store.keyring import SqliteKeyring
from aiagentchat.store.lives import SqliteLives
from aiagentchat.store.messages import SqliteMessages
from aiagentchat.store.numbers import Numbers
from aiagentchat.store.outbox import SqliteOutbox
from aiagentchat.store.rooms import SqliteRooms
from aiagentchat.store.runs import SqliteRunRecords
from aiagentchat.store.seals import SqliteSeals
from aiagentchat.store.sessions import SqliteSessions
from aiagentchat.store.spending import SqliteSpending
from aiagentchat.store.tasks import SqliteTasks
from aiagentchat.store.vault import KEY_FILE, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Where the stages meet."""

    inbox: Inbox
    commands: Commands
    outbox: Outbox
    approvals: Approvals
    sessions: Sessions
    rooms: Rooms
    grants: Grants
    guards: Guards
    accounts: Accounts
    audit: Audit
    seals: Seals
    keyring: Keyring
    identities: Identities
    lives: Lives
    runs: RunRecords
    spending: Spending
    changes: Changes
    messages: Messages
    gateway_tokens: GatewayTokens
    history: History
    tasks: Tasks
    housekeeping: Housekeeping
    numbers: Numbers
    health: Callable[[], StoreHealth]
    """Whether writing works, as far as anybody has tried."""


@asynccontextmanager
async def open_ledger(path: Path, *, clock: Clock | None = None, vault: Vault | None = None) -> AsyncIterator[Ledger]:
    """Open the ledger in the file `path`, which is created where it is missing. Raises as `open_database` does.

    Where it cannot be written for a reason that may pass, its methods wait (without a `clock`, for real) and try again.
    Secrets in it are sealed by `vault`; without one, with the key in the file beside it.
    """
    async with open_database(path, clock=clock) as database:
        bells = Bells()
        vault = vault or Vault(path.with_name(KEY_FILE))
        accounts = SqliteAccounts(database, vault)
        await accounts.seal_all()
        yield Ledger(
            inbox=SqliteInbox(database, bells),
            commands=SqliteCommands(database, bells),
            outbox=SqliteOutbox(database, bells),
            approvals=SqliteApprovals(database, bells),
            sessions=SqliteSessions(database),
            rooms=SqliteRooms(database, bells),
            grants=SqliteGrants(database),
            guards=SqliteGuards(database),
            accounts=accounts,
            audit=SqliteAudit(database),
            seals=SqliteSeals(database, bells),
            keyring=SqliteKeyring(database),
            identities=SqliteIdentities(database, vault),
            lives=SqliteLives(database),
            runs=SqliteRunRecords(database),
            spending=SqliteSpending(database),
            changes=SqliteChanges(database),
            messages=SqliteMessages(database, bells),
            gateway_tokens=SqliteGatewayTokens(database),
            history=SqliteHistory(database, bells),
            housekeeping=Housekeeping(database, bells),
            tasks=SqliteTasks(database, bells),
            numbers=Numbers(database),
            health=lambda: database.health,
        )
