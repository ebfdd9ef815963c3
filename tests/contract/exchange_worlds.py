"""An exchange, and what somebody else does to it: the one in memory, and the real ones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from aiagentchat.core.exchange import MessageState
from aiagentchat.core.ids import MessageId, RoomId, UserId
from aiagentchat.core.instances import Instance
from aiagentchat.core.meta import Address
from aiagentchat.core.ports.exchange import Exchange
from tests.fakes.exchange import FakeExchange


class World(Protocol):
    """What surrounds an exchange."""

    @property
    def exchange(self) -> Exchange:
        """The one that is looked at."""
        ...

    @property
    def us(self) -> Address:
        """Who it is."""
        ...

    def now_ms(self) -> int:
        """What it takes for the time."""
        ...

    async def room(self, name: str) -> RoomId:
        """A new room of ours."""
        ...

    async def say(self, room: RoomId, body: str, sender: UserId) -> None:
        """Somebody says something there, and we have heard it when this returns."""
        ...

    async def become(self, message: MessageId, state: MessageState, *, answer: str = "") -> None:
        """Whoever has got the message does what brings it so far, and we have heard of it when this returns."""
        ...

    async def appear(self, instance: Instance) -> None:
        """It is in the registry."""
        ...


class MemoryWorld:
    """The fake."""

    def __init__(self) -> None:
        self.exchange = FakeExchange()
        self.us = self.exchange.us
        self._rooms = 0

    def now_ms(self) -> int:
        """What it takes for the time."""
        return self.exchange.now_ms()

    async def room(self, name: str) -> RoomId:
        """A new room of ours."""
        self._rooms += 1
        return self.exchange.room(RoomId(f"!{self._rooms}:example.org"), name)

    async def say(self, room: RoomId, body: str, sender: UserId) -> None:
        """Somebody says something there."""
        self.exchange.say(room, body, sender=sender)

    async def become(self, message: MessageId, state: MessageState, *, answer: str = "") -> None:
        """The message comes as far as that."""
        await self.exchange.become(message, state, answer=answer)

    async def appear(self, instance: Instance) -> None:
        """It is in the registry."""
        self.exchange.instances.append(instance)


@asynccontextmanager
async def memory_world() -> AsyncIterator[World]:
    """With the fake."""
    yield MemoryWorld()


WORLDS = {"memory": memory_world}
"""By their names; each opens a world of its own."""
