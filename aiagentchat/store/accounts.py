"""Where the login is kept between lives: readable for the owner of the file alone, and its tokens sealed."""

from aiagentchat.core.errors import StoreKeyError
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Login
from aiagentchat.store.database import Database
from aiagentchat.store.queries import statements
from aiagentchat.store.vault import Vault

_ACCOUNTS = statements("accounts")
_DATABASE = statements("database")


class SqliteAccounts:
    """`core.ports.ledger.Accounts` on SQLite."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def login(self, user: UserId) -> Login | None:
        """The stored login of this account. Raises `StoreKeyError` if there is one that cannot be opened."""
        rows = await self._database.run(_ACCOUNTS["login"], user=user)
        if not rows:
            return None
        [row] = rows
        try:
            return Login(
                user=UserId(row["user_id"]),
                device=row["device_id"],
                access_token=self._opened(place_of(user), row["access_token"]),
                refresh_token=row["refresh_token"] and self._opened(refresh_place_of(user), row["refresh_token"]),
                renew_at=row["renew_at"],
            )
        except StoreKeyError as error:
            raise StoreKeyError(
                f"The login of {user} in the database cannot be opened: {error}. Put the key back in its place, or "
                "set MATRIX_PASSWORD to log in again as a new device; then start again. Nothing was changed."
            ) from error

    async def save_login(self, login: Login) -> None:
        """Keep it, in the place of an older one."""
        refresh = login.refresh_token
        await self._database.run(
            _ACCOUNTS["save_login"],
            user=login.user,
            device=login.device,
            access_token=self._vault.seal(place_of(login.user), login.access_token.encode()),
            refresh_token=None if refresh is None else self._vault.seal(refresh_place_of(login.user), refresh.encode()),
            renew_at=login.renew_at,
        )

    async def seal_all(self) -> None:
        """Earlier versions kept tokens as they are; after this none is left in the database's files."""
        rows = await self._database.run(_ACCOUNTS["logins"])
        clear = [row for row in rows if not self._vault.is_sealed(row["access_token"])]
        for row in clear:
            await self.save_login(
                Login(user=UserId(row["user_id"]), device=row["device_id"], access_token=row["access_token"])
            )
        if clear:
            # The log still has the page with the token; in the file secure_delete overwrites it.
            await self._database.run(_DATABASE["checkpoint"])

    def _opened(self, place: str, token: str) -> str:
        return self._vault.open(place, token).decode() if self._vault.is_sealed(token) else token


def place_of(user: UserId) -> str:
    """What its access token is sealed for."""
    return f"accounts/{user}/access_token"


def refresh_place_of(user: UserId) -> str:
    """What its refresh token is sealed for."""
    return f"accounts/{user}/refresh_token"
