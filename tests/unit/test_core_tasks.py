"""Tasks move as their picture in core/tasks.py has it, whoever says what, however late and often."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import EventId, InstanceName, MessageId, RoomId, TaskId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Address, Meta, MetaKind, Step
from aiagentchat.core.tasks import (
    BAD_ENDS,
    MOST_LEAD_MS,
    MOST_NOTE,
    MOST_TITLE,
    MOVES,
    OPEN,
    QUIET_MS,
    STEPS,
    Ours,
    Reminder,
    Task,
    TaskState,
    Why,
    Word,
    armed,
    assigned,
    has_lapsed,
    heard,
    is_same,
    joined,
    may_move,
    moved,
    next_reminder,
    note_in,
    opened,
    reminds,
    state_after,
    state_of,
    supposed,
    title_of,
    typed_meta,
)

NOW = 1_700_000_000_000
MINUTE = 60_000
ROOM = RoomId("!kitchen:hs")
GIVER = Address(UserId("@ada:hs"), InstanceName("desk"))
TAKER = Address(UserId("@bot:hs"), InstanceName("workshop"))
OTHER = Address(UserId("@eve:hs"), InstanceName("x"))
ROOT = EventId("$root")


def task(**more: object) -> Task:
    given = Task(
        id=TaskId("t1"),
        room=ROOM,
        thread=ROOT,
        title="Tidy up",
        by=GIVER,
        to=TAKER,
        ours=Ours.GIVEN,
        created_at=NOW,
        changed_at=NOW,
        message=MessageId("m1"),
    )
    return replace(given, **more)  # type: ignore[arg-type]


def word(state: TaskState, by: Address | None = TAKER, *, at: int = NOW + 1, note: str = "") -> Word:
    return Word(state=state, at=at, note=note, by=by)


def said(meta: Meta, body: str = "", by: Address = TAKER, **more: object) -> Incoming:
    event = Incoming(
        event=EventId("$said"), room=ROOM, sender=by.user, sent_at=NOW + 5, kind=Kind.TEXT, body=body, meta=meta
    )
    return replace(event, **more)  # type: ignore[arg-type]


def news(kind: MetaKind = MetaKind.STATUS, step: Step | None = None, **more: object) -> Meta:
    meta = Meta(id=MessageId("m2"), kind=kind, instance=TAKER.instance, to=GIVER, task=TaskId("t1"), step=step)
    return replace(meta, **more)  # type: ignore[arg-type]


GIVES = Meta(id=MessageId("m1"), kind=MetaKind.TASK, instance=GIVER.instance, to=TAKER, task=TaskId("t1"))


# ── the picture ──


def test_an_end_is_left_by_no_move_of_the_picture() -> None:
    assert {state for state in TaskState if MOVES[state]} == OPEN
    assert not may_move(TaskState.WORKING, TaskState.ACCEPTED)
    assert not may_move(TaskState.WORKING, TaskState.EXPIRED)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(TaskState, TaskState)))
def test_its_taker_makes_the_moves_of_the_picture_and_takes_up_again_what_ended_badly(
    before: TaskState, after: TaskState
) -> None:
    is_late = before is TaskState.CANCELLED and after in (TaskState.DONE, TaskState.FAILED)
    is_again = before in BAD_ENDS and after is TaskState.ACCEPTED
    stands = moved(task(state=before), word(after)).state

    assert stands is (after if may_move(before, after) or is_late or is_again else before)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(TaskState, TaskState)))
def test_its_giver_may_cancel_what_is_open_and_nothing_else(before: TaskState, after: TaskState) -> None:
    stands = moved(task(state=before), word(after, GIVER)).state

    assert stands is (after if before in OPEN and after is TaskState.CANCELLED else before)


@pytest.mark.parametrize("after", TaskState)
def test_others_move_nothing(after: TaskState) -> None:
    before = task(state=TaskState.ACCEPTED)

    assert moved(before, word(after, OTHER, note="ha")) is before
    assert moved(before, word(after, Address(TAKER.user, InstanceName("another")), note="ha")) is before


@pytest.mark.parametrize("after", [TaskState.DONE, TaskState.FAILED])
def test_what_ends_here_after_it_was_cancelled_stays_cancelled(after: TaskState) -> None:
    before = task(state=TaskState.CANCELLED, ours=Ours.TAKEN)

    assert moved(before, word(after, None)) is before


# ── who, and when ──


def test_an_address_without_an_instance_is_any_of_its_account() -> None:
    assert is_same(Address(TAKER.user), TAKER)
    assert is_same(TAKER, Address(TAKER.user))
    assert is_same(TAKER, TAKER)
    assert not is_same(TAKER, Address(TAKER.user, InstanceName("another")))
    assert not is_same(TAKER, GIVER)


def test_who_takes_what_was_given_to_an_account_is_the_one_it_was_given_to() -> None:
    taken = moved(task(to=Address(TAKER.user)), word(TaskState.ACCEPTED))

    assert taken.to == TAKER
    assert moved(taken, word(TaskState.DONE, Address(TAKER.user, InstanceName("another")))) is taken


def test_what_is_taken_up_again_is_newer_than_its_end() -> None:
    ended = moved(task(state=TaskState.WORKING), word(TaskState.FAILED, at=NOW + 9, note="interrupted"))

    assert (ended.state, ended.note) == (TaskState.FAILED, "interrupted")
    assert moved(ended, word(TaskState.ACCEPTED, at=NOW + 9)) is ended
    assert moved(ended, word(TaskState.ACCEPTED, at=NOW + 10)).state is TaskState.ACCEPTED
    assert moved(ended, word(TaskState.ACCEPTED, at=NOW + 10)).note == ""


def test_what_is_taken_up_again_after_its_deadline_has_none_any_more() -> None:
    ended = task(state=TaskState.EXPIRED, deadline=NOW + MINUTE)

    assert moved(ended, word(TaskState.ACCEPTED, at=NOW + MINUTE)).deadline is None
    assert moved(ended, word(TaskState.ACCEPTED, at=NOW + MINUTE - 1)).deadline == NOW + MINUTE


def test_progress_brings_news_while_it_works_and_only_newer_ones() -> None:
    working = moved(task(), word(TaskState.WORKING, at=NOW + 5, note="half"))
    more = moved(working, word(TaskState.WORKING, at=NOW + 6, note="most"))

    assert (working.state, working.note, more.note, more.changed_at) == (TaskState.WORKING, "half", "most", NOW + 6)
    assert moved(more, word(TaskState.WORKING, at=NOW + 5, note="half")) is more
    assert moved(more, word(TaskState.WORKING, at=NOW + 7)) is more
    assert moved(more, word(TaskState.WORKING, at=NOW + 7, note="most")) is more
    assert moved(more, word(TaskState.WORKING, GIVER, at=NOW + 7, note="hurry")) is more
    done = moved(more, word(TaskState.DONE, at=NOW + 8))
    assert moved(done, word(TaskState.DONE, at=NOW + 9, note="again")) is done


def test_the_last_news_stay_until_it_ends() -> None:
    accepted = task(state=TaskState.ACCEPTED, note="soon")

    assert moved(accepted, word(TaskState.WORKING)).note == "soon"
    assert moved(accepted, word(TaskState.DONE)).note == ""


WORDS = [
    word(TaskState.ACCEPTED, at=NOW + 1),
    word(TaskState.WORKING, at=NOW + 2, note="half"),
    word(TaskState.WORKING, at=NOW + 3, note="most"),
    word(TaskState.DONE, at=NOW + 4),
]


@given(st.permutations(WORDS), st.lists(st.sampled_from(WORDS), max_size=6))
def test_in_whatever_order_and_however_often_they_come_the_news_end_in_the_same_state(
    order: list[Word], again: list[Word]
) -> None:
    stands = task()
    for each in [*order, *again]:
        stands = moved(stands, each)

    assert (stands.state, stands.changed_at) == (
        TaskState.DONE,
        max(each.at for each in order[: order.index(WORDS[3]) + 1]),
    )


@given(st.permutations([word(TaskState.DONE, at=NOW + 4), word(TaskState.CANCELLED, GIVER, at=NOW + 4)]))
def test_a_result_that_was_on_its_way_when_it_was_cancelled_stands_on_every_side(order: list[Word]) -> None:
    stands = task(state=TaskState.WORKING)
    for each in order:
        stands = moved(stands, each)

    assert stands.state is TaskState.DONE


# ── what messages say ──


def test_a_message_that_gives_a_task_opens_it() -> None:
    meta = replace(GIVES, expires_at=NOW + 9)
    event = said(meta, "[TASK] Tidy up\nAll of it.", GIVER)

    assert opened(event, meta, TAKER, TAKER) == armed(
        task(ours=Ours.TAKEN, thread=EventId("$said"), deadline=NOW + 9, created_at=NOW + 5, changed_at=NOW + 5)
    )
    assert opened(event, meta, TAKER, GIVER).ours is Ours.GIVEN
    assert opened(event, meta, TAKER, OTHER).ours is Ours.WATCHED
    assert opened(replace(event, thread=ROOT), meta, TAKER, OTHER).thread == ROOT
    assert opened(event, replace(meta, task=None), TAKER, TAKER).id == "m1"


def test_a_task_of_ours_is_known_before_it_is_in_the_room() -> None:
    meta = replace(GIVES, expires_at=NOW + 10 * MINUTE)
    made = assigned(meta, TAKER, ROOM, "Tidy up", by=GIVER, now=NOW)

    assert made == armed(task(thread=None, deadline=NOW + 10 * MINUTE))
    assert assigned(replace(meta, task=None), TAKER, ROOM, "Tidy up", by=GIVER, now=NOW).id == "m1"


@pytest.mark.parametrize(
    ("body", "title"),
    [
        ("[TASK] Tidy up", "Tidy up"),
        ("  [task]:  Tidy   up \nAll of it", "Tidy up"),
        ("Tidy up", "Tidy up"),
        ("[TASK]", ""),
        ("[TASK] @bot:hs: Tidy up", "Tidy up"),
        ("[TASK] @bot:hs:8448 Tidy up", "Tidy up"),
        ("[TASK] @bot:hs", "@bot:hs"),
        ("x" * 100, "x" * (MOST_TITLE - 1) + "…"),
    ],
)
def test_a_task_is_called_by_its_first_line(body: str, title: str) -> None:
    assert title_of(body) == title


@pytest.mark.parametrize(
    ("body", "state", "note"),
    [
        ("[STATUS] ✅ done", TaskState.DONE, ""),
        ("[STATUS] ❌ failed: no such file", TaskState.FAILED, "no such file"),
        ("Failed. It is gone", TaskState.FAILED, "It is gone"),
        ("[STATUS] working on it", TaskState.WORKING, "working on it"),
        ("It is undone", TaskState.DONE, "It is undone"),
        ("x" * 400, TaskState.WORKING, "x" * (MOST_NOTE - 1) + "…"),
    ],
)
def test_the_news_are_what_a_message_says_beside_the_state(body: str, state: TaskState, note: str) -> None:
    assert note_in(body, state) == note


@pytest.mark.parametrize(
    ("meta", "state"),
    [
        *((news(step=step), state_after(step)) for step in Step),
        (news(MetaKind.ANSWER), TaskState.WORKING),
        (news(MetaKind.ANSWER, Step.DONE), TaskState.DONE),
        (news(MetaKind.REFUSED), TaskState.REFUSED),
        (news(MetaKind.EXPIRED), TaskState.EXPIRED),
    ],
)
def test_a_message_brings_news(meta: Meta, state: TaskState) -> None:
    found = heard(said(meta), meta)

    assert found == Word(state=state, at=NOW + 5, by=TAKER)


@pytest.mark.parametrize("kind", [MetaKind.STATUS, MetaKind.MESSAGE, MetaKind.TASK, MetaKind.QUESTION])
def test_other_messages_bring_none(kind: MetaKind) -> None:
    assert heard(said(news(kind)), news(kind)) is None


def test_what_an_answer_says_is_no_news() -> None:
    meta = news(MetaKind.ANSWER, Step.DONE)

    assert heard(said(meta, "It is tidy now."), meta) == word(TaskState.DONE, at=NOW + 5)


def test_every_step_is_said_as_it_is_heard() -> None:
    assert {step: state_after(step) for step in Step} == {step: state for state, step in STEPS.items()}


# ── news that come before the task ──


def test_news_of_a_task_that_is_not_known_tell_whose_it_is() -> None:
    meta = news(step=Step.ACCEPTED)
    found = supposed(said(meta, thread=ROOT), meta, OTHER)

    assert found == task(title="", ours=Ours.WATCHED, message=None, created_at=NOW + 5, changed_at=0)
    assert supposed(said(meta), meta, OTHER) is None
    for lacking in (
        replace(meta, task=None),
        replace(meta, to=None),
        replace(meta, step=None),
        replace(meta, step=Step.CANCELLED),
    ):
        assert supposed(said(lacking, thread=ROOT), lacking, OTHER) is None


def test_the_task_that_comes_after_its_news_stands_where_they_say() -> None:
    supposed_one = moved(task(title="", message=None, ours=Ours.WATCHED), word(TaskState.WORKING, note="half"))
    whole = joined(supposed_one, task(ours=Ours.WATCHED, to=Address(TAKER.user)))

    assert (whole.title, whole.state, whole.note, whole.to) == ("Tidy up", TaskState.WORKING, "half", TAKER)


def test_the_news_of_somebody_it_was_not_given_to_are_forgotten() -> None:
    forged = task(title="", message=None, to=OTHER, state=TaskState.DONE)

    assert joined(forged, task()) == task()


def test_a_task_that_is_given_twice_is_one_and_its_id_is_nobody_elses() -> None:
    working = task(state=TaskState.WORKING, thread=None)

    assert joined(None, task()) == task()
    assert joined(working, task()) == replace(working, thread=ROOT)
    assert joined(task(thread=EventId("$first")), task()).thread == "$first"
    assert joined(working, task(message=MessageId("m9"))) is working
    assert joined(working, task(by=OTHER)) is working


def test_what_we_give_to_ourselves_is_ours_to_do() -> None:
    given_away = task(thread=None, to=Address(TAKER.user))

    assert joined(given_away, task(ours=Ours.TAKEN)).ours is Ours.TAKEN
    assert joined(given_away, task(ours=Ours.TAKEN)).to == TAKER


# ── its command ──


@pytest.mark.parametrize(
    ("command", "state"),
    [
        (CommandState.QUEUED, TaskState.ACCEPTED),
        (CommandState.RUNNING, TaskState.WORKING),
        (CommandState.DONE, TaskState.DONE),
        (CommandState.FAILED, TaskState.FAILED),
        (CommandState.TIMED_OUT, TaskState.FAILED),
        (CommandState.INTERRUPTED, TaskState.FAILED),
        (CommandState.CANCELLED, TaskState.CANCELLED),
        (CommandState.REJECTED, TaskState.REFUSED),
    ],
)
def test_what_its_command_comes_to_it_comes_to(command: CommandState, state: TaskState) -> None:
    assert state_of(command) is state


# ── time ──


def test_only_what_has_not_begun_lapses() -> None:
    due = task(deadline=NOW + 9)

    assert not has_lapsed(due, NOW + 8)
    assert has_lapsed(due, NOW + 9)
    assert has_lapsed(replace(due, state=TaskState.ACCEPTED), NOW + 9)
    assert not has_lapsed(replace(due, state=TaskState.WORKING), NOW + 9)
    assert not has_lapsed(task(), NOW + 9)


def test_whoever_gave_it_reminds_and_for_a_person_whoever_took_it() -> None:
    person = Address(UserId("@anna:hs"))

    assert reminds(task())
    assert not reminds(task(ours=Ours.WATCHED))
    assert not reminds(task(ours=Ours.TAKEN))
    assert reminds(task(ours=Ours.TAKEN, by=person))
    assert reminds(task(ours=Ours.TAKEN, by=Address(TAKER.user, InstanceName("ci"))))


def test_it_is_reminded_of_once_before_its_deadline_and_once_after_it() -> None:
    due = task(deadline=NOW + 40 * MINUTE)

    assert next_reminder(due) == Reminder(NOW + 30 * MINUTE, Why.DEADLINE)
    once = replace(due, reminded_at=NOW + 30 * MINUTE)
    assert next_reminder(once) == Reminder(NOW + 40 * MINUTE, Why.OVERDUE)
    assert next_reminder(replace(due, reminded_at=NOW + 40 * MINUTE)) is None


def test_the_reminder_comes_an_hour_before_at_the_earliest_and_not_at_all_where_there_is_no_time() -> None:
    far = task(deadline=NOW + 7 * 24 * 60 * MINUTE, changed_at=NOW + 7 * 24 * 60 * MINUTE)

    assert next_reminder(far) == Reminder(far.deadline - MOST_LEAD_MS, Why.DEADLINE)  # type: ignore[operator]
    assert next_reminder(task(deadline=NOW + MINUTE)) == Reminder(NOW + MINUTE, Why.OVERDUE)


def test_each_silence_is_broken_once() -> None:
    assert next_reminder(task()) == Reminder(NOW + QUIET_MS, Why.SILENCE)
    assert next_reminder(task(reminded_at=NOW + QUIET_MS)) is None
    heard_of = moved(task(reminded_at=NOW + QUIET_MS), word(TaskState.WORKING, at=NOW + QUIET_MS + 5, note="half"))
    assert next_reminder(heard_of) == Reminder(NOW + 2 * QUIET_MS + 5, Why.SILENCE)


@pytest.mark.parametrize("end", [state for state in TaskState if state not in OPEN])
def test_nobody_is_reminded_of_what_is_over(end: TaskState) -> None:
    assert next_reminder(task(state=end)) is None
    assert armed(task(state=end, remind_at=NOW)).remind_at is None


def test_it_is_looked_at_when_it_lapses_too_where_it_was_taken() -> None:
    taken = task(ours=Ours.TAKEN, deadline=NOW + MINUTE)

    assert armed(taken).remind_at == NOW + MINUTE
    assert armed(replace(taken, state=TaskState.WORKING)).remind_at is None
    assert armed(task(deadline=NOW + MINUTE)).remind_at == NOW + MINUTE


def test_the_id_of_a_persons_task_is_the_same_for_everybody() -> None:
    event = EventId("$Ab-c:hs")

    assert typed_meta(event) == typed_meta(event)
    assert typed_meta(event).id == "_Ab-c_hs"
    assert typed_meta(EventId("$other")).task != typed_meta(event).task
