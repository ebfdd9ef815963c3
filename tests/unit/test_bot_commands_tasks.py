"""/tasks: looking at what was given to agents here, and ending it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.audit import AuditFilter
from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import AcceptCommand, OpenTask
from aiagentchat.core.ids import EventId, InstanceName, MessageId, TaskId
from aiagentchat.core.meta import Address
from aiagentchat.core.tasks import Ours, Task, TaskState
from aiagentchat.render import task_words, words
from tests.fakes.front import Front, open_front
from tests.fakes.people import BEN, ME, OTHER, ROOM, VERA, command, typed

ROOT = EventId("$root")
WE = Address(ME, InstanceName("workshop"))
THEY = Address(BEN, InstanceName("desk"))


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def have(front: Front, name: str = "t1a", **more: object) -> Task:
    now = front.clock.now_ms()
    made = Task(
        id=TaskId(name),
        room=ROOM,
        thread=ROOT,
        title="Tidy up",
        by=WE,
        to=THEY,
        ours=Ours.GIVEN,
        created_at=now,
        changed_at=now,
        message=MessageId(name),
    )
    made = replace(made, **more)  # type: ignore[arg-type]
    await front.ledger.tasks.change([OpenTask(made)], now)
    return made


async def taken(front: Front) -> None:
    """One that waits here."""
    made = command(event=ROOT, thread=ROOT)
    task = await have(front, by=THEY, to=WE, ours=Ours.TAKEN)
    await front.take_in(typed("x", event=ROOT))
    accepted = AcceptCommand(made, of_thread=True, task=task)
    await front.ledger.inbox.settle(ROOT, [accepted], front.clock.now_ms())
    await front.deliver()


async def state(front: Front, name: str = "t1a") -> TaskState:
    found = await front.ledger.tasks.get(ROOM, TaskId(name))
    assert found is not None
    return found.state


async def test_open_ones_of_the_room_are_listed_for_everybody(front: Front) -> None:
    mine = await have(front)
    await have(front, "t2", state=TaskState.DONE)
    await have(front, "t3", room=OTHER)

    now = front.clock.now_ms()
    assert await front.told(typed("/tasks", sender=VERA)) == [task_words.listed([mine], now, everything=False)]


async def test_all_of_them_are_listed_when_that_is_asked_for(front: Front) -> None:
    mine, over = await have(front), await have(front, "t2", state=TaskState.DONE)

    now = front.clock.now_ms()
    assert await front.told(typed("/tasks all")) == [task_words.listed([over, mine], now, everything=True)]


async def test_where_there_is_none_it_says_how_one_is_given(front: Front) -> None:
    assert await front.told(typed("/tasks")) == [task_words.NO_TASKS]


async def test_one_is_shown_by_how_its_id_begins(front: Front) -> None:
    mine, other = await have(front), await have(front, "t1ab", state=TaskState.DONE)
    now = front.clock.now_ms()

    assert await front.told(typed("/tasks t1ab")) == [task_words.shown(other, now)]
    assert await front.told(typed("/tasks t1a")) == [task_words.shown(mine, now)]
    assert await front.told(typed("/tasks t1")) == [task_words.several_tasks("t1", [other, mine])]
    assert await front.told(typed("/tasks t9")) == [task_words.no_such_task("t9")]


@pytest.mark.parametrize("typed_", ["/tasks t1 t2", "/tasks cancel t1 t2", "/tasks cancel", "/tasks cancel t1 please"])
async def test_what_makes_no_sense_is_answered_with_how_it_is_used(front: Front, typed_: str) -> None:
    assert await front.told(typed(typed_)) == [task_words.TASKS_USAGE]


async def test_whoever_may_run_commands_ends_one_that_waits_here(front: Front) -> None:
    await taken(front)
    told = await front.told(typed("/tasks cancel t1"))

    assert await state(front) is TaskState.CANCELLED
    assert await front.state(ROOT) is CommandState.CANCELLED
    assert told == ["[STATUS] 🛑 cancelled: by `@anna:hs`", "Cancelled: **`Tidy up`**."]


async def test_what_runs_for_it_is_stopped(front: Front) -> None:
    await taken(front)
    await front.ledger.commands.start(ROOT, front.clock.now_ms())
    told = await front.told(typed("/tasks cancel t1"))

    assert told[-1] == "Cancelled: **`Tidy up`**. What runs for it is ended."
    assert await front.ledger.commands.stop_requested(ROOT) is not None


async def test_in_its_thread_it_needs_no_id(front: Front) -> None:
    await have(front)
    told = await front.told(typed("/tasks cancel", thread=ROOT))

    assert await state(front) is TaskState.CANCELLED
    assert told == [
        "[STATUS] 🛑 cancelled: by `@anna:hs`",
        "Cancelled: **`Tidy up`**. `@ben:hs/desk` is told in its thread.",
    ]
    assert await front.told(typed("/tasks cancel", thread=EventId("$none"))) == [task_words.TASKS_USAGE]


async def test_the_audit_says_who_ended_what_we_had_given(front: Front) -> None:
    await have(front)
    await front.hear(typed("/tasks cancel t1a"))

    lines = await front.ledger.audit.lines(AuditFilter(), limit=10)
    assert [(line.deed.kind.value, line.deed.subject) for line in lines] == [("stopped", "t1a")]


async def test_what_others_gave_to_others_is_theirs(front: Front) -> None:
    watched = await have(front, by=THEY, to=Address(VERA), ours=Ours.WATCHED)

    assert await front.told(typed("/tasks cancel t1a")) == [task_words.not_ours(watched)]
    assert await state(front) is TaskState.ASSIGNED


async def test_what_is_over_stays_as_it_is(front: Front) -> None:
    over = await have(front, state=TaskState.DONE)

    assert await front.told(typed("/tasks cancel t1a")) == [task_words.over_already(over, front.clock.now_ms())]


async def test_who_may_only_look_ends_nothing(front: Front) -> None:
    await have(front)

    assert await front.told(typed("/tasks cancel t1a", sender=VERA)) == [words.VIEWER_MAY_NOT_RUN]
    assert await state(front) is TaskState.ASSIGNED


async def test_an_id_that_no_task_has_ends_nothing(front: Front) -> None:
    assert await front.told(typed("/tasks cancel t9")) == [task_words.no_such_task("t9")]
