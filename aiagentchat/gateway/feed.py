"""What is said, as it is said: server-sent events, by their place in the history.

A stream pulls from the ledger what stands behind its place, so nothing is kept for who reads slowly, and nothing is
missed by who comes back with his place. Of a message that is edited quickly he hears what it has come to.

Before each pull it is asked whether whoever listens still may: a token that is good no more ends its streams.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import Caller, Happened
from aiagentchat.core.ids import CallerName, InstanceName, RoomId
from aiagentchat.core.ports.clock import Bell
from aiagentchat.core.ports.directory import Directory
from aiagentchat.gateway.models import said_view

HEARTBEAT_SECONDS = 15.0
"""Without news a stream shows that it lives, and looks whether it still may."""
PAGE = 100


class Feed(Protocol):
    """The history, from a place on."""

    def listen(self) -> Bell:
        """A bell for whoever asks: it rings when something was said, or has changed."""
        ...

    async def newest(self) -> int:
        """The last place; 0 before the first."""
        ...

    async def after(self, place: int, rooms: Collection[RoomId], limit: int) -> Sequence[Happened]:
        """What has happened behind that place in these rooms, in order."""
        ...


class Streams:
    """Those that are open."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._open: set[Bell] = set()
        self._is_closing = False

    def close(self) -> None:
        """All of them end, and no other begins."""
        self._is_closing = True
        for bell in self._open:
            bell.ring()

    async def parts(self, readable: "Readable", place: int | None) -> AsyncGenerator[bytes, None]:
        """The bytes of one. `place` is the last one that is known; None: only what comes now."""
        bell = self._feed.listen()
        self._open.add(bell)
        try:
            place = await self._feed.newest() if place is None else place
            # The place alone is no event, and whoever breaks off before the first one has where to go on.
            yield f"retry: 1000\nid: {place}\n\n".encode("ascii")
            while not self._is_closing and (rooms := await readable()) is not None:
                happened = await self._feed.after(place, rooms, PAGE)
                for each in happened:
                    yield framed(each)
                    place = each.place
                if len(happened) < PAGE and not await bell.wait(HEARTBEAT_SECONDS):
                    yield b": nothing new\n\n"
        finally:
            self._open.discard(bell)


Readable = Callable[[], Awaitable[Collection[RoomId] | None]]
"""The rooms that a stream may tell of, now; None: it ends."""


def framed(happened: Happened) -> bytes:
    """One event. JSON in one line has no line break of its own."""
    data = json.dumps(said_view(happened.said).model_dump(mode="json"))
    return f"id: {happened.place}\nevent: {happened.how}\ndata: {data}\n\n".encode("utf-8", "replace")


class Sessions:
    """Instances that are here for as long as their streams are open."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._held: dict[InstanceName, CallerName] = {}

    @contextmanager
    def held(self, caller: Caller, name: InstanceName | None, rooms: Sequence[str]) -> Iterator[None]:
        """The caller is that instance meanwhile. Raises `ExchangeRefused`."""
        if name is None:
            yield
            return
        self._directory.register_session(name, rooms=rooms)
        self._held[name] = caller.name
        try:
            yield
        finally:
            del self._held[name]
            self._directory.remove_session(name)

    def speaking(self, caller: Caller, name: str | None) -> Caller:
        """The caller as one of its sessions. Raises `ExchangeRefused`."""
        if name is None:
            return caller
        instance = InstanceName(name)
        if self._held.get(instance) != caller.name:
            raise ExchangeRefused("not_allowed", "You have no session of this name: open /events with it first.")
        return replace(caller, instance=instance)
