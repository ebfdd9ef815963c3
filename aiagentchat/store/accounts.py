"""Where the login is kept between lives. The file is readable by its owner alone."""

from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Login
from aiagentchat.store.database import Database
from aiagentchat.store.queries import statements

_ACCOUNTS = statements("accounts")


class SqliteAccounts:
    """`core.ports.ledger.Accounts` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def login(self, user: UserId) -> Login | None:
        """The stored login of this account."""
        rows = await self._database.run(_ACCOUNTS["login"], user=user)
        if not rows:
            return None
        [row] = rows
        return Login(user=UserId(row["user_id"]), device=row["device_id"], access_token=row["access_token"])

    async def save_login(self, login: Login) -> None:
        """Keep it, in the place of an older one."""
        await self._database.run(
            _ACCOUNTS["save_login"], user=login.user, device=login.device, access_token=login.access_token
        )
