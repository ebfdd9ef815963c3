"""The whole ledger against a small model, under random moves, crashes among them."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from aiagentchat.core.approvals import Approval, ApprovalKind
from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.effects import (
    AcceptCommand,
    EditCommand,
    Effect,
    EnterRoom,
    LeaveRoom,
    PutParcel,
    RequestStop,
)
from aiagentchat.core.ids import ApprovalId, EventId, RoomId, TxnId
from aiagentchat.core.parcels import Parcel, Urgency
from aiagentchat.store.files import files_of
from aiagentchat.store.ledger import Ledger
from aiagentchat.store.maintenance import look_through
from tests.contract.store_fixtures import ANNA, BERT, NOW, OTHER_ROOM, ROOM, command, incoming, parcel
from tests.fakes.ledgers import fresh_ledger

EXAMPLES, STEPS = 25, 40
ROOMS = (ROOM, OTHER_ROOM)
ENDS = (CommandState.DONE, CommandState.FAILED, CommandState.CANCELLED, CommandState.TIMED_OUT)
OPEN = frozenset({CommandState.QUEUED, CommandState.RUNNING})
STEP_MS = 1000
rooms = st.sampled_from(ROOMS)
picks = st.integers(min_value=0, max_value=2**16)
Result = TypeVar("Result")
Item = TypeVar("Item")


@dataclass
class Known:
    """A command as the model sees it."""

    room: RoomId
    text: str
    state: CommandState = CommandState.QUEUED
    ended_at: int | None = None
    stopped: bool = False
    said: int = 0
    """How many messages it has put; what it says next edits the last one, or begins another."""


class Machine(RuleBasedStateMachine):
    """Moves as the stages make them. What is in `commands` is what somebody was promised."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.lives = 0
        self.number = 0
        self.now = NOW
        self.stack = AsyncExitStack()
        self.waiting: list[EventId] = []  # taken in, not settled
        self.settled: dict[EventId, int] = {}  # and when
        self.commands: dict[EventId, Known] = {}  # in the order of their acceptance
        self.left: set[RoomId] = set()
        self.order: dict[RoomId, list[TxnId]] = {room: [] for room in ROOMS}  # messages that must arrive, in order
        self.newest: dict[TxnId, str] = {}  # what each message is to say in the end
        self.claimed: dict[TxnId, Parcel] = {}
        self.arrived: dict[TxnId, Parcel] = {}  # the homeserver's side: the first content of a txn stands
        self.over: set[TxnId] = set()  # sent or given up, and we know it
        self._open()

    # ── the ledger ────────────────────────────────────────────────────────────────────────────────────────────────

    def do(self, step: Coroutine[Any, Any, Result]) -> Result:
        """A step that was made `now`; the next one comes later."""
        self.now += STEP_MS
        return self.runner.run(step)

    def _open(self) -> None:
        self.path = self.folder / str(self.lives) / "ledger.db"
        self.path.parent.mkdir(exist_ok=True)
        self.ledger: Ledger = self.runner.run(self.stack.enter_async_context(fresh_ledger(self.path)))

    def _fresh(self, letter: str) -> str:
        self.number += 1
        return f"{letter}{self.number}"

    def _settle(self, effects: Sequence[Effect]) -> EventId:
        """An event of its own that has these effects."""
        event = EventId(self._fresh("$"))
        assert self.do(self.ledger.inbox.take_in(event, [incoming(event)], self.now)) == 1
        assert self.do(self.ledger.inbox.settle(event, effects, self.now))
        self.settled[event] = self.now
        return event

    def teardown(self) -> None:
        """In the end everything comes to its end, in its order and once."""
        try:
            for room in ROOMS:
                self.enter(room)
            self._drain()
            assert self.do(self.ledger.outbox.unsent()) == 0
            shown = {each.edits or each.txn: each.content["body"] for each in self.arrived.values()}
            assert {txn: shown.get(txn) for txn in self.newest} == self.newest
            assert look_through(self.path) == []
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()
            shutil.rmtree(self.folder)

    def _drain(self) -> None:
        self.die()
        while self._running():
            self.finish(0, 0)
        self.now += 3_600_000
        while self._claim():
            self.arrive(0)

    # ── events ────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(count=st.integers(1, 3))
    def take_in(self, count: int) -> None:
        events = [EventId(self._fresh("$")) for _ in range(count)]
        token = self._fresh("t")
        assert self.do(self.ledger.inbox.take_in(token, [incoming(event) for event in events], self.now)) == count
        assert self.do(self.ledger.inbox.token()) == token
        self.waiting += events

    @rule(pick=picks)
    def replay(self, pick: int) -> None:
        known = [*self.waiting, *self.settled]
        again = [incoming(event, "other") for event in known[pick % (len(known) + 1) :]]
        assert self.do(self.ledger.inbox.take_in(None, again, self.now)) == 0

    @precondition(lambda self: self.waiting)
    @rule(room=rooms)
    def accept(self, room: RoomId) -> None:
        event = self.waiting.pop(0)
        made = replace(command(event, room), text=f"text of {event}")
        eyes = replace(parcel(f"eyes-{event}", "eyes", room), urgency=Urgency.SPARE, command=event)
        for is_first in (True, False):
            settled = self.do(self.ledger.inbox.settle(event, [AcceptCommand(made), PutParcel(eyes)], self.now))
            assert settled is is_first
        self.settled[event] = self.now
        self.commands[event] = Known(room, made.text)

    @rule(room=rooms)
    def retry(self, room: RoomId) -> None:
        for before in self.do(self.ledger.commands.retryable(room, 1)):
            event = EventId(self._fresh("$"))
            again = replace(command(event, room), text=f"text of {event}", origin=before.event)
            assert self.do(self.ledger.inbox.take_in(None, [incoming(event)], self.now)) == 1
            assert self.do(self.ledger.inbox.settle(event, [AcceptCommand(again)], self.now))
            self.settled[event] = self.now
            self.commands[event] = Known(room, again.text)

    @precondition(lambda self: self.commands)
    @rule(pick=picks, is_mine=st.booleans())
    def edit(self, pick: int, is_mine: bool) -> None:
        event, known = self._pick(list(self.commands.items()), pick)
        self._settle([EditCommand(event, f"edited {self.number}", ANNA if is_mine else BERT)])
        if is_mine and known.state is CommandState.QUEUED:
            known.text = f"edited {self.number - 1}"

    @precondition(lambda self: self.commands)
    @rule(pick=picks)
    def stop(self, pick: int) -> None:
        event, known = self._pick(list(self.commands.items()), pick)
        self._settle([RequestStop(event, ANNA)])
        if known.state is CommandState.QUEUED:
            known.state, known.ended_at = CommandState.CANCELLED, self.now - STEP_MS
        known.stopped = known.stopped or known.state is CommandState.RUNNING

    @rule(room=rooms)
    def leave(self, room: RoomId) -> None:
        self._settle([LeaveRoom(room, BERT)])
        self.left.add(room)
        for known in self.commands.values():
            known.stopped = known.stopped or (known.room == room and known.state is CommandState.RUNNING)

    @rule(room=rooms)
    def enter(self, room: RoomId) -> None:
        self._settle([EnterRoom(room)])
        self.left.discard(room)

    # ── turns ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(room=rooms)
    def start_next(self, room: RoomId) -> None:
        offered = self.do(self.ledger.commands.next_queued(room))
        queued = [event for event, known in self.commands.items() if self._is(known, room, CommandState.QUEUED)]
        if room in self.left or not queued:
            assert offered is None
            return
        assert offered is not None
        assert (offered.event, offered.text) == (queued[0], self.commands[queued[0]].text)
        is_free = not any(self._is(known, room, CommandState.RUNNING) for known in self.commands.values())
        assert self.do(self.ledger.commands.start(offered.event, self.now)) is is_free
        if is_free:
            self.commands[offered.event].state = CommandState.RUNNING

    @precondition(lambda self: any(known.state is not CommandState.QUEUED for known in self.commands.values()))
    @rule(pick=picks)
    def start_again(self, pick: int) -> None:
        begun = [event for event, known in self.commands.items() if known.state is not CommandState.QUEUED]
        assert not self.do(self.ledger.commands.start(self._pick(begun, pick), self.now))

    @rule(room=rooms, moves=st.lists(st.sampled_from(("say", "edit", "edit", "deliver", "claim", "lose")), max_size=8))
    def work(self, room: RoomId, moves: list[str]) -> None:
        """A turn of this room, as it goes when nothing much is in the way."""
        if not any(known.room == room for known in self.commands.values() if known.state in OPEN):
            self.take_in(1)
            self.accept(room)
        self.start_next(room)
        for event in self._running():
            for move in moves if self.commands[event].room == room else ():
                match move:
                    case "say" | "edit":
                        self.do(self.ledger.outbox.put([self._say(event, is_new=move == "say")], self.now))
                    case "deliver":
                        self.deliver(4)
                    case "claim":
                        self.claim()
                    case _ if self.claimed:
                        self.postpone(-1, has_arrived=True, seconds=0)

    @precondition(lambda self: self._running())
    @rule(pick=picks, news=st.lists(st.booleans(), min_size=1, max_size=4))
    def say(self, pick: int, news: list[bool]) -> None:
        event = self._pick(self._running(), pick)
        said = [self._say(event, is_new=is_new) for is_new in news]
        self.do(self.ledger.outbox.put(said * 2, self.now))

    @precondition(lambda self: self._running())
    @rule(pick=picks, end=st.integers(0, len(ENDS) - 1))
    def finish(self, pick: int, end: int) -> None:
        event = self._pick(self._running(), pick)
        parcels = [self._say(event, is_new=False), self._say(event, is_new=True)]
        self._end(
            event, ENDS[end], lambda: self.ledger.commands.finish(event, ENDS[end], TurnRecord(), parcels, self.now)
        )

    @precondition(lambda self: self._running())
    @rule(pick=picks, asks=st.booleans())
    def interrupt(self, pick: int, asks: bool) -> None:
        event = self._pick(self._running(), pick)
        room = self.commands[event].room
        resume = Approval(
            id=ApprovalId(f"go on with {event}?"),
            room=room,
            command=event,
            tool="Bash",
            expires_at=self.now + STEP_MS,
            kind=ApprovalKind.RESUME,
        )
        parcels = [self._say(event, is_new=True)]
        question = resume if asks else None
        self._end(
            event,
            CommandState.INTERRUPTED,
            lambda: self.ledger.commands.interrupt(event, question, TurnRecord(), parcels, self.now),
        )

    def _end(self, event: EventId, state: CommandState, end: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        known = self.commands[event]
        assert self.do(self.ledger.commands.stop_requested(event)) is not None or not known.stopped
        assert self.do(end())
        known.state, known.ended_at = state, self.now - STEP_MS
        assert not self.do(end())

    def _say(self, event: EventId, *, is_new: bool) -> Parcel:
        known = self.commands[event]
        text = self._fresh("words ")
        is_new = is_new or not known.said
        known.said += is_new
        message = TxnId(f"{event}-{known.said}")
        self.newest[message] = text
        if is_new:
            self.order[known.room].append(message)
            return replace(parcel(message, text, known.room), command=event)
        return replace(
            parcel(self._fresh("e"), text, known.room, edits=message), command=event, urgency=Urgency.PROGRESS
        )

    # ── parcels ───────────────────────────────────────────────────────────────────────────────────────────────────

    @rule()
    def claim(self) -> None:
        self._claim()

    def _claim(self) -> bool:
        attempt = self.do(self.ledger.outbox.claim(self.now, device="D"))
        if attempt is None:
            return False
        claimed = attempt.parcel
        assert claimed.room not in self.left
        assert claimed.txn not in self.claimed
        assert claimed.txn not in self.over
        if claimed.urgency > Urgency.SPARE:
            assert not any(each.room == claimed.room and each.urgency for each in self.claimed.values())
        if claimed.txn in self.newest:
            assert claimed.txn == next(txn for txn in self.order[claimed.room] if txn not in self.over)
        assert claimed.edits is None or claimed.edits in self.over
        self.claimed[claimed.txn] = claimed
        return True

    @rule(count=st.integers(1, 4))
    def deliver(self, count: int) -> None:
        """As long as nothing is in the way."""
        while count and self._claim():
            count -= 1
            self.arrive(-1)

    @precondition(lambda self: self.claimed)
    @rule(pick=picks)
    def arrive(self, pick: int) -> None:
        each = self._take(pick)
        self.arrived.setdefault(each.txn, each)
        for event in (f"$sent-{each.txn}", "$twice"):
            self.do(self.ledger.outbox.sent(each.txn, EventId(event), self.now))
        self.over.add(each.txn)
        assert self.do(self.ledger.outbox.event_of(each.txn)) == f"$sent-{each.txn}"

    @precondition(lambda self: self.claimed)
    @rule(pick=picks, has_arrived=st.booleans(), seconds=st.integers(0, 5))
    def postpone(self, pick: int, has_arrived: bool, seconds: int) -> None:
        each = self._take(pick)
        if has_arrived:
            self.arrived.setdefault(each.txn, each)
        self.do(self.ledger.outbox.postpone(each.txn, self.now + 1000 * seconds, faults=1))

    @precondition(lambda self: any(each.urgency is Urgency.SPARE for each in self.claimed.values()))
    @rule()
    def give_up(self) -> None:
        txn = next(txn for txn, each in self.claimed.items() if each.urgency is Urgency.SPARE)
        del self.claimed[txn]
        self.do(self.ledger.outbox.give_up(txn, "refused", self.now))
        self.over.add(txn)

    # ── lives ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule()
    def die(self) -> None:
        """What is on the disk at this moment is all that the next life gets."""
        self.lives += 1
        fresh = self.folder / str(self.lives)
        fresh.mkdir()
        for file in files_of(self.path)[:2]:
            shutil.copy(file, fresh / file.name)
        self.runner.run(self.stack.aclose())
        self._open()
        running = self.do(self.ledger.commands.running())
        assert [each.event for each in running] == self._running()
        self.claimed.clear()
        self.do(self.ledger.outbox.release_claims())

    @rule(rows=st.integers(0, 60), bodies=st.integers(0, 60))
    def tidy(self, rows: int, bodies: int) -> None:
        """Forgets what is so many steps old."""
        before, erased = self.now - rows * STEP_MS, self.now - bodies * STEP_MS
        self.do(self.ledger.housekeeping.prune(before))
        self.do(self.ledger.housekeeping.erase(erased))
        self.do(self.ledger.housekeeping.checkpoint())
        for event, known in list(self.commands.items()):
            found = self.do(self.ledger.commands.get(event))
            if found is None:
                assert known.ended_at is not None
                assert known.ended_at < before
                del self.commands[event]
            elif found.text != known.text:
                assert found.text == ""
                assert known.ended_at is not None
                assert known.ended_at < erased
                known.text = ""
        self.settled = {
            event: at for event, at in self.settled.items() if self.do(self.ledger.inbox.get(event)) is not None
        }

    # ── what always holds ─────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def every_promise_stands(self) -> None:
        found = {event: self.runner.run(self.ledger.commands.get(event)) for event in self.commands}
        assert {event: each and (each.state, each.text, each.room) for event, each in found.items()} == {
            event: (known.state, known.text, known.room) for event, known in self.commands.items()
        }

    @invariant()
    def the_queue_of_a_room_is_in_its_order(self) -> None:
        for room in ROOMS:
            kept = [(event, known.state) for event, known in self.commands.items() if known.room == room]
            queued = [event for event, state in kept if state is CommandState.QUEUED]
            running = [event for event, state in kept if state is CommandState.RUNNING]
            assert [each.event for each in self.runner.run(self.ledger.commands.queue(room))] == running + queued
            assert len(running) <= 1

    @invariant()
    def nothing_of_a_left_room_is_offered(self) -> None:
        queued = [known.room for known in self.commands.values() if known.state is CommandState.QUEUED]
        offered = [room for room in dict.fromkeys(queued) if room not in self.left]
        assert self.runner.run(self.ledger.commands.rooms_with_work()) == offered
        is_open = [each for each in self.commands.values() if each.state in OPEN and each.room not in self.left]
        assert self.runner.run(self.ledger.commands.open()) == len(is_open)

    @invariant()
    def what_is_not_settled_waits_in_its_order(self) -> None:
        offered = [each.event for each in self.runner.run(self.ledger.inbox.unrouted(1000))]
        assert offered == self.waiting[: len(offered)]
        assert bool(offered) == bool(self.waiting)

    # ── the model ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _running(self) -> list[EventId]:
        return [event for event, known in self.commands.items() if known.state is CommandState.RUNNING]

    def _is(self, known: Known, room: RoomId, state: CommandState) -> bool:
        return known.room == room and known.state is state

    def _pick(self, items: Sequence[Item], pick: int) -> Item:
        return items[pick % len(items)]

    def _take(self, pick: int) -> Parcel:
        return self.claimed.pop(self._pick(list(self.claimed), pick))


def test_whatever_happens_no_promise_is_broken() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck), print_blob=True
        ),
    )
