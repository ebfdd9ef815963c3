"""The account's identity on a real homeserver, and on the one in memory: the same promises from both."""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from nio.client.async_client import AsyncClient, AsyncClientConfig

from aiagentchat.core.errors import IdentityError
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.ports.ledger import Seeds
from aiagentchat.core.ports.matrix import AccountData
from aiagentchat.matrix.account_data import MatrixAccountData
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.crypto.backup import ALGORITHM, BackedUp, Read, backup_on, bring_in, public_of
from aiagentchat.matrix.crypto.cross_signing import (
    UPLOAD,
    Asks,
    Device,
    Standing,
    device_of,
    establish,
    is_ours,
    keys_of,
    published,
)
from aiagentchat.matrix.crypto.ssss import MASTER, SecretStorage, recovery_key, unlock
from aiagentchat.matrix.crypto.trust import signed_devices
from rig.homeserver import PASSWORD
from rig.people import People, people
from tests.fakes.account_data import FakeAccountData
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.identities import MemoryIdentities
from tests.fakes.key_server import KeyServer
from tests.unit.crypto_stage import close_store, some_device, some_seeds, uploaded
from tests.unit.test_crypto_backup import Session, sealed


class World(Protocol):
    """An account, and a homeserver."""

    me: UserId

    async def device(self, *, with_keys: bool = True) -> tuple[Asks, Device]:
        """A new device of the account, logged in; it has published its keys unless it was not to."""
        ...

    async def publish(self, asks: Asks, keys: dict[str, Any]) -> None:
        """Make an identity of these keys, as another client does."""
        ...

    async def backup(self, asks: Asks, public: str, room: RoomId, session: Session, data: dict[str, str]) -> None:
        """Make a backup with one session, as another client does."""
        ...

    def data(self, asks: Asks) -> AccountData:
        """The account's data."""
        ...


class FakeWorld:
    """In memory."""

    def __init__(self) -> None:
        self.me = UserId("@claude:example.org")
        self._server = KeyServer(self.me)
        self._data = FakeAccountData()

    async def device(self, *, with_keys: bool = True) -> tuple[Asks, Device]:
        device = some_device(f"D{secrets.token_hex(4)}")
        if with_keys:
            self._server.devices[device.id] = uploaded(self.me, device)
        return self._server, device

    async def publish(self, asks: Asks, keys: dict[str, Any]) -> None:
        assert not self._server.identity
        await asks.ask("publish", "POST", UPLOAD, keys)

    async def backup(self, asks: Asks, public: str, room: RoomId, session: Session, data: dict[str, str]) -> None:  # noqa: ARG002
        self._server.backup = {
            "algorithm": ALGORITHM,
            "version": "1",
            "count": 1,
            "etag": "1",
            "auth_data": {"public_key": public},
        }
        self._server.rooms = {room: {"sessions": {session.id: {"session_data": data}}}}

    def data(self, asks: Asks) -> AccountData:  # noqa: ARG002
        return self._data


class RealWorld:
    """A real homeserver."""

    def __init__(self, present: People) -> None:
        self._present = present
        self._account = present.account()
        self._clients: list[Client] = []
        self.me = UserId(self._account.user_id)

    async def device(self, *, with_keys: bool = True) -> tuple[Asks, Device]:
        again = self._present.homeserver.login(self._account.user_id)
        client = Client(
            Account(homeserver=self._present.homeserver.url, user=self.me, device_name="test"), MemoryAccounts()
        )
        client.nio.restore_login(self.me, again.device_id, again.access_token)
        self._clients.append(client)
        device = some_device(again.device_id)
        if with_keys:
            await client.ask(
                "upload", "POST", "/_matrix/client/v3/keys/upload", {"device_keys": uploaded(self.me, device)}
            )
        return client, device

    async def publish(self, asks: Asks, keys: dict[str, Any]) -> None:
        await asks.ask("publish", "POST", UPLOAD, keys)

    async def backup(self, asks: Asks, public: str, room: RoomId, session: Session, data: dict[str, str]) -> None:
        made = await asks.ask(
            "backup",
            "POST",
            "/_matrix/client/v3/room_keys/version",
            {"algorithm": ALGORITHM, "auth_data": {"public_key": public, "signatures": {}}},
        )
        kept = {"first_message_index": 0, "forwarded_count": 0, "is_verified": False, "session_data": data}
        await asks.ask(
            "backup",
            "PUT",
            f"/_matrix/client/v3/room_keys/keys?version={made.content['version']}",
            {"rooms": {room: {"sessions": {session.id: kept}}}},
        )

    def data(self, asks: Asks) -> AccountData:
        assert isinstance(asks, Client)
        return MatrixAccountData(asks, self.me)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


@asynccontextmanager
async def _fake_world(_: pytest.FixtureRequest) -> AsyncIterator[World]:
    yield FakeWorld()


@asynccontextmanager
async def _real_world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with people(request.getfixturevalue("homeserver")) as present:
        world = RealWorld(present)
        try:
            yield world
        finally:
            await world.close()


@pytest.fixture(
    params=[
        pytest.param(_fake_world, id="fake"),
        pytest.param(_real_world, id="real", marks=pytest.mark.real),
    ]
)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with request.param(request) as made:
        yield made


async def _keys(world: World, asks: Asks) -> str:
    """Everything that is shown of the account, to see whether it has changed."""
    return json.dumps(await keys_of(asks, world.me), sort_keys=True)


async def test_the_first_start_makes_an_identity_and_signs_its_device(world: World) -> None:
    kept = MemoryIdentities()
    asks, device = await world.device()
    found = await establish(asks, kept, world.me, device, None)
    shown = await keys_of(asks, world.me)

    assert found.standing is Standing.SIGNED
    assert is_ours(shown, world.me, kept.kept[world.me])
    assert (world.me, device.id) in signed_devices(shown)
    assert f"ed25519:{device.id}" in shown["master_keys"][world.me]["signatures"][world.me]


async def test_a_second_start_changes_nothing(world: World) -> None:
    kept = MemoryIdentities()
    asks, device = await world.device()
    await establish(asks, kept, world.me, device, None)
    before, seeds = await _keys(world, asks), kept.kept[world.me]
    found = await establish(asks, kept, world.me, device, None)

    assert found.standing is Standing.SIGNED
    assert await _keys(world, asks) == before
    assert kept.kept[world.me] == seeds


async def test_a_new_device_with_the_same_seeds_is_signed_and_the_old_one_stays_so(world: World) -> None:
    kept = MemoryIdentities()
    asks, first = await world.device()
    await establish(asks, kept, world.me, first, None)
    again, second = await world.device()
    found = await establish(again, kept, world.me, second, None)

    assert found.standing is Standing.SIGNED
    assert signed_devices(await keys_of(asks, world.me)) == {(world.me, first.id), (world.me, second.id)}


async def test_an_identity_of_somebody_else_is_never_replaced(world: World) -> None:
    asks, first = await world.device()
    await establish(asks, MemoryIdentities(), world.me, first, None)
    again, second = await world.device()
    before, kept = await _keys(world, again), MemoryIdentities()
    found = await establish(again, kept, world.me, second, PASSWORD)
    other = MemoryIdentities()
    await other.keep_seeds(world.me, some_seeds())
    also = await establish(again, other, world.me, second, PASSWORD)

    assert (found.standing, also.standing) == (Standing.FOREIGN, Standing.FOREIGN)
    assert kept.kept == {}
    assert await _keys(world, again) == before


async def test_seeds_that_were_never_published_are_those_that_are_published(world: World) -> None:
    kept, seeds = MemoryIdentities(), some_seeds()
    await kept.keep_seeds(world.me, seeds)
    asks, device = await world.device()

    assert (await establish(asks, kept, world.me, device, None)).standing is Standing.SIGNED
    assert is_ours(await keys_of(asks, world.me), world.me, seeds)


async def test_a_device_whose_keys_nobody_knows_makes_nothing(world: World) -> None:
    kept = MemoryIdentities()
    asks, device = await world.device(with_keys=False)

    assert (await establish(asks, kept, world.me, device, None)).standing is Standing.NO_DEVICE
    assert kept.kept == {}
    assert not (await keys_of(asks, world.me)).get("master_keys", {}).get(world.me)


async def _half_published(world: World) -> tuple[Asks, Device, MemoryIdentities]:
    """The master key alone is there, so that the homeserver wants a proof before it takes the others."""
    kept, seeds = MemoryIdentities(), some_seeds()
    await kept.keep_seeds(world.me, seeds)
    asks, device = await world.device()
    await world.publish(asks, {"master_key": published(world.me, device, seeds)["master_key"]})
    return asks, device, kept


async def test_with_the_password_the_missing_keys_are_published(world: World) -> None:
    asks, device, kept = await _half_published(world)

    assert (await establish(asks, kept, world.me, device, PASSWORD)).standing is Standing.SIGNED
    assert (world.me, device.id) in signed_devices(await keys_of(asks, world.me))


@pytest.mark.parametrize(("password", "said"), [(None, "set MATRIX_PASSWORD"), ("wrong", "MATRIX_PASSWORD is not it")])
async def test_without_the_password_the_operator_is_told(world: World, password: str | None, said: str) -> None:
    asks, device, kept = await _half_published(world)
    found = await establish(asks, kept, world.me, device, password)

    assert found.standing is Standing.REFUSED
    assert said in found.fix
    assert signed_devices(await keys_of(asks, world.me)) == frozenset()


async def test_a_new_device_gets_the_seeds_from_secret_storage(world: World) -> None:
    kept = MemoryIdentities()
    asks, first = await world.device()
    await establish(asks, kept, world.me, first, None)
    seeds, key = kept.kept[world.me], secrets.token_bytes(32)
    storage = SecretStorage(world.data(asks))
    names = ("master", "self_signing", "user_signing")
    await storage.use(await storage.begin(key, {f"m.cross_signing.{name}": getattr(seeds, name) for name in names}))
    text = recovery_key(key)

    again, second = await world.device()
    there = SecretStorage(world.data(again))
    description = await there.description()
    assert description is not None
    with pytest.raises(IdentityError):
        unlock(recovery_key(bytes(32)), description)
    opened = unlock(text, description)
    found = {name: await there.read(f"m.cross_signing.{name}", opened, description) for name in names}
    fresh = MemoryIdentities()
    fresh.kept[world.me] = Seeds(**{name: secret or b"" for name, secret in found.items()})
    assert fresh.kept[world.me] == seeds
    assert (await establish(again, fresh, world.me, second, None)).standing is Standing.SIGNED


async def test_what_nobody_keeps_is_not_there(world: World) -> None:
    asks, _ = await world.device()

    assert await SecretStorage(world.data(asks)).description() is None
    assert await backup_on(asks) is None


async def test_a_backup_of_another_client_is_read(world: World) -> None:
    key, session, room = secrets.token_bytes(32), Session(), RoomId("!kitchen:example.org")
    asks, _ = await world.device()
    await world.backup(asks, public_of(key), room, session, sealed(session.plain(), key))
    kept, taken = MemoryIdentities(), list[BackedUp]()
    await kept.keep_backup_key(world.me, key)

    async def take(one: BackedUp) -> None:
        taken.append(one)

    found = await bring_in(asks, kept, world.me, take)
    assert found == Read("1", 1, 0)
    assert [(one.room_id, one.session_id, one.session_key) for one in taken] == [(room, session.id, session.exported)]


@pytest.mark.real
async def test_the_device_of_nio_is_signed(people: People, tmp_path: Path) -> None:
    account = people.account()
    me, kept = UserId(account.user_id), MemoryIdentities()
    client = Client(Account(homeserver=people.homeserver.url, user=me, device_name="test"), MemoryAccounts())
    client.nio.restore_login(me, account.device_id, account.access_token)
    encrypting = AsyncClient(
        people.homeserver.url,
        me,
        store_path=str(tmp_path),
        config=AsyncClientConfig(encryption_enabled=True, pickle_key="k"),
    )
    try:
        encrypting.restore_login(me, account.device_id, account.access_token)
        await encrypting.keys_upload()
        assert encrypting.olm is not None
        found = await establish(client, kept, me, device_of(encrypting.olm), None)
        anna = await people.person()
        shown = people.homeserver.request(
            "POST", "/_matrix/client/v3/keys/query", {"device_keys": {me: []}}, token=anna.account.access_token
        )
    finally:
        close_store(encrypting)
        await encrypting.close()  # type: ignore[no-untyped-call]
        await client.close()

    assert found.standing is Standing.SIGNED
    assert signed_devices(shown) == {(me, account.device_id)}


def test_the_name_of_the_master_key_in_secret_storage_is_that_of_the_specification() -> None:
    assert MASTER == "m.cross_signing.master"
