"""How far messages between agents have come: others hear it of theirs, and we of ours."""

from collections.abc import Sequence
from typing import Protocol

from aiagentchat.core.commands import Command
from aiagentchat.core.messages import Incoming


class Post(Protocol):
    """Told by the stages. May be told the same again; never raises for what a homeserver does."""

    async def landed(self, events: Sequence[Incoming]) -> None:
        """These are in the inbox, in the order of their rooms, and nobody has begun with them."""
        ...

    async def heard(self, event: Incoming) -> bool:
        """This is about to be routed. Whether it is a person's answer to a message of ours, and so asks for nothing."""
        ...

    async def begun(self, command: Command) -> None:
        """Its turn begins."""
        ...
