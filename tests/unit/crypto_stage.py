"""Users with devices and identities, whose keys are real."""

import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.ledger import Seeds
from aiagentchat.matrix.crypto.cross_signing import Device
from aiagentchat.matrix.crypto.signatures import SigningKey, canonical, encode
from aiagentchat.matrix.crypto.trust import DeviceKeys

ANNA = UserId("@anna:example.org")
BERT = UserId("@bert:example.org")


def some_seeds() -> Seeds:
    """Of an identity that nobody else has."""
    master, self_signing, user_signing = (secrets.token_bytes(32) for _ in range(3))
    return Seeds(master=master, self_signing=self_signing, user_signing=user_signing)


def some_device(id_: str) -> Device:
    """A device with keys of its own."""
    private = Ed25519PrivateKey.generate()
    keys = DeviceKeys(
        ed25519=encode(private.public_key().public_bytes_raw()), curve25519=encode(secrets.token_bytes(32))
    )
    return Device(id=id_, keys=keys, sign=lambda text: encode(private.sign(text.encode())))


def uploaded(user: str, device: Device) -> dict[str, Any]:
    """The device as it is published."""
    made: dict[str, Any] = {
        "user_id": user,
        "device_id": device.id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {f"ed25519:{device.id}": device.keys.ed25519, f"curve25519:{device.id}": device.keys.curve25519},
    }
    made["signatures"] = {user: {f"ed25519:{device.id}": device.sign(canonical(made))}}
    return made


def sign(value: dict[str, Any], user: str, key: SigningKey) -> None:
    """One more signature."""
    value.setdefault("signatures", {}).setdefault(user, {})[key.id] = key.sign(value)


def close_store(client: Any) -> None:
    """The file in which nio keeps its keys."""
    client.store.database.close()
