"""A registry room in memory; tests/contract/test_registry_room.py holds it to a real homeserver."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiagentchat.core.errors import MatrixError, Refused
from aiagentchat.core.ids import DelayId, UserId
from aiagentchat.core.instances import Heard, read_told
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.clock import Clock


@dataclass(slots=True)
class _Delayed:
    key: str
    content: Any
    seconds: float
    due: float


class FakeRegistryRoom:
    """The RegistryRoom port of one account. Whose clock it is given is the homeserver's."""

    def __init__(self, me: UserId, clock: Clock) -> None:
        self.offers_delays = True
        self.is_open = True
        """Whether we may come in."""
        self.may_write = True
        self.hang = False
        """Whether it answers nothing any more."""
        self.people: set[UserId] = set()
        self.state: dict[str, tuple[UserId, Any, int]] = {}
        """By key: who has put it there, what it says, and when."""
        self.events: list[tuple[str, Any]] = []
        """What has come to the room, in order."""
        self.delayed: dict[DelayId, _Delayed] = {}
        self.asked: list[str] = []
        """The names of what was asked."""
        self._me = me
        self._clock = clock
        self._count = 0
        self._troubles: list[BaseException] = []
        self._told = 0

    # --- what a test arranges

    def fail(self, *errors: MatrixError | TimeoutError) -> None:
        """Answer the next requests with these errors."""
        self._troubles += errors

    def say(self, by: UserId, key: str, content: object) -> None:
        """Somebody puts this there. What somebody else lays there later will not happen any more."""
        self._put(by, key, content)

    def settle(self) -> None:
        """What is due happens."""
        for delay, each in [*self.delayed.items()]:
            if each.due <= self._clock.monotonic():
                del self.delayed[delay]
                self._put(self._me, each.key, each.content)

    def lose_delayed(self) -> None:
        """The homeserver has lost what lay there."""
        self.delayed.clear()

    def news(self) -> Heard:
        """What has come since this was last asked, as a sync tells it."""
        self.settle()
        since, self._told = self._told, len(self.events)
        keys = dict.fromkeys(key for key, _ in self.events[since:])
        return Heard(told=tuple(read_told(key, *self.state[key]) for key in keys))

    # --- the port

    async def join(self) -> None:
        """Be in the room."""
        await self._stumble("join")
        if not self.is_open:
            raise Refused("not invited", status=403, errcode="M_FORBIDDEN")
        self.people.add(self._me)

    async def members(self) -> frozenset[UserId]:
        """Who is in the room."""
        await self._stumble("members")
        return frozenset(self.people)

    async def put(self, key: str, content: Content) -> None:
        """Have this state at `key`."""
        await self._stumble("put")
        if not self.may_write or self._me not in self.people:
            raise Refused("no power", status=403, errcode="M_FORBIDDEN")
        self._put(self._me, key, content)

    async def may_delay(self, seconds: float) -> bool:  # noqa: ARG002
        """Whether the homeserver says so."""
        await self._stumble("may_delay")
        return self.offers_delays

    async def put_later(self, key: str, content: Content, *, seconds: float) -> DelayId | None:
        """Have this state at `key` in so many seconds."""
        await self._stumble("put_later")
        if not self.offers_delays:
            return None
        self._count += 1
        delay = DelayId(f"delay{self._count}")
        self.delayed[delay] = _Delayed(key, _as_sent(content), seconds, self._clock.monotonic() + seconds)
        return delay

    async def postpone(self, delay: DelayId) -> bool:
        """As long again, from now on."""
        await self._stumble("postpone")
        found = self.delayed.get(delay)
        if found is not None:
            found.due = self._clock.monotonic() + found.seconds
        return found is not None

    async def pending(self, key: str) -> Sequence[DelayId]:
        """What will still come to `key`."""
        await self._stumble("pending")
        return [delay for delay, each in self.delayed.items() if each.key == key]

    async def cancel(self, delay: DelayId) -> None:
        """Have it not happen."""
        await self._stumble("cancel")
        self.delayed.pop(delay, None)

    # --- how it remembers

    async def _stumble(self, asked: str) -> None:
        self.asked.append(asked)
        if self.hang:
            await asyncio.Event().wait()
        await asyncio.sleep(0)  # a request takes a moment, in which others have their turn
        self.settle()
        if self._troubles:
            raise self._troubles.pop(0)

    def _put(self, by: UserId, key: str, content: object) -> None:
        said = _as_sent(content)
        if self.state.get(key, (None, None))[:2] == (by, said):
            return
        if by != self._me:
            self.delayed = {delay: each for delay, each in self.delayed.items() if each.key != key}
        self.state[key] = (by, said, self._clock.now_ms())
        self.events.append((key, said))


def _as_sent(content: object) -> Any:
    return json.loads(json.dumps(content))
