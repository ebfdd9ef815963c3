"""One room, followed over a long poll: its past first, then what comes."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, TypeVar

from aiagentchat.cli.chat.errors import Encrypted, NotInRoom, NotReachable
from aiagentchat.cli.chat.rest import LONG_POLL_SECONDS, Rest, path
from aiagentchat.cli.chat.timeline import Event, Timeline, events_of
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.rooms import NAMES, meant_by
from aiagentchat.core.backoff import delay
from aiagentchat.core.errors import ConfigError, Refused
from aiagentchat.core.ids import EventId, UserId
from aiagentchat.core.parcels import MESSAGE, REACTION
from aiagentchat.render.hygiene import clean, one_line
from aiagentchat.render.message import reaction

T = TypeVar("T")

HISTORY = 20
"""Messages from before that are shown."""
MOST_PAGES = 10
"""Pages of a hundred events that are read for the history, or to fill a gap: an answer takes up to sixty."""
MOST_EVENTS = 20_000
"""Of the room that are kept to be looked back at."""
_PAGE = "100"
_NAME = 60


class Room:
    """Made by `open_room`."""

    def __init__(self, rest: Rest, id_: str, me: UserId, name: str) -> None:
        self.name = name
        self.me = me
        self.timeline = Timeline(me)
        self.typing: frozenset[UserId] = frozenset()
        self.members: frozenset[UserId] = frozenset()
        """Who is in the room."""
        self.trouble = ""
        """Why nothing new can come at the moment, "" when all is well."""
        self.news = asyncio.Event()
        """Set whenever something has changed."""
        self._rest = rest
        self._id = id_
        self._since = ""
        self._events: list[Event] = []
        self._start: object = None
        """Where what lies before them begins, if there is anything."""
        self._past: tuple[int, Timeline] = 0, Timeline(me)
        self._filter = json.dumps(
            {
                "room": {
                    "rooms": [id_],
                    "timeline": {"limit": int(_PAGE)},
                    "state": {"types": ["m.room.encryption", "m.room.member"], "lazy_load_members": True},
                    "ephemeral": {"types": ["m.typing"]},
                    "account_data": {"types": []},
                },
                "presence": {"types": []},
                "account_data": {"types": []},
            }
        )

    async def begin(self) -> None:
        """See what was said last. Raises Encrypted, or why the homeserver does not tell."""
        with suppress(Refused):
            await self._rest.get(path("rooms", self._id, "state", "m.room.encryption"))
            raise self._encrypted()
        answer = await self._sync(wait=0.0)
        joined = _at(answer, "rooms", "join", self._id)
        timeline = _at(joined, "timeline")
        newest = list(events_of(timeline.get("events")))
        older, self._start = await self._back(
            timeline.get("prev_batch"), lambda events: _said(events) + _said(newest) >= HISTORY
        )
        for event in (*older, *newest):
            self._see(event)
        self._hear(joined)
        in_it = (await self._rest.get(path("rooms", self._id, "joined_members"))).get("joined")
        self.members = frozenset(UserId(user) for user in in_it) if isinstance(in_it, dict) else frozenset()
        self._since = str(answer.get("next_batch", ""))

    async def follow(self) -> None:
        """Take what comes, until cancelled. Survives a homeserver that is away for a while."""
        failures = 0
        while True:
            try:
                await self._take(await self._sync(wait=LONG_POLL_SECONDS))
                failures, self.trouble = 0, ""
            except NotReachable as error:
                failures += 1
                self.trouble = str(error)
                self.news.set()
                await asyncio.sleep(delay(failures, random.random))

    @property
    def has_more(self) -> bool:
        """Whether there is something before what is known."""
        return isinstance(self._start, str) and len(self._events) < MOST_EVENTS

    @property
    def past(self) -> Timeline:
        """Everything that is known of the room, as it reads now; for whoever looks back."""
        count, timeline = self._past
        if count != len(self._events):
            timeline = Timeline(self.me)
            for event in self._events:
                timeline.take(event)
            self._past = len(self._events), timeline
        return timeline

    async def older(self) -> None:
        """Get to know what lies before. What was said since, and what waits for an answer, is not touched by it."""
        if self.has_more:
            events, self._start = await self._back(self._start, lambda found: _said(found) >= HISTORY)
            self._events[:0] = events

    async def until(self, condition: Callable[[], T], *, timeout: float) -> T:
        """Wait until `condition` gives something true, and return that. Raises TimeoutError. For one waiter."""
        async with asyncio.timeout(timeout):
            while not (found := condition()):
                self.news.clear()
                await self.news.wait()
            return found

    async def say(self, text: str, txn: str, *, reply_to: EventId | None = None) -> EventId:
        """Send a text; its id. The same `txn` again says it no second time."""
        content: dict[str, Any] = {"msgtype": "m.text", "body": clean(text), "m.mentions": {}}
        if reply_to is not None:
            content["m.relates_to"] = {"m.in_reply_to": {"event_id": reply_to}}
        return await self._send(MESSAGE, content, txn)

    async def react(self, event: EventId, key: str, txn: str) -> EventId:
        """Put a reaction on a message."""
        return await self._send(REACTION, reaction(event, key), txn)

    async def _send(self, kind: str, content: Mapping[str, Any], txn: str) -> EventId:
        where = path("rooms", self._id, "send", kind, txn)
        return EventId(str((await self._rest.put(where, content)).get("event_id", "")))

    async def _sync(self, *, wait: float) -> dict[str, Any]:
        query = {"timeout": str(int(wait * 1000)), "filter": self._filter, "set_presence": "offline"}
        query |= {"since": self._since} if self._since else {}
        return await self._rest.get("/sync", query, hold=wait)

    async def _take(self, answer: Mapping[str, Any]) -> None:
        if self._id in _at(answer, "rooms", "leave"):
            raise NotInRoom(f"you are no longer in the room {self.name}")
        joined = _at(answer, "rooms", "join", self._id)
        timeline = _at(joined, "timeline")
        events = list(events_of(timeline.get("events")))
        if timeline.get("limited"):
            known = self.timeline.knows
            missed, _ = await self._back(
                timeline.get("prev_batch"), lambda found: any(known(EventId(event["event_id"])) for event in found)
            )
            events = [event for event in (*missed, *events) if not known(EventId(event["event_id"]))]
        for event in events:
            if event.get("type") == "m.room.encryption":
                raise self._encrypted()
            self._see(event)
        for event in events_of(_at(joined, "state").get("events")):
            self._move(event)
        self._hear(joined)
        self._since = str(answer.get("next_batch", self._since))
        self.news.set()

    def _see(self, event: Event) -> None:
        self._events.append(event)
        self.timeline.take(event)
        self._move(event)

    def _move(self, event: Event) -> None:
        """Somebody has come, or gone."""
        if event.get("type") == "m.room.member" and isinstance(user := event.get("state_key"), str):
            is_in = _at(event, "content").get("membership") == "join"
            self.members = self.members | {UserId(user)} if is_in else self.members - {UserId(user)}

    def _hear(self, joined: Mapping[str, Any]) -> None:
        ephemeral = _at(joined, "ephemeral").get("events")
        for event in ephemeral if isinstance(ephemeral, list) else ():
            if event.get("type") == "m.typing":
                self.typing = frozenset(event["content"].get("user_ids", ())) - {self.me}

    async def _back(self, start: object, enough: Callable[[list[Event]], bool]) -> tuple[list[Event], object]:
        """What lies before `start`, oldest first, as far back as is `enough`; and where what is before that begins."""
        newest_first: list[Event] = []
        for _ in range(MOST_PAGES):
            if not isinstance(start, str) or enough(newest_first):
                break
            query = {"dir": "b", "limit": _PAGE, "from": start}
            page = await self._rest.get(path("rooms", self._id, "messages"), query)
            newest_first += events_of(page.get("chunk"))
            start = page.get("end")
        return newest_first[::-1], start

    def _encrypted(self) -> Encrypted:
        return Encrypted(
            f"the room {self.name} is encrypted, and this client cannot read encrypted rooms; "
            "use Element for it, or a room without encryption"
        )


async def open_room(rest: Rest, *, user: str | None, wanted: str | None) -> Room:
    """The room, entered if need be, with what was said last.

    Raises NotDone when it cannot be found or entered, ConfigError when it is not clear which one, or not whose login.
    """
    me = str((await rest.get("/account/whoami")).get("user_id", ""))
    if user and user != me:
        raise ConfigError([f"this login belongs to {one_line(me, _NAME)}, not to {one_line(user, _NAME)}"])
    id_, name = await _entered(rest, wanted) if wanted and wanted[0] in "!#" else await _chosen(rest, wanted)
    room = Room(rest, id_, UserId(me), name)
    await room.begin()
    return room


async def _entered(rest: Rest, wanted: str) -> tuple[str, str]:
    try:
        id_ = str((await rest.post(path("join", wanted), {})).get("room_id", ""))
    except Refused as error:
        raise NotDone(
            f"the room {one_line(wanted, _NAME)} cannot be entered ({error}); is it right, and are you invited?",
            Exit.NOT_ALLOWED if error.status == HTTPStatus.FORBIDDEN else Exit.UNKNOWN,
        ) from error
    return id_, _called(id_, *await _named(rest, id_))


async def _chosen(rest: Rest, wanted: str | None) -> tuple[str, str]:
    listed = (await rest.get("/joined_rooms")).get("joined_rooms")
    ids = [str(id_) for id_ in listed] if isinstance(listed, list) else []
    rooms = [(id_, await _named(rest, id_)) for id_ in ids]
    fitting = [(id_, names) for id_, names in rooms if wanted is None or wanted.lower() in meant_by(*names)]
    if len(fitting) == 1:
        [(id_, names)] = fitting
        return id_, _called(id_, *names)
    if not rooms:
        raise ConfigError(["you are in no room yet; give one you are invited to with --room ID"])
    named = one_line(wanted, _NAME) if wanted else ""
    choices = [f"  {id_}  {_called(id_, *names)}" for id_, names in fitting or rooms]
    if named and not fitting:
        raise NotDone("\n".join([f"no rooms are named {named}; choose one with --room:", *choices]), Exit.UNKNOWN)
    which = f"{len(fitting)} rooms are named {named}" if named else "you are in several rooms"
    raise ConfigError([f"{which}; choose one with --room:", *choices])


async def _named(rest: Rest, id_: str) -> tuple[str, str]:
    """The name and the alias of a room, empty where it has none."""
    found = []
    for kind, field in NAMES.items():
        name = None
        with suppress(Refused):
            name = (await rest.get(path("rooms", id_, "state", kind))).get(field)
        found.append(name if isinstance(name, str) else "")
    return found[0], found[1]


def _called(id_: str, name: str, alias: str) -> str:
    """What people read of it."""
    return next(shown for each in (name, alias, id_) if (shown := one_line(each, _NAME)))


def _said(events: list[Event]) -> int:
    """How many messages are among them; an edit is none."""
    return sum(event.get("type") == MESSAGE and "m.new_content" not in (event.get("content") or {}) for event in events)


def _at(answer: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: Any = answer
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
