"""Seals what nobody may read in a copy of the database: AES-256-GCM, every time under a new nonce, bound to its place.

The key is not in the database. It is given by the operator, or it is a file beside the database that is made when the
first secret is sealed, and never again where there is one. A backup of the database is of no use without it.
"""

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from aiagentchat.core.errors import StoreError, StoreKeyError

KEY_FILE = "store.key"
"""Beside the database, readable for its owner alone: 32 random bytes in Base64."""
KEY_BYTES = 32

_PRIVATE = 0o600
_NONCE_BYTES = 12
_SEALED = "sealed:1:"


class Vault:
    """Seals and opens. What was sealed for one place cannot be opened at another one."""

    def __init__(self, file: Path, given: bytes | None = None, *, told: Callable[[str], None] = lambda _: None) -> None:
        """`file` is used unless a key is `given`; `told` hears the key's text, so that it is hidden in logs."""
        self._file = file
        self._key = given
        self._where = "the key that was given (AIAGENTCHAT_STORE_KEY)" if given is not None else f"the key {file}"
        self._told = told

    def is_sealed(self, text: str) -> bool:
        """Whether `text` came from `seal`. An earlier version kept its secrets as they are."""
        return text.startswith(_SEALED)

    def seal(self, place: str, secret: bytes) -> str:
        """`secret` as text that is of no use to anybody else. Makes the key if there is none.

        `place` says what it is, and is needed to open it. Raises `StoreKeyError`.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._key_or_new()).encrypt(nonce, secret, place.encode())
        return _SEALED + base64.b64encode(nonce + sealed).decode("ascii")

    def open(self, place: str, sealed: str) -> bytes:
        """What was sealed. Raises `StoreKeyError` where the key is gone, or is another one."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._known_key()
        if key is None:
            raise StoreKeyError(f"{self._where} is not there")
        try:
            data = base64.b64decode(sealed.removeprefix(_SEALED), validate=True)
            return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise StoreKeyError(f"{self._where} is not the one that it was sealed with") from error

    def derive(self, purpose: str) -> bytes:
        """A key of its own for `purpose`, the same for ever. Makes the vault's key if there is none.

        Raises `StoreKeyError`.
        """
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return HKDF(SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(self._key_or_new())

    def _known_key(self) -> bytes | None:
        if self._key is None:
            try:
                text = _read(self._file)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise StoreKeyError(f"{self._where} cannot be read: {error.strerror}") from error
            self._key = _decoded(text)
            if self._key is None:
                raise StoreKeyError(
                    f"{self._where} is none: put the right one back, or move it away to have a new one made"
                )
            self._told(text)
        return self._key

    def _key_or_new(self) -> bytes:
        key = self._known_key()
        if key is None:
            key = secrets.token_bytes(KEY_BYTES)
            text = base64.b64encode(key).decode("ascii")
            try:
                _make(self._file, f"{text}\n")
            except OSError as error:
                raise StoreError(f"The key {self._file} cannot be made: {error.strerror}.") from error
            self._key = key
            self._told(text)
        return key


def _decoded(text: str) -> bytes | None:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def _read(file: Path) -> str:
    """Its text. Raises `StoreKeyError` if somebody else could have read or planted it."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise StoreKeyError(f"{file} is not a file")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise StoreKeyError(f"other users can read {file}; run: chmod 600 {file}")
        return os.read(descriptor, 1024).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)


def _make(file: Path, text: str) -> None:
    """There at once and whole, and never in the place of another one."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)
    try:
        os.write(descriptor, text.encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(fresh, file)
    finally:
        fresh.unlink()
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
