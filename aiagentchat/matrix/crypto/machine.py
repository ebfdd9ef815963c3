"""Our device: what it hears about keys, what it opens, and what it asks for. One loop, one task at a time.

Keys are in the file before the ledger commits the sync token that came with them: the homeserver forgets them only when
that token is used. What a crash makes it tell again is known by then.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import structlog
from nio.events import RoomKeyEvent, ToDeviceEvent

from aiagentchat.core.backoff import delay
from aiagentchat.core.errors import AppError, RateLimited, Refused, StoreError, Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.clock import Bell, Clock, Random
from aiagentchat.core.seals import (
    BACKUP_ONLY,
    FOREIGN_KEY,
    LATER_KEY,
    NO_KEY,
    UNHEARD_DEVICES,
    UNKNOWN_DEVICE,
    UNSIGNED_DEVICE,
    WITHHELD,
    Forged,
    Opened,
    Opening,
    Shut,
)
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.crypto.keys import Keys, SignedKeys
from aiagentchat.matrix.crypto.keystore import KeyStore
from aiagentchat.matrix.crypto.olm import CarefulOlm
from aiagentchat.matrix.crypto.opening import ENCRYPTED, TYPES, Plain, Source, session_of, unseal
from aiagentchat.matrix.crypto.sharing import MayRead, RoomKeys
from aiagentchat.matrix.events import BY_ANOTHER_PROGRAM, MAX_RAW, Step, forged, read, sent_at
from aiagentchat.matrix.reading import listed, mapped

ACQUAINT_SECONDS = 2.0
"""How long a batch may wait to learn whose device a key came from. What is not known by then waits sealed, and for whom
it was in vain, nobody waits again: who is at a homeserver that does not answer must not hold up others."""
LONGEST_NAP = 60.0
EVENTS_PER_BREATH = 10
"""After so many messages from device to device the loop may do something else."""

_WITHHELD = ("m.room_key.withheld", "org.matrix.room_key.withheld")
_NEEDS_KEY = (NO_KEY, LATER_KEY, UNKNOWN_DEVICE, FOREIGN_KEY, BACKUP_ONLY)
"""Why something stays shut that its sender can open for us."""
_KEPT = ("type", "event_id", "sender", "origin_server_ts", "content")

log = structlog.get_logger(__name__)


class BackedUp(Protocol):
    """A session of a room, as it was exported."""

    @property
    def room_id(self) -> RoomId: ...

    @property
    def session_id(self) -> str: ...

    @property
    def sender_key(self) -> str: ...

    @property
    def sender_claimed_ed25519(self) -> str: ...

    @property
    def session_key(self) -> str: ...


class Machine:
    """Made by `start.open_machine`. The `Opener` port, and what sync and outbound need."""

    def __init__(
        self,
        client: Client,
        olm: CarefulOlm,
        store: KeyStore,
        *,
        clock: Clock,
        random: Random,
        new_bell: Callable[[], Bell],
        signed_keys: SignedKeys | None = None,
    ) -> None:
        self.olm = olm
        store.on_failed = olm.start_over
        self.keys = Keys(client, olm, store, signed_keys, clock=clock)
        self.rooms = RoomKeys(client, olm, store, self.keys)
        self._store = store
        self._me = UserId(olm.user_id)
        self._clock = clock
        self._random = random
        self._fresh: dict[tuple[str, int], str] = {}
        """Places in sessions, and their events, that are not in the file yet."""
        self._slow: set[UserId] = set()
        """Whose devices a batch has waited for in vain."""
        self.wants_signed: Callable[[RoomId], bool] = lambda _: False
        """In which rooms nobody is believed but devices that their owners have signed."""
        self._bell = new_bell()
        self._work = new_bell()
        self.keys.on_known = self._bell.ring

    @property
    def bell(self) -> Bell:
        """Rings when there is a key that was not there before, or when it is known whose one is."""
        return self._bell

    # --- what a sync tells

    async def take(self, body: Mapping[str, Any]) -> None:
        """What an answer of the sync has about keys, before its timelines are read. Raises StoreError."""
        senders = await self._take_messages(listed(mapped(body.get("to_device")).get("events")))
        self._note_members(mapped(body.get("rooms")))
        self._note_devices(body)
        known = self.olm.device_store
        strangers = {user for user in senders if user not in known.users or user in self.olm.users_for_key_query}
        strangers |= set(self._writers(mapped(body.get("rooms"))))
        await self._acquaint(strangers)
        if senders:
            self._bell.ring()
        if self.keys.is_work:
            self._work.ring()

    async def _take_messages(self, messages: list[object]) -> set[UserId]:
        """From whom a key came."""
        senders: set[UserId] = set()
        if not messages:
            return senders
        async with self._store.step():
            for number, message in enumerate(messages, 1):
                if (sender := self._take_message(message)) is not None:
                    senders.add(sender)
                if number % EVENTS_PER_BREATH == 0:
                    await asyncio.sleep(0)
        return senders

    def _take_message(self, message: object) -> UserId | None:
        match message:
            case {"type": "m.room.encrypted", "sender": str(sender), "content": {"ciphertext": {**ciphers}}}:
                mine = json.dumps(ciphers.get(self.olm.account.identity_keys["curve25519"]), sort_keys=True)
                if self._store.is_heard(mine):
                    return None
                return UserId(sender) if self._decrypted(message) else None
            case {"type": str(type_), "sender": str(sender), "content": {"code": str(code), **about}} if (
                type_ in _WITHHELD and code in WITHHELD
            ):
                room, session = (str(about.get(key, "")) for key in ("room_id", "session_id"))
                self._store.keep_withheld(room, session, sender, code)
                log.warning("crypto.withheld", room=room, sender=sender, code=code)
                return None
            case _:
                return None

    def _decrypted(self, message: object) -> bool:
        """Whether a key was in it."""
        try:
            event = self.olm.handle_to_device_event(ToDeviceEvent.parse_event(message))
        except Exception as error:  # noqa: BLE001 - whoever sends it may send anything; a stranger must not stop us
            log.warning("crypto.bad_message", error=type(error).__name__)
            return False
        return isinstance(event, RoomKeyEvent)

    def _note_members(self, rooms: Mapping[str, Any]) -> None:
        for name, room in mapped(rooms.get("join")).items():
            timeline = mapped(mapped(room).get("timeline"))
            if timeline.get("limited") is True or any(map(_is_move, listed(timeline.get("events")))):
                self.rooms.moved(RoomId(name))
        for name in mapped(rooms.get("leave")):
            self.rooms.moved(RoomId(name))

    def _note_devices(self, body: Mapping[str, Any]) -> None:
        lists, olm = mapped(body.get("device_lists")), self.olm
        for user in listed(lists.get("changed")):
            if isinstance(user, str):
                self.keys.is_back(UserId(user))
                if user in olm.tracked_users or user in olm.device_store.users:
                    olm.users_for_key_query.add(user)
        for user in listed(lists.get("left")):
            olm.tracked_users.discard(user)  # nobody tells any more what becomes of their devices
        counts = body.get("device_one_time_keys_count")
        if isinstance(counts, dict):
            count = counts.get("signed_curve25519", 0)
            olm.counted(count if isinstance(count, int) else None)

    def _writers(self, rooms: Mapping[str, Any]) -> Iterator[UserId]:
        """Who has written in rooms where it must be known whose device it was, and is not."""
        for name, room in mapped(rooms.get("join")).items():
            yield from self._unmet(RoomId(name), listed(mapped(mapped(room).get("timeline")).get("events")))

    def _unmet(self, room: RoomId, events: Sequence[object]) -> Iterator[UserId]:
        """Of whom it must be known, and is not, which devices they have and which of them are signed."""
        for event in map(mapped, events if self.wants_signed(room) else ()):
            sender = event.get("sender")
            if event.get("type") != ENCRYPTED or not isinstance(sender, str) or sender == self._me:
                continue
            if sender not in self.olm.tracked_users or sender in self.olm.users_for_key_query:
                yield UserId(sender)

    async def _acquaint(self, strangers: set[UserId]) -> None:
        """Know their devices."""
        self.olm.users_for_key_query |= strangers  # beside the sync, where nobody waits for it here
        quick = strangers - self._slow
        if not quick:
            return
        try:
            async with asyncio.timeout(ACQUAINT_SECONDS):
                await self.keys.query(quick)
        except (Unreachable, RateLimited, Refused, TimeoutError) as error:
            self._slow |= quick
            log.warning("crypto.keys_failed", error=str(error) or type(error).__name__, wait_s=0)

    async def meet(self, room: RoomId, events: Sequence[object]) -> None:
        """Know whose devices have written these, before they are looked at. Raises StoreError."""
        await self._acquaint(set(self._unmet(room, events)))

    async def bring_in(self, session: BackedUp) -> None:
        """Keep the key of a session out of a backup, if we have none. Nothing is run by it. Raises StoreError."""
        async with self._store.step():
            is_new = self.olm.import_session(
                session.room_id,
                session.session_id,
                session.sender_key,
                session.sender_claimed_ed25519,
                session.session_key,
            )
        if is_new:
            self._bell.ring()

    async def publish(self) -> None:
        """Let others know our device, if they do not. Raises as `Client.ask`, and StoreError."""
        if not self.olm.account.shared:
            await self.keys.upload()

    # --- what is read

    def read(self, room: RoomId, source: object, me: UserId) -> Step:
        """As `events.read`, also of what is encrypted."""
        if not isinstance(source, Mapping) or source.get("type") != ENCRYPTED or "state_key" in source:
            return read(room, source, me)
        if source.get("content") == {}:
            return Step(None)  # it was taken back
        if source.get("sender") == me:
            return self._own(room, source, me)
        match self._open(room, source):
            case Opened(event):
                return Step(event)
            case Shut():
                return Step(_sealed(room, source))
            case Forged(how):
                log.error("event.forged", room=room, event_id=source.get("event_id"), how=how)
                return Step(forged(room, source, how))

    def _own(self, room: RoomId, source: Source, me: UserId) -> Step:
        said = self.look(room, source, me)
        if said.told is not None:
            return said
        closed = isinstance(unseal(self.olm, room, source, self._said_as), Shut)
        strange = forged(room, source, BY_ANOTHER_PROGRAM)
        return Step(replace(strange, kind=Kind.CLOSED, body="") if closed else strange)

    def look(self, room: RoomId, source: object, me: UserId) -> Step:
        """As `read`, for our own words and for what is only looked at: nothing is asked for, and nothing remembered.

        What stays shut, or is not believed, is nothing.
        """
        if not isinstance(source, Mapping) or source.get("type") != ENCRYPTED or "state_key" in source:
            return read(room, source, me)
        found = unseal(self.olm, room, source, self._said_as)
        if not isinstance(found, Plain) or found.source["type"] not in TYPES:
            return Step(None)
        if self._doubt(room, found) is not None:
            return Step(None)
        told = read(room, found.source, me).told
        return Step(None if told is None or told.kind is Kind.FORGED else replace(told, encrypted=True))

    async def open(self, sealed: Incoming) -> Opening:
        """What a sealed event is, or why it stays shut."""
        source = json.loads(sealed.raw or "{}")
        found = self._open(sealed.room, source)
        if found == Shut(NO_KEY):
            found = Shut(self._store.withheld(sealed.room, session_of(source), sealed.sender) or NO_KEY)
        if self.keys.is_work:  # what it lacks is asked for now, not at the end of a sync that may wait for long
            self._work.ring()
        return found

    def peek(self, room: RoomId, source: Source) -> Content:
        """The content of an event of our own; empty if we cannot read it."""
        found = unseal(self.olm, room, source, lambda *_: None)
        return found.source["content"] if isinstance(found, Plain) else {}

    async def settled(self) -> None:
        """Nothing that says once more what was opened until now is opened."""
        if self._fresh:
            fresh, self._fresh = self._fresh, {}
            try:
                async with self._store.step():
                    self._store.keep_said((session, index, event) for (session, index), event in fresh.items())
            except BaseException:
                self._fresh = {**fresh, **self._fresh}
                raise
        if self.keys.is_work:
            self._work.ring()

    def _open(self, room: RoomId, source: Source) -> Opening:
        found = unseal(self.olm, room, source, self._said_as)
        if isinstance(found, Plain) and (doubt := self._doubt(room, found)) is not None:
            found = Shut(doubt)  # what may be by anybody must not be run: it waits until it is known whose it is
        match found:
            case Plain(plain, session, index):
                self._fresh[session, index] = str(plain["event_id"])
                told = read(room, plain, self._me).told if plain["type"] in TYPES else None
                return Opened(None if told is None else replace(told, encrypted=True))
            case Shut(why):
                if why == UNKNOWN_DEVICE and source["sender"] not in self.olm.tracked_users:
                    self.olm.users_for_key_query.add(source["sender"])
                    found = Shut(UNHEARD_DEVICES)
                elif why in _NEEDS_KEY and self.keys.want(room, source):
                    log.info("crypto.key_wanted", room=room, sender=source["sender"], session=session_of(source))
        return found

    def _doubt(self, room: RoomId, found: Plain) -> str | None:
        """Why what could be read may be by somebody else than its sender."""
        if not found.is_proven:
            return BACKUP_ONLY
        sender = UserId(found.source["sender"])
        if sender == self._me or not self.wants_signed(room) or self.keys.has_signed(sender, found.by):
            return None
        return UNSIGNED_DEVICE if sender in self.olm.tracked_users else UNKNOWN_DEVICE

    def _said_as(self, session: str, index: int) -> str | None:
        return self._fresh.get((session, index)) or self._store.said_as(session, index)

    # --- what is said

    async def encrypt(self, room: RoomId, type_: str, content: Content, may_read: MayRead | None) -> dict[str, Any]:
        """The content of the encrypted event that says this. Raises as `Outbound.send`, and StoreError."""
        return await self.rooms.encrypt(room, type_, content, may_read)

    # --- what is asked

    async def run(self) -> None:
        """Ask for keys and give ours, until cancelled. Raises LoginFailed."""
        failures = 0
        while True:
            nap = LONGEST_NAP
            try:
                await self.keys.do_all()
                failures = 0
            except (Unreachable, RateLimited, Refused, StoreError) as error:
                failures += 1
                nap = _wait(error, failures, self._random)
                log.warning("crypto.keys_failed", error=str(error), wait_s=round(nap, 1))
                await self._clock.sleep(nap)
                continue
            await self._work.wait(nap)

    async def close(self) -> None:
        """No more."""
        await self._store.close()


def _wait(error: AppError, failures: int, random: Random) -> float:
    wait = delay(failures, random)
    return max(wait, error.retry_after) if isinstance(error, RateLimited) else wait


def _is_move(source: object) -> bool:
    """Whether somebody came or went: who changes a name or a picture stays."""
    match source:
        case {
            "type": "m.room.member",
            "content": {"membership": now},
            "unsigned": {"prev_content": {"membership": before}},
        }:
            return bool(now != before)
        case {"type": "m.room.member"}:
            return True
        case _:
            return False


def _sealed(room: RoomId, source: Source) -> Incoming | None:
    match source:
        case {"event_id": str(event), "sender": str(sender)}:
            pass
        case _:
            return None
    kept = {key: source[key] for key in _KEPT if key in source}
    raw = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    if len(raw.encode("utf-8", "replace")) > MAX_RAW:
        raw = json.dumps({**kept, "content": {"session_id": session_of(source)}}, ensure_ascii=False)
    return Incoming(
        event=event,  # type: ignore[arg-type]
        room=room,
        sender=UserId(sender),
        sent_at=sent_at(source),
        kind=Kind.SEALED,
        body=session_of(source),
        raw=raw,
    )
