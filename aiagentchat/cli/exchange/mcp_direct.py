"""`cchat mcp` without a gateway: the same tools, for the account of `cchat login`, which asks the homeserver itself.

The tools ask an Exchange, and this is one over what every other command without a gateway speaks with (`direct.py`).
There is one caller, whoever runs it: what it may do, the homeserver says. What it says has the meta of the protocol,
because a program says it: what is for nobody begins nothing. No registry lists it, for that needs power in a room.
"""

import asyncio
import concurrent.futures
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from mcp import types
from mcp.server.stdio import stdio_server

from aiagentchat.cli.exchange.direct import Direct
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.homeserver import Homeserver
from aiagentchat.cli.exchange.logins import Login
from aiagentchat.cli.exchange.mcp import AUDIENCE, read_here, result
from aiagentchat.cli.exchange.running import say_direct
from aiagentchat.cli.exchange.wishes import Json, Search, Words
from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import EVERYTHING, Caller, Message, MessageState, Outgoing, Page, RoomView, Said, Wanted
from aiagentchat.core.ids import CallerName, EventId, InstanceName, MessageId, RoomId, TaskId, UserId
from aiagentchat.core.instances import Instance, InstanceKind
from aiagentchat.core.meta import META_KEY, Address, Meta, MetaKind, Step, address, read_meta
from aiagentchat.core.tasks import Ours, Task, TaskState
from aiagentchat.exchange.tool_fields import WrongArgumentError
from aiagentchat.exchange.tools import MOST_ASK_SECONDS, Desk, Given, Told, call
from aiagentchat.gateway.mcp_protocol import server_of
from aiagentchat.render.file_words import SENT

T = TypeVar("T")

CALL_SECONDS = 60.0
"""How long one call asks the homeserver, beside what `ask` waits …"""
LAST_ANSWER_SECONDS = 45.0
"""… and how long the last of its requests may still take."""
AT_ONCE = 8
"""Calls that ask at the same time; the others wait for them."""
MOST_PLACES = 10_000
"""Messages shown before which somebody may read on; the oldest are forgotten."""

ALONE = (
    " There is no gateway: you speak as the account {me} itself, and `who` does not list you. Encrypted rooms are "
    "closed to you. `history` and `tasks` read one room each."
)
_CODES: Mapping[Exit, str] = {
    Exit.UNKNOWN: "unknown",
    Exit.NOT_ALLOWED: "not_allowed",
    Exit.ENCRYPTED: "not_allowed",
    Exit.USAGE: "invalid",
    Exit.CONFLICT: "conflict",
    Exit.FULL: "full",
}
"""All else is `unavailable`."""
_IN_DOUBT = "What you asked for may have been done: look with `read` before you do it again."
_MORE: Mapping[Exit, str] = {
    Exit.UNCERTAIN: _IN_DOUBT,
    Exit.UNREACHABLE: "Nothing was done.",
    Exit.LOGIN: "This session goes on with the old one: it has to be started anew then.",
}
_SLOW = "The homeserver took too long."
_BUSY = f"{AT_ONCE} calls of this session are under way, and none of them ended in time. Nothing was done."
_WHICH = "Without a gateway one room is read: say which `room`."
_NO_PLACE = (
    "before: this session has not named that place in the room, or has forgotten it. Leave it out to begin anew."
)


class DirectExchange:
    """The Exchange port, for one caller."""

    def __init__(self, direct: Callable[[float], Direct], *, seconds: float = CALL_SECONDS) -> None:
        """`direct` gives one that begins nothing any more at that moment, by the clock of `time.monotonic`."""
        self._direct = direct
        self._seconds = seconds
        self._free = asyncio.Semaphore(AT_ONCE)
        self._places: OrderedDict[int, tuple[RoomId, str]] = OrderedDict()
        """Where somebody may read on: the tools know numbers, and the homeserver texts."""
        self._last_place = 0

    async def rooms(self, _: Caller) -> Sequence[RoomView]:
        """Those that the account is in."""
        return await self._do(lambda direct: direct.rooms())

    async def send(self, _: Caller, outgoing: Outgoing, *, key: str | None = None) -> Message:
        """Say it: it is in the room when this returns."""
        return message_of(await self._do(lambda direct: direct.send(_words(outgoing), key or _new_key()), speaks=True))

    async def status(self, _: Caller, message: MessageId) -> Message:
        """How far it has come."""
        return message_of(await self._do(lambda direct: direct.status(message)))

    async def ask(self, _: Caller, outgoing: Outgoing, *, seconds: float, key: str | None = None) -> Message:
        """Say it, and wait until it is over, or for so long: then it is what it is by then."""
        seconds = min(seconds, MOST_ASK_SECONDS)
        words, name = _words(outgoing), key or _new_key()
        said = await self._do(lambda direct: direct.ask(words, name, seconds), seconds=seconds, speaks=True)
        return message_of(said)

    async def read(self, _: Caller, room: RoomId, *, limit: int, before: int | None = None) -> Page:
        """The last messages of a room."""
        place = self._place(room, before)
        return self._page(room, await self._do(lambda direct: direct.read(room, limit=limit, before=place)))

    async def history(self, _: Caller, wanted: Wanted) -> Page:
        """Messages of one room that are looked for."""
        if len(wanted.rooms) != 1:
            raise ExchangeRefused("invalid", _WHICH)
        [room] = wanted.rooms
        search = Search(
            words=wanted.words,
            room=room,
            sender=wanted.sender,
            kind=wanted.kind,
            since=wanted.since,
            until=wanted.until,
            before=self._place(room, wanted.before),
            limit=wanted.limit,
        )
        return self._page(room, await self._do(lambda direct: direct.history(search)))

    async def who(self, _: Caller) -> Sequence[tuple[Instance, bool]]:
        """Who is in the registry, and whether each is there."""
        found = await self._do(lambda direct: direct.who())
        return [(instance_of(each), bool(each["alive"])) for each in found]

    async def tasks(self, caller: Caller, room: RoomId | None = None, *, everything: bool = False) -> Sequence[Task]:
        """Tasks of one room, the newest first."""
        if room is None:
            known = await self.rooms(caller)
            if len(known) != 1:
                raise ExchangeRefused("invalid", _WHICH)
            room = known[0].room
        where = room
        return [task_of(each) for each in await self._do(lambda direct: direct.tasks(where, everything=everything))]

    async def assign_task(
        self,
        _: Caller,
        room: RoomId,
        to: Address,
        text: str,
        *,
        deadline: int | None = None,
        key: str | None = None,
    ) -> Task:
        """Give work to somebody."""
        name = key or _new_key()
        return task_of(
            await self._do(lambda direct: direct.assign(room, str(to), text, deadline=deadline, key=name), speaks=True)
        )

    async def update_task(self, _: Caller, room: RoomId, task: TaskId, step: Step, note: str) -> Task:
        """Say what has become of a task that the account has given, or works on."""
        return task_of(await self._do(lambda direct: direct.update(room, task, step, note), speaks=True))

    async def put_file(self, room: RoomId, name: str, data: bytes, caption: str) -> None:
        """Put a file into a room: it is there when this returns."""
        await self._do(lambda direct: direct.send_file(room, name, data, caption, _new_key()), speaks=True)

    # --- within

    async def _do(self, do: Callable[[Direct], T], *, seconds: float = 0.0, speaks: bool = False) -> T:
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise ExchangeRefused("full", _BUSY) from None
        until = time.monotonic() + self._seconds + seconds
        loop = asyncio.get_running_loop()

        def free() -> None:
            with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                loop.call_soon_threadsafe(self._free.release)

        try:
            async with asyncio.timeout(self._seconds + seconds + LAST_ANSWER_SECONDS):
                return await in_thread(lambda: do(self._direct(until)), at_end=free)
        except NotDone as error:
            raise refused(error) from None
        except TimeoutError:
            raise ExchangeRefused("unavailable", f"{_SLOW} {_IN_DOUBT}" if speaks else _SLOW) from None

    def _page(self, room: RoomId, page: Json) -> Page:
        messages = tuple(self._said(room, each) for each in page["messages"])
        before = page["before"]
        return Page(messages=messages, before=None if before is None else self._placed(room, str(before)))

    def _said(self, room: RoomId, said: Json) -> Said:
        meta = read_meta({META_KEY: said["meta"]}) if said["meta"] else None
        return Said(
            position=self._placed(room, said["event_id"]),
            event=EventId(said["event_id"]),
            room=room,
            sender=UserId(said["sender"]),
            sent_at=said["sent_at"],
            kind=said["kind"],
            body=said["body"],
            meta=meta if isinstance(meta, Meta) else None,
            by_agent=said["by_agent"],
            edited_at=said["edited_at"],
        )

    def _placed(self, room: RoomId, place: str) -> int:
        self._last_place += 1
        self._places[self._last_place] = (room, place)
        if len(self._places) > MOST_PLACES:
            self._places.popitem(last=False)
        return self._last_place

    def _place(self, room: RoomId, number: int | None) -> str | None:
        if number is None:
            return None
        where, place = self._places.get(number, (None, ""))
        if where != room:
            raise ExchangeRefused("invalid", _NO_PLACE)
        return place


async def in_thread(do: Callable[[], T], *, at_end: Callable[[], None] = lambda: None) -> T:
    """As `asyncio.to_thread`, in a thread for which the end of the program does not wait.

    Who gives it up does not end it: `at_end` is called when it ends, there.
    """
    done: concurrent.futures.Future[T] = concurrent.futures.Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            done.set_result(do())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            done.set_exception(error)
        finally:
            at_end()

    try:
        threading.Thread(target=run, name="homeserver", daemon=True).start()
    except RuntimeError:  # there may be no more threads
        at_end()
        raise
    return await asyncio.wrap_future(done)


# ── in the words of the exchange ──────────────────────────────────────────────────────────────────────────────────


def refused(error: NotDone) -> ExchangeRefused:
    """What a caller is told, and whether what was asked for may have been done."""
    text = str(error)
    sentence = text if text.startswith("http") else f"{text[:1].upper()}{text[1:]}"
    end = "" if text.endswith((".", "?", "!")) else "."
    more = f" {_MORE[error.exit]}" if error.exit in _MORE else ""
    return ExchangeRefused(_CODES.get(error.exit, "unavailable"), f"{sentence}{end}{more}")


def message_of(said: Json) -> Message:
    """A message of ours."""
    meta = Meta(id=MessageId(said["id"]), kind=MetaKind(said["kind"]), to=address(said["to"]))
    return Message(
        meta=meta,
        room=RoomId(said["room"]),
        caller=CallerName(said["caller"]),
        body=said["body"],
        state=MessageState(said["state"]),
        why=said["why"],
        event=said["event_id"],
        answer=said["answer"],
        answer_event=said["answer_event_id"],
    )


def task_of(said: Json) -> Task:
    """A task."""
    return Task(
        id=TaskId(said["id"]),
        room=RoomId(said["room"]),
        thread=said["thread"],
        title=said["title"],
        by=_address(said["by"]),
        to=_address(said["to"]),
        ours=Ours(said["ours"]),
        state=TaskState(said["state"]),
        note=said["note"],
        deadline=said["deadline"],
        created_at=said["created_at"],
        changed_at=said["changed_at"],
    )


def _address(said: str) -> Address:
    return address(said) or Address(UserId(said))


def instance_of(said: Json) -> Instance:
    """An entry of the registry."""
    kind = InstanceKind.SESSION if said["kind"] == InstanceKind.SESSION else InstanceKind.DAEMON
    return Instance(
        user=UserId(said["user"]),
        name=InstanceName(said["name"]),
        kind=kind,
        host=said["host"],
        rooms=tuple(said["rooms"]),
        skills=tuple(said["skills"]),
        status=said["status"],
        version=said["version"],
        seen_at=said["seen_at"],
    )


def _words(outgoing: Outgoing) -> Words:
    return Words(
        room=outgoing.room,
        body=outgoing.body,
        kind=outgoing.kind,
        to=None if outgoing.to is None else str(outgoing.to),
        in_reply_to=outgoing.in_reply_to,
        task=outgoing.task,
        thread=outgoing.thread,
        expires_at=outgoing.expires_at,
        budget=outgoing.budget,
    )


def _new_key() -> str:
    return uuid.uuid4().hex


# ── the server ────────────────────────────────────────────────────────────────────────────────────────────────────


class Session:
    """Somebody with a login and a folder, at the tools."""

    def __init__(self, exchange: DirectExchange, me: str, folder: Path) -> None:
        self._exchange = exchange
        self._folder = folder
        caller = Caller(name=CallerName(me), everywhere=EVERYTHING)
        self._desk = Desk(exchange=exchange, caller=caller, now_ms=_now_ms, put_file=self._put_file)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        """Use a tool. Never raises."""
        return result(await call(self._desk, AUDIENCE, name, arguments))

    async def _put_file(self, _: Caller, room: RoomId, given: Given) -> Told:
        try:
            name, data = await asyncio.to_thread(read_here, self._folder, given["path"])
        except WrongArgumentError as error:
            return Told(str(error), failed=True)
        await self._exchange.put_file(room, name, data, given.get("caption", ""))
        return Told(SENT)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def directly(login: Login, folder: Path) -> None:
    """Serve on stdin and stdout, until stdin ends. Raises NotDone."""
    say_direct(login)

    def direct(until: float) -> Direct:
        hs = Homeserver(login.homeserver, login.access_token, until=until)
        return Direct(hs, login.user_id, by_agent=True)

    direct(0.0)  # an address that makes no sense is said at once
    session = Session(DirectExchange(direct), login.user_id, folder)
    server = server_of(AUDIENCE, session.call, more=ALONE.format(me=login.user_id))
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())
