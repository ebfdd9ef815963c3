"""Room keys from the homeserver's backup: opened as libolm's successor seals them, and nothing else is believed."""

import asyncio
import json
import secrets
from typing import Any

import pytest
import vodozemac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from nio.crypto.sessions import InboundGroupSession

from aiagentchat.core.errors import IdentityError, StoreError
from aiagentchat.core.ids import RoomId
from aiagentchat.matrix.crypto import backup
from aiagentchat.matrix.crypto.backup import (
    ALGORITHM,
    LOOK_SECONDS,
    MOST_SESSIONS,
    BackedUp,
    Follower,
    Read,
    backup_on,
    bring_in,
    opened,
    public_of,
)
from aiagentchat.matrix.crypto.signatures import encode
from tests.fakes.clock import FakeClock
from tests.fakes.identities import MemoryIdentities
from tests.fakes.key_server import KeyServer
from tests.fakes.log import FakeLog
from tests.unit.crypto_stage import ANNA

KEY = secrets.token_bytes(32)
ROOM = RoomId("!kitchen:example.org")


class Session:
    """A room's session, and what was said in it."""

    def __init__(self) -> None:
        outbound = vodozemac.GroupSession()
        self.inbound = vodozemac.InboundGroupSession(outbound.session_key)
        self.id = self.inbound.session_id
        exported = self.inbound.export_at(0)
        assert exported is not None
        self.exported = exported.to_base64()
        self.said = outbound.encrypt(b"make tea")

    def plain(self, **changes: Any) -> dict[str, Any]:
        return {
            "algorithm": "m.megolm.v1.aes-sha2",
            "forwarding_curve25519_key_chain": [],
            "sender_key": "a curve25519 key",
            "sender_claimed_keys": {"ed25519": "an ed25519 key"},
            "session_key": self.exported,
            **changes,
        }


def sealed(content: object, key: bytes = KEY) -> dict[str, str]:
    """As any client seals it, for whoever has `key`."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    public = vodozemac.Curve25519PublicKey.from_base64(public_of(key))
    made = vodozemac.PkEncryption.from_key(public).encrypt(text)
    return {
        "ciphertext": encode(made.ciphertext),
        "mac": encode(made.mac),
        "ephemeral": encode(made.ephemeral_key),
    }


def server(*sessions: Session, key: bytes = KEY) -> KeyServer:
    made = KeyServer(ANNA)
    made.backup = {
        "algorithm": ALGORITHM,
        "version": "3",
        "count": len(sessions),
        "etag": "1",
        "auth_data": {"public_key": public_of(key), "signatures": {}},
    }
    kept = {session.id: {"session_data": sealed(session.plain(), key)} for session in sessions}
    made.rooms = {ROOM: {"sessions": kept}}
    return made


@pytest.fixture
def kept() -> MemoryIdentities:
    """The key of the backup is here."""
    made = MemoryIdentities()
    made.backup_keys[ANNA] = KEY
    return made


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    """What the operator reads."""
    made = FakeLog()
    monkeypatch.setattr(backup, "log", made)
    return made


class Taken:
    """Who imports."""

    def __init__(self) -> None:
        self.sessions: list[BackedUp] = []

    async def __call__(self, session: BackedUp) -> None:
        self.sessions.append(session)


def test_the_public_key_is_the_one_of_the_private_key() -> None:
    assert public_of(KEY) == encode(X25519PrivateKey.from_private_bytes(KEY).public_key().public_bytes_raw())
    assert public_of(KEY) == vodozemac.Curve25519SecretKey.from_bytes(KEY).public_key().to_base64()


def test_a_session_that_was_sealed_reads_what_was_said_in_it() -> None:
    session = Session()
    found = opened(KEY, ROOM, session.id, sealed(session.plain()))
    imported = InboundGroupSession.import_session(
        found.session_key, found.sender_claimed_ed25519, found.sender_key, found.room_id
    )
    plain, index = imported.decrypt(session.said.to_base64())

    assert found == BackedUp(ROOM, session.id, "a curve25519 key", "an ed25519 key", session.exported)
    assert (plain, index) == ("make tea", 0)


SESSION = Session()
SEALED = sealed(SESSION.plain())


@pytest.mark.parametrize(
    "data",
    [
        None,
        7,
        {},
        {**SEALED, "mac": encode(bytes(8))},
        {**SEALED, "mac": "AAAA"},
        {**SEALED, "ephemeral": encode(bytes(32))},
        {**SEALED, "ephemeral": encode(bytes(range(32)))},
        {**SEALED, "ciphertext": SEALED["ciphertext"][:-8]},
        {**SEALED, "ciphertext": ""},
        {**SEALED, "ciphertext": "é"},
        sealed(SESSION.plain(), bytes(range(32))),
        sealed(b"not json"),
        sealed(b"\xff"),
        sealed(b"[" * 100_000),
        sealed([]),
        sealed(SESSION.plain(algorithm="m.olm.v1")),
        sealed(SESSION.plain(session_key="AAAA")),
        sealed(SESSION.plain(session_key=7)),
        sealed(SESSION.plain(session_key=Session().exported)),
        sealed(SESSION.plain(sender_key=None)),
        sealed(SESSION.plain(sender_claimed_keys={})),
    ],
)
def test_what_is_not_this_session_for_us_is_refused(data: object) -> None:
    with pytest.raises(IdentityError):
        opened(KEY, ROOM, SESSION.id, data)


@given(st.dictionaries(st.sampled_from(["ephemeral", "ciphertext", "mac"]), st.text() | st.integers() | st.none()))
def test_any_data_is_refused_without_another_error(data: dict[str, Any]) -> None:
    with pytest.raises(IdentityError):
        opened(KEY, ROOM, SESSION.id, data)


async def test_a_backup_is_read_whole_and_once(kept: MemoryIdentities, log: FakeLog) -> None:
    sessions = [Session() for _ in range(3)]
    there, taken = server(*sessions), Taken()
    there.rooms["!other:example.org"] = {"sessions": {"s": {"session_data": {}}, "t": None}}
    first = await bring_in(there, kept, ANNA, taken)
    second = await bring_in(there, kept, ANNA, taken)

    assert first == Read("3", 3, 2)
    assert second is None
    assert [session.session_id for session in taken.sessions] == [session.id for session in sessions]
    assert [event for event, _ in log.lines] == ["backup.read"]


async def test_a_backup_that_could_not_be_taken_over_is_read_again(kept: MemoryIdentities) -> None:
    there, taken = server(Session()), Taken()

    async def fails(_: BackedUp) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        await bring_in(there, kept, ANNA, fails)
    assert await bring_in(there, kept, ANNA, taken) == Read("3", 1, 0)


async def test_a_new_version_is_read_again(kept: MemoryIdentities) -> None:
    there = server(Session())
    await bring_in(there, kept, ANNA, Taken())
    there.backup["version"] = "4"

    assert await bring_in(there, kept, ANNA, Taken()) == Read("4", 1, 0)


async def test_a_backup_to_which_something_was_added_is_read_again(kept: MemoryIdentities) -> None:
    there = server(Session())
    await bring_in(there, kept, ANNA, Taken())
    there.backup["etag"] = "2"

    assert await bring_in(there, kept, ANNA, Taken()) == Read("3", 1, 0)


async def test_without_the_key_nothing_is_read() -> None:
    assert await bring_in(server(Session()), MemoryIdentities(), ANNA, Taken()) is None


async def test_a_key_that_cannot_be_opened_is_said(kept: MemoryIdentities, log: FakeLog) -> None:
    kept.lost_key = "the key is not there"

    assert await bring_in(server(Session()), kept, ANNA, Taken()) is None
    assert [event for event, _ in log.lines] == ["backup.sealed"]


async def test_a_backup_for_another_key_is_not_read(kept: MemoryIdentities, log: FakeLog) -> None:
    taken = Taken()

    assert await bring_in(server(Session(), key=bytes(range(32))), kept, ANNA, taken) is None
    assert taken.sessions == []
    assert [event for event, _ in log.lines] == ["backup.other_key"]


async def test_a_backup_that_is_too_large_is_said(kept: MemoryIdentities, log: FakeLog) -> None:
    there = server(Session())
    there.backup["count"] = MOST_SESSIONS + 1

    assert await bring_in(there, kept, ANNA, Taken()) is None
    assert [event for event, _ in log.lines] == ["backup.too_large"]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"algorithm": "m.megolm_backup.v2", "version": "1", "auth_data": {"public_key": "k"}},
        {"algorithm": ALGORITHM, "version": 1, "auth_data": {"public_key": "k"}},
        {"algorithm": ALGORITHM, "version": "1", "auth_data": None},
    ],
)
async def test_a_backup_of_an_unknown_kind_is_none(answer: dict[str, Any]) -> None:
    there = KeyServer(ANNA)
    there.backup = answer

    assert await backup_on(there) is None


async def test_another_device_reads_it_for_itself(kept: MemoryIdentities) -> None:
    there = server(Session())
    await bring_in(there, kept, ANNA, Taken(), device="ONE")

    assert await bring_in(there, kept, ANNA, Taken(), device="ONE") is None
    assert await bring_in(there, kept, ANNA, Taken(), device="TWO") == Read("3", 1, 0)


async def test_a_follower_tries_again_until_it_has_read_and_then_looks_now_and_then(
    kept: MemoryIdentities, log: FakeLog
) -> None:
    there, taken, clock = server(Session()), Taken(), FakeClock()
    times = iter([StoreError("the disk is full"), None])

    async def take(session: BackedUp) -> None:
        if (error := next(times)) is not None:
            raise error
        await taken(session)

    follower = Follower(asks=there, kept=kept, me=ANNA, device="ONE", take=take, clock=clock, random=lambda: 1.0)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(follower.run())
        naps = [await clock.pass_nap(), await clock.pass_nap(), await clock.until_asleep()]
        following.cancel()

    assert naps == [0.5, LOOK_SECONDS, LOOK_SECONDS]
    assert len(taken.sessions) == 1
    assert [event for event, _ in log.lines] == ["backup.failed", "backup.read"]
