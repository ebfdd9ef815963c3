"""The registry room: where an instance says that it is there."""

from collections.abc import Sequence
from typing import Protocol

from aiagentchat.core.ids import DelayId, UserId
from aiagentchat.core.parcels import Content


class RegistryRoom(Protocol):
    """The state of one room, of one type. Raises as `Outbound` does.

    What may be delayed is put there by the homeserver itself, some time after it was last postponed (MSC4140): that is
    how somebody says that he is gone when he cannot say anything any more.
    """

    async def join(self) -> None:
        """Be in the room. Refused if we may not."""
        ...

    async def members(self) -> frozenset[UserId]:
        """Who is in the room."""
        ...

    async def put(self, key: str, content: Content) -> None:
        """Have this state at `key`. What stands there already makes no event."""
        ...

    async def may_delay(self, seconds: float) -> bool:
        """Whether the homeserver says that it puts something there by itself after so long."""
        ...

    async def put_later(self, key: str, content: Content, *, seconds: float) -> DelayId | None:
        """Have this state at `key` in so many seconds. None: the homeserver does not do that, or has put it at once."""
        ...

    async def postpone(self, delay: DelayId) -> bool:
        """As long again, from now on. False: there is no such thing any more, because it has happened or was lost."""
        ...

    async def pending(self, key: str) -> Sequence[DelayId]:
        """What will still come to `key`, made by this account in whatever life."""
        ...

    async def cancel(self, delay: DelayId) -> None:
        """Have it not happen. Nothing is raised if there is no such thing."""
        ...
