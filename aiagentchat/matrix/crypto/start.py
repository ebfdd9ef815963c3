"""How our device begins: with the keys that it has, with new ones if it never had any, or not at all."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from peewee import PeeweeException

from aiagentchat.core.errors import DeviceKeysLost, LoginFailed
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.clock import Bell, Clock, Random
from aiagentchat.core.ports.ledger import Keyring
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.crypto.identity import Lost, begin
from aiagentchat.matrix.crypto.keys import SignedKeys
from aiagentchat.matrix.crypto.keystore import KeyStore, file_of, open_key_store
from aiagentchat.matrix.crypto.machine import Machine
from aiagentchat.matrix.crypto.olm import CarefulOlm
from aiagentchat.matrix.reading import mapped

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Where the keys are kept, and what is remembered of them."""

    folder: Path
    pickle_key: str = field(repr=False)
    keyring: Keyring
    clock: Clock
    random: Random
    new_bell: Callable[[], Bell]
    signed_keys: SignedKeys | None = None


@asynccontextmanager
async def opened_machine(client: Client, me: UserId, keeping: Keeping) -> AsyncIterator[Machine]:
    """Our device, until the block ends. Raises as `open_machine`."""
    machine = await open_machine(client, me, keeping)
    try:
        yield machine
    finally:
        await machine.close()


async def open_machine(client: Client, me: UserId, keeping: Keeping) -> Machine:
    """Our device. One whose keys are lost is given up for a new one where a password allows that.

    Raises DeviceKeysLost, LoginFailed and what `Client.ask` raises.
    """
    await client.rooms.remember(keeping.keyring, keeping.clock.now_ms)
    try:
        return await _open(client, me, keeping)
    except DeviceKeysLost as lost:
        if not client.can_be_new:
            raise
        log.warning("crypto.device_given_up", error=str(lost), device=client.device)
        await client.be_new()
        return await _open(client, me, keeping)


async def is_lost(me: UserId, device: str, keeping: Keeping) -> bool:
    """Whether the keys of the device cannot be used, as far as that can be said without asking the homeserver."""
    file, remembered = file_of(keeping.folder, me, device), await keeping.keyring.device_key(me, device)
    try:
        there = _load(file, me, device, keeping.pickle_key) if file.exists() else None
    except DeviceKeysLost:
        return True
    here = None if there is None else _key(there[1])
    if there is not None:
        await there[0].close()
    return isinstance(begin(here=here, remembered=remembered, published=None), Lost)


async def _open(client: Client, me: UserId, keeping: Keeping) -> Machine:
    device = client.device
    if not device:
        raise LoginFailed(
            "MATRIX_ACCESS_TOKEN belongs to no device, and only a device can read and write in encrypted rooms; use a "
            "token that a login gave, or MATRIX_PASSWORD"
        )
    file = file_of(keeping.folder, me, device)
    published, remembered = await _published(client, me, device), await keeping.keyring.device_key(me, device)
    there = _load(file, me, device, keeping.pickle_key) if file.exists() else None
    here = None if there is None else _key(there[1])
    match begin(here=here, remembered=remembered, published=published):
        case Lost(why):
            if there is not None:
                await there[0].close()
            raise DeviceKeysLost(_lost(me, device, file, why))
        case _:
            store, olm = there or _load(file, me, device, keeping.pickle_key)
    await keeping.keyring.keep_device_key(me, device, _key(olm))
    if published is None:
        olm.account.shared = False  # also when they were: the homeserver has lost them
    log.info("crypto.opened", device=device, made=there is None)
    return Machine(
        client,
        olm,
        store,
        clock=keeping.clock,
        random=keeping.random,
        new_bell=keeping.new_bell,
        signed_keys=keeping.signed_keys,
    )


def _load(file: Path, me: UserId, device: str, pickle_key: str) -> tuple[KeyStore, CarefulOlm]:
    try:
        store = open_key_store(file, me, device, pickle_key)
        return store, CarefulOlm(me, device, store)
    except (OSError, PeeweeException, ValueError) as error:
        # Among them what vodozemac says of another key; its text may quote what it read.
        raise DeviceKeysLost(_lost(me, device, file, f"they cannot be opened ({type(error).__name__})")) from error


def _key(olm: CarefulOlm) -> str:
    return str(olm.account.identity_keys["ed25519"])


async def _published(client: Client, me: UserId, device: str) -> str | None:
    """The key by which the homeserver lets others know the device."""
    body: dict[str, Any] = {"device_keys": {me: [device]}}
    said = (await client.ask("own device", "POST", "/_matrix/client/v3/keys/query", body)).content
    keys = mapped(mapped(mapped(mapped(said.get("device_keys")).get(me)).get(device)).get("keys"))
    found = keys.get(f"ed25519:{device}")
    return found if isinstance(found, str) else None


def _lost(me: UserId, device: str, file: Path, why: str) -> str:
    return (
        f"The device {device} of {me} cannot be used for encrypted rooms: {why} ({file}). Put this file and the store "
        "key back where they were; or set MATRIX_PASSWORD (and no MATRIX_ACCESS_TOKEN) to log in as a new device; or "
        "give it the MATRIX_ACCESS_TOKEN of a fresh login. Nothing was changed."
    )
