"""A person at Element, as far as a program can be one: its engine (matrix-js-sdk with the Rust crypto) instead of ours.

A `JsUser` sees, waits and acts like a `MatrixUser`, in encrypted rooms as well: `events` and `view` are in clear, where
the engine could read them. `history` is the timeline as the homeserver has it, for a look at what it can read.
"""

import base64
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from rig.conversation import Event
from rig.homeserver import Account
from rig.js_engine import ANSWER_WITHIN, EngineDied, JsEngine, js_engine
from rig.matrix_client import LONG_POLL, MatrixUser
from rig.setup import Node

START_WITHIN = 60.0
"""Seconds for a client to load, log in and sync. It takes 0.6."""
OPEN_WITHIN = 60.0
"""Seconds for a whole timeline."""
VERIFY_WITHIN = 60.0
"""Seconds for two devices to compare emoji: a dozen messages, each over a /sync."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How an event looks to the person, apart from its text."""

    encrypted: bool
    readable: bool
    why: str
    """Why it cannot be read, as the engine says it; "" when it can."""
    shield: str
    """What Element draws beside it: `none`, `grey` or `red`."""
    reason: str
    """Why there is a shield."""
    rings: bool
    """Whether the person's push rules make a telephone ring for it."""
    highlights: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message in the engine's own timeline: with its edits, or taken back."""

    content: Mapping[str, Any]
    thread: str
    """The event that begins the thread that it stands in, "" when it stands in the room."""
    answers: str
    """The event above it that Element quotes, "" when there is none."""
    edited: str
    """The edit that is shown, "" when there is none."""
    redacted: bool
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a user's client knows of somebody's cross-signing keys."""

    exists: bool
    verified: bool
    changed: bool
    """It is not the one that was seen first, and nobody has agreed to that: Element warns."""


class JsUser(MatrixUser):
    """Made by `js_user`. One device; with `strict` it shares keys with signed devices only, and believes no others."""

    def __init__(
        self, http: aiohttp.ClientSession, homeserver: str, account: Account, node: Node, folder: Path, *, strict: bool
    ) -> None:
        super().__init__(http, account)
        self._homeserver = homeserver
        self.device = account.device_id
        self.recovery_key = ""
        """Opens the person's secret storage; "" where this device neither made it nor was told."""
        self.makes_encrypted_rooms = True
        """As Element does where nobody says otherwise."""
        self._node = node
        self._folder = folder
        self._strict = strict
        self._sights: dict[str, Sight] = {}
        self._places: dict[str, int] = {}
        self._life: AsyncExitStack | None = None
        self._running: JsEngine | None = None

    # --- its life

    async def start(self) -> None:
        """Open the client; returns when its first sync is done and others can find its keys."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._broken = None  # what an earlier life died of
        stack = AsyncExitStack()
        self._running = await stack.enter_async_context(js_engine(self._node, self._folder / "errors.log", self._told))
        self._life = stack
        await self._engine.ask(
            "start",
            homeserver=self._homeserver,
            userId=self.id,
            accessToken=self.account.access_token,
            deviceId=self.device,
            file=str(self._folder / "indexeddb"),
            strict=self._strict,
            timeout=START_WITHIN,
        )

    async def stop(self) -> None:
        """Close the client. Its keys are kept for the next start."""
        if self._life is None:
            return
        try:
            await self._engine.ask("stop")
        finally:
            await self._gone()

    async def kill(self) -> None:
        """End it by force: what it learned since its last stop is lost."""
        self._engine.kill()
        await self._gone()

    async def restart(self) -> None:
        """Close it and open it again. What it sees afterwards is what it sees in its new life."""
        await self.stop()
        await self.start()

    async def follow(self) -> None:
        """There is nothing to do: the engine follows by itself."""

    @property
    def is_following(self) -> bool:
        """Whether the client is open."""
        return self._life is not None

    # --- who it is

    async def create_identity(self) -> str:
        """Make the person's cross-signing keys, secret storage and key backup; returns the recovery key."""
        made = await self._engine.ask("createIdentity", password=self.account.password)
        self.recovery_key = made["recoveryKey"]
        return self.recovery_key

    async def recover(self, recovery_key: str) -> int:
        """As on a new device: type the recovery key. It is signed then, and has the keys of old messages; how many."""
        self.recovery_key = recovery_key
        return int((await self._engine.ask("recover", recoveryKey=recovery_key))["imported"])

    async def until_backed_up(self, keys: int = 1) -> None:
        """Wait until the key backup holds the keys of so many conversations; the engine takes up to ten seconds."""
        await self._engine.ask("untilBackedUp", keys=keys)

    async def verify_with(self, other: "JsUser") -> None:
        """Compare emoji with another device of the same person, which signs this one."""
        await self._engine.ask("verify", device=other.device, timeout=VERIFY_WITHIN)

    async def devices(self, user: str) -> dict[str, bool]:
        """The devices of a user, and whether their owner has signed them."""
        return dict((await self._engine.ask("devices", user=user))["devices"])

    async def until_devices(self, user: str, devices: Mapping[str, bool]) -> None:
        """Wait until a user has these devices, signed or not."""
        await self._engine.ask("untilDevices", user=user, devices=dict(devices))

    async def identity(self, user: str) -> Identity:
        """What this client knows of a user's identity."""
        return Identity(**await self._engine.ask("identity", user=user))

    # --- what it sees

    def sight(self, event: str) -> Sight:
        """How an event of a timeline looks."""
        return self._sights[event]

    def unreadable(self, room: str) -> list[str]:
        """The events of a room that the engine could not read so far."""
        ids = (str(event["event_id"]) for event in self._events.get(room, ()))
        return [each for each in ids if not self._sights[each].readable]

    def rings(self, room: str, sender: str) -> list[str]:
        """The events of somebody for which this person's telephone rings, in their order."""
        events = (event for event in self._events.get(room, ()) if event["sender"] == sender)
        return [str(event["event_id"]) for event in events if self._sights[event["event_id"]].rings]

    async def in_clear(self, events: Sequence[Event]) -> list[Event]:
        """Events as `history` has them, opened where this client can."""
        return list((await self._engine.ask("inClear", events=list(events), timeout=OPEN_WITHIN))["events"])

    async def shown(self, room: str, event: str) -> Shown:
        """A message as the engine's own timeline has it."""
        return Shown(**await self._engine.ask("shown", room=room, event=event))

    async def until_in_thread(self, room: str, root: str, event: str) -> None:
        """Wait until an event stands in the thread that `root` begins. Raises EngineRefused if it stands beside it."""
        await self._engine.ask("untilInThread", room=room, root=root, event=event)

    async def until_readable(self, room: str, event: str) -> Event:
        """Wait until the engine can read an event, and return that."""
        return await self.until(
            lambda: next(
                (each for each in self._events.get(room, ()) if each["event_id"] == event and self._can_read(event)), {}
            ),
            what=f"{event} to become readable",
        )

    # --- what it does

    async def create_room(
        self, *invite: str, alias: str = "", name: str = "", version: str = "", **more: object
    ) -> str:
        """A private room with these users invited, encrypted where `makes_encrypted_rooms` says so; its id."""
        asked = {"preset": "private_chat", "invite": invite, **more}
        asked |= {"room_alias_name": alias} if alias else {}
        asked |= {"name": name} if name else {}
        asked |= {"room_version": version} if version else {}
        return str((await self._engine.ask("createRoom", room=asked, encrypted=self.makes_encrypted_rooms))["room"])

    async def invite(self, room: str, user: str) -> None:
        """Invite somebody."""
        await self._engine.ask("invite", room=room, user=user)

    async def join(self, room: str) -> str:
        """Join a room, by id or alias, and return its id."""
        return str((await self._engine.ask("join", room=room))["room"])

    async def leave(self, room: str) -> None:
        """Leave a room, or decline an invitation."""
        await self._engine.ask("leave", room=room)

    async def send(
        self,
        room: str,
        content: str | Mapping[str, object],
        *,
        kind: str = "m.room.message",
        txn: str = "",
        reply_to: str = "",
        thread: str = "",
    ) -> str:
        """Send a text or any content, encrypted where the room is; its id. `thread`: the event that begins it."""
        said: dict[str, object] = {"msgtype": "m.text", "body": content} if isinstance(content, str) else dict(content)
        relates: dict[str, object] = {"m.in_reply_to": {"event_id": reply_to or thread}} if reply_to or thread else {}
        relates |= {"rel_type": "m.thread", "event_id": thread, "is_falling_back": not reply_to} if thread else {}
        said |= {"m.relates_to": relates} if relates else {}
        return await self._sent("send", room=room, type=kind, content=said, **({"txn": txn} if txn else {}))

    async def redact(self, room: str, event: str, reason: str = "") -> str:
        """Take an event back."""
        return await self._sent("redact", room=room, event=event, **({"reason": reason} if reason else {}))

    async def send_file(
        self, room: str, name: str, data: bytes, *, mimetype: str = "text/plain", kind: str = "m.file"
    ) -> str:
        """Upload a file and send its message, both encrypted where the room is; the event's id."""
        info = {"mimetype": mimetype, "size": len(data)}
        content = {"msgtype": kind, "body": name, "filename": name, "info": info}
        coded = base64.b64encode(data).decode()
        return await self._sent("sendFile", room=room, content=content, data=coded)

    async def fetch_file(self, room: str, event: str) -> bytes:
        """The file that a message brings, in clear."""
        return base64.b64decode((await self._engine.ask("fetchFile", room=room, event=event))["data"])

    async def encrypt_room(self, room: str) -> None:
        """Switch encryption on, which cannot be taken back. What this client sends afterwards is encrypted."""
        await self.request(
            "PUT", f"/rooms/{quote(room)}/state/m.room.encryption/", {"algorithm": "m.megolm.v1.aes-sha2"}
        )
        await self.until_event(room, lambda event: event["type"] == "m.room.encryption")

    async def rotate(self, room: str) -> None:
        """Encrypt what comes next with a new key, as a client does after some messages or days."""
        await self._engine.ask("rotate", room=room)

    # --- what the engine says

    @property
    def _engine(self) -> JsEngine:
        assert self._running is not None, f"the client of {self.id} is closed"
        return self._running

    async def _sent(self, what: str, **words: object) -> str:
        return str((await self._engine.ask(what, timeout=ANSWER_WITHIN, **words))["event"])

    async def _gone(self) -> None:
        assert self._life is not None
        life, self._life, self._running = self._life, None, None
        await life.aclose()
        for of_this_life in (self._events, self._sights, self._places, self._typing, self._receipts):
            of_this_life.clear()

    async def _told(self, line: Mapping[str, Any]) -> None:
        match line:
            case {"seen": seen}:
                self._see(**seen)
            case {"lively": event}:
                self._take_ephemeral(event["room_id"], event)
            case {"member": {"room": room, "membership": membership}}:
                self.invites = self.invites | {room} if membership == "invite" else self.invites - {room}
            case {"ended": EngineDied() as died}:
                self._broken = died
        async with self._changed:
            self._changed.notify_all()

    def _see(self, *, event: Event, failed: bool, **sight: Any) -> None:  # noqa: ANN401 - JSON
        room, name = event["room_id"], event["event_id"]
        events = self._events.setdefault(room, [])
        if name in self._places:
            events[self._places[name]] = event
        else:
            self._places[name] = len(events)
            events.append(event)
        self._sights[name] = Sight(readable=not failed, **sight)

    def _can_read(self, event: str) -> bool:
        return event in self._sights and self._sights[event].readable


@asynccontextmanager
async def js_user(
    homeserver: str, account: Account, node: Node, folder: Path, *, strict: bool = True
) -> AsyncGenerator[JsUser, None]:
    """A person at an open client, until the block ends. `folder` keeps the device's keys between its lives."""
    timeout = aiohttp.ClientTimeout(total=LONG_POLL * 2)
    async with aiohttp.ClientSession(homeserver, timeout=timeout) as http:
        user = JsUser(http, homeserver, account, node, folder, strict=strict)
        try:
            await user.start()
            yield user
        finally:
            await user.stop()
