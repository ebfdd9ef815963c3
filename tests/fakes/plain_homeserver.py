"""A homeserver with plain rooms, as `cchat` asks it without a gateway: `cli.exchange.homeserver.Homeserver`."""

from collections.abc import Iterator, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.homeserver import MatrixSaysNo
from aiagentchat.cli.exchange.wire import Reply
from aiagentchat.cli.exchange.wishes import Json
from aiagentchat.core.parcels import TXN_KEY

NOW = 1_764_120_000_000
PAGE = 3
"""Events of a page."""


class PlainHomeserver:
    """Says what was said, and takes what is put. Each event is a second younger than the one before it."""

    def __init__(self, me: str, *rooms: str) -> None:
        self.me = me
        self.rooms: dict[str, list[dict[str, Any]]] = {room: [] for room in rooms}
        self.encrypted: set[str] = set()
        self.closed: set[str] = set()
        """Rooms into which the account may not send."""
        self.names: dict[str, str] = {}
        self.instances: dict[str, list[Json]] = {}
        """What the state of each room has of the registry."""
        self.files: dict[str, bytes] = {}
        """What was uploaded, by where it is."""
        self.problem: NotDone | None = None
        """What comes of whatever is asked of it …"""
        self.problem_with_puts: NotDone | None = None
        """… and of whatever is put."""
        self.left: set[str] = set()
        """Rooms that the account was in a moment ago."""
        self.receipts: dict[str, dict[str, Any]] = {}
        """The content of the `m.receipt` of each room."""
        self.now = NOW
        self.asked: list[str] = []
        self.filters: list[str] = []
        """Of the syncs."""
        self._sent: dict[str, str] = {}

    def say(self, room: str, sender: str, content: Mapping[str, Any], **more: Any) -> str:
        """Something is said; the event's id."""
        self.now += 1000
        name = f"${sum(map(len, self.rooms.values()))}"
        event = {"type": "m.room.message", "event_id": name, "sender": sender, "origin_server_ts": self.now}
        self.rooms[room].append({**event, "content": {"msgtype": "m.text", **content}, **more})
        return name

    def hear(self, room: str, sender: str, content: Mapping[str, Any], thread: str | None) -> str:
        """A daemon puts a parcel into a room."""
        relation = {} if thread is None else {"m.relates_to": {"rel_type": "m.thread", "event_id": thread}}
        return self.say(room, sender, {**content, **relation, TXN_KEY: "t"})

    def forget_transactions(self) -> None:
        """As the real one does after half an hour."""
        self._sent.clear()

    def read_to(self, room: str, user: str, event: str, thread: str | None = None) -> None:
        """Somebody's client, or daemon, says how far it has read."""
        how = {"ts": self.now} if thread is None else {"ts": self.now, "thread_id": thread}
        self.receipts.setdefault(room, {}).setdefault(event, {}).setdefault("m.read", {})[user] = how

    def get(self, where: str, query: Mapping[str, object] | None = None, *, hold: float = 0.0) -> Json:  # noqa: ARG002
        """As the real one."""
        self.asked.append(where)
        if self.problem is not None:
            raise self.problem
        match [unquote(part) for part in where.split("/")[1:]]:
            case ["joined_rooms"]:
                return {"joined_rooms": [*self.rooms]}
            case ["rooms", room, *_] if room in self.left:
                raise MatrixSaysNo("you are not there", Exit.NOT_ALLOWED)
            case ["rooms", room, "state", "m.room.encryption"] if room in self.encrypted:
                return {"algorithm": "m.megolm.v1.aes-sha2"}
            case ["rooms", room, "context", name]:
                place = [event["event_id"] for event in reversed(self.rooms[room])].index(name)
                return {"start": str(place + 1)}
            case ["sync"]:
                self.filters.append(str((query or {}).get("filter")))
                return {"next_batch": "s", "rooms": {"join": {room: self._joined(room) for room in self.rooms}}}
            case _:
                raise MatrixSaysNo("no", Exit.UNKNOWN)

    def get_dated(self, where: str, query: Mapping[str, object] | None = None) -> Reply:
        """As the real one."""
        return Reply(200, dict(self.get(where, query)), formatdate(self.now / 1000, usegmt=True))

    def put(self, where: str, body: Mapping[str, Any]) -> Json:
        """As the real one: what has been said under that transaction is not said again."""
        if (problem := self.problem or self.problem_with_puts) is not None:
            raise problem
        match [unquote(part) for part in where.split("/")[1:]]:
            case ["rooms", room, "send", *_] if room in self.closed:
                raise MatrixSaysNo("M_FORBIDDEN: You may not.", Exit.NOT_ALLOWED)
            case ["rooms", room, "send", "m.room.message", txn]:
                if where not in self._sent:
                    self._sent[where] = self.say(room, self.me, body, unsigned={"transaction_id": txn})
                return {"event_id": self._sent[where]}
            case _:
                raise AssertionError(where)

    def upload(self, data: bytes, *, name: str, mime: str) -> str:
        """As the real one."""
        where = f"mxc://hs/{len(self.files)}-{name}-{mime.replace('/', '.')}"
        self.files[where] = data
        return where

    def back(self, room: str, start: str | None) -> Iterator[tuple[list[Json], str | None]]:
        """As the real one, in smaller pages."""
        newest_first = [self._bundled(room, event) for event in reversed(self.rooms[room])]
        for first in range(int(start or 0), max(1, len(newest_first)), PAGE):
            self.asked.append(f"/rooms/{room}/messages")
            is_last = first + PAGE >= len(newest_first)
            yield newest_first[first : first + PAGE], None if is_last else str(first + PAGE)

    def _bundled(self, room: str, event: dict[str, Any]) -> Json:
        """As a timeline has it: with its last edit, wherever that stands. tests/e2e/test_cchat asks the real one."""
        edits = [each for each in self.rooms[room] if each["sender"] == event["sender"] and _edits(each, event)]
        if not edits:
            return event
        last = max(edits, key=lambda each: (each["origin_server_ts"], each["event_id"]))
        return {**event, "unsigned": {**event.get("unsigned", {}), "m.relations": {"m.replace": last}}}

    def _joined(self, room: str) -> Json:
        ephemeral = [{"type": "m.typing", "content": {}}, {"type": "m.receipt", "content": self.receipts.get(room, {})}]
        timeline = {"events": self.rooms[room][-PAGE:]}
        return {"state": {"events": self._state(room)}, "timeline": timeline, "ephemeral": {"events": ephemeral}}

    def _state(self, room: str) -> list[Json]:
        levels = {"users": {self.me: 0}, "events_default": 50 if room in self.closed else 0}
        contents = {
            "m.room.create": {"room_version": "11"},
            "m.room.power_levels": levels,
            **({"m.room.name": {"name": self.names[room]}} if room in self.names else {}),
            **({"m.room.encryption": {"algorithm": "m.megolm.v1.aes-sha2"}} if room in self.encrypted else {}),
        }
        events = [
            {"type": kind, "state_key": "", "sender": "@maker:hs", "content": content}
            for kind, content in contents.items()
        ]
        return [*events, *self.instances.get(room, [])]


def _edits(event: Json, target: Json) -> bool:
    relates = event["content"].get("m.relates_to") or {}
    return (relates.get("rel_type"), relates.get("event_id")) == ("m.replace", target["event_id"])
