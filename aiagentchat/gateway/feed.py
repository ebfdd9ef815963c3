"""What is said, as it is said: server-sent events, by their place in the history.

A stream pulls from the ledger what stands behind its place, so nothing is kept for who reads slowly, and nothing is
missed by who comes back with his place.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import Caller, Said
from aiagentchat.core.ids import CallerName, InstanceName, RoomId
from aiagentchat.core.ports.clock import Bell
from aiagentchat.core.ports.directory import Directory
from aiagentchat.gateway.models import said_view

HEARTBEAT_SECONDS = 15.0
STREAM_SECONDS = 3600.0
"""A stream ends after so long, so that a token that is good no more is noticed; whoever listens comes back."""
PAGE = 100


class Feed(Protocol):
    """The history, from a place on."""

    @property
    def bell(self) -> Bell:
        """Rings when something was said."""
        ...

    async def newest(self) -> int:
        """The last place; 0 without any."""
        ...

    async def after(self, position: int, rooms: Collection[RoomId], limit: int) -> Sequence[Said]:
        """What stands behind that place in these rooms, the oldest first."""
        ...


class Announcer:
    """Wakes every stream: a bell is for one waiter."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._waiting: set[asyncio.Event] = set()
        self.is_closing = False

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            if await self._feed.bell.wait(HEARTBEAT_SECONDS):
                self._wake()

    def close(self) -> None:
        """All streams end."""
        self.is_closing = True
        self._wake()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Is set at each news; whoever waits clears it before he looks."""
        news = asyncio.Event()
        self._waiting.add(news)
        try:
            yield news
        finally:
            self._waiting.discard(news)

    def _wake(self) -> None:
        for news in self._waiting:
            news.set()


Readable = Callable[[], Awaitable[Collection[RoomId]]]
"""The rooms that a stream may tell of, now."""


async def stream(feed: Feed, announcer: Announcer, readable: Readable, position: int | None) -> AsyncIterator[bytes]:
    """The bytes of a stream. `position` is the last one that is known; None: only what comes now."""
    loop = asyncio.get_running_loop()
    until = loop.time() + STREAM_SECONDS
    with announcer.listening() as news:
        place = await feed.newest() if position is None else position
        yield b"retry: 1000\n\n"
        while not announcer.is_closing and loop.time() < until:
            news.clear()
            said = await feed.after(place, await readable(), PAGE)
            for each in said:
                yield framed(each)
                place = each.position
            if len(said) < PAGE and not await _woken(news):
                yield b": nothing new\n\n"


async def _woken(news: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            await news.wait()
    except TimeoutError:
        return False
    return True


def framed(said: Said) -> bytes:
    """One event. JSON in one line has no line break of its own."""
    data = json.dumps(said_view(said).model_dump(mode="json"))
    return f"id: {said.position}\nevent: message\ndata: {data}\n\n".encode("utf-8", "replace")


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
