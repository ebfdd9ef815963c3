"""Room keys that clients of this account have put on the homeserver, each sealed for whoever has the recovery key.

As the Matrix specification has it (`m.megolm_backup.v1.curve25519-aes-sha2`), with the mistake that everybody has to
make the same way: the MAC is one of nothing. So what is read proves secrecy and not origin: the homeserver can seal
keys of its own. Whoever imports them must not take for proven that a message which they open comes from the device
that the key names.
"""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import structlog

from aiagentchat.core.backoff import delay
from aiagentchat.core.errors import IdentityError, RateLimited, Refused, StoreError, StoreKeyError, Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.clock import Clock, Random
from aiagentchat.core.ports.ledger import Identities
from aiagentchat.matrix.crypto.cross_signing import Asks
from aiagentchat.matrix.crypto.signatures import KEY_BYTES, decode, encode
from aiagentchat.matrix.reading import mapped

ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"
MOST_SESSIONS = 50_000
"""More are not read at once: the answer is one piece."""
_MEGOLM = "m.megolm.v1.aes-sha2"
_VERSION = "/_matrix/client/v3/room_keys/version"
_KEYS = "/_matrix/client/v3/room_keys/keys"
_MAC_BYTES = 8
_EXPORT_BYTES = 1 + 4 + 128 + KEY_BYTES
"""Of an exported session: version, index, ratchet, and the public key that is its id."""
LOOK_SECONDS = 6 * 3600.0
"""Between two looks whether clients have added something; a daemon that is new to a room reads at its start."""
_BREATH = 50
"""So many are opened before others have their turn."""

log = structlog.get_logger(__name__)


class BackedUp(NamedTuple):
    """A session of a room, as it was exported."""

    room_id: RoomId
    session_id: str
    sender_key: str
    sender_claimed_ed25519: str
    session_key: str


Import = Callable[[BackedUp], Awaitable[None]]
"""Takes a session over. One that is known already must change nothing, or only to an earlier index."""


class Backup(NamedTuple):
    """What the homeserver has."""

    version: str
    public: str
    """For whom it is sealed."""
    sessions: int
    """How many, as the homeserver counts."""
    etag: str
    """Another one as soon as something was added."""

    @property
    def state(self) -> str:
        """What it is and what is in it."""
        return f"{self.version}/{self.etag}"


class Read(NamedTuple):
    """What came of reading one."""

    version: str
    sessions: int
    unreadable: int


def public_of(key: bytes) -> str:
    """For whom a backup is sealed that `key` opens."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return encode(X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw())


async def backup_on(asks: Asks) -> Backup | None:
    """The backup in use, None if there is none of a kind that we know. Raises as `Outbound` does."""
    answer = await asks.ask("backup", "GET", _VERSION, or_nothing=True)
    match answer.content:
        case {"algorithm": str(algorithm), "version": str(version), "auth_data": {"public_key": str(public)}}:
            count, etag = answer.content.get("count"), answer.content.get("etag")
            if algorithm == ALGORITHM:
                return Backup(version, public.rstrip("="), count if type(count) is int else 0, str(etag))
    return None


async def bring_in(asks: Asks, kept: Identities, me: UserId, take: Import, *, device: str = "") -> Read | None:
    """Read the whole backup, if its key was given and it has changed, and hand each session to `take`.

    None if there is nothing to read; what has to be said about it is in the log. Another `device` has other keys, and
    reads it for itself. Raises as `Outbound` does, and what `take` raises; then it begins again the next time.
    """
    try:
        key = await kept.backup_key(me)
    except StoreKeyError as error:
        log.warning("backup.sealed", error=str(error))
        return None
    if key is None or (found := await backup_on(asks)) is None:
        return None
    state = f"{device}/{found.state}"
    if await kept.backup_read(me) == state:
        return None
    if not hmac.compare_digest(found.public, public_of(key)):
        log.warning("backup.other_key", version=found.version)
        return None
    if found.sessions > MOST_SESSIONS:
        log.warning("backup.too_large", version=found.version, sessions=found.sessions)
        return None
    answer = await asks.ask("backup", "GET", f"{_KEYS}?version={quote(found.version, safe='')}", or_nothing=True)
    sessions = unreadable = 0
    for number, (room, id_, data) in enumerate(_listed(answer.content)):
        try:
            session = opened(key, room, id_, data)
        except IdentityError:
            unreadable += 1
        else:
            await take(session)
            sessions += 1
        if number % _BREATH == 0:
            await asyncio.sleep(0)
    await kept.mark_backup_read(me, state)
    log.info("backup.read", version=found.version, sessions=sessions, unreadable=unreadable)
    return Read(found.version, sessions, unreadable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """Reads the backup, and what is added to it. Nothing waits for it: what fails is tried again."""

    asks: Asks
    kept: Identities
    me: UserId
    device: str
    take: Import
    clock: Clock
    random: Random

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            try:
                await bring_in(self.asks, self.kept, self.me, self.take, device=self.device)
            except (Unreachable, RateLimited, Refused, StoreError) as error:
                failures += 1
                wait = delay(failures, self.random)
                log.warning("backup.failed", error=str(error), wait_s=round(wait, 1))
            else:
                wait, failures = LOOK_SECONDS, 0
            await self.clock.sleep(wait)


def _listed(content: Content) -> Iterator[tuple[RoomId, str, object]]:
    for room, kept in mapped(content.get("rooms")).items():
        for session, data in mapped(mapped(kept).get("sessions")).items():
            yield RoomId(room), session, mapped(data).get("session_data")


def opened(key: bytes, room: RoomId, session: str, data: object) -> BackedUp:
    """The session that is sealed in `data`. Raises IdentityError if that is not so. Pure."""
    match _unsealed(key, mapped(data)):
        case {
            "algorithm": str(algorithm),
            "sender_key": str(sender),
            "sender_claimed_keys": {"ed25519": str(claimed)},
            "session_key": str(exported),
        } if algorithm == _MEGOLM and _id_of(exported) == session:
            return BackedUp(room, session, sender, claimed, exported)
        case _:
            raise IdentityError("What is sealed is not the session that it is filed as.")


def _id_of(exported: str) -> str | None:
    try:
        return encode(decode(exported, _EXPORT_BYTES)[-KEY_BYTES:])
    except ValueError:
        return None


def _unsealed(key: bytes, data: Content) -> Any:  # noqa: ANN401 - any JSON
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.padding import PKCS7

    try:
        theirs = X25519PublicKey.from_public_bytes(decode(data.get("ephemeral"), KEY_BYTES))
        ciphertext, mac = decode(data.get("ciphertext")), decode(data.get("mac"), _MAC_BYTES)
        shared = X25519PrivateKey.from_private_bytes(key).exchange(theirs)
        keys = HKDF(algorithm=SHA256(), length=80, salt=bytes(32), info=b"").derive(shared)
        if not hmac.compare_digest(hmac.digest(keys[32:64], b"", "sha256")[:_MAC_BYTES], mac):
            raise IdentityError("It was not sealed for this key.")
        working = Cipher(AES(keys[:32]), CBC(keys[64:])).decryptor()
        padded = working.update(ciphertext) + working.finalize()
        unpadding = PKCS7(128).unpadder()
        return json.loads(unpadding.update(padded) + unpadding.finalize())
    except (ValueError, RecursionError) as error:
        raise IdentityError("What is sealed makes no sense.") from error
