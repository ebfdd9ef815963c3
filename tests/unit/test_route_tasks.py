"""A message that gives us a task is a command in the conversation of its thread; news of tasks are followed."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.effects import OpenTask, PutParcel
from aiagentchat.core.ids import EventId, InstanceName, MessageId, RoomId, TaskId, TxnId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import META_KEY, Address, Meta, MetaKind, Step, read_meta, written
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.tasks import Ours, Task, TaskState, typed_meta
from aiagentchat.render import away, task_words, words
from aiagentchat.route import tasks
from aiagentchat.route.access import Roles
from tests.fakes.front import OURS, Front, open_front
from tests.fakes.people import ANNA, BEN, EVE, KITCHEN, ROOM, settings, typed

DESK = InstanceName("desk")
WE = OURS
THEY = Address(BEN, DESK)
ROOT = EventId("$root")
T1 = TaskId("t1")
OTHER = RoomId("!cellar:hs")


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        opened.settings = settings(replace(KITCHEN, users=frozenset({ANNA, BEN})))
        yield opened


def meta(kind: MetaKind = MetaKind.TASK, step: Step | None = None, **more: object) -> Meta:
    made = Meta(id=MessageId("m1"), kind=kind, instance=DESK, to=WE, task=T1, step=step)
    return replace(made, **more)  # type: ignore[arg-type]


def given(what: Meta | None = None, body: str = "[TASK] Tidy up", **more: object) -> Incoming:
    """Ben's agent gives us a task."""
    return typed(body, sender=BEN, meta=what or meta(), by_agent=True, event=ROOT, **more)


def news(step: Step, *, kind: Kind = Kind.NOTICE, **more: object) -> Incoming:
    said = meta(MetaKind.STATUS, step, id=MessageId("m2"))
    event = typed(f"[STATUS] {step}", sender=BEN, meta=said, by_agent=True, thread=ROOT)
    return replace(event, kind=kind, **more)  # type: ignore[arg-type]


def task(**more: object) -> Task:
    made = Task(
        id=T1,
        room=ROOM,
        thread=ROOT,
        title="Tidy up",
        by=WE,
        to=THEY,
        ours=Ours.GIVEN,
        message=MessageId("m1"),
    )
    return replace(made, **more)  # type: ignore[arg-type]


async def stands(front: Front, name: TaskId = T1) -> Task:
    found = await front.ledger.tasks.get(ROOM, name)
    assert found is not None
    return found


async def follow(front: Front, event: Incoming, *refusals: Parcel) -> None:
    """What follows for tasks, where nothing else does but these."""
    roles = Roles(room=front.settings.rooms[0])
    effects = await tasks.news(front.desk, event, [PutParcel(each) for each in refusals], roles)
    await front.ledger.inbox.take_in("t", [event], 0)
    await front.ledger.inbox.settle(event.event, effects, front.clock.now_ms())


async def steps(front: Front) -> list[Step | None]:
    """What was told about tasks."""
    said = [read_meta(parcel.content) for parcel in await front.deliver()]
    return [each.step for each in said if isinstance(each, Meta)]


# ── taking one ──


async def test_a_task_of_an_agent_is_a_command_in_the_conversation_of_its_thread(front: Front) -> None:
    await front.hear(given())
    command = await front.ledger.commands.get(ROOT)
    found = await stands(front)

    assert command is not None
    assert (command.text, command.thread) == ("Tidy up", ROOT)
    assert command.session == await front.ledger.sessions.current(ROOM, ROOT)
    assert await front.ledger.sessions.current(ROOM) is None
    assert (found.state, found.command, found.by, found.to) == (TaskState.ACCEPTED, ROOT, THEY, WE)
    assert await steps(front) == [Step.ACCEPTED]


@pytest.mark.parametrize("to", [WE, THEY], ids=["ours", "watched"])
async def test_what_it_is_about_is_as_the_agent_wrote_it(front: Front, to: Address) -> None:
    await front.hear(given(meta(to=to), body="[TASK] Ask @\u2060bob:example.org"))

    assert (await stands(front)).title == "Ask @bob:example.org"


async def test_a_person_gives_one_by_its_prefix(front: Front) -> None:
    event = typed("[TASK] @claude:hs: tidy up\nAll of it.")
    await front.hear(event)
    [found] = await front.ledger.tasks.listed([ROOM])
    command = await front.ledger.commands.get(event.event)

    assert (found.by, found.ours, found.thread, found.state) == (
        Address(ANNA),
        Ours.TAKEN,
        event.event,
        TaskState.ACCEPTED,
    )
    assert found.title == "tidy up"
    assert command is not None
    assert command.text == "@claude:hs: tidy up\nAll of it."
    assert await front.ledger.tasks.of_command(event.event) == found


def test_what_was_given_to_our_instance_is_done_by_it() -> None:
    found = tasks.given_by(given(), WE)
    assert found is not None
    assert found.to == WE


async def test_the_prefix_may_stand_before_our_name_where_we_must_be_spoken_to(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, mention_only=True))
    await front.hear(typed("[TASK] tidy up"), typed("[TASK] claude: tidy up"))

    assert [each.title for each in await front.ledger.tasks.listed([ROOM])] == ["claude: tidy up"]


async def test_a_message_that_is_no_task_gives_none(front: Front) -> None:
    await front.hear(typed("tidy up"), given(meta(MetaKind.MESSAGE), "hello"))

    assert await front.ledger.tasks.listed([ROOM], everything=True) == []


async def test_what_has_no_place_in_the_queue_is_refused(front: Front) -> None:
    front.settings = replace(front.settings, max_queue=0)
    await front.hear(given())

    assert (await stands(front)).state is TaskState.REFUSED
    said = [read_meta(each.content) for each in await front.deliver()]
    assert [each.kind for each in said if isinstance(each, Meta)] == [MetaKind.REFUSED]


async def test_what_people_say_in_its_thread_belongs_to_its_conversation(front: Front) -> None:
    await front.hear(given())
    said = typed("and the attic", thread=ROOT)
    elsewhere = typed("hello", thread=EventId("$elsewhere"))
    await front.hear(said, elsewhere)
    first, second, third = [await front.ledger.commands.get(each) for each in (ROOT, said.event, elsewhere.event)]

    assert first is not None
    assert second is not None
    assert third is not None
    assert first.session == second.session != third.session
    assert len(await front.ledger.tasks.listed([ROOM])) == 1


# ── taking one up again ──


async def interrupted(front: Front) -> None:
    await front.hear(given())
    await front.ledger.commands.start(ROOT, front.clock.now_ms())
    await front.ledger.commands.interrupt(ROOT, None, TurnRecord(), [], front.clock.now_ms() + 5)
    await front.deliver()


async def test_what_was_cut_off_is_taken_up_again_by_retry_in_its_thread(front: Front) -> None:
    await interrupted(front)
    assert (await stands(front)).note == task_words.INTERRUPTED
    retry = typed("/retry", thread=ROOT)
    await front.hear(retry)
    command, found = await front.ledger.commands.get(retry.event), await stands(front)

    assert command is not None
    assert (command.text, command.thread, command.origin) == ("Tidy up", ROOT, ROOT)
    assert command.session == await front.ledger.sessions.current(ROOM, ROOT)
    assert (found.state, found.command) == (TaskState.ACCEPTED, retry.event)
    assert await steps(front) == [Step.ACCEPTED]


async def test_what_a_program_gave_is_retried_in_its_thread_alone_and_once(front: Front) -> None:
    await interrupted(front)

    assert await front.told(typed("/retry")) == [away.NOT_YOURS_TO_RETRY]
    await front.hear(typed("/retry", thread=ROOT))
    await front.deliver()
    assert await front.told(typed("/retry", thread=ROOT)) == [away.NOTHING_TO_RETRY]


async def test_a_task_that_is_done_elsewhere_is_not_what_retry_means(front: Front) -> None:
    await front.ledger.tasks.change([OpenTask(task())], 0)

    assert await front.told(typed("/retry", thread=ROOT)) == [away.NOTHING_TO_RETRY]


# ── news ──


async def test_news_of_a_task_that_we_gave_move_it(front: Front) -> None:
    await front.ledger.tasks.change([OpenTask(task())], 0)
    for step, state in (
        (Step.ACCEPTED, TaskState.ACCEPTED),
        (Step.PROGRESS, TaskState.WORKING),
        (Step.DONE, TaskState.DONE),
    ):
        await follow(front, news(step))
        assert (await stands(front)).state is state

    assert await front.deliver() == []


async def test_an_end_that_names_no_task_is_that_of_the_message_that_it_answers(front: Front) -> None:
    await front.ledger.tasks.change([OpenTask(task(id=TaskId("m1")))], 0)
    said = meta(MetaKind.EXPIRED, task=None, in_reply_to=MessageId("m1"))
    await follow(front, replace(news(Step.DONE), meta=said))

    assert (await stands(front, TaskId("m1"))).state is TaskState.EXPIRED


@pytest.mark.parametrize(
    "change",
    [
        lambda event: replace(event, kind=Kind.EDIT),
        lambda event: replace(event, meta=None),
        lambda event: replace(event, meta=replace(event.meta, task=None)),
        lambda event: replace(event, meta=replace(event.meta, step=None)),
        lambda event: replace(event, sender=EVE),
    ],
)
async def test_what_is_no_news_moves_nothing(front: Front, change: Callable[[Incoming], Incoming]) -> None:
    await front.ledger.tasks.change([OpenTask(task())], 0)
    await follow(front, change(news(Step.DONE)))

    assert (await stands(front)).state is TaskState.ASSIGNED


async def test_whoever_gave_it_ends_what_runs_for_it(front: Front) -> None:
    await front.hear(given())
    await front.ledger.commands.start(ROOT, front.clock.now_ms())
    await front.deliver()
    await follow(front, news(Step.CANCELLED))

    assert (await stands(front)).state is TaskState.CANCELLED
    assert await front.ledger.commands.stop_requested(ROOT) == BEN
    assert await steps(front) == [Step.CANCELLED]


async def test_whoever_gave_it_takes_what_waits_out_of_the_queue(front: Front) -> None:
    await front.hear(given())
    await front.deliver()
    await follow(front, news(Step.CANCELLED))

    assert await front.state(ROOT) is CommandState.CANCELLED
    assert await steps(front) == [Step.CANCELLED, None]  # and the message is answered: it was not begun


async def test_what_is_over_is_cancelled_by_nobody(front: Front) -> None:
    await interrupted(front)
    await follow(front, news(Step.CANCELLED))

    assert (await stands(front)).state is TaskState.FAILED
    assert await front.deliver() == []


async def test_a_task_without_a_command_is_cancelled_too(front: Front) -> None:
    await front.ledger.tasks.change([OpenTask(task(by=THEY, to=WE, ours=Ours.TAKEN))], 0)
    await follow(front, news(Step.CANCELLED))

    assert (await stands(front)).state is TaskState.CANCELLED


# ── those of others ──


async def test_a_task_between_others_is_watched(front: Front) -> None:
    other = Address(ANNA, DESK)
    await follow(front, given(meta(to=other)))
    said = replace(news(Step.ACCEPTED), sender=ANNA)
    await follow(front, said)

    found = await stands(front)
    assert (found.ours, found.state, found.to, found.by) == (Ours.WATCHED, TaskState.ACCEPTED, other, THEY)


async def test_news_that_come_before_their_task_are_kept(front: Front) -> None:
    said = replace(news(Step.ACCEPTED), sender=ANNA)
    await follow(front, replace(said, meta=replace(said.meta, to=THEY)))  # type: ignore[type-var]
    assert (await stands(front)).title == ""
    await follow(front, given(meta(to=Address(ANNA, DESK))))

    found = await stands(front)
    assert (found.title, found.state) == ("Tidy up", TaskState.ACCEPTED)


@pytest.mark.parametrize(
    ("by", "title"), [(ANNA, "tidy up"), (EVE, "")], ids=["who gave it", "somebody else's message"]
)
async def test_what_a_person_has_typed_for_somebody_else_is_called_as_it_was_typed(
    front: Front, by: UserId, title: str
) -> None:
    said = typed("[TASK] @desk:hs: tidy up\nAll of it.", sender=by)
    await front.ledger.inbox.take_in("t", [said], 0)
    name = typed_meta(said.event).task
    told = meta(MetaKind.STATUS, Step.ACCEPTED, id=MessageId("m2"), to=Address(ANNA), task=name)
    await follow(front, typed("[STATUS] accepted", sender=BEN, meta=told, by_agent=True, thread=said.event))

    assert name is not None
    found = await stands(front, name)
    assert (found.title, found.by, found.to) == (title, Address(ANNA), THEY)
    assert (found.state, found.ours, found.thread) == (TaskState.ACCEPTED, Ours.WATCHED, said.event)


@pytest.mark.parametrize(
    "change",
    [
        {"room": OTHER},
        {"body": "the safe opens with 1204"},
        {"meta": meta(), "by_agent": True},
        {"mentions": frozenset({EVE})},
    ],
    ids=["in another room", "no task", "of a program", "for somebody else"],
)
async def test_news_that_name_what_gave_no_such_task_bring_nothing_of_it(
    front: Front, change: Mapping[str, Any]
) -> None:
    said = replace(typed("[TASK] @desk:hs: tidy up"), **change)
    await front.ledger.inbox.take_in("t", [said], 0)
    name = typed_meta(said.event).task
    assert name is not None
    told = meta(MetaKind.STATUS, Step.ACCEPTED, id=MessageId("m2"), to=Address(ANNA), task=name)
    await follow(front, typed("[STATUS] accepted", sender=BEN, meta=told, by_agent=True, thread=said.event))

    assert await front.ledger.tasks.listed([OTHER], everything=True) == []
    found = await stands(front, name)
    assert (found.title, found.message, found.room) == ("", None, ROOM)


async def test_of_strangers_nothing_is_kept(front: Front) -> None:
    said = replace(news(Step.ACCEPTED), sender=EVE)
    await follow(front, replace(said, meta=replace(said.meta, to=THEY)))  # type: ignore[type-var]
    await follow(front, replace(given(meta(to=THEY)), sender=EVE))
    await follow(front, given(meta(to=None)))

    assert await front.ledger.tasks.listed([ROOM], everything=True) == []


@pytest.mark.parametrize(
    ("kind", "state"), [(MetaKind.REFUSED, TaskState.REFUSED), (MetaKind.EXPIRED, TaskState.EXPIRED)]
)
async def test_what_we_do_not_take_is_known_as_that(front: Front, kind: MetaKind, state: TaskState) -> None:
    said = meta(kind, id=MessageId("m9"), in_reply_to=MessageId("m1"), to=THEY)
    content = {"msgtype": "m.notice", "body": words.BROKEN, META_KEY: written(said)}
    other = {**content, META_KEY: written(replace(said, in_reply_to=MessageId("m7")))}
    refusals = [Parcel(txn=TxnId("x"), room=ROOM, content=each) for each in (other, content)]
    await follow(front, given(), *refusals)

    assert (await stands(front)).state is state


async def test_what_is_ignored_is_nobodys_task(front: Front) -> None:
    content = {"msgtype": "m.notice", "body": "hello"}
    await follow(front, given(), Parcel(txn=TxnId("x"), room=ROOM, content=content))

    assert await front.ledger.tasks.listed([ROOM], everything=True) == []


async def test_the_agent_reads_ids_as_the_other_one_has_written_them(front: Front) -> None:
    await front.hear(given(body="[TASK] ask @\u2060bert:hs"))
    command = await front.ledger.commands.get(ROOT)

    assert command is not None
    assert command.text == "ask @bert:hs"
