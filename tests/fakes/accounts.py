"""A login that is kept in memory; tests/contract/test_store_rooms.py says what the real one promises."""

from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Login


class MemoryAccounts:
    """The Accounts port."""

    def __init__(self, *logins: Login) -> None:
        self.kept: dict[UserId, Login] = {login.user: login for login in logins}

    async def login(self, user: UserId) -> Login | None:
        """The stored login of this account."""
        return self.kept.get(user)

    async def save_login(self, login: Login) -> None:
        """Keep it."""
        self.kept[login.user] = login
