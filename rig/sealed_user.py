"""A person at a client that encrypts: nio with its Olm machine in memory, as another program than ours uses it.

It follows its rooms from the moment it is opened, and can keep the keys of what it says to itself for a while.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import nio
from aiohttp import ClientResponse
from nio.api import RoomPreset
from nio.client.async_client import AsyncClient, AsyncClientConfig
from nio.crypto.attachments import decrypt_attachment
from nio.store.database import SqliteMemoryStore

from rig.homeserver import Account

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds that a wait may take."""
LONG_POLL_MS = 10_000
ENCRYPTION = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
"""The state that makes a room encrypted."""


class _Client(AsyncClient):
    """nio's client, whose room keys can be held back on their way."""

    def __init__(self, url: str, user: str) -> None:
        config = AsyncClientConfig(
            store=SqliteMemoryStore, store_sync_tokens=False, encryption_enabled=True, max_timeouts=2
        )
        super().__init__(url, user, config=config)
        self.holds = False
        self.held: list[tuple[object, tuple[object, ...]]] = []

    async def send(self, method: str, path: str, data: object = None, *more: object, **named: object) -> ClientResponse:
        """One request."""
        if self.holds and "/sendToDevice/m.room.encrypted/" in path:
            self.held.append((data, more))
            data = '{"messages":{}}'
        answer: ClientResponse = await super().send(method, path, data, *more, **named)
        return answer


class SealedUser:
    """Made by `sealed_user`."""

    def __init__(self, client: _Client, account: Account) -> None:
        self.id = account.user_id
        self.nio = client
        self.events: dict[str, list[nio.Event]] = {}
        """What was seen in each room, decrypted where that was possible."""
        self.to_device: list[nio.ToDeviceEvent] = []
        """What other devices said."""
        self._changed = asyncio.Condition()
        self._broken: Exception | None = None
        self._turn = asyncio.Lock()

    # --- what it sees

    def bodies(self, room: str, sender: str = "") -> list[str]:
        """The texts that it could read, of one sender or all."""
        return [
            event.source["content"]["body"]
            for event in self.events.get(room, ())
            if "body" in event.source.get("content", {}) and sender in ("", event.sender)
        ]

    def unreadable(self, room: str) -> list[nio.Event]:
        """What it could not decrypt."""
        return [event for event in self.events.get(room, ()) if isinstance(event, nio.MegolmEvent)]

    async def until(self, condition: Callable[[], T]) -> T:
        """Wait for what it sees."""
        try:
            async with asyncio.timeout(PATIENCE), self._changed:
                while not (found := condition()):
                    if self._broken:
                        raise self._broken
                    await self._changed.wait()
                return found
        except TimeoutError:
            seen = {room: [str(event)[:200] for event in events] for room, events in self.events.items()}
            raise AssertionError(f"{self.id} waited in vain; seen: {seen}") from None

    async def until_body(self, room: str, text: str, *, sender: str = "") -> nio.Event:
        """Wait for a text that holds `text`; the event."""

        def find() -> nio.Event | None:
            return next(
                (
                    event
                    for event in self.events.get(room, ())
                    if text in str(event.source.get("content", {}).get("body", "")) and sender in ("", event.sender)
                ),
                None,
            )

        found = await self.until(find)
        assert found is not None
        return found

    # --- what it does

    async def room(self, *invite: str, encrypted: bool = True) -> str:
        """A private room with these users invited."""
        state = [ENCRYPTION] * encrypted
        answer = await self.nio.room_create(preset=RoomPreset.private_chat, invite=invite, initial_state=state)
        room = str(answer.room_id)
        await self.until(lambda: room in self.nio.rooms and self.nio.rooms[room].encrypted is encrypted)
        return room

    async def encrypt_room(self, room: str) -> None:
        """From now on."""
        await self.nio.room_put_state(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
        await self.until(lambda: self.nio.rooms[room].encrypted)

    async def until_member(self, room: str, user: str) -> None:
        """Wait until somebody is in the room."""
        await self.until(lambda: user in self.nio.rooms[room].users and not self.nio.rooms[room].users[user].invited)

    async def join(self, room: str) -> None:
        """Accept an invite."""
        await self.nio.join(room)
        await self.until(lambda: room in self.nio.rooms)

    async def say(self, room: str, content: str | Mapping[str, Any], kind: str = "m.room.message") -> str:
        """Say something, encrypted if the room is; the event's id."""
        said = {"msgtype": "m.text", "body": content} if isinstance(content, str) else dict(content)
        async with self._turn:
            answer = await self.nio.room_send(room, kind, said, ignore_unverified_devices=True)
        return str(answer.event_id)

    async def edit(self, room: str, event: str, text: str) -> str:
        """Change one's own message."""
        new = {"msgtype": "m.text", "body": text}
        relates = {"rel_type": "m.replace", "event_id": event}
        return await self.say(room, {**new, "body": f"* {text}", "m.new_content": new, "m.relates_to": relates})

    def hold_keys(self) -> None:
        """From now on nobody gets the keys of what is said here."""
        self.nio.holds = True

    async def give_keys(self) -> None:
        """Those that were held back, and all from now on."""
        self.nio.holds = False
        held, self.nio.held = self.nio.held, []
        for data, more in held:
            path = f"/_matrix/client/v3/sendToDevice/m.room.encrypted/{uuid.uuid4().hex}"
            await self.nio.send("PUT", path, data, *more)

    async def tell_device(self, type_: str, user: str, device: str, content: Mapping[str, Any]) -> None:
        """A message from device to device, in the clear."""
        message = nio.ToDeviceMessage(type_, user, device, dict(content))
        await self.nio.to_device(message)

    async def file(self, content: Mapping[str, Any]) -> bytes:
        """What is in an encrypted attachment."""
        file = content["file"]
        answer = await self.nio.download(file["url"])
        return bytes(decrypt_attachment(answer.body, file["key"]["k"], file["hashes"]["sha256"], file["iv"]))

    # --- the long poll

    async def follow(self) -> None:
        """Collect until cancelled."""
        while True:
            try:
                answer = await self.nio.sync(timeout=LONG_POLL_MS, full_state=not self.nio.next_batch)
                async with self._turn:
                    await self._keep_house()
            except Exception as error:
                self._broken = error
                raise
            finally:
                async with self._changed:
                    self._changed.notify_all()
            if isinstance(answer, nio.SyncResponse):
                self.to_device += answer.to_device_events
                for room, joined in answer.rooms.join.items():
                    self.events.setdefault(room, []).extend(joined.timeline.events)
                async with self._changed:
                    self._changed.notify_all()

    async def _keep_house(self) -> None:
        await self.nio.send_to_device_messages()
        if self.nio.should_upload_keys:
            await self.nio.keys_upload()
        if self.nio.should_query_keys:
            await self.nio.keys_query()
        if self.nio.should_claim_keys:
            await self.nio.keys_claim(self.nio.get_users_for_key_claiming())


@asynccontextmanager
async def sealed_user(homeserver: str, account: Account) -> AsyncGenerator[SealedUser, None]:
    """A user whose client encrypts, until the block ends. `homeserver` is its URL."""
    client = _Client(homeserver, account.user_id)
    client.restore_login(account.user_id, account.device_id, account.access_token)
    user = SealedUser(client, account)
    following = asyncio.get_running_loop().create_task(user.follow())
    try:
        await user.until(lambda: client.next_batch and client.olm_account_shared)
        yield user
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await client.close()  # type: ignore[no-untyped-call]
