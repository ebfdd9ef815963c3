"""What is encrypted and cannot be read, and why."""

from dataclasses import dataclass
from typing import TypeAlias

from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.messages import Incoming

NO_KEY = "no_key"
"""Nobody has given us the key, and nobody has said why."""
LATER_KEY = "later_key"
"""We have the key from a later message on."""
UNKNOWN_DEVICE = "unknown_device"
"""We have the key, and the homeserver does not know the device that has written this."""
UNHEARD_DEVICES = "unheard_devices"
"""We have the key, and the homeserver has not told in this life, or not lately, which devices the sender has."""
UNSIGNED_DEVICE = "unsigned_device"
"""We have the key, and the sender has not signed the device that has written this, as the room wants it."""
FOREIGN_KEY = "foreign_key"
"""We have the key from somebody else's device, and not from one of the sender's."""
BACKUP_ONLY = "backup_only"
"""We have the key out of the backup, where the homeserver may have put it."""
BROKEN = "broken"
"""What came fits no key, or is encrypted in a way that we do not know."""
WITHHELD = frozenset({"m.unverified", "m.blacklisted", "m.unauthorised", "m.unavailable", "m.no_olm"})
"""What a device may say instead of giving the key (Client-Server API, "m.room_key.withheld")."""
WHY = WITHHELD | {
    NO_KEY,
    LATER_KEY,
    UNKNOWN_DEVICE,
    UNHEARD_DEVICES,
    UNSIGNED_DEVICE,
    FOREIGN_KEY,
    BACKUP_ONLY,
    BROKEN,
}
"""All of them."""


@dataclass(frozen=True, slots=True)
class Opened:
    """It could be read."""

    event: Incoming | None
    """What it is; None: nothing to us."""


@dataclass(frozen=True, slots=True)
class Shut:
    """It cannot be read, perhaps not yet."""

    why: str
    """A word of WHY."""


@dataclass(frozen=True, slots=True)
class Forged:
    """It was read, and is not what it says: our own, said before, or in another room. It is nothing, for ever."""

    how: str


Opening: TypeAlias = Opened | Shut | Forged


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sealed event in the ledger."""

    event: Incoming
    position: int
    """The place in the order of arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """Messages of one session that cannot be read, of which the room does not know."""

    room: RoomId
    sender: UserId
    session: str
    count: int
    since: int
    """When (milliseconds) the first of them came in."""
