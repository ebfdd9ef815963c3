"""What `aiagentchat keys` does: look at the account's identity, give it a recovery key, get it back with one."""

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from aiagentchat.app.clock import SystemClock
from aiagentchat.app.connect import account_of, client_of, vault_of
from aiagentchat.app.live import Live
from aiagentchat.app.owner import owner_pid
from aiagentchat.core.audit import AuditKind, Deed, Detail
from aiagentchat.core.errors import IdentityError, LoginFailed, StoreKeyError
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Login, Seeds
from aiagentchat.matrix.account_data import MatrixAccountData
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.crypto.backup import Backup, backup_on, public_of
from aiagentchat.matrix.crypto.cross_signing import is_ours, keys_of
from aiagentchat.matrix.crypto.signatures import KEY_BYTES
from aiagentchat.matrix.crypto.ssss import (
    BACKUP,
    MASTER,
    SELF_SIGNING,
    USER_SIGNING,
    Description,
    SecretStorage,
    recovery_key,
    unlock,
)
from aiagentchat.matrix.crypto.trust import signed_devices
from aiagentchat.matrix.reading import mapped
from aiagentchat.store.glance import known, seeds
from aiagentchat.store.ledger import Ledger, open_ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyReport:
    """How things stand with the account's keys."""

    user: str
    device: str
    """Empty before the first login."""
    seeds: bool
    """Whether the private keys of an identity are here, and can be opened."""
    trouble: str
    """Why those that are here cannot be opened."""
    identity: str
    """`ours`, `foreign` (its keys are not here) or `none`, as the homeserver shows it."""
    signed: bool
    """Whether this device is signed with the account's identity: what other people's clients look at."""
    secret_storage: bool
    """Whether there is one on the homeserver, so that a recovery key of it opens something."""
    backup: str
    """The version of the backup of room keys, empty without one."""
    backup_sessions: int
    daemon: int | None
    """The process of the daemon that runs on this data_dir."""

    @property
    def is_well(self) -> bool:
        """Whether nothing has to be done."""
        return self.signed and self.seeds and self.identity == "ours"

    def values(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


class _Stored:
    """The Accounts port, of which nothing is ever written."""

    def __init__(self, login: Login | None) -> None:
        self._login = login

    async def login(self, user: UserId) -> Login | None:
        return self._login if self._login is not None and self._login.user == user else None

    async def save_login(self, login: Login) -> None:
        """The daemon keeps its own."""


async def look(live: Live) -> KeyReport:
    """How things stand. Changes nothing, and logs in nowhere afresh. Raises AppError."""
    me = UserId(live.settings.matrix.user_id)
    path, vault = live.settings.database, vault_of(live)
    knows = known(path, me, vault)
    token = live.secrets.matrix_access_token
    if knows.login is None and token is None:
        raise LoginFailed(
            knows.trouble or f"{me} has not logged in here yet: start the daemon once, then ask again. Nothing changed"
        )
    ours: Seeds | None = None
    trouble = ""
    try:
        ours = seeds(path, me, vault)
    except StoreKeyError as error:
        trouble = str(error)
    # The password stays where it is, and so does what renews a token: it is good for one use, and that is the daemon's.
    given = account_of(live, me)
    is_first = given.refresh_token is None or knows.login is None
    account = replace(given, token=given.token if is_first else None, refresh_token=None, password=None)
    client = Client(account, _Stored(knows.login))
    try:
        await client.log_in()
        query = await keys_of(client, me)
        device = str(client.nio.device_id or "")
        storage = await SecretStorage(MatrixAccountData(client, me)).description()
        backup = await backup_on(client)
    finally:
        await client.close()
    return KeyReport(
        user=me,
        device=device,
        seeds=ours is not None,
        trouble=trouble,
        identity=_identity(query, me, ours),
        signed=(me, device) in signed_devices(query),
        secret_storage=storage is not None,
        backup="" if backup is None else backup.version,
        backup_sessions=0 if backup is None else backup.sessions,
        daemon=owner_pid(live.settings.data_dir),
    )


def _identity(query: Mapping[str, Any], me: UserId, ours: Seeds | None) -> str:
    if not mapped(query.get("master_keys")).get(me):
        return "none"
    return "ours" if ours is not None and is_ours(query, me, ours) else "foreign"


async def export(live: Live, write: Callable[[str], None], *, force: bool) -> None:
    """Make a recovery key, hand it to `write`, and put the identity under it on the homeserver.

    Whoever calls owns the data_dir. Raises AppError; unless everything went well, clients ask for the same key as
    before.
    """
    async with _at_home(live) as (ledger, client, me):
        ours = await ledger.identities.seeds(me)
        if ours is None:
            raise IdentityError(
                f"The keys of {me} are not here, so there is nothing to export: start the daemon once, which makes "
                "them, or get them with: aiagentchat keys restore. Nothing was changed."
            )
        if not mapped((query := await keys_of(client, me)).get("master_keys")).get(me) or not is_ours(query, me, ours):
            raise IdentityError(
                f"The homeserver shows another identity of {me} than the one that is here, or none. See: aiagentchat "
                "keys status. Nothing was changed."
            )
        storage = SecretStorage(MatrixAccountData(client, me))
        there = await storage.description()
        if not force and there is not None:
            raise IdentityError(
                f"{me} has secret storage already, with a recovery key that somebody may have. Use that one, or add "
                "--force to put a new one in its place. Nothing was changed."
            )
        kept = {MASTER: ours.master, SELF_SIGNING: ours.self_signing, USER_SIGNING: ours.user_signing}
        if (backup_key := await ledger.identities.backup_key(me)) is not None:
            kept[BACKUP] = backup_key
        key = secrets.token_bytes(KEY_BYTES)
        id_ = await storage.begin(key, kept)
        await _note(ledger, {"what": "export", "replaces": int(there is not None)})
        write(recovery_key(key))  # before it is needed, and only if it can be kept
        await storage.use(id_)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a recovery key has opened."""

    backup: Backup | None
    """The room keys whose key was under it, too; None if there are none."""


async def restore(live: Live, text: str) -> Restored:
    """Get the identity, and the key to the backup of room keys, with a recovery key, or the words it was made of.

    Whoever calls owns the data_dir. Raises AppError; then nothing was changed.
    """
    async with _at_home(live) as (ledger, client, me):
        query = await keys_of(client, me)
        if not mapped(query.get("master_keys")).get(me):
            raise IdentityError(
                f"{me} has no identity on the homeserver, so there is nothing to restore: start the daemon, which "
                "makes one. Nothing was changed."
            )
        storage = SecretStorage(MatrixAccountData(client, me))
        description = await storage.description()
        if description is None:
            raise IdentityError(
                f"{me} has an identity, and no secret storage with a recovery key. Set one up in a client that has the "
                'identity (in Element: "Encryption", "Recovery"), or restore the database and its key. Nothing was '
                "changed."
            )
        key = unlock(text, description)
        found = await _identity_in(storage, key, description)
        if not is_ours(query, me, found):
            raise IdentityError(
                f"The recovery key fits, but opens an identity that is not the present one of {me}: somebody has made "
                "a new one since. Use the recovery key of that one. Nothing was changed."
            )
        backup, backup_key = await backup_on(client), await storage.read(BACKUP, key, description)
        await _note(ledger, {"what": "restore"})
        await ledger.identities.keep_seeds(me, found)
        if backup is None or backup_key is None or public_of(backup_key) != backup.public:
            return Restored(None)
        await ledger.identities.keep_backup_key(me, backup_key)
        return Restored(backup)


async def _note(ledger: Ledger, detail: Detail) -> None:
    """Before it is done: a line too many is better than one too few."""
    await ledger.audit.write(Deed(kind=AuditKind.KEYS, detail=detail), SystemClock().now_ms())


async def _identity_in(storage: SecretStorage, key: bytes, description: Description) -> Seeds:
    found = {name: await storage.read(name, key, description) for name in (MASTER, SELF_SIGNING, USER_SIGNING)}
    master, self_signing, user_signing = found.values()
    if master is None or self_signing is None or user_signing is None:
        missing = ", ".join(name for name, secret in found.items() if secret is None)
        raise IdentityError(
            f"The recovery key fits, but {missing} is not kept under it. Set up recovery again in a client that has "
            "the identity. Nothing was changed."
        )
    return Seeds(master=master, self_signing=self_signing, user_signing=user_signing)


@asynccontextmanager
async def _at_home(live: Live) -> AsyncIterator[tuple[Ledger, Client, UserId]]:
    """The ledger, and the account logged in as the daemon would be, so that its next start has the same device."""
    me = UserId(live.settings.matrix.user_id)
    async with open_ledger(live.settings.database, vault=vault_of(live)) as ledger:
        client = client_of(live, ledger, me, SystemClock())
        try:
            await client.log_in()
            yield ledger, client, me
        finally:
            await client.close()
