"""Answers callers, whoever they are and wherever they ask: at the gateway, or with a tool from inside a run.

What a caller may not know of does not exist for it; what it may not do there is refused, with a sentence.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import OVER, Caller, Message, Outgoing, Page, RoomView, Scope, Wanted
from aiagentchat.core.ids import MessageId, RoomId, TaskId, new_message_id
from aiagentchat.core.instances import Instance
from aiagentchat.core.meta import STARTS, Address, MetaKind, Step
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.directory import Directory
from aiagentchat.core.ports.messages import Messages
from aiagentchat.core.tasks import Task
from aiagentchat.exchange.drafts import begins, check, digest, draft

MOST_OPEN_IN_ROOM = 200
"""Messages of one caller that are not over, in one room …"""
MOST_OPEN = 1000
"""… and in all rooms."""
MOST_PAGE = 500
MOST_ASK_SECONDS = 3600.0
LOOK_SECONDS = 1.0
"""How often who waits for an answer looks, should the bell have rung for somebody else."""

_NO_ROOM = "There is no such room."
_NO_MESSAGE = "There is no such message."
_NO_ANSWER = (
    "kind: an answer is said by whom the message was for. What was for this daemon is answered by its turns; to answer "
    "what was for a session of yours, speak as it."
)
_VERBS = {Scope.READ: "read what is said", Scope.SEND: "send", Scope.RUN: "begin turns"}


class Reading(Protocol):
    """What was said in rooms: from memory, from the ledger, and from the homeserver."""

    async def read(self, room: RoomId, limit: int, before: int | None = None) -> Page:
        """The last messages of a room, or those before that place. Raises `ExchangeRefused`."""
        ...

    async def search(self, wanted: Wanted) -> Page:
        """Messages that are looked for, in the rooms that `wanted` names."""
        ...


class TaskDesk(Protocol):
    """Tasks, for callers who may see the room, and read or send there."""

    async def tasks(self, caller: Caller, room: RoomId | None = None, *, everything: bool = False) -> Sequence[Task]:
        """As `core.ports.exchange.Exchange` has it, as are the others."""
        ...

    async def assign_task(
        self,
        caller: Caller,
        room: RoomId,
        to: Address,
        text: str,
        *,
        deadline: int | None = None,
        key: str | None = None,
    ) -> Task:
        """Give work to somebody."""
        ...

    async def update_task(self, caller: Caller, room: RoomId, task: TaskId, step: Step, note: str) -> Task:
        """Say what has become of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What a clerk works with."""

    settings: Callable[[], Settings]
    messages: Messages
    directory: Directory
    reading: Reading
    task_desk: TaskDesk
    halted: Callable[[RoomId], Awaitable[str]]
    """Why agents begin nothing more in a room; an empty text: they may."""
    is_encrypted: Callable[[RoomId], bool]
    clock: Clock


class Clerk:
    """The Exchange port."""

    def __init__(self, office: Office) -> None:
        self._settings = office.settings
        self._messages = office.messages
        self._directory = office.directory
        self._office = office
        self._clock = office.clock
        self._accepting = asyncio.Lock()

    async def rooms(self, caller: Caller) -> Sequence[RoomView]:
        """Those of which the caller may know."""
        return [await self._view(caller, room) for room in self._settings().rooms if _scopes(caller, room.id)]

    async def send(self, caller: Caller, outgoing: Outgoing, *, key: str | None = None) -> Message:
        """Accept a message: it is in the ledger when this returns."""
        self._check(caller, Scope.SEND, outgoing.room)
        same, now = digest(outgoing, caller.instance), self._clock.now_ms()
        # The limits count what was accepted before, so one is accepted after the other.
        async with self._accepting:
            # What was accepted once is not looked at again: its time may be over by now.
            if key is None or await self._messages.by_key(caller.name, key) is None:
                check(outgoing, now)
                await self._check_way(caller, outgoing)
                await self._check_room_for_more(caller, outgoing.room)
            made = draft(
                caller,
                outgoing,
                self._directory.own,
                id=new_message_id(),
                now=now,
                encrypted=self._office.is_encrypted(outgoing.room),
            )
            return await self._messages.accept(
                made.message, made.parcel, waits=made.waits, task=made.task, key=key, digest=same
            )

    async def status(self, caller: Caller, message: MessageId) -> Message:
        """How far it has come."""
        found = await self._messages.get(message)
        if found is None or not (found.caller == caller.name or caller.may(Scope.READ, found.room)):
            raise ExchangeRefused("unknown", _NO_MESSAGE)
        return found

    async def ask(self, caller: Caller, outgoing: Outgoing, *, seconds: float, key: str | None = None) -> Message:
        """Send, and wait until it is over, or for so long."""
        message = await self.send(caller, outgoing, key=key)
        until = self._clock.monotonic() + min(seconds, MOST_ASK_SECONDS)
        while message.state not in OVER and (left := until - self._clock.monotonic()) > 0:
            await self._messages.bell.wait(min(left, LOOK_SECONDS))
            message = await self._messages.get(message.id) or message
        return message

    async def read(self, caller: Caller, room: RoomId, *, limit: int, before: int | None = None) -> Page:
        """The last messages of a room."""
        self._check(caller, Scope.READ, room)
        return await self._office.reading.read(room, max(1, min(limit, MOST_PAGE)), before)

    async def history(self, caller: Caller, wanted: Wanted) -> Page:
        """Messages that are looked for."""
        ours = {room.id for room in self._settings().rooms}
        readable = frozenset(room for room in wanted.rooms if room in ours and caller.may(Scope.READ, room))
        if not readable:
            return Page(messages=())
        limit = max(1, min(wanted.limit, MOST_PAGE))
        return await self._office.reading.search(replace(wanted, rooms=readable, limit=limit))

    async def who(self, caller: Caller) -> Sequence[tuple[Instance, bool]]:
        """Who is in the registry, and whether each is there; of their rooms those of which the caller may know."""
        return [(_as_seen(caller, entry), alive) for entry, alive in self._directory.entries()]

    async def tasks(self, caller: Caller, room: RoomId | None = None, *, everything: bool = False) -> Sequence[Task]:
        """Tasks, the newest first."""
        if room is not None:
            self._check(caller, Scope.READ, room)
        return await self._office.task_desk.tasks(caller, room, everything=everything)

    async def assign_task(
        self,
        caller: Caller,
        room: RoomId,
        to: Address,
        text: str,
        *,
        deadline: int | None = None,
        key: str | None = None,
    ) -> Task:
        """Give work to somebody."""
        self._check(caller, Scope.SEND, room)
        return await self._office.task_desk.assign_task(caller, room, to, text, deadline=deadline, key=key)

    async def update_task(self, caller: Caller, room: RoomId, task: TaskId, step: Step, note: str) -> Task:
        """Say what has become of a task that the caller has given, or works on."""
        self._check(caller, Scope.SEND, room)
        return await self._office.task_desk.update_task(caller, room, task, step, note)

    # --- within

    async def _view(self, caller: Caller, room: RoomSettings) -> RoomView:
        return RoomView(
            room=room.id,
            name=room.name,
            scopes=_scopes(caller, room.id),
            encrypted=self._office.is_encrypted(room.id),
            halted=await self._office.halted(room.id),
        )

    def _check(self, caller: Caller, scope: Scope, room: RoomId) -> None:
        if self._settings().room(room) is None or not _scopes(caller, room):
            raise ExchangeRefused("unknown", _NO_ROOM)
        if not caller.may(scope, room):
            raise ExchangeRefused("not_allowed", f"You may not {_VERBS[scope]} in this room.")

    async def _check_way(self, caller: Caller, outgoing: Outgoing) -> None:
        """Whether it would come to anything where it goes."""
        own, to = self._directory.own, outgoing.to
        if outgoing.kind is MetaKind.ANSWER and caller.instance is None:
            raise ExchangeRefused("not_allowed", _NO_ANSWER)
        if to is None or outgoing.kind not in STARTS:
            return
        if begins(outgoing, own):
            self._check(caller, Scope.RUN, outgoing.room)
        elif to.user == own.user and self._directory.find(to) is None:
            raise ExchangeRefused("unknown", f"to: this account has no instance {to.instance}.")
        if why := await self._office.halted(outgoing.room):
            raise ExchangeRefused("halted", why)

    async def _check_room_for_more(self, caller: Caller, room: RoomId) -> None:
        in_room, everywhere = await self._messages.open_of(caller.name, room)
        if in_room >= MOST_OPEN_IN_ROOM:
            raise ExchangeRefused(
                "full", f"{in_room} messages of yours in this room are not over. Wait for some of them."
            )
        if everywhere >= MOST_OPEN:
            raise ExchangeRefused("full", f"{everywhere} messages of yours are not over. Wait for some of them.")


def _scopes(caller: Caller, room: RoomId) -> frozenset[Scope]:
    return frozenset(scope for scope in Scope if caller.may(scope, room))


def _as_seen(caller: Caller, entry: Instance) -> Instance:
    return replace(entry, rooms=tuple(room for room in entry.rooms if _scopes(caller, RoomId(room))))
