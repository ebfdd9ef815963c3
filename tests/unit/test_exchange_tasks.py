"""What callers are told about tasks, and what they may say about them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.effects import AcceptCommand, MoveTask, OpenTask
from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import EVERYTHING, Caller, Message, Outgoing, Scope
from aiagentchat.core.ids import CallerName, EventId, InstanceName, MessageId, RoomId, TaskId, UserId, new_message_id
from aiagentchat.core.meta import Address, Meta, MetaKind, Step, read_meta
from aiagentchat.core.tasks import Ours, Task, TaskState, Word, assigned
from aiagentchat.exchange.tasks import TaskExchange
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import DEVICE, OTHER_ROOM, ROOM, command, settle, waiting_texts
from tests.fakes.clock import FakeClock
from tests.fakes.ledgers import fresh_ledger

US = Address(UserId("@claude:hs"), InstanceName("desk"))
THEM = Address(UserId("@bot:hs"), InstanceName("workshop"))
OPERATOR = Caller(name=CallerName("operator"), everywhere=EVERYTHING, is_operator=True)
CI = Caller(name=CallerName("ci"), scopes={ROOM: EVERYTHING})
READER = Caller(name=CallerName("reader"), scopes={ROOM: frozenset({Scope.READ})})
RUN = Caller(name=CallerName("run"), scopes={ROOM: EVERYTHING}, home=ROOM, in_turn=True)
SESSION = Caller(name=CallerName("session"), scopes={ROOM: EVERYTHING}, instance=InstanceName("terminal"))
CALLERS = {caller.name: caller for caller in (CI, RUN, SESSION)}
T1 = TaskId("t1")


class Office:
    """The exchange on a ledger, with a way of sending that writes tasks down as the real one does."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.clock = FakeClock()
        self.sent: dict[str | None, Message] = {}
        self.exchange = TaskExchange(
            tasks=ledger.tasks,
            send=self.send,
            message=self.message,
            rooms=lambda: [ROOM, OTHER_ROOM],
            own=lambda: US,
            clock=self.clock,
        )

    async def message(self, message: MessageId) -> Message | None:
        return next((each for each in self.sent.values() if each.id == message), None)

    async def send(self, caller: Caller, outgoing: Outgoing, *, key: str | None = None) -> Message:
        if key is not None and key in self.sent:
            return self.sent[key]
        meta = Meta(
            id=new_message_id(),
            kind=outgoing.kind,
            instance=caller.instance or US.instance,
            to=outgoing.to,
            task=outgoing.task,
            expires_at=outgoing.expires_at,
        )
        self.sent[key] = Message(meta=meta, room=outgoing.room, caller=caller.name, body=outgoing.body)
        assert outgoing.to is not None
        now = self.clock.now_ms()
        by = Address(US.user, meta.instance)
        task = assigned(meta, outgoing.to, outgoing.room, outgoing.body, by=by, now=now)
        if meta.kind is MetaKind.TASK:
            await self.ledger.tasks.change([OpenTask(task)], now)
        return self.sent[key]

    async def have(self, giver: Caller = CI, **more: object) -> Task:
        """A task that is known; if we have given it, for `giver`."""
        meta = Meta(id=MessageId("m1"), kind=MetaKind.TASK, instance=giver.instance or US.instance)
        self.sent["m1"] = Message(meta=meta, room=ROOM, caller=giver.name, body="Tidy up")
        now = self.clock.now_ms()
        made = Task(
            id=T1,
            room=ROOM,
            thread=EventId("$root"),
            title="Tidy up",
            by=US,
            to=THEM,
            ours=Ours.GIVEN,
            created_at=now,
            changed_at=now,
            message=MessageId("m1"),
        )
        made = replace(made, **more)  # type: ignore[arg-type]
        await self.ledger.tasks.change([OpenTask(made)], now)
        return made

    async def work(self) -> None:
        """A task of theirs runs here."""
        now = self.clock.now_ms()
        given = Task(
            id=T1,
            room=ROOM,
            thread=EventId("$root"),
            title="Tidy up",
            by=THEM,
            to=US,
            ours=Ours.TAKEN,
            created_at=now,
            changed_at=now,
            message=MessageId("m1"),
        )
        made = replace(command("$a"), thread=EventId("$root"))
        await settle(self.ledger, AcceptCommand(made, of_thread=True, task=given), event="$a")
        await self.ledger.commands.start(made.event, now)
        await waiting_texts(self.ledger)

    async def refused(self, caller: Caller, step: Step, room: RoomId = ROOM, task: TaskId = T1) -> str:
        """Why the caller may not say so."""
        with pytest.raises(ExchangeRefused) as refused:
            await self.exchange.update_task(caller, room, task, step, "")
        return refused.value.code


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        yield Office(ledger)


# ── giving ──


async def test_what_is_given_is_listed_for_whoever_may_read_the_room(office: Office) -> None:
    deadline = office.clock.now_ms() + 60_000
    given = await office.exchange.assign_task(CI, ROOM, THEM, "Tidy up\nAll.", deadline=deadline)

    assert (given.title, given.to, given.by, given.state) == ("Tidy up", THEM, US, TaskState.ASSIGNED)
    assert (given.deadline, given.thread) == (deadline, None)
    assert await office.exchange.tasks(READER) == [given]
    assert await office.exchange.tasks(READER, ROOM) == [given]
    assert await office.exchange.tasks(OPERATOR, OTHER_ROOM) == []
    with pytest.raises(ExchangeRefused) as refused:
        await office.exchange.tasks(CI, OTHER_ROOM)
    assert refused.value.code == "unknown"


async def test_the_same_key_gives_one_task(office: Office) -> None:
    first = await office.exchange.assign_task(CI, ROOM, THEM, "Tidy up", key="k")

    assert await office.exchange.assign_task(CI, ROOM, THEM, "Tidy up", key="k") == first
    assert office.sent["k"].meta.task == first.id


async def test_what_is_over_is_listed_when_everything_is_asked_for(office: Office) -> None:
    over = await office.have(state=TaskState.DONE)

    assert await office.exchange.tasks(CI) == []
    assert await office.exchange.tasks(CI, everything=True) == [over]


async def test_a_task_says_what_is_to_be_done(office: Office) -> None:
    with pytest.raises(ExchangeRefused) as refused:
        await office.exchange.assign_task(CI, ROOM, THEM, " ")

    assert refused.value.code == "invalid"
    assert office.sent == {}


async def test_the_same_key_finds_its_task_when_the_deadline_is_over(office: Office) -> None:
    deadline = office.clock.now_ms() + 1000
    first = await office.exchange.assign_task(CI, ROOM, THEM, "Tidy up", deadline=deadline, key="k")
    office.clock.advance(2)

    assert await office.exchange.assign_task(CI, ROOM, THEM, "Tidy up", deadline=deadline, key="k") == first


async def test_a_key_that_was_used_for_something_else_gives_no_task(office: Office) -> None:
    await office.send(CI, Outgoing(room=ROOM, body="Hello", to=THEM), key="k")
    with pytest.raises(ExchangeRefused) as refused:
        await office.exchange.assign_task(CI, ROOM, THEM, "Tidy up", key="k")

    assert refused.value.code == "conflict"


# ── saying what has become of it ──


async def test_whoever_gave_it_cancels_it_and_the_thread_is_told(office: Office) -> None:
    await office.have()
    after = await office.exchange.update_task(CI, ROOM, T1, Step.CANCELLED, "not needed")

    assert (after.state, after.note) == (TaskState.CANCELLED, "not needed")
    claimed = await office.ledger.outbox.claim(office.clock.now_ms(), device=DEVICE)
    assert claimed is not None
    meta = read_meta(claimed.parcel.content)
    assert isinstance(meta, Meta)
    assert (meta.to, meta.instance, meta.step) == (THEM, "desk", Step.CANCELLED)
    assert await office.refused(CI, Step.CANCELLED) == "conflict"


async def test_a_run_tells_how_far_it_is_with_what_its_room_works_on(office: Office) -> None:
    await office.work()
    after = await office.exchange.update_task(RUN, ROOM, T1, Step.PROGRESS, "half of it")

    assert (after.state, after.note) == (TaskState.WORKING, "half of it")
    assert await waiting_texts(office.ledger) == ["[STATUS] half of it"]
    assert await office.refused(RUN, Step.PROGRESS) == "conflict"  # nothing new
    assert (await office.exchange.update_task(RUN, ROOM, T1, Step.FAILED, "no way")).state is TaskState.FAILED


async def test_a_run_says_nothing_of_what_its_room_does_not_work_on(office: Office) -> None:
    await office.have(by=THEM, to=US, ours=Ours.TAKEN)
    elsewhere = replace(RUN, home=OTHER_ROOM)

    assert await office.refused(RUN, Step.DONE) == "not_allowed"
    assert await office.refused(elsewhere, Step.DONE) == "not_allowed"


async def test_others_say_nothing_of_what_is_done_here(office: Office) -> None:
    await office.work()

    assert await office.refused(CI, Step.DONE) == "not_allowed"
    assert await office.refused(SESSION, Step.DONE) == "not_allowed"
    assert await office.refused(READER, Step.DONE) == "not_allowed"


async def test_only_whoever_runs_the_daemon_ends_for_others_what_is_done_here(office: Office) -> None:
    await office.work()
    for caller in (CI, SESSION, replace(RUN, home=OTHER_ROOM)):
        assert await office.refused(caller, Step.CANCELLED) == "not_allowed"

    assert await office.ledger.commands.stop_requested(EventId("$a")) is None


async def test_a_run_ends_what_it_works_on_and_nothing_that_waits_in_its_room(office: Office) -> None:
    waiting = await office.have(by=THEM, to=US, ours=Ours.TAKEN, message=MessageId("m9"), state=TaskState.ACCEPTED)
    assert await office.refused(RUN, Step.CANCELLED) == "not_allowed"
    at = office.clock.now_ms()
    word = Word(state=TaskState.WORKING, at=at)
    await office.ledger.tasks.change([MoveTask(room=ROOM, task=waiting.id, word=word)], at)

    assert (await office.exchange.update_task(RUN, ROOM, T1, Step.CANCELLED, "")).state is TaskState.CANCELLED


@pytest.mark.parametrize("giver", [CI, RUN, SESSION], ids=lambda caller: str(caller.name))
async def test_what_was_given_here_is_ended_by_the_caller_who_gave_it(office: Office, giver: Caller) -> None:
    by = Address(US.user, giver.instance or US.instance)
    await office.have(giver, by=by)
    for other in CALLERS.keys() - {giver.name}:
        assert await office.refused(CALLERS[other], Step.CANCELLED) == "not_allowed"

    assert (await office.exchange.update_task(giver, ROOM, T1, Step.CANCELLED, "")).state is TaskState.CANCELLED


async def test_a_caller_ends_what_it_has_given_to_this_daemon_and_its_turn(office: Office) -> None:
    await office.work()
    given = await office.exchange.assign_task(CI, ROOM, US, "Tidy up")
    accepted = replace(given, ours=Ours.TAKEN, thread=EventId("$b"))
    made = replace(command("$b"), thread=EventId("$b"))
    await settle(office.ledger, AcceptCommand(made, of_thread=True, task=accepted), event="$b")

    assert await office.refused(replace(CI, name=CallerName("else")), Step.CANCELLED, task=given.id) == "not_allowed"
    after = await office.exchange.update_task(CI, ROOM, given.id, Step.CANCELLED, "")
    assert after.state is TaskState.CANCELLED
    assert (await office.ledger.commands.get(EventId("$b"))).state is CommandState.CANCELLED  # type: ignore[union-attr]


async def test_a_task_whose_message_is_not_kept_any_more_is_ended_by_whoever_runs_the_daemon(office: Office) -> None:
    await office.have()
    office.sent.clear()
    assert await office.refused(CI, Step.CANCELLED) == "not_allowed"
    await office.have(id=TaskId("t2"), message=None)
    assert await office.refused(CI, Step.CANCELLED, task=TaskId("t2")) == "not_allowed"

    assert (await office.exchange.update_task(OPERATOR, ROOM, T1, Step.CANCELLED, "")).state is TaskState.CANCELLED


async def test_a_session_does_nothing_of_what_is_for_the_account(office: Office) -> None:
    await office.have(by=THEM, to=Address(US.user), ours=Ours.TAKEN)

    assert await office.refused(SESSION, Step.ACCEPTED) == "not_allowed"
    assert await office.refused(SESSION, Step.CANCELLED) == "not_allowed"


async def test_whoever_runs_the_daemon_ends_what_runs(office: Office) -> None:
    await office.work()
    after = await office.exchange.update_task(OPERATOR, ROOM, T1, Step.CANCELLED, "enough")

    assert after.state is TaskState.CANCELLED
    assert await office.ledger.commands.stop_requested(EventId("$a")) == US.user
    await office.ledger.commands.finish(EventId("$a"), CommandState.CANCELLED, TurnRecord(), [], 0)
    assert await waiting_texts(office.ledger) == ["[STATUS] 🛑 cancelled: enough"]


async def test_whoever_runs_the_daemon_speaks_for_it(office: Office) -> None:
    await office.have(by=THEM, to=US, ours=Ours.TAKEN)

    assert (await office.exchange.update_task(OPERATOR, ROOM, T1, Step.DONE, "")).state is TaskState.DONE


async def test_a_session_does_what_was_given_to_it(office: Office) -> None:
    terminal = Address(US.user, InstanceName("terminal"))
    await office.have(by=THEM, to=terminal, ours=Ours.WATCHED)
    for step, state in ((Step.ACCEPTED, TaskState.ACCEPTED), (Step.DONE, TaskState.DONE)):
        assert (await office.exchange.update_task(SESSION, ROOM, T1, step, "")).state is state

    assert await waiting_texts(office.ledger) == ["[STATUS] 👀 accepted", "[ANSWER] ✅ done"]
    assert await office.refused(SESSION, Step.PROGRESS) == "conflict"
    assert await office.refused(SESSION, Step.ACCEPTED) == "conflict"


async def test_nobody_ends_what_others_gave_to_others(office: Office) -> None:
    await office.have(by=THEM, to=Address(UserId("@eve:hs")), ours=Ours.WATCHED)

    assert await office.refused(OPERATOR, Step.CANCELLED) == "not_allowed"


async def test_what_the_caller_may_not_know_of_does_not_exist(office: Office) -> None:
    await office.have()
    outsider = Caller(name=CallerName("x"), scopes={OTHER_ROOM: EVERYTHING})

    assert await office.refused(outsider, Step.CANCELLED) == "unknown"
    assert await office.refused(CI, Step.CANCELLED, task=TaskId("t9")) == "unknown"
