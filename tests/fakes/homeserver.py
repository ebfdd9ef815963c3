"""A homeserver's memory of what happened; tests/contract/test_homeserver_port.py holds it to a real one."""

import contextlib
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
    cuts: bool = True
    """Whether what was said before was not said to us."""


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

    def accept(self, room: RoomId) -> None:
        """We join, invited: what was said since the invite was said to us."""
        self._log.append(_Moved(room, here=True, cuts=False))
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
        with contextlib.suppress(TimeoutError):
            await self._changes.until(lambda: since is None or len(self._log) > start, patience=timeout)
        return self._batch(start)

    def _place_of(self, token: str) -> int:
        if not token.startswith("s") or not token[1:].isdigit():
            raise Refused(f"no token: {token}")
        return int(token[1:])

    def _batch(self, start: int) -> SyncBatch:
        token = f"s{len(self._log)}"
        timelines: dict[RoomId, list[Incoming]] = {}
        invites: dict[RoomId, Incoming] = {}
        here = self._here()
        for one in self._log[start:]:
            said = timelines.setdefault(one.room, [])
            if isinstance(one, _Moved):
                invites.pop(one.room, None)
                said[:] = [] if one.cuts else said
            elif one.kind is Kind.INVITE:
                invites[one.room] = replace(one, event=EventId(f"invite {one.room} {token}"))
                said.clear()
            else:
                said.append(one)
        ours = {room: said for room, said in timelines.items() if here.get(room)}
        events = [event for said in ours.values() for event in said[-TIMELINE_LIMIT:]]
        return SyncBatch(
            token=token,
            events=(*events, *invites.values()),
            joined=frozenset(ours),
            left=frozenset(room for room in timelines if here.get(room) is False),
            gaps=frozenset(room for room, said in ours.items() if len(said) > TIMELINE_LIMIT),
        )

    def _here(self) -> dict[RoomId, bool]:
        """Where we are, and where we have been."""
        return {one.room: one.here for one in self._log if isinstance(one, _Moved)}
