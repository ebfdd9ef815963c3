"""Keys in memory: what opens is what a test says. `matrix/crypto/machine.py` has the real ones."""

from aiagentchat.core.errors import StoreError
from aiagentchat.core.ids import EventId
from aiagentchat.core.messages import Incoming
from aiagentchat.core.seals import NO_KEY, Opening, Shut
from aiagentchat.store.bell import EventBell


class FakeOpener:
    """The Opener port."""

    def __init__(self) -> None:
        self.bell = EventBell()
        self.opens: dict[EventId, Opening] = {}
        """What each event is; the others stay shut."""
        self.reasons: dict[str, str] = {}
        """Why sessions stay shut."""
        self.tried: list[EventId] = []
        self.settlements = 0
        self.is_full = False
        """Whether the disk is that what was opened is to be remembered on."""

    async def open(self, sealed: Incoming) -> Opening:
        """What a sealed event is."""
        self.tried.append(sealed.event)
        return self.opens.get(sealed.event, Shut(self.reasons.get(sealed.body, NO_KEY)))

    async def settled(self) -> None:
        """Remembered, if there is room."""
        if self.is_full:
            raise StoreError("the keys cannot be written: disk is full")
        self.settlements += 1
