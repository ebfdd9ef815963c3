"""Keys that are kept in memory; tests/contract/test_store_identities.py says what the real one promises."""

from aiagentchat.core.errors import StoreKeyError
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Seeds


class MemoryIdentities:
    """The Identities port."""

    def __init__(self) -> None:
        self.kept: dict[UserId, Seeds] = {}
        self.backup_keys: dict[UserId, bytes] = {}
        self.read: dict[UserId, str] = {}
        self.lost_key = ""
        """Why nothing can be opened, if that is so."""

    async def seeds(self, user: UserId) -> Seeds | None:
        """The three seeds."""
        self._open()
        return self.kept.get(user)

    async def keep_seeds(self, user: UserId, seeds: Seeds) -> None:
        """Keep them."""
        self.kept[user], self.lost_key = seeds, ""

    async def backup_key(self, user: UserId) -> bytes | None:
        """What opens the backup."""
        self._open()
        return self.backup_keys.get(user)

    async def keep_backup_key(self, user: UserId, key: bytes) -> None:
        """Keep it."""
        self.backup_keys[user] = key
        self.read.pop(user, None)

    async def backup_read(self, user: UserId) -> str | None:
        """The state that was read whole."""
        return self.read.get(user)

    async def mark_backup_read(self, user: UserId, state: str) -> None:
        """It was read whole."""
        self.read[user] = state

    def _open(self) -> None:
        if self.lost_key:
            raise StoreKeyError(self.lost_key)
