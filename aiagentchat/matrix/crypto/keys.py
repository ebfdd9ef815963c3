"""What is asked of the homeserver about keys: ours for others, theirs for us, and messages from device to device."""

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

import structlog
from nio.crypto.device import OlmDevice
from nio.event_builders import RoomKeyRequestMessage
from nio.responses import KeysClaimResponse, KeysQueryResponse, ToDeviceResponse

from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.clock import Clock
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.crypto.keystore import KeyStore
from aiagentchat.matrix.crypto.olm import MEGOLM, CarefulOlm
from aiagentchat.matrix.crypto.opening import Source, session_of
from aiagentchat.matrix.crypto.trust import DeviceKeys
from aiagentchat.matrix.reading import mapped

MOST_WANTED = 1000
"""Keys that wait to be asked for."""
MOST_ASKED = 5000
"""Keys of which is remembered that they were asked for: more than events that wait for one (`receive/unsealing.py`)."""
OTHERS_MS = 10_000
"""How long the homeserver may wait for other homeservers."""
UNHEARD_SECONDS = 60.0
"""For so long nobody is asked about whose homeserver did not answer ours: each message would wait for it."""

SignedKeys = Callable[[Mapping[str, Any]], Mapping[tuple[UserId, str], DeviceKeys]]
"""Which devices of an answer to `/keys/query` their owners have signed, and with which keys."""
_API = "/_matrix/client/v3"

log = structlog.get_logger(__name__)


class Keys:
    """Every method raises as `Client.ask`, and StoreError."""

    def __init__(
        self,
        client: Client,
        olm: CarefulOlm,
        store: KeyStore,
        signed_keys: SignedKeys | None = None,
        *,
        clock: Clock,
    ) -> None:
        self._client = client
        self._olm = olm
        self._store = store
        self._signed_keys = signed_keys
        self._clock = clock
        self._unheard: dict[UserId, float] = {}
        """Of whom nothing was told, and until when (monotonic seconds) they are not asked about."""
        self._signed: dict[tuple[UserId, str], DeviceKeys] = {}
        self._wanted: dict[str, RoomKeyRequestMessage] = {}
        self.on_changed: Callable[[frozenset[UserId]], None] = lambda _: None
        """Told whose devices are not what they were, in the breath in which that is noted: also a query that is cut off
        has told what it has changed."""
        self.on_known: Callable[[], None] = lambda: None
        """Called when a query has found out about anybody: what was by an unknown device may be believed now."""

    def trusted(self, device: OlmDevice) -> bool:
        """Whether the device's owner has signed it, as far as was asked.

        By its keys: nio stays with those that it heard first under a name, and they need not be those that were signed.
        """
        signed = self._signed.get((UserId(device.user_id), device.id))
        return signed == DeviceKeys(ed25519=device.ed25519, curve25519=device.curve25519)

    def has_signed(self, user: UserId, keys: DeviceKeys) -> bool:
        """Whether `user` has signed the device with these keys, as far as was asked."""
        return any(owner == user and signed == keys for (owner, _), signed in self._signed.items())

    @property
    def is_work(self) -> bool:
        """Whether there is anything to ask."""
        olm = self._olm
        return bool(
            olm.should_upload_keys
            or self.to_ask
            or olm.wedged_devices
            or olm.outgoing_to_device_messages
            or self._wanted
        )

    @property
    def to_ask(self) -> set[UserId]:
        """Of whom it is to be asked now which devices they have."""
        return self._may_be_asked_about(self._olm.users_for_key_query)

    def is_back(self, user: UserId) -> None:
        """Somebody tells that the user's devices have changed: that can be asked for at once."""
        self._unheard.pop(user, None)

    async def do_all(self) -> None:
        """Ask what there is to ask."""
        olm = self._olm
        if olm.should_upload_keys:
            await self.upload()
        if users := self.to_ask:
            await self.query(users)
        if olm.wedged_devices:
            wedged = olm.get_users_for_key_claiming()
            await self.claim({UserId(user): devices for user, devices in wedged.items()})
            olm.wedged_devices.clear()  # who gave no key is broken still, and may break again
        while self._wanted:
            session, wanted = self._wanted.popitem()
            if session not in olm.outgoing_key_requests:
                olm.outgoing_to_device_messages.append(wanted)
        for message in list(olm.outgoing_to_device_messages):
            await self.send(message.type, message.as_dict())
            async with self._store.step():
                olm.handle_response(ToDeviceResponse(message))
                olm.forget_requests(MOST_ASKED)

    async def upload(self) -> None:
        """Give others what they need to write to us."""
        async with self._store.step():
            content = self._olm.keys_to_upload()
            self._olm.save_account()  # before anybody can use them
        said = (await self._client.ask("keys", "POST", f"{_API}/keys/upload", content)).content
        count = mapped(said.get("one_time_key_counts")).get("signed_curve25519")
        async with self._store.step():
            self._olm.uploaded(count if isinstance(count, int) else len(content["one_time_keys"]))
        log.info("crypto.keys_uploaded", one_time_keys=len(content["one_time_keys"]))

    async def query(self, users: Collection[UserId]) -> None:
        """Know the devices of `users`. Of whom the homeserver tells nothing, nothing new is known, and not asked again
        for UNHEARD_SECONDS."""
        users = self._may_be_asked_about(users)
        if not users:
            return
        asked = {"device_keys": {user: [] for user in sorted(users)}, "timeout": OTHERS_MS}
        said = (await self._client.ask("devices", "POST", f"{_API}/keys/query", asked)).content
        devices = mapped(said.get("device_keys"))
        told = {user for user in users if isinstance(devices.get(user), dict)}
        self._note_unheard(users - told)
        self._tell_changed(self._note_signed(said, told))
        try:
            async with self._store.step():
                for user in users:
                    self._olm.users_for_key_query.discard(user)
                    if user in told:
                        self._note_devices(user, devices[user])
                    await asyncio.sleep(0)
        finally:
            if told:
                self.on_known()

    def _note_devices(self, user: UserId, devices: Mapping[str, Any]) -> None:
        """In a step of the store."""
        sound = {device: payload for device, payload in devices.items() if self._olm.is_sound(user, device, payload)}
        response = KeysQueryResponse({user: sound}, {})
        self._olm.handle_response(response)
        self._tell_changed({UserId(changed) for changed in response.changed})

    def _tell_changed(self, users: Collection[UserId]) -> None:
        if users:
            self.on_changed(frozenset(users))

    def _may_be_asked_about(self, users: Collection[str]) -> set[UserId]:
        now = self._clock.monotonic()
        self._unheard = {user: until for user, until in self._unheard.items() if until > now}
        return {UserId(user) for user in users} - self._unheard.keys()

    def _note_unheard(self, users: Collection[UserId]) -> None:
        until = self._clock.monotonic() + UNHEARD_SECONDS
        for user in users:
            self._unheard[user] = until
            self._olm.tracked_users.discard(user)  # what was known of them may be out of date

    def _note_signed(self, said: Mapping[str, Any], users: Collection[UserId]) -> set[UserId]:
        if self._signed_keys is None:
            return set()
        before = {pair: keys for pair, keys in self._signed.items() if pair[0] in users}
        now = {pair: keys for pair, keys in self._signed_keys(said).items() if pair[0] in users}
        self._signed = {pair: keys for pair, keys in self._signed.items() if pair not in before} | now
        return {user for (user, _), _ in before.items() ^ now.items()}

    async def claim(self, devices: Mapping[UserId, Collection[str]]) -> None:
        """A way to write to each of these devices, as far as they have left keys for that."""
        asked = {user: dict.fromkeys(sorted(names), "signed_curve25519") for user, names in devices.items()}
        body = {"one_time_keys": asked, "timeout": OTHERS_MS}
        said = (await self._client.ask("one-time keys", "POST", f"{_API}/keys/claim", body)).content
        async with self._store.step():
            for user, found in mapped(said.get("one_time_keys")).items():
                for device, key in mapped(found).items():
                    try:
                        self._olm.handle_response(KeysClaimResponse({user: {device: key}}, {}))
                    except (ValueError, TypeError, AttributeError, LookupError, StopIteration):
                        log.warning("crypto.bad_key", sender=user, device=device)
                    await asyncio.sleep(0)

    async def send(self, type_: str, content: Mapping[str, Any]) -> None:
        """From device to device."""
        await self._client.ask("to device", "PUT", f"{_API}/sendToDevice/{type_}/{uuid.uuid4().hex}", content)

    def want(self, room: str, source: Source) -> bool:
        """Ask for the key of this event, once; False if that was done."""
        session, sender = session_of(source), str(source["sender"])
        if not session or session in self._olm.outgoing_key_requests or session in self._wanted:
            return False
        if len(self._wanted) >= MOST_WANTED:
            return False
        body = {
            "algorithm": MEGOLM,
            "room_id": room,
            "session_id": session,
            "sender_key": str(source["content"].get("sender_key", "")),
        }
        content = {
            "action": "request",
            "body": body,
            "request_id": session,
            "requesting_device_id": self._olm.device_id,
        }
        self._wanted[session] = RoomKeyRequestMessage(
            "m.room_key_request", sender, "*", content, session, session, room, MEGOLM
        )
        return True
