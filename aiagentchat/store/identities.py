"""Where the keys are kept that prove who the account is: sealed, each at its place."""

from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Seeds
from aiagentchat.store.database import Database
from aiagentchat.store.queries import statements
from aiagentchat.store.vault import Vault

_IDENTITIES = statements("identities")
_SEED_BYTES = 32


class SqliteIdentities:
    """`core.ports.ledger.Identities` on SQLite."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def seeds(self, user: UserId) -> Seeds | None:
        """The three seeds, None before they were made or given. Raises `StoreKeyError` if they cannot be opened."""
        sealed = await self._column(user, "seeds")
        return None if sealed is None else open_seeds(self._vault, user, sealed)

    async def keep_seeds(self, user: UserId, seeds: Seeds) -> None:
        """Keep them, in the place of others."""
        together = seeds.master + seeds.self_signing + seeds.user_signing
        sealed = self._vault.seal(_seeds_of(user), together)
        await self._database.run(_IDENTITIES["keep_seeds"], user=user, seeds=sealed)

    async def backup_key(self, user: UserId) -> bytes | None:
        """What opens the backup of room keys. Raises `StoreKeyError` if it cannot be opened itself."""
        sealed = await self._column(user, "backup_key")
        return None if sealed is None else self._vault.open(_backup_key_of(user), sealed)

    async def keep_backup_key(self, user: UserId, key: bytes) -> None:
        """Keep it; what was read with another one counts no more."""
        sealed = self._vault.seal(_backup_key_of(user), key)
        await self._database.run(_IDENTITIES["keep_backup_key"], user=user, key=sealed)

    async def backup_read(self, user: UserId) -> str | None:
        """The state of the backup that was read whole with this key."""
        return await self._column(user, "backup_read")

    async def mark_backup_read(self, user: UserId, state: str) -> None:
        """It was read whole."""
        await self._database.run(_IDENTITIES["mark_backup_read"], user=user, state=state)

    async def _column(self, user: UserId, name: str) -> str | None:
        rows = await self._database.run(_IDENTITIES["of_user"], user=user)
        return rows[0][name] if rows else None


def open_seeds(vault: Vault, user: UserId, sealed: str) -> Seeds:
    """What `keep_seeds` has sealed. Raises `StoreKeyError`."""
    together = vault.open(_seeds_of(user), sealed)
    master, self_signing, user_signing = (together[at : at + _SEED_BYTES] for at in (0, _SEED_BYTES, 2 * _SEED_BYTES))
    return Seeds(master=master, self_signing=self_signing, user_signing=user_signing)


def _seeds_of(user: UserId) -> str:
    return f"identities/{user}/seeds"


def _backup_key_of(user: UserId) -> str:
    return f"identities/{user}/backup_key"
