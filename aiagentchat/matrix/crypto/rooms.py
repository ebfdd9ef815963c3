"""Which rooms are encrypted. Once seen, it is never taken back: not by the room, nor by a homeserver that denies it."""

from collections.abc import Callable

from aiagentchat.core.ids import RoomId
from aiagentchat.core.ports.ledger import Keyring


class EncryptedRooms:
    """What is known of each room."""

    def __init__(self) -> None:
        self._known: dict[RoomId, bool] = {}
        self._kept: set[RoomId] = set()
        """Those that later lives know of."""
        self._keyring: Keyring | None = None
        self._now_ms: Callable[[], int] = lambda: 0

    async def remember(self, keyring: Keyring, now_ms: Callable[[], int]) -> None:
        """Know what earlier lives have seen, and let later ones know."""
        self._keyring, self._now_ms = keyring, now_ms
        self._kept = set(await keyring.encrypted_rooms())
        self._known |= dict.fromkeys(self._kept, True)

    def known(self, room: RoomId) -> bool | None:
        """Whether it is encrypted; None if nobody has told."""
        return self._known.get(room)

    async def encrypted(self, room: RoomId) -> None:
        """It is. When this returns, later lives know it as well."""
        self._known[room] = True
        if self._keyring is not None and room not in self._kept:
            await self._keyring.mark_encrypted(room, self._now_ms())
            self._kept.add(room)

    def plain(self, room: RoomId) -> None:
        """The homeserver has told of the room, and of no encryption."""
        self._known.setdefault(room, False)

    def left(self, room: RoomId) -> None:
        """We are out: it may become encrypted meanwhile."""
        if not self._known.get(room):
            self._known.pop(room, None)
