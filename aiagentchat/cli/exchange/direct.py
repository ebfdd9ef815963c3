"""Without a gateway: the rooms of `cchat`'s own account, over the homeserver's API.

What is sent is what that account says. With `--to`, or where a program speaks, it carries the protocol's meta, as what
agents say to each other does; else it is a message as a person types it. There is no ledger here: what has become of a
message or a task is what the room itself tells, as far back as it is read.
"""

import json
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any

from aiagentchat.cli.exchange.exits import BY_CODE, Exit, NotDone
from aiagentchat.cli.exchange.homeserver import LONG_POLL_SECONDS, PAGE, Homeserver, MatrixSaysNo
from aiagentchat.cli.exchange.said import edited, edits, folded, redacts, said, sent_at
from aiagentchat.cli.exchange.states import listed, outcome, place_of, receipts, standing
from aiagentchat.cli.exchange.wire import path
from aiagentchat.cli.exchange.wishes import NOTHING_SENT, Json, Search, Words
from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import MOST_BODY, Outgoing, RoomView
from aiagentchat.core.ids import EventId, MessageId, RoomId, TaskId, UserId, txn_id
from aiagentchat.core.instances import INSTANCE, TTL_SECONDS
from aiagentchat.core.meta import META_KEY, VERSION, Address, Meta, MetaKind, Step, address, read_meta, written
from aiagentchat.render.hygiene import clean, one_line, visible

if TYPE_CHECKING:
    from aiagentchat.cli.exchange.rooms import State
    from aiagentchat.core.tasks import Task

MOST_ROOMS = 100
"""Rooms that are looked through for a message or a task: what was said last …"""
MOST_LOOKED = 5
"""… in so many pages of each."""
MOST_HEARD = 1000
"""Messages of a room that is watched that are kept, for the edits of them; of older ones the homeserver is asked."""
_PREFIXES = {"task": "[TASK] ", "question": "[QUESTION] ", "status": "[STATUS] ", "answer": "[ANSWER] "}
_NAME = 60
_WORD = re.compile(r"\w+")
_NOTHING: Mapping[str, Any] = {"types": []}
"""In a filter of a sync."""


class Direct:
    """Speaks, as the account of a login."""

    def __init__(
        self,
        homeserver: Homeserver,
        me: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        by_agent: bool = False,
    ) -> None:
        """`by_agent`: a program speaks. What it says to nobody begins nothing then, whoever's account this is."""
        self._hs = homeserver
        self._me = me
        self._clock = clock
        self._by_agent = by_agent
        self._has_said = False
        """Whether something that was to be said may be in a room."""

    # ── saying something

    def send(self, words: Words, key: str) -> Json:
        """Say something: the message. The same key says it no second time."""
        room = self._plain_room(words.room)
        return self._send(room, words, key)

    def ask(self, words: Words, key: str, seconds: float) -> Json:
        """The same, and wait until it is answered, or for so long: the message as it is by then."""
        if words.to is None:
            raise NotDone("an answer can be waited for only from somebody: say from whom, with --to", Exit.USAGE)
        room = self._plain_room(words.room)
        since = self._since(room)
        message = dict(self._send(room, words, key))
        name, found = str(message["id"]), list[Json]()
        try:
            for events in self._following(room, since, self._clock() + seconds):
                found += events
                if ended := outcome(found, name, str(words.to), str(message["event_id"])):
                    return message | ended
            return message | self._how_far(room, str(message["event_id"]), found)
        except NotDone as error:
            raise NotDone(
                f"message {name} was sent, and there was no answer yet when this came: {error}. cchat status {name} "
                "tells how far it is",
                Exit.NO_ANSWER,
            ) from error

    def _how_far(self, room: str, event: str, heard: Sequence[Json]) -> dict[str, Any]:
        """How far a message of ours has come that is among what was heard."""
        place = next((place for place, each in enumerate(heard) if each.get("event_id") == event), None)
        if place is None or said(heard[place], room) is None:  # it was deleted meanwhile
            return {}
        said_of_it = receipts(self._sync(room, None, 0, ephemeral="m.receipt"), room)
        return standing(heard[place], room, heard[place + 1 :], [*said_of_it], self._now())

    def given_up(self, key: str) -> str:
        """What to say to whoever does not wait for the answer any longer."""
        if not self._has_said:
            return NOTHING_SENT
        return (
            f"the answer is not waited for any longer. What was sent stands: cchat status {_message_id(key)} tells how "
            "far it is"
        )

    def _send(self, room: str, words: Words, key: str) -> Json:
        id_ = _message_id(key)
        content = contents(words, id_, by_agent=self._by_agent)
        if len(content["body"].encode()) > MOST_BODY:
            raise NotDone(f"the message is longer than {MOST_BODY} bytes; nothing was sent", Exit.USAGE)
        sent = self._put(room, content, key)
        return {
            **dict.fromkeys(("in_reply_to", "task", "to", "expires_at"), None),
            **{name: value for name, value in words.given().items() if name not in ("thread", "budget")},
            "id": id_,
            "room": room,
            "caller": self._me,
            "state": "sent",
            "why": "",
            "event_id": sent.get("event_id"),
            "answer": "",
            "answer_event_id": None,
        }

    def send_file(self, room: str, name: str, data: bytes, caption: str, key: str) -> Json:
        """Put a file into a room: its event. The same key puts it there no second time."""
        from aiagentchat.render.file_message import file_message

        where = self._plain_room(room)
        content = file_message(name, data, caption)
        kept = self._hs.upload(data, name=content["filename"], mime=content["info"]["mimetype"])
        content |= {"url": kept} | ({META_KEY: written(Meta(id=_message_id(key)))} if self._by_agent else {})
        return self._put(where, content, key)

    def _put(self, room: str, content: Json, key: str) -> Json:
        self._has_said = True
        try:
            return self._hs.put(path("rooms", room, "send", "m.room.message", txn_id("cchat", key)), content)
        except NotDone as error:
            if error.exit is not Exit.UNCERTAIN or self._by_agent:  # the tools have no keys
                raise
            raise NotDone(
                f"{error} What was sent may have arrived; the same command with --key {visible(key)} says nothing "
                "twice, if it is given within half an hour",
                Exit.UNCERTAIN,
            ) from error

    def status(self, message: str) -> Json:
        """How far a message has come: by what was said after it, and by how far whom it is for has read."""
        for round_ in self._rounds():
            places = [(place_of(events, message, self._me), room, events) for room, events in round_]
            found = [(place, room, events) for place, room, events in places if place is not None]
            if found:
                # Ours first: anybody can say something under an id that was used before.
                place, room, events = max(found, key=lambda each: each[2][each[0]].get("sender") == self._me)
                return self._standing(room, events, place)
        raise NotDone(
            f"message {one_line(visible(message), _NAME)} is not among what was said last in the rooms that you are "
            f"in ({MOST_LOOKED * PAGE} events of each, of encrypted ones none); the daemon that has sent it knows it: "
            "give --config, or --gateway and --token-file",
            Exit.UNKNOWN,
        )

    def _standing(self, room: str, newest_first: Sequence[Json], place: int) -> Json:
        answer = self._sync(room, None, 0, ephemeral="m.receipt")
        known = {event.get("event_id") for event in newest_first}
        new = [event for event in _timeline(answer, room) if event.get("event_id") not in known]
        later = [*reversed(newest_first[:place]), *new]
        return standing(newest_first[place], room, later, [*receipts(answer, room)], self._now())

    # ── tasks

    def tasks(self, room: str | None, *, everything: bool) -> Sequence[Json]:
        """Tasks, the newest first, as far back as the room is read."""
        from aiagentchat.cli.exchange import tasks

        if room is None:
            raise NotDone("without a gateway the tasks of one room are read: say which, with --room", Exit.USAGE)
        return tasks.listed(self._followed(self._plain_room(room)), everything=everything)

    def task(self, task: str) -> Json:
        """What is known of a task, by what was said of it in its room."""
        from aiagentchat.cli.exchange import tasks

        found = self._followed(self._room_of(task)).get(TaskId(task))
        if found is None:
            raise NotDone(f"there is no task {one_line(visible(task), _NAME)} in its room any more", Exit.UNKNOWN)
        return tasks.view(found)

    def assign(self, room: str, to: str, text: str, *, deadline: int | None, key: str) -> Json:
        """Give work to somebody: the task. The same key gives it no second time."""
        from aiagentchat.cli.exchange import tasks
        from aiagentchat.core.tasks import assigned
        from aiagentchat.exchange.drafts import check

        name = TaskId(f"t{txn_id('cchat task', self._me, key)[:12]}")
        words = Words(room=room, body=text, kind="task", to=to, task=name, expires_at=deadline)
        meta = read_meta(contents(words, _message_id(key)))
        assert isinstance(meta, Meta)
        assert meta.to is not None
        where, now = RoomId(self._plain_room(room)), self._now()
        if (known := self._given(where, name)) is not None:
            return tasks.view(known)
        try:
            check(Outgoing(room=where, body=text, kind=meta.kind, to=meta.to, expires_at=deadline), now)
        except ExchangeRefused as no:
            raise NotDone(str(no), BY_CODE[no.code]) from None
        sent = self._send(where, words, key)
        given = assigned(meta, meta.to, where, text, by=self._us, now=now)
        return {**tasks.view(given), "thread": sent["event_id"]}

    def update(self, room: str | None, task: str, step: str, note: str) -> Json:
        """Say what has become of a task that we have given, or work on."""
        from aiagentchat.cli.exchange import tasks
        from aiagentchat.render.threads import in_thread

        where = self._room_of(task) if room is None else self._plain_room(room)
        before = self._followed(where).get(TaskId(task))
        after, parcel = tasks.told(before, task, Step(step), note, us=self._us, now=self._now())
        content = in_thread(parcel.content, after.thread or EventId(""))
        self._hs.put(path("rooms", where, "send", "m.room.message", parcel.txn), content)
        return tasks.view(after)

    def _given(self, room: str, name: TaskId) -> "Task | None":
        """What we have given there before: a homeserver does not know a transaction for long."""
        from aiagentchat.cli.exchange.tasks import speaks_of

        for events in self._said_before(room):
            if any(event.get("sender") == self._me and speaks_of(event, name) for event in events):
                return self._followed(room).get(name)
        return None

    def _followed(self, room: str) -> "dict[TaskId, Task]":
        from aiagentchat.cli.exchange.tasks import followed

        newest_first = [event for events, _ in self._hs.back(room, None) for event in events]
        return followed(reversed(newest_first), room, self._us)

    def _room_of(self, task: str) -> str:
        from aiagentchat.cli.exchange.tasks import concerns, speaks_of

        for round_ in self._rounds():
            said_of = {room: [event for event in events if speaks_of(event, task)] for room, events in round_}
            if found := [room for room, events in said_of.items() if events]:
                return max(found, key=lambda room: any(concerns(event, self._us) for event in said_of[room]))
        raise NotDone(
            f"there is no task {one_line(visible(task), _NAME)} in what was said last in the rooms that you are in "
            f"({MOST_LOOKED * PAGE} events of each, of encrypted ones none); cchat tasks --all --room ROOM looks "
            "further back in one",
            Exit.UNKNOWN,
        )

    @property
    def _us(self) -> Address:
        return Address(UserId(self._me))

    # ── reading

    def read(self, room: str, *, limit: int, before: str | None) -> Json:
        """The last messages of a room: `messages` and `before`."""
        return self._page(self._plain_room(room), limit, before, lambda _: True)

    def history(self, search: Search) -> Json:
        """Messages that are looked for, by reading."""
        if search.room is None:
            raise NotDone("without a gateway one room is read: say which, with --room", Exit.USAGE)
        wanted = [word.lower() for word in _WORD.findall(search.words)]

        def fits(message: Json) -> bool:
            text, meta = str(message["body"]).lower(), message["meta"] or {}
            return (
                all(word in text for word in wanted)
                and search.sender in (None, message["sender"])
                and search.kind in (None, meta.get("kind"))
                and (search.since is None or message["sent_at"] >= search.since)
                and (search.until is None or message["sent_at"] < search.until)
            )

        return self._page(self._plain_room(search.room), search.limit, search.before, fits, search.since)

    def _page(
        self, room: str, limit: int, before: str | None, fits: Callable[[Json], bool], since: int | None = None
    ) -> Json:
        """Pages of the timeline until there is enough; what an edit changes lies before it, or tells of it itself.

        What stands before it goes on before its first message, by that one's id, where a page of the timeline has more.
        """
        newest_first: list[Json] = []
        start: str | None = None
        for events, start in self._hs.back(room, self._before(room, before)):
            newest_first += events
            found = [each for each in folded(reversed(newest_first), room) if fits(each)]
            if len(found) > limit:
                return {"messages": found[-limit:], "before": found[-limit]["event_id"]}
            is_past = since is not None and any(sent_at(event) < since for event in events)
            if len(found) == limit or start is None or is_past:
                return {"messages": found, "before": None if is_past else start}
        return {"messages": [each for each in folded(reversed(newest_first), room) if fits(each)], "before": start}

    def _before(self, room: str, before: str | None) -> str | None:
        """Where in the timeline that is: before an event, or what the homeserver has called it."""
        if before is None or not before.startswith("$"):
            return before
        return str(self._hs.get(path("rooms", room, "context", before), {"limit": 0}).get("start") or "") or None

    def events(self, rooms: Sequence[str], after: str | None) -> Iterator[Json]:
        """What is said, edited and deleted from now on, or after what was seen last."""
        if len(rooms) != 1:
            raise NotDone("without a gateway one room is watched: say which", Exit.USAGE)
        room = self._plain_room(rooms[0])
        since = after or self._since(room)
        heard = _Heard(self._hs, room)
        while True:
            answer = self._sync(room, since, LONG_POLL_SECONDS)
            since = str(answer.get("next_batch", since))
            for kind, message in heard.happened(_timeline(answer, room)):
                yield {"id": since, "event": kind, "data": message}

    # ── who is there

    def who(self) -> Sequence[Json]:
        """Who is in the registry: whoever says so in the state of a room of ours."""
        found: dict[tuple[str, str], Json] = {}
        told, now = self._states(INSTANCE)
        for state in told.values():
            for event in state.values():
                if (entry := instance(event, now)) is not None:
                    found[str(entry["user"]), str(entry["name"])] = entry
        there = {key for key, entry in found.items() if entry["alive"]}
        entries = (_through(entry, there) for entry in found.values())
        return sorted(entries, key=lambda each: (not each["alive"], each["user"], each["name"]))

    # ── rooms

    def rooms(self) -> Sequence[RoomView]:
        """Those that we are in, and what we may do there."""
        from aiagentchat.cli.exchange.rooms import TYPES, view

        return [view(room, state, self._me) for room, state in self._states(*TYPES)[0].items()]

    def _states(self, *types: str) -> "tuple[dict[str, State], int]":
        """The events of these types in the state of all our rooms, in one request; and when that was."""
        from aiagentchat.cli.exchange.rooms import states

        wanted = {"state": {"types": types}, "timeline": {"limit": 1}, "ephemeral": _NOTHING}
        reply = self._hs.get_dated("/sync", _first_sync(wanted))
        return states(reply.body), _milliseconds(reply.date)

    def names(self, rooms: Collection[str]) -> Mapping[str, str]:
        """What those that we are in are called: by their aliases, or else as somebody has named them."""
        from aiagentchat.cli.exchange.rooms import NAMES, names

        called = {room: names(state) for room, state in self._states(*NAMES)[0].items()}
        return {room: found[-1] for room, found in called.items() if found and room in rooms}

    def _joined(self) -> list[str]:
        found = self._hs.get("/joined_rooms").get("joined_rooms")
        return [str(each) for each in found] if isinstance(found, list) else []

    def _rounds(self) -> Iterator[list[tuple[str, list[Json]]]]:
        """What was said in our rooms, newest first; a page more of each in every round, as what is sought is new."""
        rooms = self._joined()[:MOST_ROOMS]
        for round_ in zip_longest(*map(self._said_before, rooms)):
            yield [(room, events) for room, events in zip(rooms, round_, strict=True) if events is not None]

    def _said_before(self, room: str) -> Iterator[list[Json]]:
        events: list[Json] = []
        with suppress(MatrixSaysNo):  # we may have left it meanwhile
            for page, _ in islice(self._hs.back(room, None), 0 if self._is_encrypted(room) else MOST_LOOKED):
                events += page
                yield events

    def _plain_room(self, wanted: str) -> str:
        """Its id. Raises NotDone, also for a room that is encrypted: there are no keys here."""
        room = self._room(wanted)
        if not self._is_encrypted(room):
            return room
        raise NotDone(
            f"the room {one_line(visible(wanted), _NAME)} is encrypted, and cchat has no keys without a gateway; "
            "nothing was sent or read. The daemon can, if it is in there: ask its gateway",
            Exit.ENCRYPTED,
        )

    def _is_encrypted(self, room: str) -> bool:
        try:
            self._hs.get(path("rooms", room, "state", "m.room.encryption"))
        except MatrixSaysNo as no:
            if no.exit is Exit.UNKNOWN:
                return False
            raise
        return True

    def _room(self, wanted: str) -> str:
        from aiagentchat.cli.exchange.rooms import NAMES, short_names

        joined = self._joined()
        if wanted in joined:
            return wanted
        if wanted[:1] in ("!", "#"):
            if wanted.startswith("#"):
                known = self._with_alias(wanted)
                if known in joined:
                    return known
            return str(self._hs.post(path("join", wanted), {}).get("room_id", ""))
        found = [room for room, state in self._states(*NAMES)[0].items() if wanted.lower() in short_names(state)]
        if len(found) == 1:
            return found[0]
        which = f"{len(found)} rooms that you are in are" if found else "no room that you are in is"
        raise NotDone(
            f"{which} called {one_line(visible(wanted), _NAME)}; give its id or an alias",
            Exit.USAGE if found else Exit.UNKNOWN,
        )

    def _with_alias(self, alias: str) -> str:
        try:
            return str(self._hs.get(path("directory", "room", alias)).get("room_id", ""))
        except MatrixSaysNo as no:
            if no.exit is Exit.UNKNOWN:
                raise NotDone(f"no room has the alias {one_line(visible(alias), _NAME)}", Exit.UNKNOWN) from no
            raise

    # ── following

    def _since(self, room: str) -> str:
        return str(self._sync(room, None, 0).get("next_batch", ""))

    def _now(self) -> int:
        return _milliseconds(self._hs.get_dated("/joined_rooms").date)

    def _sync(self, room: str, since: str | None, seconds: float, *, ephemeral: str | None = None) -> Json:
        passing = {"types": [ephemeral] if ephemeral else []}
        only = {"rooms": [room], "timeline": {"limit": PAGE}, "state": _NOTHING, "ephemeral": passing}
        if since is None:
            return self._hs.get("/sync", _first_sync(only))
        query = {"timeout": int(seconds * 1000), "filter": _filter(only), "set_presence": "offline", "since": since}
        return self._hs.get("/sync", query, hold=seconds)

    def _following(self, room: str, since: str, end: float) -> Iterator[list[Json]]:
        while (left := end - self._clock()) > 0:
            answer = self._sync(room, since, min(LONG_POLL_SECONDS, left))
            since = str(answer.get("next_batch", since))
            yield _timeline(answer, room)


class _Heard:
    """What was heard while somebody watches a room, so that what changes a message can be told as that message."""

    def __init__(self, homeserver: Homeserver, room: str) -> None:
        self._hs = homeserver
        self._room = room
        self._messages: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._edits: dict[str, str] = {}
        """The last edit of each message that has one."""

    def happened(self, events: Iterable[Json]) -> Iterator[tuple[str, Json]]:
        """What was said, edited and deleted, each message as it reads then."""
        for event in events:
            if (gone := self._heard_of(redacts(event))) is not None and gone["body"]:
                self._keep({**gone, "body": ""})
                yield "deleted", {**gone, "body": ""}
            if event.get("type") != "m.room.message":
                continue
            if message := said(event, self._room):
                self._keep(message)
                yield "message", message
                continue
            known = self._known(edits(event))
            if known is not None and known["body"] and (now := edited(known, event)) is not known:
                self._keep(now)
                self._edits[now["event_id"]] = str(event.get("event_id", ""))
                yield "edited", now

    def _heard_of(self, deleted: str) -> dict[str, Any] | None:
        """The message of which that is gone, if it was heard: itself, or the edit that it reads as."""
        edited_by_it = (message for message, edit in self._edits.items() if edit == deleted)
        return self._messages.get(deleted) or self._messages.get(next(edited_by_it, ""))

    def _keep(self, message: dict[str, Any]) -> None:
        self._messages[message["event_id"]] = message
        self._messages.move_to_end(message["event_id"])
        if len(self._messages) > MOST_HEARD:
            name, _ = self._messages.popitem(last=False)
            self._edits.pop(name, None)

    def _known(self, target: str) -> dict[str, Any] | None:
        if not target or target in self._messages:
            return self._messages.get(target)
        try:
            return said(self._hs.get(path("rooms", self._room, "event", target)), self._room)
        except MatrixSaysNo:
            return None


def contents(words: Words, id_: MessageId, *, by_agent: bool = False) -> dict[str, Any]:
    """The content of the event that says it; what an agent says, it says as one, whoever it is for."""
    prefix = _PREFIXES.get(words.kind, "")
    body = clean(words.body if words.body.startswith(prefix) else f"{prefix}{words.body}")
    content: dict[str, Any] = {"msgtype": "m.text", "body": body, "m.mentions": {}}
    if by_agent:
        from aiagentchat.render.message import message  # with Markdown, which takes a while

        content = message(body, notice=words.kind == MetaKind.STATUS)
    if words.thread is not None:
        content["m.relates_to"] = {"rel_type": "m.thread", "event_id": words.thread}
    if words.to is None and not by_agent:
        return content
    to = None if words.to is None else address(words.to)
    if words.to is not None and to is None:
        raise NotDone(f"--to {visible(words.to)}: write @user:server or @user:server/instance", Exit.USAGE)
    meta = Meta(
        id=id_,
        kind=MetaKind(words.kind),
        to=to,
        in_reply_to=None if words.in_reply_to is None else MessageId(words.in_reply_to),
        task=None if words.task is None else TaskId(words.task),
        budget=words.budget,
        expires_at=words.expires_at,
    )
    mentions = {} if to is None else {"user_ids": [to.user]}
    return content | {"m.mentions": mentions, META_KEY: written(meta)}


def instance(event: object, now: int) -> Json | None:
    """An entry of the registry, if it is one, and its key says that it is its sender's."""
    if not isinstance(event, Mapping) or event.get("type") != INSTANCE:
        return None
    content, sender, key = event.get("content"), event.get("sender"), event.get("state_key")
    if not isinstance(content, Mapping) or not isinstance(sender, str) or not isinstance(key, str):
        return None
    if content.get("version") != VERSION:
        return None
    to = address(key.removeprefix("_"))
    if to is None or to.instance is None or to.user != sender or not key.startswith("_"):
        return None
    status, seen = str(content.get("status", "online")), sent_at(event)
    timed = content.get("timed") is not False
    return {
        "user": sender,
        "name": to.instance,
        "address": str(to),
        "kind": str(content.get("kind", "daemon")),
        "host": str(content.get("host", "")),
        "rooms": _texts(content.get("rooms")),
        "skills": _texts(content.get("skills")),
        "status": status,
        "version": str(content.get("software", "")),
        "seen_at": seen,
        "via": content.get("via"),
        "alive": status != "offline" and (not timed or now - seen <= TTL_SECONDS * 1000),
    }


def _through(entry: Json, there: Collection[tuple[str, str]]) -> Json:
    """A session is there no longer than the daemon that it speaks through."""
    via = entry.get("via")
    gone = isinstance(via, str) and (str(entry["user"]), via) not in there
    return {name: value for name, value in entry.items() if name != "via"} | ({"alive": False} if gone else {})


def _message_id(key: str) -> MessageId:
    return MessageId(f"m{txn_id('cchat', key)}")


def _first_sync(room: Mapping[str, Any]) -> dict[str, Any]:
    """What a sync from the beginning is asked with: Synapse answers the same request for two minutes from a cache."""
    return {"timeout": 0, "filter": _filter(room, uuid.uuid4().hex), "set_presence": "offline"}


def _filter(room: Mapping[str, Any], nonce: str | None = None) -> str:
    nobody = _NOTHING if nonce is None else {**_NOTHING, "not_types": [nonce]}
    return json.dumps({"presence": nobody, "account_data": _NOTHING, "room": {**room, "account_data": _NOTHING}})


def _timeline(answer: Json, room: str) -> list[Json]:
    return listed(answer, "rooms", "join", room, "timeline", "events")


def _milliseconds(date: str) -> int:
    """The header that every answer has. Without one, our own clock."""
    try:
        return int(parsedate_to_datetime(date).timestamp() * 1000)
    except (TypeError, ValueError):
        return int(time.time() * 1000)


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
