"""Encrypting for a room: everybody who is in it now gets the key, nobody who has left does.

Whoever is invited gets it, too, where the room shows what was said since the invite to those who come.
"""

import asyncio
import json
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

import structlog
from nio.crypto.device import OlmDevice

from aiagentchat.core.errors import RateLimited, Refused, Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.parcels import Content
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.crypto.keys import Keys
from aiagentchat.matrix.crypto.keystore import KeyStore
from aiagentchat.matrix.crypto.olm import MEGOLM, CarefulOlm
from aiagentchat.matrix.reading import listed, mapped

SHARE_TRIES = 5
"""So often the members of a room may change while its key is given out."""

MayRead: TypeAlias = Callable[[OlmDevice], bool]
"""Whether a device, as nio knows it, gets the keys of what we say."""

_HIDES_FROM_INVITED = "joined"
"""The one history visibility with which nobody ever reads what was said before they came."""

log = structlog.get_logger(__name__)


class Members(NamedTuple):
    """Of one room, at one moment. Who has left or is banned is none."""

    joined: frozenset[UserId]
    invited: frozenset[UserId]


class RoomKeys:
    """The keys of what we say, room by room."""

    def __init__(self, client: Client, olm: CarefulOlm, store: KeyStore, keys: Keys) -> None:
        self._client = client
        self._olm = olm
        self._store = store
        self._keys = keys
        self._members: dict[RoomId, Members] = {}
        self._asking: dict[RoomId, object] = {}
        """Where it is being asked who is there, and nobody has moved since."""
        self._leaves_out: dict[RoomId, bool] = {}
        """Whether the room's key was made to be kept from some devices."""
        self._turns: dict[RoomId, asyncio.Lock] = {}
        keys.on_changed = self.devices_changed

    # --- what happens

    def moved(self, room: RoomId) -> None:
        """Somebody came or went, or may have: nobody knows who is there, and the next message has another key."""
        self._members.pop(room, None)
        self._asking.pop(room, None)
        self._olm.outbound_group_sessions.pop(room, None)

    def is_new(self, room: RoomId) -> bool:
        """Whether the next message needs a key that nobody has."""
        return room not in self._olm.outbound_group_sessions

    def devices_changed(self, users: frozenset[UserId]) -> None:
        """Where they are, the next message has another key."""
        for room, members in self._members.items():
            if (members.joined | members.invited) & users:
                self._olm.outbound_group_sessions.pop(room, None)

    # --- what is said

    async def encrypt(self, room: RoomId, type_: str, content: Content, may_read: MayRead | None) -> dict[str, Any]:
        """The content of the encrypted event. Raises as `Client.ask`, and StoreError.

        `may_read` leaves devices out; without it all devices of the members can read.
        """
        said = json.dumps(
            {"type": type_, "content": content, "room_id": room}, ensure_ascii=False, separators=(",", ":")
        )
        try:
            said.encode()
        except UnicodeEncodeError as error:
            raise Refused(f"what is to be said in {room} is no text: {error.reason}") from error
        async with self._turns.setdefault(room, asyncio.Lock()):
            session = await self._shared(room, may_read)
            sealed = {
                "algorithm": MEGOLM,
                "sender_key": self._olm.account.identity_keys["curve25519"],
                "ciphertext": session.encrypt(said),
                "session_id": session.id,
                "device_id": self._olm.device_id,
            }
        # What it speaks of is not encrypted, so that the homeserver can put edits and answers in their place.
        relation = content.get("m.relates_to")
        return sealed if relation is None else {**sealed, "m.relates_to": relation}

    async def _shared(self, room: RoomId, may_read: MayRead | None) -> Any:  # noqa: ANN401 - nio's
        """A session that everybody has who is in the room at this moment."""
        if self._leaves_out.get(room, may_read is not None) is not (may_read is not None):
            # The settings were changed. Who has the key would read on, and who was left out would stay so.
            self._olm.outbound_group_sessions.pop(room, None)
        asked: set[UserId] = set()
        for _ in range(SHARE_TRIES):
            members = self._members.get(room) or await self._ask_members(room)
            olm, good = self._olm, self._good(room)
            # A session that is good went to those who were invited when it was made.
            invited = frozenset[UserId]() if good is not None else await self._invited_readers(room, members)
            unknown = {
                user for user in members.joined if user not in olm.tracked_users or user in olm.users_for_key_query
            }
            # Of people who are in no room with us the homeserver does not tell when their devices change.
            unknown = (unknown | invited) - asked
            if unknown:
                await self._keys.query(unknown)
                asked |= unknown
            if self._members.get(room) is not members or self._good(room) is not good:
                continue
            if good is not None:
                return good
            await self._share(room, members.joined | invited, may_read)
            if self._members.get(room) is members and (made := self._good(room)) is not None:
                return made
        raise Unreachable(f"room {room}: who is in it changes faster than its key can be given out")

    def _good(self, room: RoomId) -> Any:  # noqa: ANN401 - nio's
        """The session that the next message can have; None where one must be made, or given out."""
        session = self._olm.outbound_group_sessions.get(room)
        return session if session is not None and session.shared and not session.expired else None

    async def _ask_members(self, room: RoomId) -> Members:
        """Remembered only if nobody has moved meanwhile: the answer may be from before."""
        mark = self._asking[room] = object()
        path = f"/_matrix/client/v3/rooms/{quote(room, safe='')}/members?not_membership=leave"
        said = (await self._client.ask("members", "GET", path)).content
        members = Members(_with(said.get("chunk"), "join"), _with(said.get("chunk"), "invite"))
        if self._asking.get(room) is mark:
            self._members[room] = members
        return members

    async def _invited_readers(self, room: RoomId, members: Members) -> frozenset[UserId]:
        """Of those who are invited those who will see what is said now, once they have come."""
        if not members.invited:
            return members.invited
        path = f"/_matrix/client/v3/rooms/{quote(room, safe='')}/state/m.room.history_visibility"
        said = (await self._client.ask("history visibility", "GET", path, or_nothing=True)).content
        return frozenset() if said.get("history_visibility") == _HIDES_FROM_INVITED else members.invited

    async def _tell_left_out(self, room: RoomId, session: str, devices: Collection[tuple[str, str]]) -> None:
        """So that they can say why they cannot read it. Nothing waits for this to arrive."""
        reason = {
            "algorithm": MEGOLM,
            "room_id": room,
            "session_id": session,
            "sender_key": self._olm.account.identity_keys["curve25519"],
            "code": "m.unverified",
            "reason": "Keys are given only to devices that their owners have signed.",
        }
        messages: dict[str, dict[str, Any]] = {}
        for user, device in devices:
            messages.setdefault(user, {})[device] = reason
        if messages:
            try:
                await self._keys.send("m.room_key.withheld", {"messages": messages})
            except (Unreachable, RateLimited, Refused) as error:
                log.info("crypto.not_told", room=room, error=str(error))

    async def _share(self, room: RoomId, members: Collection[UserId], may_read: MayRead | None) -> None:
        olm = self._olm
        async with self._store.step():
            session = olm.outbound_group_sessions.get(room)
            if session is None or session.shared or session.expired:
                olm.create_outbound_group_session(room)
                session = olm.outbound_group_sessions[room]
                self._leaves_out[room] = may_read is not None
            left_out = {
                (user, device.id)
                for user in members
                for device in olm.device_store.active_user_devices(user)
                if may_read is not None and not may_read(device)
            }
            session.users_ignored |= left_out
        missing = {
            UserId(user): names
            for user, devices in olm.get_missing_sessions(sorted(members)).items()
            if (names := [device for device in devices if (user, device) not in left_out])
        }
        if missing:
            await self._keys.claim(missing)
        parts = []
        async with self._store.step():
            if olm.outbound_group_sessions.get(room) is not session:
                return
            for part in olm.share_group_session_parallel(room, sorted(members), ignore_unverified_devices=True):
                parts.append(part)
                await asyncio.sleep(0)
        for devices, messages in parts:
            await self._keys.send("m.room.encrypted", messages)
            session.users_shared_with |= devices
        session.shared = True
        await self._tell_left_out(room, session.id, left_out)
        log.info("crypto.shared", room=room, devices=len(session.users_shared_with), left_out=len(left_out))


def _with(events: object, membership: str) -> frozenset[UserId]:
    """The users whose membership this is."""
    return frozenset(
        UserId(event["state_key"])
        for event in map(mapped, listed(events))
        if isinstance(event.get("state_key"), str) and mapped(event.get("content")).get("membership") == membership
    )
