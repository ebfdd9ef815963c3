"""Which devices belong to their owners: what an answer to `/keys/query` proves. Pure, and safe with any JSON.

A device counts when the owner's self-signing key has signed it, and the master key that one. Nobody has to have
verified anybody; it keeps out a device that the homeserver, or a thief of an access token, has added. What is not
asked here is whether the master key is the same as yesterday.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from aiagentchat.core.ids import UserId
from aiagentchat.matrix.crypto.signatures import KEY_BYTES, decode, encode, is_signed
from aiagentchat.matrix.reading import listed, mapped


class DeviceKeys(NamedTuple):
    """The public keys that were signed. A device of the same name with other keys is another device."""

    ed25519: str
    curve25519: str


def signed_devices(keys_query: Mapping[str, Any]) -> frozenset[tuple[UserId, str]]:
    """The devices that their owners have signed, as user and device id."""
    return frozenset(signed_keys(keys_query))


def signed_keys(keys_query: Mapping[str, Any]) -> dict[tuple[UserId, str], DeviceKeys]:
    """The same with the keys that the signature is about: compare them with those that are written to."""
    found = {}
    for user, devices in mapped(keys_query.get("device_keys")).items():
        owner = UserId(user)
        master = cross_signing_key(keys_query, owner, "master")
        signer = cross_signing_key(keys_query, owner, "self_signing")
        if master is None or signer is None or not is_signed(signer.value, owner, master.id, master.public):
            continue
        for device, value in mapped(devices).items():
            keys = device_keys(value, owner, device)
            if keys is not None and is_signed(value, owner, signer.id, signer.public):
                found[owner, device] = keys
    return found


class CrossSigningKey(NamedTuple):
    """One of the three public keys of a user, as it was published."""

    public: str
    value: Mapping[str, Any]
    """The whole object, with its signatures."""

    @property
    def id(self) -> str:
        """What its signatures stand under."""
        return f"ed25519:{self.public}"


def cross_signing_key(keys_query: Mapping[str, Any], user: UserId, usage: str) -> CrossSigningKey | None:
    """The user's `master`, `self_signing` or `user_signing` key; None if there is none that says it is that."""
    value = mapped(mapped(keys_query.get(f"{usage}_keys")).get(user))
    keys = mapped(value.get("keys"))
    if value.get("user_id") != user or usage not in listed(value.get("usage")) or len(keys) != 1:
        return None
    [(name, public)] = keys.items()
    try:
        is_itself = name == f"ed25519:{encode(decode(public, KEY_BYTES))}"
    except ValueError:
        return None
    return CrossSigningKey(name.removeprefix("ed25519:"), value) if is_itself else None


def device_keys(value: object, user: UserId, device: str) -> DeviceKeys | None:
    """The keys of a device that says it is that one, and has signed that itself; else None."""
    match value:
        case {"user_id": str(owner), "device_id": str(name), "keys": {**keys}} if (owner, name) == (user, device):
            signing, secret = keys.get(f"ed25519:{device}"), keys.get(f"curve25519:{device}")
        case _:
            return None
    if not isinstance(signing, str) or not isinstance(secret, str):
        return None
    is_its_own = is_signed(mapped(value), user, f"ed25519:{device}", signing)
    return DeviceKeys(ed25519=signing, curve25519=secret) if is_its_own else None
