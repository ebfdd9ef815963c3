"""What the ledger keeps of tasks, and what moves them: news, their commands, and the messages that gave them."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.commands import Command, CommandState, TurnRecord
from aiagentchat.core.effects import AcceptCommand, EraseText, MoveTask, OpenTask, RequestStop
from aiagentchat.core.ids import EventId, InstanceName, MessageId, TaskId, UserId
from aiagentchat.core.meta import Address, Meta, MetaKind, Step, read_meta
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.tasks import QUIET_MS, Ours, Task, TaskState, Word, armed
from aiagentchat.render import task_words
from aiagentchat.store import task_moves
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    BERT,
    DEVICE,
    NOW,
    OTHER_ROOM,
    ROOM,
    OpenLedger,
    command,
    incoming,
    parcel,
    settle,
    stop,
    waiting_texts,
)

ROOT = EventId("$root")
GIVER = Address(UserId("@ada:example.org"), InstanceName("desk"))
TAKER = Address(UserId("@bot:example.org"), InstanceName("workshop"))
T1 = TaskId("t1")


def task(name: str = "t1", **more: object) -> Task:
    given = Task(
        id=TaskId(name),
        room=ROOM,
        thread=ROOT,
        title="Tidy up",
        by=GIVER,
        to=TAKER,
        ours=Ours.TAKEN,
        created_at=NOW,
        changed_at=NOW,
        message=MessageId(f"m-{name}"),
    )
    return armed(replace(given, **more))  # type: ignore[arg-type]


def move(state: TaskState, by: Address | None = None, *, at: int = NOW + 1, **more: object) -> MoveTask:
    note = str(more.pop("note", ""))
    word = Word(state=state, at=at, note=note, by=by)
    return MoveTask(room=ROOM, task=T1, word=word, **more)  # type: ignore[arg-type]


async def taken(ledger: Ledger, given: Task | None = None, event: str = "$a", **more: object) -> Command:
    """A command that is to do a task, accepted; what its thread was told is sent."""
    made = replace(command(event), thread=ROOT, **more)  # type: ignore[arg-type]
    await settle(ledger, AcceptCommand(made, of_thread=True, task=given or task()), event=event)
    return made


async def stands(ledger: Ledger, name: TaskId = T1) -> Task:
    found = await ledger.tasks.get(ROOM, name)
    assert found is not None
    return found


async def told(ledger: Ledger) -> list[Parcel]:
    """Send everything; what was told about tasks."""
    sent = []
    while (claimed := await ledger.outbox.claim(NOW, device=DEVICE)) is not None:
        await ledger.outbox.sent(claimed.parcel.txn, EventId(f"$sent-{claimed.parcel.txn}"), NOW)
        sent.append(claimed.parcel)
    return [each for each in sent if isinstance(read_meta(each.content), Meta)]


def meta_of(said: Parcel) -> Meta:
    found = read_meta(said.content)
    assert isinstance(found, Meta)
    return found


async def steps(ledger: Ledger) -> list[Step | None]:
    return [meta_of(each).step for each in await told(ledger)]


# ── what is kept ──


async def test_a_task_is_kept_as_it_is(ledger: Ledger) -> None:
    whole = task(
        note="half",
        deadline=NOW + QUIET_MS,
        reminded_at=NOW + 1,
        command=EventId("$a"),
        ours=Ours.GIVEN,
        state=TaskState.WORKING,
    )
    bare = task("t2", thread=None, message=None, by=Address(ANNA), to=Address(BERT), ours=Ours.WATCHED)
    assert await ledger.tasks.change([OpenTask(whole), OpenTask(bare)], NOW)

    assert await ledger.tasks.get(ROOM, T1) == whole
    assert await ledger.tasks.get(ROOM, TaskId("t2")) == bare
    assert await ledger.tasks.get(OTHER_ROOM, T1) is None
    assert await ledger.tasks.of_thread(ROOM, ROOT) == whole
    assert await ledger.tasks.of_thread(OTHER_ROOM, ROOT) is None
    assert await ledger.tasks.of_command(EventId("$a")) == whole
    assert await ledger.tasks.of_command(EventId("$b")) is None


async def test_a_task_survives_a_restart(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "l.db") as first:
        await settle(first, OpenTask(task()))
    async with backend(tmp_path / "l.db") as second:
        assert await second.tasks.get(ROOM, T1) == task()


async def test_open_ones_are_listed_and_all_with_the_newest_first(ledger: Ledger) -> None:
    over = task("t2", state=TaskState.DONE)
    elsewhere = task("t4", room=OTHER_ROOM)
    for number, each in enumerate((task(), over, task("t3"), elsewhere)):
        await settle(ledger, OpenTask(each), event=f"${number}")

    assert [each.id for each in await ledger.tasks.listed([ROOM])] == ["t3", "t1"]
    assert [each.id for each in await ledger.tasks.listed([ROOM], everything=True)] == ["t3", "t2", "t1"]
    assert [each.id for each in await ledger.tasks.listed([OTHER_ROOM, ROOM], everything=True, limit=2)] == ["t4", "t3"]
    assert await ledger.tasks.listed([]) == []


async def test_a_task_that_is_opened_twice_is_one(ledger: Ledger) -> None:
    assert await ledger.tasks.change([OpenTask(task(thread=None))], NOW)
    assert await ledger.tasks.change([OpenTask(task())], NOW)
    assert not await ledger.tasks.change([OpenTask(task())], NOW)

    assert (await stands(ledger)).thread == ROOT


async def test_of_tasks_of_others_only_so_many_are_kept(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_moves, "MOST_WATCHED", 1)
    await ledger.tasks.change([OpenTask(task(ours=Ours.WATCHED))], NOW)
    assert not await ledger.tasks.change([OpenTask(task("t2", ours=Ours.WATCHED))], NOW)
    await ledger.tasks.change([OpenTask(task("t3"))], NOW)

    assert [each.id for each in await ledger.tasks.listed([ROOM])] == ["t3", "t1"]


# ── news ──


async def test_news_move_a_task_once(ledger: Ledger) -> None:
    await settle(ledger, OpenTask(task(ours=Ours.GIVEN)))
    assert await ledger.tasks.change([move(TaskState.WORKING, TAKER, note="half")], NOW)
    assert not await ledger.tasks.change([move(TaskState.WORKING, TAKER, note="half")], NOW)
    assert not await ledger.tasks.change([replace(move(TaskState.DONE, TAKER), task=TaskId("t9"))], NOW)

    found = await stands(ledger)
    assert (found.state, found.note, found.changed_at) == (TaskState.WORKING, "half", NOW + 1)
    assert await waiting_texts(ledger) == []


async def test_its_thread_is_told_when_that_is_asked_for_and_it_has_moved(ledger: Ledger) -> None:
    await settle(ledger, OpenTask(task(ours=Ours.GIVEN)))
    await settle(ledger, move(TaskState.CANCELLED, tell=True, note="by Anna"), event="$1")
    await settle(ledger, move(TaskState.CANCELLED, tell=True, note="by Anna"), event="$2")

    [said] = await told(ledger)
    assert said.thread == ROOT
    assert said.content["body"] == "[STATUS] 🛑 cancelled: by Anna"
    assert meta_of(said) == Meta(
        id=meta_of(said).id,
        kind=MetaKind.STATUS,
        instance=GIVER.instance,
        to=TAKER,
        in_reply_to=MessageId("m-t1"),
        task=T1,
        step=Step.CANCELLED,
    )


# ── its command ──


async def test_what_is_to_be_done_here_is_accepted_with_its_command(ledger: Ledger) -> None:
    made = await taken(ledger)
    found = await stands(ledger)
    [said] = await told(ledger)

    assert (found.state, found.command) == (TaskState.ACCEPTED, made.event)
    assert (meta_of(said).step, meta_of(said).to, meta_of(said).instance) == (Step.ACCEPTED, GIVER, TAKER.instance)
    assert (said.thread, said.command) == (ROOT, made.event)
    assert await ledger.sessions.current(ROOM, ROOT) == made.session


async def test_a_command_that_is_known_accepts_nothing_a_second_time(ledger: Ledger) -> None:
    made = await taken(ledger)
    await told(ledger)
    await settle(ledger, AcceptCommand(made, of_thread=True, task=task("t2")), event="$again")

    assert await ledger.tasks.get(ROOM, TaskId("t2")) is None
    assert await told(ledger) == []


async def test_what_has_no_place_in_the_queue_is_refused(ledger: Ledger) -> None:
    await taken(ledger, state=CommandState.REJECTED)

    assert (await stands(ledger)).state is TaskState.REFUSED
    assert [meta_of(each).kind for each in await told(ledger)] == [MetaKind.REFUSED]


async def test_it_is_begun_with_its_command(ledger: Ledger) -> None:
    made = await taken(ledger)
    assert await ledger.commands.start(made.event, NOW + 7)

    found = await stands(ledger)
    assert (found.state, found.changed_at) == (TaskState.WORKING, NOW + 7)


@pytest.mark.parametrize(
    ("end", "state", "step", "note"),
    [
        (CommandState.DONE, TaskState.DONE, Step.DONE, ""),
        (CommandState.FAILED, TaskState.FAILED, Step.FAILED, ""),
        (CommandState.TIMED_OUT, TaskState.FAILED, Step.FAILED, task_words.TIMED_OUT),
        (CommandState.CANCELLED, TaskState.CANCELLED, Step.CANCELLED, ""),
    ],
)
async def test_it_ends_with_its_command_and_says_so_after_the_last_words(
    ledger: Ledger, end: CommandState, state: TaskState, step: Step, note: str
) -> None:
    made = await taken(ledger)
    await told(ledger)
    await ledger.commands.start(made.event, NOW)
    assert await ledger.commands.finish(made.event, end, TurnRecord(), [parcel("last", "So.")], NOW + 9)
    found, texts = await stands(ledger), await waiting_texts(ledger)

    assert (found.state, found.note, found.changed_at) == (state, note, NOW + 9)
    assert texts[0] == "So."
    assert texts[1:] == [f"[STATUS] {task_words.SIGNS[state]} {step}" + (f": {note}" if note else "")]
    assert not await ledger.commands.finish(made.event, end, TurnRecord(), [], NOW)
    assert await waiting_texts(ledger) == []


async def test_what_was_cut_off_has_failed_and_says_that_nobody_knows_how_far_it_got(ledger: Ledger) -> None:
    made = await taken(ledger)
    await told(ledger)
    await ledger.commands.start(made.event, NOW)
    assert await ledger.commands.interrupt(made.event, None, TurnRecord(), [], NOW + 9)

    found = await stands(ledger)
    assert (found.state, found.note) == (TaskState.FAILED, task_words.INTERRUPTED)
    assert await steps(ledger) == [Step.FAILED]


async def test_what_is_stopped_before_it_began_is_cancelled_at_once(ledger: Ledger) -> None:
    made = await taken(ledger)
    await told(ledger)
    await stop(ledger, made.event)

    assert (await stands(ledger)).state is TaskState.CANCELLED
    assert await steps(ledger) == [Step.CANCELLED]


async def test_what_is_stopped_while_it_runs_is_cancelled_when_that_ends(ledger: Ledger) -> None:
    made = await taken(ledger)
    await told(ledger)
    await ledger.commands.start(made.event, NOW)
    await stop(ledger, made.event, BERT)
    assert (await stands(ledger)).state is TaskState.WORKING
    await ledger.commands.finish(made.event, CommandState.CANCELLED, TurnRecord(), [], NOW)

    found = await stands(ledger)
    assert (found.state, found.note) == (TaskState.CANCELLED, f"stopped by `{BERT}`")


async def test_what_is_turned_away_is_refused(ledger: Ledger) -> None:
    made = await taken(ledger)
    await told(ledger)
    assert await ledger.commands.turn_away(made.event, [], NOW)

    found = await stands(ledger)
    assert (found.state, found.note) == (TaskState.REFUSED, task_words.NOT_BEGUN)
    assert [meta_of(each).kind for each in await told(ledger)] == [MetaKind.REFUSED]


async def test_what_an_agent_had_asked_for_and_was_never_begun_is_told_by_the_answer_to_its_message(
    ledger: Ledger,
) -> None:
    asked = Meta(id=MessageId("m-t1"), kind=MetaKind.TASK)
    for number, (end, state) in enumerate(
        (("turn", TaskState.REFUSED), ("expired", TaskState.EXPIRED), ("stop", TaskState.REFUSED))
    ):
        name = TaskId(f"t{number}")
        made = await taken(ledger, task(name), f"$a{number}", meta=asked)
        await told(ledger)
        if end == "stop":
            await stop(ledger, made.event)
        else:
            await ledger.commands.turn_away(made.event, [], NOW, what=end)

        assert (await stands(ledger, name)).state is state
        assert await told(ledger) == []


async def test_what_was_cancelled_while_it_ran_stays_so_however_its_command_ends(ledger: Ledger) -> None:
    made = await taken(ledger)
    await ledger.commands.start(made.event, NOW)
    await told(ledger)
    await settle(ledger, move(TaskState.CANCELLED, tell=True), RequestStop(made.event, GIVER.user), event="$1")
    assert await steps(ledger) == [Step.CANCELLED]
    await ledger.commands.finish(made.event, CommandState.DONE, TurnRecord(), [], NOW + 5)

    assert (await stands(ledger)).state is TaskState.CANCELLED
    assert await told(ledger) == []


async def test_what_failed_is_taken_up_again_by_another_command(ledger: Ledger) -> None:
    made = await taken(ledger)
    await ledger.commands.start(made.event, NOW)
    await ledger.commands.interrupt(made.event, None, TurnRecord(), [], NOW)
    await told(ledger)
    again = await taken(ledger, await stands(ledger), "$b", origin=made.event)
    found = await stands(ledger)

    assert (found.state, found.command, found.note) == (TaskState.ACCEPTED, again.event, "")
    assert await ledger.tasks.of_command(made.event) is None
    assert await steps(ledger) == [Step.ACCEPTED]
    await ledger.commands.start(again.event, NOW)
    await ledger.commands.finish(again.event, CommandState.DONE, TurnRecord(), [], NOW + 5)
    assert (await stands(ledger)).state is TaskState.DONE


async def test_a_task_whose_command_is_forgotten_is_kept(ledger: Ledger) -> None:
    await settle(ledger, OpenTask(task(command=EventId("$gone"))))
    await stop(ledger, EventId("$gone"))

    assert (await stands(ledger)).state is TaskState.ASSIGNED


# ── what was taken back ──


async def test_what_gave_it_is_taken_back_and_it_is_not_done(ledger: Ledger) -> None:
    await taken(ledger, task(thread=EventId("$a")), "$a")
    await told(ledger)
    await settle(ledger, EraseText(EventId("$a"), ROOM), event="$redaction")

    found = await stands(ledger)
    assert (found.state, found.title) == (TaskState.CANCELLED, "")
    assert await steps(ledger) == [Step.CANCELLED]


async def test_of_news_that_were_taken_back_nothing_is_kept(ledger: Ledger) -> None:
    await ledger.inbox.take_in("t", [incoming("$news", "[STATUS] my  password"), incoming("$more", "other")], NOW)
    await settle(ledger, OpenTask(task(note="my password")), OpenTask(task("t2", note="something else")))
    await settle(ledger, EraseText(EventId("$news"), ROOM), event="$redaction")

    assert ((await stands(ledger)).note, (await stands(ledger)).title) == ("", "Tidy up")
    assert (await stands(ledger, TaskId("t2"))).note == "something else"


# ── what was given ──


def _message(path: Path, **changed: object) -> None:
    """What the store of messages writes, as far as tasks follow it."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "INSERT INTO messages (id, room_id, caller, digest, kind, body, meta, txn_id, state, accepted_at)"
            " VALUES ('m-t1', ?, 'ci', '', 'task', '', '{}', 'x', 'accepted', 0) ON CONFLICT DO NOTHING",
            [ROOM],
        )
        for name, value in changed.items():
            connection.execute(f"UPDATE messages SET {name} = ?", [value])
    connection.close()


async def test_what_was_given_has_a_thread_once_it_is_in_the_room_and_is_begun_when_it_is_read(
    backend: OpenLedger, tmp_path: Path
) -> None:
    path = tmp_path / "l.db"
    async with backend(path) as ledger:
        await settle(ledger, OpenTask(task(ours=Ours.GIVEN, thread=None)))
        _message(path, event_id="$given")
        assert (await stands(ledger)).thread == "$given"
        _message(path, state="delivered")
        assert (await stands(ledger)).state is TaskState.ASSIGNED
        _message(path, read_at=NOW + 5, state="read")

        found = await stands(ledger)
        assert (found.state, found.changed_at) == (TaskState.WORKING, NOW + 5)
        _message(path, state="refused")
        assert (await stands(ledger)).state is TaskState.WORKING


async def test_what_was_refused_before_anybody_had_it_is_over(backend: OpenLedger, tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    async with backend(path) as ledger:
        await settle(ledger, OpenTask(task(ours=Ours.GIVEN, thread=None)))
        _message(path, why="The room is gone.", ended_at=NOW + 5, state="refused")

        found = await stands(ledger)
        assert (found.state, found.note, found.changed_at) == (TaskState.REFUSED, "The room is gone.", NOW + 5)
        assert await ledger.tasks.next_due() is None


# ── by the clock ──


async def test_what_is_due_is_found_the_oldest_first(ledger: Ledger) -> None:
    assert await ledger.tasks.next_due() is None
    given = [task(ours=Ours.GIVEN), task("t2", ours=Ours.GIVEN, changed_at=NOW - 5), task("t3")]
    await ledger.tasks.change([OpenTask(each) for each in given], NOW)

    assert await ledger.tasks.next_due() == NOW + QUIET_MS - 5
    assert await ledger.tasks.due(NOW + QUIET_MS - 6) == []
    assert [each.id for each in await ledger.tasks.due(NOW + QUIET_MS)] == ["t2", "t1"]
    assert [each.id for each in await ledger.tasks.due(NOW + QUIET_MS, 1)] == ["t2"]


async def test_it_is_reminded_of_once(ledger: Ledger) -> None:
    given = task(ours=Ours.GIVEN)
    await settle(ledger, OpenTask(given))
    assert await ledger.tasks.reminded(given, [parcel("r", "⏰")], NOW + QUIET_MS)
    assert not await ledger.tasks.reminded(given, [parcel("r2", "⏰")], NOW + QUIET_MS)

    assert await waiting_texts(ledger) == ["⏰"]
    assert (await stands(ledger)).reminded_at == NOW + QUIET_MS
    assert await ledger.tasks.next_due() is None


async def test_what_was_looked_at_for_nothing_is_not_reminded_of(ledger: Ledger) -> None:
    stale = replace(task(ours=Ours.GIVEN), remind_at=NOW)
    await settle(ledger, OpenTask(stale))
    assert await ledger.tasks.reminded(stale, [], NOW)

    found = await stands(ledger)
    assert (found.reminded_at, found.remind_at) == (None, NOW + QUIET_MS)


async def test_what_was_not_begun_in_time_is_not_begun(ledger: Ledger) -> None:
    made = await taken(ledger, task(deadline=NOW + 5))
    await told(ledger)
    assert await ledger.tasks.expire(await stands(ledger), [parcel("x", "⌛")], NOW + 5)
    assert not await ledger.tasks.expire(await stands(ledger), [parcel("y", "⌛")], NOW + 5)

    found = await ledger.commands.get(made.event)
    assert found is not None
    assert found.state is CommandState.CANCELLED
    assert (await stands(ledger)).state is TaskState.EXPIRED
    assert await waiting_texts(ledger) == ["⌛"]
    assert await ledger.tasks.next_due() is None


async def test_what_was_begun_in_time_goes_on(ledger: Ledger) -> None:
    made = await taken(ledger, task(deadline=NOW + 5))
    before = await stands(ledger)
    await ledger.commands.start(made.event, NOW)

    assert not await ledger.tasks.expire(before, [parcel("x", "⌛")], NOW + 5)
    assert not await ledger.tasks.expire(task("t9"), [parcel("x", "⌛")], NOW + 5)
    assert (await stands(ledger)).state is TaskState.WORKING


async def test_a_task_that_no_command_is_to_do_expires_too(ledger: Ledger) -> None:
    await settle(ledger, OpenTask(task(deadline=NOW + 5)))

    assert await ledger.tasks.expire(await stands(ledger), [], NOW + 5)


async def test_whoever_waits_for_tasks_is_rung(ledger: Ledger) -> None:
    assert not await ledger.tasks.bell.wait(0)
    await settle(ledger, OpenTask(task()))
    assert await ledger.tasks.bell.wait(0)
    await ledger.tasks.change([move(TaskState.WORKING)], NOW)
    assert await ledger.tasks.bell.wait(0)
    await taken(ledger, task("t2"))

    assert await ledger.tasks.bell.wait(0)
