"""The way to the account: logged in, owned, and the settings made usable with what the homeserver knows."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

import structlog

from aiagentchat.app.live import Live
from aiagentchat.app.owner import this_machine
from aiagentchat.config.secrets import STORE_KEY, Secret, store_key_bytes
from aiagentchat.config.settings import Settings, slug_wish
from aiagentchat.config.workspaces import check_folders
from aiagentchat.core.audit import AuditKind, Deed
from aiagentchat.core.backoff import delay
from aiagentchat.core.errors import ConfigError, MatrixError, RateLimited, Refused, StoreKeyError, Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Accounts, Login
from aiagentchat.matrix.account_data import MatrixAccountData
from aiagentchat.matrix.client import Account, Client, resolve_alias
from aiagentchat.matrix.crypto.cross_signing import Device, Established, device_of, establish
from aiagentchat.matrix.crypto.machine import Machine
from aiagentchat.matrix.crypto.start import Keeping, is_lost, open_machine
from aiagentchat.matrix.crypto.trust import signed_keys
from aiagentchat.matrix.ownership import Owner, Ownership
from aiagentchat.store.bell import EventBell
from aiagentchat.store.ledger import Ledger
from aiagentchat.store.vault import KEY_FILE, Vault

CRYPTO = "crypto"
"""In data_dir: the keys of our device, sealed with a key that is derived from the store key."""

Result = TypeVar("Result")

STRANGER_SECONDS = 60.0
"""How long something that answers and is no homeserver may stand in its place: a proxy that came up first."""
_NO_HOMESERVER = frozenset({*range(200, 500), 501})
"""Statuses, without a homeserver's code, of what works and is something else. A proxy without backend says 502."""

log = structlog.get_logger(__name__)


class KnownAccounts:
    """The stored logins, whose tokens are hidden in logs and rooms from the moment on in which they are known."""

    def __init__(self, accounts: Accounts, live: Live) -> None:
        self._accounts = accounts
        self._live = live

    async def login(self, user: UserId) -> Login | None:
        """The stored login. One that cannot be opened is none, if there is another way to log in."""
        secrets = self._live.secrets
        try:
            found = await self._accounts.login(user)
        except StoreKeyError as error:
            if secrets.matrix_access_token is None and secrets.matrix_password is None:
                raise
            log.warning("matrix.stored_login_sealed", error=str(error))
            return None
        if found is not None:
            self._hide(found)
        return found

    async def save_login(self, login: Login) -> None:
        """Keep it."""
        self._hide(login)
        await self._accounts.save_login(login)

    def _hide(self, login: Login) -> None:
        self._live.learn("MATRIX_ACCESS_TOKEN", login.access_token)
        if login.refresh_token is not None:
            self._live.learn("MATRIX_REFRESH_TOKEN", login.refresh_token)


@asynccontextmanager
async def connected(live: Live, ledger: Ledger, me: UserId, clock: Clock) -> AsyncIterator[Client]:
    """Logged in. While the homeserver does not answer, try again: it may come up after us.

    Raises LoginFailed, and ConfigError where somebody else answers for long.
    """
    client = client_of(live, ledger, me, clock)
    try:
        await until_reached(_Door(client, str(live.settings.matrix.homeserver), clock).log_in, clock)
        yield client
    finally:
        await client.close()


def client_of(live: Live, ledger: Ledger, me: UserId, clock: Clock) -> Client:
    """The account, not logged in yet."""

    async def note(login: Login) -> None:
        deed = Deed(kind=AuditKind.LOGGED_IN, actor=login.user, subject=login.device)
        await ledger.audit.write(deed, clock.now_ms())

    return Client(
        account_of(live, me),
        KnownAccounts(ledger.accounts, live),
        took_up=note,
        is_lost=lambda device: is_lost(me, device, _keeping(live, ledger, clock)),
        now_ms=clock.now_ms,
        monotonic=clock.monotonic,
    )


def account_of(live: Live, me: UserId) -> Account:
    """The account, and what was given to log in to it with."""
    secrets, matrix = live.secrets, live.settings.matrix
    return Account(
        homeserver=str(matrix.homeserver),
        user=me,
        device_name=matrix.device_name,
        token=_revealed(secrets.matrix_access_token),
        refresh_token=_revealed(secrets.matrix_refresh_token),
        password=_revealed(secrets.matrix_password),
    )


async def identified(
    live: Live, ledger: Ledger, client: Client, me: UserId, clock: Clock, device: Device
) -> Established:
    """Have our device, whose keys the homeserver has, signed by the account's identity.

    What the homeserver does not take is logged, and the daemon goes on unsigned.
    """
    password = _revealed(live.secrets.matrix_password)
    return await until_reached(lambda: establish(client, ledger.identities, me, device, password), clock)


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


class _Door:
    """The way in, at which somebody else may stand: a web server, or a proxy whose homeserver is not there yet."""

    def __init__(self, client: Client, address: str, clock: Clock) -> None:
        self._client = client
        self._address = address
        self._clock = clock
        self._stranger_since: float | None = None

    async def log_in(self) -> None:
        """As `Client.log_in`; ConfigError when it was a stranger who answered, for STRANGER_SECONDS and longer."""
        try:
            await self._client.log_in()
        except Unreachable as error:
            if error.errcode or error.status not in _NO_HOMESERVER:
                self._stranger_since = None
                raise
            now = self._clock.monotonic()
            since = self._stranger_since = now if self._stranger_since is None else self._stranger_since
            said = f"{self._address} answers, but not as a homeserver does ({error})"
            if now - since >= STRANGER_SECONDS:
                raise ConfigError(
                    [f"matrix.homeserver: {said}; write the address of the homeserver itself, and start it again"]
                ) from error
            raise Unreachable(f"{said}; is matrix.homeserver right?") from error


class OwnDevice(NamedTuple):
    """Our device, and how it stands to the account's identity."""

    machine: Machine
    identity: Established


@asynccontextmanager
async def with_keys(live: Live, ledger: Ledger, client: Client, me: UserId, clock: Clock) -> AsyncIterator[OwnDevice]:
    """Our device can read and write in encrypted rooms, and is signed if that can be. Raises DeviceKeysLost."""
    keeping = _keeping(live, ledger, clock)
    machine = await until_reached(lambda: open_machine(client, me, keeping), clock)
    try:
        await until_reached(machine.publish, clock)  # before that there is nothing to sign
        identity = await identified(live, ledger, client, me, clock, device_of(machine.olm))
        yield OwnDevice(machine, identity)
    finally:
        await machine.close()


def _keeping(live: Live, ledger: Ledger, clock: Clock) -> Keeping:
    return Keeping(
        folder=live.settings.data_dir / CRYPTO,
        pickle_key=vault_of(live).derive(CRYPTO).hex(),
        keyring=ledger.keyring,
        clock=clock,
        random=random.random,
        new_bell=EventBell,
        signed_keys=signed_keys,
    )


@asynccontextmanager
async def owned(
    ledger: Ledger, client: Client, me: UserId, clock: Clock, *, take_over: bool
) -> AsyncIterator[Ownership]:
    """The account is ours. Raises OwnedElsewhere if it is somebody else's."""
    host, boot_id = this_machine()
    installation = await ledger.lives.installation(clock.now_ms())
    owner = Owner(installation=installation, device=str(client.nio.device_id or ""), host=host, boot_id=boot_id)
    ownership = Ownership(owner, me, data=MatrixAccountData(client, me), lives=ledger.lives, clock=clock)
    await until_reached(lambda: ownership.claim(take_over=take_over), clock)
    try:
        yield ownership
    finally:
        await ownership.give_back()


async def until_reached(attempt: Callable[[], Awaitable[Result]], clock: Clock) -> Result:
    """Try again for as long as the homeserver does not answer, or asks us to wait."""
    failures = 0
    while True:
        try:
            return await attempt()
        except (Unreachable, RateLimited) as error:
            failures += 1
            wait = max(delay(failures, random.random), error.retry_after)
            log.warning("matrix.unreachable", error=str(error), wait_s=round(wait, 1))
            await clock.sleep(wait)


def vault_of(live: Live) -> Vault:
    """What seals secrets in the database, with the key that was given or the one in data_dir."""
    given = live.secrets.store_key
    key = None if given is None else store_key_bytes(given.reveal())
    file = live.settings.database.with_name(KEY_FILE)
    return Vault(file, key, told=lambda text: live.learn(STORE_KEY, text))


async def prepare(settings: Settings, client: Client, ledger: Ledger) -> Settings:
    """`settings` as they can be used: aliases resolved, every room's folder name fixed, no two rooms in one folder.

    Raises ConfigError, and MatrixError when the homeserver does not say which room has an alias.
    """
    resolved = await _resolve(settings, client)
    slugs = {room.id: await ledger.rooms.slug(room.id, slug_wish(room)) for room in resolved.rooms}
    check_folders(resolved, slugs)
    return resolved


async def registry_room(settings: Settings, client: Client) -> RoomId | None:
    """The room of the instances, if there is one. An alias that nobody knows leaves it out, loudly.

    Raises MatrixError when the homeserver does not say which room has the alias.
    """
    named = settings.registry.room
    if named is None or not named.startswith("#"):
        return None if named is None else RoomId(named)
    try:
        return await resolve_alias(client, named)
    except Refused as error:
        log.error("config.alias_unknown", alias=named, error=str(error))  # noqa: TRY400 - no bug, no traceback
        return None


async def _resolve(settings: Settings, client: Client) -> Settings:
    """`settings` with room ids for aliases. An alias that nobody knows leaves its room out, loudly."""
    found: dict[str, RoomId] = {}
    unanswered: list[MatrixError] = []

    async def resolve(alias: str) -> None:
        try:
            found[alias] = await resolve_alias(client, alias)
        except Refused as error:
            log.error("config.alias_unknown", alias=alias, error=str(error))  # noqa: TRY400 - no bug, no traceback
        except MatrixError as error:
            unanswered.append(error)

    async with asyncio.TaskGroup() as group:
        for alias in settings.aliases:
            group.create_task(resolve(alias), name=f"alias {alias}")
    if unanswered:
        raise unanswered[0]  # not known is not the same as not there: what such a room says must not be passed over
    return settings.with_resolved(found)
