"""The Exchange port in memory; tests/contract/test_exchange.py holds it to what the real one promises.

It is one account with one instance, and nobody answers but the test.
"""

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import (
    MOST_BODY,
    OVER,
    Caller,
    Message,
    MessageState,
    Outgoing,
    Page,
    RoomView,
    Said,
    Scope,
    Wanted,
    may_become,
)
from aiagentchat.core.ids import EventId, InstanceName, MessageId, RoomId, TaskId, UserId, new_message_id, new_task_id
from aiagentchat.core.instances import Instance, is_alive
from aiagentchat.core.meta import MOST_HOPS, Address, Meta, MetaKind, Step
from aiagentchat.core.tasks import Ours, Task, TaskState, may_move

US = Address(UserId("@agent:example.org"), InstanceName("here"))
ALICE = UserId("@alice:example.org")
MOST_TITLE = 200

_STEPS = {
    Step.ACCEPTED: TaskState.ACCEPTED,
    Step.PROGRESS: TaskState.WORKING,
    Step.DONE: TaskState.DONE,
    Step.FAILED: TaskState.FAILED,
    Step.CANCELLED: TaskState.CANCELLED,
}
_OPEN = frozenset({TaskState.ASSIGNED, TaskState.ACCEPTED, TaskState.WORKING})


@dataclass(slots=True)
class FakeRoom:
    """A room, and what was said there."""

    name: str
    encrypted: bool = False
    halted: str = ""
    said: list[Said] = field(default_factory=list)


class FakeExchange:
    """The Exchange port."""

    def __init__(self, us: Address = US) -> None:
        self.us = us
        self.known: dict[RoomId, FakeRoom] = {}
        self.instances: list[Instance] = []
        self.messages: dict[MessageId, Message] = {}
        """Everything that was accepted, in that order."""
        self.given: dict[tuple[RoomId, TaskId], Task] = {}
        self.asked: list[tuple[str, Caller]] = []
        """Every call, and whose it was."""
        self.now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
        self.broken: ExchangeRefused | None = None
        """What every call is refused with."""
        self.accepted = asyncio.Event()
        """Set when a message was accepted."""
        self._keys: dict[tuple[str, str], tuple[object, MessageId | TaskId]] = {}
        self._changed = asyncio.Condition()
        self._position = 0

    # --- what a test arranges

    def room(self, room: RoomId, name: str = "", *, encrypted: bool = False, halted: str = "") -> RoomId:
        """A room that exists."""
        self.known[room] = FakeRoom(name or room, encrypted, halted)
        return room

    def say(
        self,
        room: RoomId,
        body: str,
        *,
        sender: UserId = ALICE,
        meta: Meta | None = None,
        thread: EventId | None = None,
    ) -> Said:
        """Somebody says something there."""
        self._position += 1
        said = Said(
            position=self._position,
            event=EventId(f"$said{self._position}"),
            room=room,
            sender=sender,
            sent_at=self.now_ms(),
            kind="text",
            body=body,
            thread=thread,
            meta=meta,
            by_agent=meta is not None,
        )
        self.known[room].said.append(said)
        return said

    async def become(self, message: MessageId, state: MessageState, *, answer: str = "", why: str = "") -> None:
        """The message comes as far as that."""
        async with self._changed:
            before = self.messages[message]
            if may_become(before.state, state):
                over = self.now_ms() if state in OVER else None
                self.messages[message] = dataclasses.replace(
                    before, state=state, answer=answer, why=why, ended_at=over, event=EventId(f"${message}")
                )
            self._changed.notify_all()

    # --- the port

    async def rooms(self, caller: Caller) -> Sequence[RoomView]:
        """Those of which the caller may know."""
        self._called("rooms", caller)
        return [
            RoomView(room=room, name=one.name, scopes=_scopes(caller, room), encrypted=one.encrypted, halted=one.halted)
            for room, one in self.known.items()
            if _scopes(caller, room)
        ]

    async def send(self, caller: Caller, outgoing: Outgoing, *, key: str | None = None) -> Message:
        """Accept a message."""
        self._called("send", caller)
        return self._accept(caller, outgoing, key)

    async def status(self, caller: Caller, message: MessageId) -> Message:
        """How far it has come."""
        self._called("status", caller)
        known = self.messages.get(message)
        if known is None or not (known.caller == caller.name or caller.may(Scope.READ, known.room)):
            raise ExchangeRefused("unknown", "There is no such message.")
        return known

    async def ask(self, caller: Caller, outgoing: Outgoing, *, seconds: float, key: str | None = None) -> Message:
        """Send, and wait."""
        self._called("ask", caller)
        message = self._accept(caller, outgoing, key)
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self.messages[message.id].state in OVER)
        except TimeoutError:
            pass
        return self.messages[message.id]

    async def read(self, caller: Caller, room: RoomId, *, limit: int, before: int | None = None) -> Page:
        """The last messages of a room."""
        self._called("read", caller)
        self._check(caller, Scope.READ, room)
        return _page([each for each in self.known[room].said if before is None or each.position < before], limit)

    async def history(self, caller: Caller, wanted: Wanted) -> Page:
        """Messages that are looked for."""
        self._called("history", caller)
        found = [
            said
            for room, one in self.known.items()
            if room in wanted.rooms and caller.may(Scope.READ, room)
            for said in one.said
            if _is_wanted(said, wanted)
        ]
        return _page(sorted(found, key=lambda each: each.position), wanted.limit)

    async def who(self, caller: Caller) -> Sequence[tuple[Instance, bool]]:
        """Who is in the registry."""
        self._called("who", caller)
        return [(each, is_alive(each, self.now_ms())) for each in self.instances]

    async def tasks(self, caller: Caller, room: RoomId | None = None, *, everything: bool = False) -> Sequence[Task]:
        """Tasks, the newest first."""
        self._called("tasks", caller)
        if room is not None:
            self._check(caller, Scope.READ, room)
        return [
            task
            for (where, _), task in reversed(self.given.items())
            if where == (room or where) and caller.may(Scope.READ, where) and (everything or task.state in _OPEN)
        ]

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
        self._called("assign_task", caller)
        self._check(caller, Scope.SEND, room)
        asked = (room, to, text)
        first = self._first(caller, asked, key)
        if first is not None:
            return self.given[room, TaskId(first)]
        self._check_text(text)
        self._check_time(deadline)
        task = Task(
            id=new_task_id(),
            room=room,
            thread=EventId(f"$task{len(self.given) + 1}"),
            title=text.strip().splitlines()[0][:MOST_TITLE],
            by=self._speaks(caller),
            to=to,
            ours=Ours.TAKEN if _is_at(to, self.us) else Ours.GIVEN,
            deadline=deadline,
            created_at=self.now_ms(),
            changed_at=self.now_ms(),
        )
        self.given[room, task.id] = task
        self._keep(caller, asked, key, task.id)
        return task

    async def update_task(self, caller: Caller, room: RoomId, task: TaskId, step: Step, note: str) -> Task:
        """Say what has become of a task."""
        self._called("update_task", caller)
        self._check(caller, Scope.SEND, room)
        known = self.given.get((room, task))
        if known is None:
            raise ExchangeRefused("unknown", "There is no such task in this room.")
        if not may_move(known.state, _STEPS[step]) and known.state is not _STEPS[step]:
            raise ExchangeRefused("conflict", f"The task is {known.state} already.")
        changed = dataclasses.replace(known, state=_STEPS[step], note=note, changed_at=self.now_ms())
        self.given[room, task] = changed
        return changed

    # --- within

    def _called(self, what: str, caller: Caller) -> None:
        self.asked.append((what, caller))
        if self.broken is not None:
            raise self.broken

    def _check(self, caller: Caller, scope: Scope, room: RoomId) -> None:
        if room not in self.known or not _scopes(caller, room):
            raise ExchangeRefused("unknown", "There is no such room.")
        if not caller.may(scope, room):
            raise ExchangeRefused("not_allowed", f"You may not {scope} in this room.")

    def _accept(self, caller: Caller, outgoing: Outgoing, key: str | None) -> Message:
        self._check(caller, Scope.SEND, outgoing.room)
        asked = dataclasses.replace(outgoing, expires_at=None)
        first = self._first(caller, asked, key)
        if first is not None:
            return self.messages[MessageId(first)]
        self._check_text(outgoing.body)
        self._check_time(outgoing.expires_at)
        if outgoing.kind is MetaKind.ANSWER and caller.instance is None:
            raise ExchangeRefused("not_allowed", "Only a session answers.")
        hop, budget = _onward(caller, outgoing)
        meta = Meta(
            id=new_message_id(),
            kind=outgoing.kind,
            instance=self._speaks(caller).instance,
            to=outgoing.to,
            in_reply_to=outgoing.in_reply_to,
            task=outgoing.task,
            hop=hop,
            budget=budget,
            expires_at=outgoing.expires_at,
        )
        message = Message(
            meta=meta, room=outgoing.room, caller=caller.name, body=outgoing.body, accepted_at=self.now_ms()
        )
        self.messages[message.id] = message
        self.accepted.set()
        self._keep(caller, asked, key, message.id)
        self.say(outgoing.room, outgoing.body, sender=self.us.user, meta=meta, thread=outgoing.thread)
        return message

    def _first(self, caller: Caller, asked: object, key: str | None) -> MessageId | TaskId | None:
        before = None if key is None else self._keys.get((caller.name, key))
        if before is None:
            return None
        if before[0] != asked:
            raise ExchangeRefused("conflict", "This key was used for something else.")
        return before[1]

    def _keep(self, caller: Caller, asked: object, key: str | None, made: MessageId | TaskId) -> None:
        if key is not None:
            self._keys[caller.name, key] = asked, made

    def _check_text(self, text: str) -> None:
        if not text.strip():
            raise ExchangeRefused("invalid", "The message is empty.")
        if len(text.encode("utf-8", "replace")) > MOST_BODY:
            raise ExchangeRefused("invalid", f"The message is longer than {MOST_BODY} bytes. Send it as a file.")

    def _check_time(self, until: int | None) -> None:
        if until is not None and until <= self.now_ms():
            raise ExchangeRefused("invalid", "That time is over already.")

    def _speaks(self, caller: Caller) -> Address:
        return Address(self.us.user, caller.instance or self.us.instance)


def _scopes(caller: Caller, room: RoomId) -> frozenset[Scope]:
    return frozenset(scope for scope in Scope if caller.may(scope, room))


def _is_at(to: Address, us: Address) -> bool:
    return to.user == us.user and to.instance in (None, us.instance)


def _onward(caller: Caller, outgoing: Outgoing) -> tuple[int, int | None]:
    """The hop of what a caller sends, and how many turns may follow from it."""
    hop = (caller.cause.hop if caller.cause is not None else 0) + (1 if caller.in_turn else 0)
    left = caller.cause.budget if caller.cause is not None else None
    if hop > MOST_HOPS or (left is not None and left < 1):
        raise ExchangeRefused("full", "Nothing may follow from what this turn answers.")
    budgets = [each for each in (None if left is None else left - 1, outgoing.budget) if each is not None]
    return hop, min(budgets, default=None)


def _is_wanted(said: Said, wanted: Wanted) -> bool:
    kind = said.meta.kind if said.meta is not None else None
    return (
        all(word in said.body.lower() for word in wanted.words.lower().split())
        and wanted.sender in (None, said.sender)
        and wanted.kind in (None, kind)
        and (wanted.since is None or said.sent_at >= wanted.since)
        and (wanted.until is None or said.sent_at < wanted.until)
        and (wanted.before is None or said.position < wanted.before)
    )


def _page(messages: list[Said], limit: int) -> Page:
    last = messages[-limit:] if limit > 0 else []
    return Page(messages=tuple(last), before=last[0].position if last and len(last) < len(messages) else None)
