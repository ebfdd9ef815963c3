"""Secrets that the homeserver keeps and cannot read, under one key that a person holds: the recovery key.

As the Matrix specification has it ("Secrets", `m.secret_storage.v1.aes-hmac-sha2`). Everything but `SecretStorage` is
pure.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiagentchat.core.errors import IdentityError
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.matrix import AccountData
from aiagentchat.matrix.crypto.signatures import KEY_BYTES, decode, encode
from aiagentchat.matrix.reading import mapped

ALGORITHM = "m.secret_storage.v1.aes-hmac-sha2"
DEFAULT_KEY = "m.secret_storage.default_key"
MASTER, SELF_SIGNING, USER_SIGNING = (f"m.cross_signing.{name}" for name in ("master", "self_signing", "user_signing"))
BACKUP = "m.megolm_backup.v1"

MOST_ITERATIONS = 10_000_000
"""Of PBKDF2: some seconds. Clients make half a million; a homeserver that says more holds somebody up."""
_MOST_TEXT = 1024
_IV_BYTES = 16
_MAC_BYTES = 32
_PREFIX = b"\x8b\x01"
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ZEROES = bytes(32)
_KEY_ID_BYTES = 16


def recovery_key(key: bytes) -> str:
    """The key as people write it down: in groups of four characters, with a check for mistakes."""
    data = _PREFIX + key
    number = int.from_bytes(data + bytes([_parity(data)]), "big")
    letters = []
    while number:
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    text = "".join(reversed(letters))
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def from_recovery_key(text: str) -> bytes | None:
    """The key that is written as `text`, blanks or not; None if it is no recovery key."""
    letters = "".join(text[:_MOST_TEXT].split())
    number = 0
    for letter in letters:
        digit = _ALPHABET.find(letter)
        if digit < 0:
            return None
        number = number * len(_ALPHABET) + digit
    length = len(_PREFIX) + KEY_BYTES + 1
    if number.bit_length() > 8 * length:
        return None
    data = number.to_bytes(length, "big")
    if not data.startswith(_PREFIX) or _parity(data) != 0:
        return None
    return data[len(_PREFIX) : -1]


def _parity(data: bytes) -> int:
    parity = 0
    for byte in data:
        parity ^= byte
    return parity


@dataclass(frozen=True, slots=True, kw_only=True)
class Passphrase:
    """How a key is made of words."""

    salt: str
    iterations: int
    bits: int = 8 * KEY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the homeserver knows of a storage key: how to tell whether one is it."""

    id: str
    iv: bytes | None = None
    """None, as `mac`: written by a client that did not say; then only what it opens can tell."""
    mac: bytes | None = None
    passphrase: Passphrase | None = None


def described(id_: str, content: Content) -> Description:
    """The key that `content` describes. Raises IdentityError if it is of a kind that we do not know."""
    if content.get("algorithm") != ALGORITHM:
        raise IdentityError("The account's secret storage is of a kind that this version does not know.")
    try:
        iv = decode(content["iv"], _IV_BYTES) if "iv" in content else None
        mac = decode(content["mac"], _MAC_BYTES) if "mac" in content else None
    except ValueError as error:
        raise IdentityError("The account's secret storage is damaged: its key check makes no sense.") from error
    return Description(id=id_, iv=iv, mac=mac, passphrase=_passphrase(content.get("passphrase")))


def _passphrase(content: object) -> Passphrase | None:
    match content:
        case {"algorithm": "m.pbkdf2", "salt": str(salt), "iterations": int(iterations)}:
            bits = mapped(content).get("bits", 8 * KEY_BYTES)
        case _:
            return None
    usable = 0 < iterations <= MOST_ITERATIONS and bits == 8 * KEY_BYTES
    return Passphrase(salt=salt, iterations=iterations) if usable else None


def unlock(text: str, description: Description) -> bytes:
    """The key: `text` is the recovery key, or the passphrase if there is one. Raises IdentityError if it is another."""
    key = from_recovery_key(text)
    if key is not None and fits(key, description):
        return key
    if description.passphrase is not None:
        made = from_passphrase(text.strip("\r\n"), description.passphrase)
        if fits(made, description):
            return made
        raise IdentityError("This is neither the recovery key nor the passphrase of the account's secret storage.")
    if key is None:
        raise IdentityError(
            "This is no recovery key: it has some 48 letters and digits, mostly in groups of four, and begins with E. "
            "Look for a letter that is missing or wrong."
        )
    raise IdentityError("This is a recovery key, but not that of the account's present secret storage.")


def from_passphrase(passphrase: str, how: Passphrase) -> bytes:
    """The key that is made of words. It takes a moment."""
    return hashlib.pbkdf2_hmac("sha512", passphrase.encode(), how.salt.encode(), how.iterations, how.bits // 8)


def fits(key: bytes, description: Description) -> bool:
    """Whether `key` is the one described; also if there is nothing to tell by."""
    if description.iv is None or description.mac is None:
        return True
    return hmac.compare_digest(_sealed(key, "", _ZEROES, description.iv)[1], description.mac)


def seal(key: bytes, name: str, secret: bytes) -> dict[str, str]:
    """`secret` as the homeserver may keep it under `name`."""
    iv = bytearray(secrets.token_bytes(_IV_BYTES))
    iv[8] &= 0x7F  # the counter of some programs has 63 bits
    ciphertext, mac = _sealed(key, name, secret, bytes(iv))
    return {"iv": encode(bytes(iv)), "ciphertext": encode(ciphertext), "mac": encode(mac)}


def unseal(key: bytes, name: str, sealed: Mapping[str, Any]) -> bytes:
    """What was sealed under `name`. Raises IdentityError if it was not sealed so, with this key."""
    try:
        iv, mac = decode(sealed.get("iv"), _IV_BYTES), decode(sealed.get("mac"), _MAC_BYTES)
        ciphertext = decode(sealed.get("ciphertext"))
    except ValueError as error:
        raise IdentityError(f"What the homeserver keeps as {name} makes no sense.") from error
    aes, signing = _keys(key, name)
    if not hmac.compare_digest(hmac.digest(signing, ciphertext, "sha256"), mac):
        raise IdentityError(f"What the homeserver keeps as {name} was not sealed with this key.")
    return _counted(aes, iv, ciphertext)


def _sealed(key: bytes, name: str, secret: bytes, iv: bytes) -> tuple[bytes, bytes]:
    aes, signing = _keys(key, name)
    ciphertext = _counted(aes, iv, secret)
    return ciphertext, hmac.digest(signing, ciphertext, "sha256")


def _keys(key: bytes, name: str) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    both = HKDF(algorithm=SHA256(), length=64, salt=_ZEROES, info=name.encode()).derive(key)
    return both[:32], both[32:]


def _counted(aes: bytes, iv: bytes, data: bytes) -> bytes:
    """AES in counter mode, which is its own reverse."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CTR

    working = Cipher(AES(aes), CTR(iv)).encryptor()
    return working.update(data) + working.finalize()


class SecretStorage:
    """The account's secrets on the homeserver. Its methods raise as `Outbound` does."""

    def __init__(self, data: AccountData) -> None:
        self._data = data

    async def description(self) -> Description | None:
        """The key in use; None if there is no secret storage. Raises IdentityError if it is of an unknown kind."""
        content, _ = await self._data.read(DEFAULT_KEY)
        id_ = content.get("key")
        if not isinstance(id_, str) or not id_:
            return None
        described_as, _ = await self._data.read(f"m.secret_storage.key.{id_}")
        return described(id_, described_as) if described_as else None

    async def read(self, name: str, key: bytes, of: Description) -> bytes | None:
        """The secret `name`, 32 bytes; None if it is not kept under this key. Raises IdentityError if it is damaged."""
        content, _ = await self._data.read(name)
        sealed = mapped(mapped(content.get("encrypted")).get(of.id))
        if not sealed:
            return None
        try:
            return decode(unseal(key, name, sealed).decode("ascii").strip(), KEY_BYTES)
        except ValueError as error:
            raise IdentityError(f"What the homeserver keeps as {name} is no key.") from error

    async def begin(self, key: bytes, kept: Mapping[str, bytes]) -> str:
        """Keep these secrets under a new storage key, in the place of others of these names; its id.

        It is not in use before `use`: whoever is cut off in between has changed nothing for other clients.
        """
        id_ = encode(secrets.token_bytes(_KEY_ID_BYTES)).replace("+", "A").replace("/", "B")
        check = seal(key, "", _ZEROES)
        await self._data.write(
            f"m.secret_storage.key.{id_}", {"algorithm": ALGORITHM, "iv": check["iv"], "mac": check["mac"]}
        )
        for name, secret in kept.items():
            there, _ = await self._data.read(name)
            others = mapped(there.get("encrypted"))
            sealed = seal(key, name, encode(secret).encode("ascii"))
            await self._data.write(name, {"encrypted": {**others, id_: sealed}})
        return id_

    async def use(self, id_: str) -> None:
        """From now on this is the key that clients ask for."""
        await self._data.write(DEFAULT_KEY, {"key": id_})
