"""One sync request at a time; the token is ours, and the caller commits it with the events (`receive/`)."""

import asyncio
from typing import Any

import nio
import structlog

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.messages import Incoming
from aiagentchat.core.ports import SyncBatch
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.errors import TRANSPORT, fail
from aiagentchat.matrix.events import enters, invite, timeline

log = structlog.get_logger(__name__)

TIMELINE_LIMIT = 100
"""Events per room and sync; Synapse gives no more."""
FIRST_SYNC_SECONDS = 120.0
"""How long a sync with the full state of all rooms may take."""
GRACE_SECONDS = 20.0
"""How much longer than asked a long poll may take."""

FILTER: dict[str, Any] = {
    "presence": {"types": []},
    "account_data": {"types": []},
    "room": {
        "account_data": {"types": []},
        "ephemeral": {"types": []},
        "state": {"lazy_load_members": True},
        "timeline": {
            "limit": TIMELINE_LIMIT,
            "types": [
                "m.room.message",
                "m.room.encrypted",
                "m.room.encryption",
                "m.room.member",
                "m.room.redaction",
                "m.room.tombstone",
                "m.reaction",
            ],
        },
    },
}


class MatrixHomeserver:
    """The Homeserver port over nio."""

    def __init__(self, client: Client, me: UserId) -> None:
        self._client = client.nio
        self._me = me
        self._first = True

    async def sync(self, since: str | None, *, timeout: float) -> SyncBatch:
        """News since `since`. The first call asks for the full state: nio knows no rooms after a restart."""
        bound = FIRST_SYNC_SECONDS if self._first else timeout + GRACE_SECONDS
        try:
            async with asyncio.timeout(bound):
                answer = await self._client.sync(
                    timeout=0 if self._first else int(timeout * 1000),
                    sync_filter=FILTER,
                    since=since,
                    full_state=self._first or None,
                )
        except TRANSPORT as problem:
            raise Unreachable(f"sync: {type(problem).__name__}") from problem
        if not isinstance(answer, nio.SyncResponse):
            fail("sync", answer)
        self._first = False
        return self._batch(answer)

    def _batch(self, answer: nio.SyncResponse) -> SyncBatch:
        events: list[Incoming] = []
        gaps: set[RoomId] = set()
        for name, room in answer.rooms.join.items():
            sources = [event.source for event in room.timeline.events]
            events += timeline(RoomId(name), sources, self._me)
            if room.timeline.limited and not enters(sources, self._me):
                gaps.add(RoomId(name))
            if unread := sum(source.get("type") == "m.room.encrypted" for source in sources):
                log.warning("event.encrypted", room=name, count=unread)
        for name, invited in answer.rooms.invite.items():
            states = (_whole(state) for state in invited.invite_state)
            found = invite(RoomId(name), states, self._me, answer.next_batch)
            events += [found] if found is not None else []
        return SyncBatch(
            token=answer.next_batch,
            events=tuple(events),
            joined=frozenset(map(RoomId, answer.rooms.join)),
            left=frozenset(map(RoomId, answer.rooms.leave)),
            gaps=frozenset(gaps),
        )


def _whole(state: nio.InviteEvent) -> dict[str, Any]:
    """The event as the homeserver sent it: nio takes the content out of the source of an invite's member events."""
    return {**state.source, "content": getattr(state, "content", state.source.get("content"))}
