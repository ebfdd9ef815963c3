"""Rooms, the way into them and what one sees there: in memory, and on a real homeserver."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest

from aiagentchat.core.errors import LoginFailed, Unreachable
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.ports.matrix import Outbound
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.outbound import MatrixOutbound
from aiagentchat.matrix.sync import MatrixHomeserver
from rig import homeserver as rig
from rig.matrix_client import MatrixUser
from rig.people import People, people
from tests.fakes.outbound import FakeOutbound


class World(Protocol):
    """Rooms, the way into them, and what one sees there."""

    @property
    def outbound(self) -> Outbound:
        """The way in."""
        ...

    async def room(self, *, joined: bool = True, invited: bool = False, encrypted: bool = False) -> RoomId:
        """A fresh room."""
        ...

    async def seen(self, room: RoomId) -> list[tuple[str, Mapping[str, Any]]]:
        """Type and content of everything of ours in the room."""
        ...

    async def typing(self, room: RoomId, on: bool) -> None:
        """Wait until the room shows that we type, or do not."""
        ...

    async def read(self, room: RoomId, thread: EventId | None = None) -> tuple[EventId, Callable[[str], object]]:
        """Somebody says something (in a thread); the event, and where one sees up to which event we have read.

        That is asked for with a thread, or "".
        """
        ...

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for what one sees."""
        ...

    async def until_said(self, room: RoomId, body: str) -> None:
        """Wait until the room has a message of ours that says this."""
        ...

    async def file(self, address: str) -> bytes:
        """What somebody gets who opens an uploaded file."""
        ...

    async def upload_limit(self) -> int:
        """How many bytes a file may have, which are not too many for a test."""
        ...

    def without_login(self) -> AbstractAsyncContextManager[Outbound]:
        """The way in of somebody whom the homeserver does not know (any more)."""
        ...

    def without_homeserver(self) -> AbstractAsyncContextManager[Outbound]:
        """The way in while the homeserver is down."""
        ...


class FakeWorld:
    """In memory."""

    def __init__(self) -> None:
        self.outbound = FakeOutbound()

    async def room(self, *, joined: bool = True, invited: bool = False, encrypted: bool = False) -> RoomId:
        name = RoomId(f"!room{len(self.outbound.rooms)}")
        return self.outbound.room(name, joined=joined, invited=invited, encrypted=encrypted)

    async def seen(self, room: RoomId) -> list[tuple[str, Mapping[str, Any]]]:
        return [(said.type, said.content) for said in self.outbound.said if said.room == room]

    async def typing(self, room: RoomId, on: bool) -> None:
        assert self.outbound.rooms[room].typing is on

    async def read(self, room: RoomId, thread: EventId | None = None) -> tuple[EventId, Callable[[str], object]]:
        event = EventId("$theirs" if thread is None else f"$in {thread}")
        return event, lambda where: self.outbound.rooms[room].read.get(where or None, "")

    async def until(self, condition: Callable[[], object]) -> None:
        await self.outbound.until(condition)

    async def until_said(self, room: RoomId, body: str) -> None:
        await self.outbound.until(lambda: body in self.outbound.texts(room))

    async def file(self, address: str) -> bytes:
        return self.outbound.files[address]

    async def upload_limit(self) -> int:
        self.outbound.upload_limit = 10_000
        return self.outbound.upload_limit

    @asynccontextmanager
    async def without_login(self) -> AsyncIterator[Outbound]:
        self.outbound.fail(LoginFailed("who?"))
        yield self.outbound

    @asynccontextmanager
    async def without_homeserver(self) -> AsyncIterator[Outbound]:
        self.outbound.fail(Unreachable("nobody answers"))
        yield self.outbound


class RealWorld:
    """A real homeserver, with one person."""

    def __init__(self, present: People, anna: MatrixUser, account: rig.Account, client: Client, folder: Path) -> None:
        self.outbound = MatrixOutbound(client)
        self._present = present
        self._anna = anna
        self._account = account
        self._client = client
        self._folder = folder

    async def room(self, *, joined: bool = True, invited: bool = False, encrypted: bool = False) -> RoomId:
        state = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
        guests = [self._account.user_id] * (joined or invited)
        room = RoomId(await self._anna.create_room(*guests, initial_state=[state] * encrypted))
        path = f"/_matrix/client/v3/join/{room}"
        if joined:
            server, token = self._present.homeserver, self._account.access_token
            await asyncio.to_thread(server.request, "POST", path, {}, token=token)
        return room

    async def seen(self, room: RoomId) -> list[tuple[str, Mapping[str, Any]]]:
        ours = [event for event in await self._anna.history(room) if event["sender"] == self._account.user_id]
        return [(event["type"], event["content"]) for event in ours if event["type"] != "m.room.member"]

    async def typing(self, room: RoomId, on: bool) -> None:
        await self._anna.until(lambda: (self._account.user_id in self._anna.typing(room)) is on)

    async def read(self, room: RoomId, thread: EventId | None = None) -> tuple[EventId, Callable[[str], object]]:
        relation = {} if thread is None else {"m.relates_to": {"rel_type": "m.thread", "event_id": thread}}
        event = EventId(await self._anna.send(room, {"msgtype": "m.text", "body": "read me", **relation}))
        return event, lambda where: self._anna.read_up_to(room, self._account.user_id, where)

    async def until(self, condition: Callable[[], object]) -> None:
        await self._anna.until(condition)

    async def until_said(self, room: RoomId, body: str) -> None:
        await self._anna.until_message(room, body)

    async def file(self, address: str) -> bytes:
        url = f"{self._present.homeserver.url}/_matrix/client/v1/media/download/{address.removeprefix('mxc://')}"
        headers = {"Authorization": f"Bearer {self._anna.account.access_token}"}
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
            return await answer.read()

    async def upload_limit(self) -> int:
        path = "/_matrix/client/v1/media/config"
        token = self._account.access_token
        said = await asyncio.to_thread(self._present.homeserver.request, "GET", path, None, token=token)
        return int(said["m.upload.size"])

    @property
    def anna(self) -> MatrixUser:
        """The person."""
        return self._anna

    @property
    def url(self) -> str:
        """Where the homeserver is."""
        return self._present.homeserver.url

    @property
    def account(self) -> rig.Account:
        """Who we are."""
        return self._account

    async def sync(self) -> None:
        """Tell our client which rooms there are."""
        await MatrixHomeserver(self._client, UserId(self._account.user_id)).sync(None, timeout=1)

    @asynccontextmanager
    async def without_login(self) -> AsyncIterator[Outbound]:
        stranger = replace(self._account, access_token="revoked")
        async with client_of(self._present.homeserver.url, stranger) as client:
            yield MatrixOutbound(client)

    @asynccontextmanager
    async def without_homeserver(self) -> AsyncIterator[Outbound]:
        down = rig.Homeserver(self._folder / "never started")
        async with client_of(down.url, self._account) as client:
            yield MatrixOutbound(client)
        down.close()


@asynccontextmanager
async def client_of(url: str, account: rig.Account) -> AsyncIterator[Client]:
    """A client that believes in the account's login."""
    client = Client(Account(homeserver=url, user=UserId(account.user_id), device_name="test"), _NoAccounts())
    client.nio.restore_login(account.user_id, account.device_id, account.access_token)
    try:
        yield client
    finally:
        await client.close()


class _NoAccounts:
    """Nothing is logged in here."""

    async def login(self, user: UserId) -> None:
        raise AssertionError(user)

    async def save_login(self, login: object) -> None:
        raise AssertionError(login)


@asynccontextmanager
async def fake_world(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[World]:  # noqa: ARG001
    yield FakeWorld()


@asynccontextmanager
async def real_world_of(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[RealWorld]:
    async with people(request.getfixturevalue("homeserver")) as present:
        account = present.account()
        anna = await present.person()
        async with client_of(present.homeserver.url, account) as client:
            yield RealWorld(present, anna, account, client, folder)


REAL = pytest.param(real_world_of, id="real", marks=pytest.mark.real)
