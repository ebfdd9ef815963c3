"""One sync request at a time; the token is ours, and the caller commits it with the events (`receive/`)."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiagentchat.core.errors import StoreError, Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.instances import INSTANCE
from aiagentchat.core.ports.matrix import Asked, Gap, Missed, Older, SyncBatch
from aiagentchat.matrix import history
from aiagentchat.matrix.batch import encrypted, read_batch
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.crypto.machine import Machine
from aiagentchat.matrix.events import TYPES, read
from aiagentchat.matrix.ownership import OWNER
from aiagentchat.matrix.reading import Answer, TooLarge, get, mapped
from aiagentchat.matrix.receipts import TYPE as RECEIPT
from aiagentchat.matrix.roster import POWER_TYPES

TIMELINE_LIMIT = 20
"""Events per room and sync. JSON is read in one go: this many of 100 busy rooms take it a few milliseconds. What more
there is comes by `/messages`."""
FIRST_SYNC_SECONDS = 120.0
"""How long a sync with the full state of all rooms may take."""
GRACE_SECONDS = 20.0
"""How much longer than asked a long poll may take."""


class MatrixHomeserver:
    """The Homeserver port. nio gives the connections and the login; without a machine nothing is decrypted."""

    def __init__(
        self,
        client: Client,
        me: UserId,
        machine: Machine | None = None,
        *,
        hears: Callable[[Mapping[str, Any]], None] = lambda _: None,
        registry: RoomId | None = None,
    ) -> None:
        """`hears` is told every answer of a sync, before it is taken in; `registry` is the room of the instances."""
        self._client = client.nio
        self._rooms = client.rooms
        self._me = me
        self._hears = hears
        self._registry = registry
        self._machine = machine
        self._reads = read if machine is None else machine.read
        self._first = True
        self._limit = TIMELINE_LIMIT

    async def sync(self, since: str | None, *, timeout: float) -> SyncBatch:
        """News since `since`. The first call asks for the full state: nio knows no rooms after a restart."""
        query = {"timeout": str(0 if self._first else int(timeout * 1000)), "filter": self._filter()}
        query |= {"since": since} if since is not None else {}
        query |= {"full_state": "true"} if self._first else {}
        bound = FIRST_SYNC_SECONDS if self._first or since is None else timeout + GRACE_SECONDS
        try:
            answer = await get(self._client, "sync", "/sync", query, within=bound)
        except TooLarge:
            self._limit = max(1, self._limit // 2)
            raise
        await self._note_rooms(answer)
        async with self._remembering():
            if self._machine is not None:
                await self._machine.take(answer.body)
            batch = await read_batch(answer, self._me, self._reads, registry=self._registry)
            self._hears(answer.body)
        self._first, self._limit = False, TIMELINE_LIMIT
        return batch

    async def missed(self, gap: Gap, *, since: str | None, oldest: int, most: int) -> Missed:
        """What was said in the gap."""
        async with self._remembering():
            return await history.missed(
                self._client, self._me, gap, since=since, oldest=oldest, most=most, reads=self._reads
            )

    async def older(self, room: RoomId, asked: Asked, *, most: int, sealed: bool = False) -> Older:
        """What was said before that."""
        ask = partial(history.older, self._client, self._me, room, asked, most=most)
        if self._machine is None or not sealed:
            return await ask()
        try:
            return await ask(reads=self._machine.look, meets=self._machine.meet)
        except StoreError as error:
            raise Unreachable(str(error)) from error

    @asynccontextmanager
    async def _remembering(self) -> AsyncIterator[None]:
        """What the machine learns in the block is in its file before the caller commits what came with it."""
        try:
            yield
            if self._machine is not None:
                await self._machine.settled()
        except StoreError as error:
            raise Unreachable(str(error)) from error  # asked for again, with the same token

    async def _note_rooms(self, answer: Answer) -> None:
        """Where we are, and what is encrypted: nothing may be sent there in the clear (`matrix/outbound.py`)."""
        rooms = mapped(answer.body.get("rooms"))
        for name, room in mapped(rooms.get("join")).items():
            if encrypted(room):
                await self._rooms.encrypted(RoomId(name))
            else:
                self._rooms.plain(RoomId(name))
        for name in mapped(rooms.get("leave")):
            self._rooms.left(RoomId(name))

    def _filter(self) -> str:
        """What is asked for, with how far others have read.

        Of the state only what nio must know, what power comes from (`matrix/roster.py`), and who is there.
        """
        who = () if self._registry is None else (INSTANCE,)
        asked: dict[str, Any] = {
            "presence": {"types": []},
            "account_data": {"types": [OWNER]},
            "room": {
                "account_data": {"types": []},
                "ephemeral": {"types": [RECEIPT]},
                "state": {"types": ["m.room.encryption", *POWER_TYPES, *who]},
                "timeline": {"limit": self._limit, "types": [*TYPES, *who]},
            },
        }
        return json.dumps(asked, separators=(",", ":"))
