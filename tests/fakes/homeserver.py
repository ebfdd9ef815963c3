"""A homeserver's memory of what happened; tests/contract/test_homeserver_port.py holds it to a real one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from aiagentchat.core.errors import MatrixError, Refused
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.ports import SyncBatch
from tests.fakes.changes import Changes

TIMELINE_LIMIT = 100


@dataclass(frozen=True, slots=True)
class _Moved:
    """Our own membership of a room changed."""

    room: RoomId
    here: bool


class FakeHomeserver:
    """The Homeserver port. A token is a place in the log."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        """The tokens that sync was called with."""
        self._log: list[Incoming | _Moved] = []
        self._troubles: list[MatrixError] = []
        self._changes = Changes()

    # --- what a test arranges

    def happen(self, *events: Incoming) -> None:
        """These events happen, in this order."""
        self._log += events
        self._changes.tell()

    def enter(self, room: RoomId) -> None:
        """We join, uninvited: what was said in the room before was not said to us."""
        self._log.append(_Moved(room, here=True))
        self._changes.tell()

    def leave(self, room: RoomId) -> None:
        """We are put out."""
        self._log.append(_Moved(room, here=False))
        self._changes.tell()

    def fail(self, error: MatrixError, times: int = 1) -> None:
        """Answer the next syncs with `error`."""
        self._troubles += [error] * times

    # --- what a test sees

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` over what was asked is true."""
        await self._changes.until(condition)

    # --- the port

    async def sync(self, since: str | None, *, timeout: float) -> SyncBatch:
        """Wait up to `timeout` seconds for news."""
        self.asked.append(since)
        self._changes.tell()
        if self._troubles:
            raise self._troubles.pop(0)
        start = 0 if since is None else self._place_of(since)
        try:
            await self._changes.until(lambda: since is None or len(self._log) > start, patience=timeout)
        except TimeoutError:
            await asyncio.sleep(0)
        return self._batch(start)

    def _place_of(self, token: str) -> int:
        if not token.startswith("s") or not token[1:].isdigit():
            raise Refused(f"no token: {token}")
        return int(token[1:])

    def _batch(self, start: int) -> SyncBatch:
        token = f"s{len(self._log)}"
        timelines: dict[RoomId, list[Incoming]] = {}
        invites: list[Incoming] = []
        joined, left, gaps = set[RoomId](), set[RoomId](), set[RoomId]()
        for one in self._log[start:]:
            if isinstance(one, _Moved):
                timelines[one.room] = []
                joined, left = (joined | {one.room}, left) if one.here else (joined, left | {one.room})
            elif one.kind is Kind.INVITE:
                invites.append(replace(one, event=EventId(f"invite {one.room} {token}")))
            else:
                timelines.setdefault(one.room, []).append(one)
        for room, said in timelines.items():
            gaps |= {room} if len(said) > TIMELINE_LIMIT else set()
        events = [event for said in timelines.values() for event in said[-TIMELINE_LIMIT:]]
        return SyncBatch(
            token=token,
            events=(*events, *invites),
            joined=frozenset(joined | timelines.keys() - left),
            left=frozenset(left),
            gaps=frozenset(gaps),
        )
