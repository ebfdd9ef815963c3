"""Signed JSON, as Matrix signs it: Ed25519 over the canonical text, without `signatures` and `unsigned`. Pure."""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

KEY_BYTES = 32
_UNSIGNED = ("signatures", "unsigned")


def canonical(value: Mapping[str, Any]) -> str:
    """The one text of `value` that is signed. Raises ValueError, TypeError or RecursionError where there is none."""
    signed = {name: part for name, part in value.items() if name not in _UNSIGNED}
    return json.dumps(signed, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def encode(data: bytes) -> str:
    """Base64 without padding, as Matrix writes it."""
    return base64.b64encode(data).decode("ascii").rstrip("=")


def decode(text: object, length: int | None = None) -> bytes:
    """What is written as `text` in Base64, with padding or without. Raises ValueError if that is not `length` bytes."""
    if not isinstance(text, str):
        raise ValueError("no text")  # noqa: TRY004 - it came from outside: a value that is no good
    bare = text.rstrip("=")
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("no Base64") from error
    if length is not None and len(data) != length:
        raise ValueError(f"{len(data)} bytes instead of {length}")
    return data


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private half of an Ed25519 key."""

    seed: bytes = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """One that nobody else has."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @property
    def public(self) -> str:
        """The public half, in Base64."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return encode(Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    @property
    def id(self) -> str:
        """What its signatures stand under."""
        return f"ed25519:{self.public}"

    def sign(self, value: Mapping[str, Any]) -> str:
        """The signature of `value`, in Base64."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return encode(Ed25519PrivateKey.from_private_bytes(self.seed).sign(canonical(value).encode()))


def is_signed(value: Mapping[str, Any], user: str, key_id: str, public: str) -> bool:
    """Whether `value` has, under the names `user` and `key_id`, a signature by the key `public`. Any JSON will do."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    users = value.get("signatures")
    signatures = users.get(user) if isinstance(users, dict) else None
    if not isinstance(signatures, dict):
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(decode(public, KEY_BYTES))
        key.verify(decode(signatures.get(key_id)), canonical(value).encode())
    except (InvalidSignature, ValueError, TypeError, RecursionError):
        return False
    return True
