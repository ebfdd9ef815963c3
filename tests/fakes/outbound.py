"""Rooms in memory, with the habits of a homeserver; tests/contract/test_outbound.py holds them to a real one."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiagentchat.core.errors import MatrixError, Refused, Unreachable
from aiagentchat.core.ids import EventId, RoomId, TxnId
from aiagentchat.core.parcels import REACTION, TXN_KEY, Content
from tests.fakes.changes import Changes

MAX_EVENT_BYTES = 65_536
NOWHERE = RoomId("")
"""Where an upload goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One event that arrived in a room."""

    event: EventId
    room: RoomId
    type: str
    content: Mapping[str, Any]
    at: int
    """Milliseconds, by the homeserver's clock."""


@dataclass(slots=True)
class FakeRoom:
    """What one sees in a room."""

    joined: bool = True
    invited: bool = False
    encrypted: bool = False
    typing: bool = False
    may_redact: bool = True
    read: dict[str | None, EventId] = field(default_factory=dict)
    """Up to which event we have read, by thread; None: without one."""
    known: dict[TxnId, EventId] = field(default_factory=dict)


class FakeOutbound:
    """The Outbound port."""

    def __init__(self) -> None:
        self.rooms: dict[RoomId, FakeRoom] = {}
        self.said: list[Said] = []
        """Everything that arrived, in the order of arrival."""
        self.asked: list[tuple[str, RoomId]] = []
        """Every request, answered or not, in the order of asking: ("send", room)."""
        self.redacted: list[tuple[EventId, str]] = []
        """What was taken out of a room, and why."""
        self.files: dict[str, bytes] = {}
        """What was uploaded, by its address."""
        self.uploads: list[tuple[str, str]] = []
        """Name and kind of everything that was uploaded."""
        self.upload_limit: int | None = None
        """How many bytes an upload may have."""
        self.now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
        """The homeserver's clock."""
        self._troubles: list[tuple[RoomId | None, MatrixError]] = []
        self._held: dict[RoomId, asyncio.Event] = {}
        self._changes = Changes()

    # --- what a test arranges

    def room(self, room: RoomId, *, joined: bool = True, invited: bool = False, encrypted: bool = False) -> RoomId:
        """A room that exists."""
        self.rooms[room] = FakeRoom(joined=joined, invited=invited, encrypted=encrypted)
        return room

    def fail(self, error: MatrixError, times: int = 1, *, room: RoomId | None = None) -> None:
        """Answer the next requests (into `room`, or any) with `error`."""
        self._troubles += [(room, error)] * times

    def forgive(self) -> None:
        """No more errors."""
        self._troubles.clear()

    def forget(self) -> None:
        """As after half an hour, or to another device: no transaction is known any more."""
        for place in self.rooms.values():
            place.known.clear()

    def hold(self, room: RoomId) -> Callable[[], None]:
        """Do not answer what is sent into `room` until the returned function is called."""
        self._held[room] = asyncio.Event()
        return self._held[room].set

    # --- what a test sees

    def texts(self, room: RoomId | None = None) -> list[str]:
        """The bodies of the messages that arrived (in `room`, or anywhere)."""
        return [said.content["body"] for said in self.said if room in (None, said.room) and "body" in said.content]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` over what was asked and said is true."""
        await self._changes.until(condition)

    async def until_asked(self, times: int) -> None:
        """Wait until so many requests came."""
        await self.until(lambda: len(self.asked) >= times)

    # --- the port

    async def send(self, room: RoomId, type_: str, content: Content, txn: TxnId) -> EventId:
        """Put an event into the room; the same txn again returns the first event."""
        async with self._request("send", room):
            place = self._place(room)
            if place.encrypted:
                raise Refused(f"room {room} is encrypted", ours=True)
            if txn not in place.known:
                self._check(room, type_, content)
                event = EventId(f"$said{len(self.said)}")
                taken = json.loads(json.dumps(content))
                self.said.append(Said(event=event, room=room, type=type_, content=taken, at=self.now_ms()))
                place.known[txn] = event
            return place.known[txn]

    async def redact(self, room: RoomId, event: EventId, reason: str, txn: TxnId) -> EventId:
        """Take what an event says out of the room; the same txn again returns the first redaction."""
        async with self._request("redact", room):
            place = self._place(room)
            if txn in place.known:
                return place.known[txn]
            found = next((said for said in self.said if (said.room, said.event) == (room, event)), None)
            if found is None:
                raise Refused("no such event", status=404, errcode="M_NOT_FOUND")
            if not place.may_redact:
                raise Refused("not enough power", status=403, errcode="M_FORBIDDEN")
            self.said[self.said.index(found)] = replace(found, content={})
            place.known[txn] = EventId(f"$redaction-{txn}")
            self.redacted.append((event, reason))
            return place.known[txn]

    async def typing(self, room: RoomId, on: bool, seconds: float = 30.0) -> None:  # noqa: ARG002 - nothing wears off
        """Show or hide the typing indicator."""
        async with self._request("typing", room):
            self._place(room).typing = on

    async def read_receipt(self, room: RoomId, event: EventId, thread: str | None = None) -> None:
        """Show that all was read up to the event."""
        async with self._request("read_receipt", room):
            self.rooms.setdefault(room, FakeRoom(joined=False)).read[thread] = event

    async def join(self, room: RoomId) -> None:
        """Accept an invite."""
        async with self._request("join", room):
            place = self.rooms.get(room)
            if place is None or not (place.invited or place.joined):
                raise Refused(f"no invite into {room}")
            place.joined = True

    async def leave(self, room: RoomId) -> None:
        """Decline an invite, or leave."""
        async with self._request("leave", room):
            place = self.rooms.get(room)
            if place is None or not (place.invited or place.joined):
                raise Refused(f"not in room {room}", status=403, errcode="M_FORBIDDEN")
            place.joined = place.invited = False

    async def find(self, room: RoomId, txn: TxnId, *, since: int) -> EventId | None:
        """The event of ours that was sent with this txn, if it is in the room's timeline since then."""
        async with self._request("find", room):
            self._place(room)
            found = [said for said in self.said if said.room == room and said.at >= since]
            return next((said.event for said in found if said.content.get(TXN_KEY) == txn), None)

    async def upload(self, room: RoomId, data: bytes, *, name: str, mime: str) -> Content:  # noqa: ARG002 - one place for all
        """Keep a file on the homeserver."""
        async with self._request("upload", NOWHERE):
            if self.upload_limit is not None and len(data) > self.upload_limit:
                raise Refused("upload too large", status=413, errcode="M_TOO_LARGE")
            self.uploads.append((name, mime))
            address = f"mxc://hs/{len(self.files)}"
            self.files[address] = data
            return {"url": address}

    @asynccontextmanager
    async def _request(self, what: str, room: RoomId) -> AsyncIterator[None]:
        self.asked.append((what, room))
        self._changes.tell()
        if room in self._held:
            await self._held[room].wait()
        for trouble in self._troubles:
            if trouble[0] in (None, room):
                self._troubles.remove(trouble)
                raise trouble[1]
        yield
        self._changes.tell()

    def _place(self, room: RoomId) -> FakeRoom:
        place = self.rooms.get(room)
        if place is None or not place.joined:
            raise Refused(f"not in room {room}", status=403, errcode="M_FORBIDDEN")
        return place

    def _check(self, room: RoomId, type_: str, content: Content) -> None:
        if _has_half_a_pair(json.dumps(content, ensure_ascii=False)):
            raise Unreachable("500", status=500, errcode="M_UNKNOWN")
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        if len(text.encode("utf-8", "surrogatepass")) > MAX_EVENT_BYTES - 500:
            raise Refused("event too large", status=413, errcode="M_TOO_LARGE")
        if _has_float(content):
            raise Refused("a float", status=400, errcode="M_BAD_JSON")
        if type_ == REACTION and any(
            said.room == room and _relation(said.content) == _relation(content) for said in self.said
        ):
            raise Refused("the same reaction twice", status=400, errcode="M_DUPLICATE_ANNOTATION")


def _relation(content: Content) -> object:
    return content.get("m.relates_to", {})


def _has_half_a_pair(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def _has_float(value: object) -> bool:
    match value:
        case dict():
            return any(map(_has_float, value.values()))
        case list():
            return any(map(_has_float, value))
        case _:
            return isinstance(value, float)
