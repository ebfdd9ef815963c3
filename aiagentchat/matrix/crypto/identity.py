"""Whether the keys that we have are those of our device. Pure.

A device that comes up with other keys than it had is worse than none: whoever knew it goes on encrypting for the old
ones, and sees a device whose keys have changed, as an attacker's would.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Start(Enum):
    """How to begin."""

    GO_ON = auto()
    """With the keys that are there."""
    ANEW = auto()
    """The device never had keys: make them."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Not as this device."""

    why: str


def begin(*, here: str | None, remembered: str | None, published: str | None) -> Start | Lost:
    """What to do. All are the device's Ed25519 key, None where there is none.

    `here` is what the store of keys has, `remembered` what this ledger knows the device by, `published` what the
    homeserver tells others.
    """
    if here is None:
        if remembered is not None:
            return Lost("its keys are not here")
        if published is not None:
            return Lost("it has keys already, which another program has made")
        return Start.ANEW
    if remembered not in (None, here):
        return Lost("the keys that are here are those of another device")
    if published not in (None, here):
        return Lost("the homeserver knows it by other keys than those that are here")
    return Start.GO_ON
