"""What a room reads about tasks, and what the other side reads there."""

from dataclasses import replace

import pytest

from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import EventId, InstanceName, MessageId, RoomId, TaskId, UserId
from aiagentchat.core.meta import Address, MetaKind, Step, read_meta
from aiagentchat.core.parcels import REACTION
from aiagentchat.core.tasks import Ours, Task, TaskState, Why, Word, heard, note_in, opened
from aiagentchat.render import task_words
from aiagentchat.render.agent_words import OUT_OF_TIME
from aiagentchat.render.task_words import MOST_LISTED, SIGNS
from tests.fakes.people import typed

NOW = 1_700_000_000_000
MINUTE = 60_000
ANNA = UserId("@anna:hs")
TASK = Task(
    id=TaskId("t3fa9c1"),
    room=RoomId("!kitchen:hs"),
    thread=EventId("$root"),
    title="Review the parser",
    by=Address(UserId("@ada:hs"), InstanceName("desk")),
    to=Address(UserId("@bot:hs"), InstanceName("workshop")),
    ours=Ours.TAKEN,
    state=TaskState.WORKING,
    note="half of it is read",
    command=EventId("$command"),
    created_at=NOW - 10 * MINUTE,
    changed_at=NOW - 5 * MINUTE,
    message=MessageId("m1"),
)
GIVEN = replace(TASK, ours=Ours.GIVEN)


# ── news ──


@pytest.mark.parametrize(
    ("state", "note", "body"),
    [
        (TaskState.ACCEPTED, "", "[STATUS] 👀 accepted"),
        (TaskState.WORKING, "half of it", "[STATUS] half of it"),
        (TaskState.WORKING, "", "[STATUS] working"),
        (TaskState.DONE, "", "[STATUS] ✅ done"),
        (TaskState.FAILED, "no such file", "[STATUS] ❌ failed: no such file"),
        (TaskState.CANCELLED, "", "[STATUS] 🛑 cancelled"),
        (TaskState.REFUSED, "", "🚫 refused"),
        (TaskState.EXPIRED, "too late", "⌛ expired: too late"),
    ],
)
def test_news_read_as_people_read_them_and_the_other_side_hears_the_same(
    state: TaskState, note: str, body: str
) -> None:
    said = task_words.news(replace(TASK, state=state), Word(state=state, at=NOW, note=note)).content
    meta = read_meta(said)

    assert said["body"] == body
    assert said["msgtype"] == "m.notice"
    event = typed(said["body"], sender=TASK.to.user)
    word = heard(event, meta)  # type: ignore[arg-type]
    assert word is not None
    assert word.state is state
    assert word.note == (note or ("working" if state is TaskState.WORKING else ""))


def test_news_are_for_the_other_side_in_the_thread_of_the_task() -> None:
    word = Word(state=TaskState.DONE, at=NOW)
    by_taker = task_words.news(replace(TASK, state=TaskState.DONE), word)
    by_giver = task_words.news(replace(GIVEN, state=TaskState.CANCELLED), replace(word, state=TaskState.CANCELLED))
    taker, giver = read_meta(by_taker.content), read_meta(by_giver.content)

    assert (taker.to, taker.instance, taker.kind, taker.step) == (TASK.by, "workshop", MetaKind.STATUS, Step.DONE)  # type: ignore[union-attr]
    assert (giver.to, giver.instance, giver.step) == (TASK.to, "desk", Step.CANCELLED)  # type: ignore[union-attr]
    assert (by_taker.thread, by_taker.command) == ("$root", "$command")


def test_a_session_that_does_a_task_of_its_daemons_speaks_as_itself() -> None:
    session = Address(TASK.by.user, InstanceName("terminal"))
    own = replace(GIVEN, to=session, state=TaskState.DONE)
    meta = read_meta(task_words.news(own, Word(state=TaskState.DONE, at=NOW, by=session)).content)

    assert (meta.instance, meta.to) == ("terminal", TASK.by)  # type: ignore[union-attr]
    meta = read_meta(task_words.news(own, Word(state=TaskState.CANCELLED, at=NOW, by=TASK.by)).content)
    assert (meta.instance, meta.kind) == ("desk", MetaKind.STATUS)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("ours", "state", "kind", "body"),
    [
        (Ours.WATCHED, TaskState.DONE, MetaKind.ANSWER, "[ANSWER] ✅ done: no cracks"),
        (Ours.GIVEN, TaskState.FAILED, MetaKind.ANSWER, "[ANSWER] ❌ failed: no cracks"),
        (Ours.WATCHED, TaskState.CANCELLED, MetaKind.ANSWER, "[ANSWER] 🛑 cancelled: no cracks"),
        (Ours.WATCHED, TaskState.WORKING, MetaKind.STATUS, "[STATUS] no cracks"),
        (Ours.TAKEN, TaskState.DONE, MetaKind.STATUS, "[STATUS] ✅ done: no cracks"),
    ],
)
def test_where_no_turn_answers_a_task_its_end_is_the_answer(
    ours: Ours, state: TaskState, kind: MetaKind, body: str
) -> None:
    task = replace(TASK, ours=ours, state=state)
    said = task_words.news(task, Word(state=state, at=NOW, note="no cracks", by=TASK.to)).content
    meta = read_meta(said)

    assert (meta.kind, meta.in_reply_to, said["body"]) == (kind, TASK.message, body)  # type: ignore[union-attr]
    assert said["msgtype"] == ("m.text" if kind is MetaKind.ANSWER else "m.notice")


def test_the_same_news_are_the_same_parcel() -> None:
    word = Word(state=TaskState.DONE, at=NOW)

    assert task_words.news(TASK, word) == task_words.news(TASK, word)
    assert task_words.news(TASK, word).txn != task_words.news(TASK, replace(word, at=NOW + 1)).txn


@pytest.mark.parametrize(
    ("command", "end", "stopper", "note"),
    [
        (CommandState.INTERRUPTED, TaskState.FAILED, None, task_words.INTERRUPTED),
        (CommandState.TIMED_OUT, TaskState.FAILED, None, task_words.TIMED_OUT),
        (CommandState.FAILED, TaskState.FAILED, None, ""),
        (CommandState.CANCELLED, TaskState.CANCELLED, ANNA, "stopped by `@anna:hs`"),
        (CommandState.CANCELLED, TaskState.CANCELLED, None, ""),
        (CommandState.CANCELLED, TaskState.REFUSED, None, task_words.NOT_BEGUN),
        (CommandState.CANCELLED, TaskState.REFUSED, ANNA, "Not begun: `@anna:hs` has stopped it while it waited."),
        (CommandState.CANCELLED, TaskState.EXPIRED, None, OUT_OF_TIME),
        (CommandState.DONE, TaskState.DONE, None, ""),
    ],
)
def test_the_end_of_its_command_says_why(
    command: CommandState, end: TaskState, stopper: UserId | None, note: str
) -> None:
    assert task_words.note_of_end(command, end, stopper) == note


def test_what_was_not_begun_in_time_says_so_and_has_its_mark() -> None:
    told, mark = task_words.expired(replace(TASK, deadline=NOW - MINUTE), NOW)

    assert told.content["body"] == ("⌛ expired: it was to be begun by 2023-11-14 22:12 UTC, so nothing was run")
    assert note_in(told.content["body"], TaskState.EXPIRED).startswith("it was to be begun by")
    assert (mark.type, mark.content["m.relates_to"]["key"]) == (REACTION, "🛑")
    assert mark.content["m.relates_to"]["event_id"] == "$root"
    assert len(task_words.expired(replace(TASK, deadline=NOW, command=None), NOW)) == 1


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (Why.DEADLINE, "⏰ This is due at 2023-11-14 22:43 UTC (in 30 min); it is working, heard of 5 min ago."),
        (Why.OVERDUE, "⏰ This was due just now; it is working, heard of 5 min ago."),
        (Why.SILENCE, "⏰ Nothing was heard of this for 5 min; it is working, heard of 5 min ago."),
    ],
)
def test_a_reminder_says_why(why: Why, told: str) -> None:
    due = replace(TASK, deadline=NOW + 30 * MINUTE if why is Why.DEADLINE else NOW)

    assert task_words.reminder(due, why, NOW) == f"{told} `/tasks cancel t3fa9c1` ends it."


def test_a_reminder_rings_the_person_who_gave_the_task() -> None:
    rings = task_words.remind(TASK, Why.SILENCE, NOW, ANNA)
    quiet = task_words.remind(GIVEN, Why.SILENCE, NOW, None)

    assert rings.content["m.mentions"] == {"user_ids": [ANNA]}
    assert rings.content["msgtype"] == "m.text"
    assert quiet.content["m.mentions"] == {}
    assert (rings.thread, read_meta(rings.content).step) == ("$root", None)  # type: ignore[union-attr]
    assert [read_meta(each.content).instance for each in (rings, quiet)] == ["workshop", "desk"]  # type: ignore[union-attr]


# ── for its taker ──


def test_the_agent_reads_which_task_it_is_before_what_is_to_be_done() -> None:
    text = task_words.briefing(replace(TASK, deadline=NOW + 30 * MINUTE), NOW, "Review it.")

    assert text.startswith(
        "[aiagentchat: what follows is task t3fa9c1. It is due at 2023-11-14 22:43 UTC (in 30 min). What"
    )
    assert text.endswith("]\n\nReview it.")
    assert "due" not in task_words.briefing(TASK, NOW, "Review it.")


# ── /tasks ──


def test_the_list_reads_well_on_a_phone() -> None:
    due = replace(TASK, deadline=NOW + 30 * MINUTE)
    asked = replace(GIVEN, id=TaskId("t2"), state=TaskState.ASSIGNED, note="", deadline=NOW - MINUTE)

    assert task_words.listed([due, asked], NOW, everything=False) == (
        "2 open tasks:\n\n"
        "- 🔧 **`Review the parser`**\n"
        "  `t3fa9c1` · `@bot:hs/workshop` · working, heard of 5 min ago · due in 30 min\n"
        "  `half of it is read`\n"
        "- 📨 **`Review the parser`**\n"
        "  `t2` · `@bot:hs/workshop` · not heard of yet, given 10 min ago · was due 1 min ago\n\n"
        "`/tasks t3fa9c1` shows one, `/tasks cancel t3fa9c1` ends one."
    )


def test_the_list_of_all_says_what_is_over_without_its_news() -> None:
    done = replace(TASK, state=TaskState.DONE, deadline=NOW, title="")
    text = task_words.listed([done], NOW, everything=True)

    assert text.startswith("1 task, the newest first:\n\n- ✅ *(its text is not here)*\n")
    assert "half of it" not in text
    assert "due" not in text
    assert text.endswith("\n\n`/tasks t3fa9c1` shows one.")


def test_a_long_list_is_cut() -> None:
    text = task_words.listed([TASK] * (MOST_LISTED + 3), NOW, everything=False)

    assert text.count("🔧") == MOST_LISTED
    assert "- … and 3 more" in text


def test_an_empty_list_says_how_one_gives_a_task() -> None:
    assert task_words.listed([], NOW, everything=False) == task_words.NO_TASKS
    assert task_words.listed([], NOW, everything=True) == task_words.NO_TASKS_EVER


def test_one_is_shown_whole() -> None:
    assert task_words.shown(replace(TASK, deadline=NOW + 30 * MINUTE), NOW) == (
        "🔧 **`Review the parser`**\n\n"
        "- Stands: working, heard of 5 min ago\n"
        "- For: `@bot:hs/workshop` (here)\n"
        "- By: `@ada:hs/desk`, 10 min ago\n"
        "- Due: 2023-11-14 22:43 UTC (in 30 min)\n"
        "- Last news: `half of it is read`\n\n"
        "`/tasks cancel t3fa9c1` ends it."
    )


@pytest.mark.parametrize(
    ("ours", "state", "end"),
    [
        (Ours.TAKEN, TaskState.FAILED, "It is over. `/retry` as a reply to it, or in its thread, takes it up again."),
        (Ours.TAKEN, TaskState.DONE, "It is over."),
        (Ours.GIVEN, TaskState.FAILED, "It is over."),
    ],
)
def test_what_is_over_says_how_it_goes_on(ours: Ours, state: TaskState, end: str) -> None:
    text = task_words.shown(replace(TASK, ours=ours, state=state, note=""), NOW)

    assert text.endswith(f"\n\n{end}")
    assert "Last news" not in text


def test_an_id_that_means_none_or_several_is_answered() -> None:
    assert "`t9`" in task_words.no_such_task("t9")
    assert task_words.several_tasks("t", [TASK, replace(TASK, id=TaskId("t4"))]) == (
        "2 tasks begin with `t`: `t3fa9c1`, `t4`. Type more of it; nothing was done."
    )


def test_the_end_of_one_is_told_by_what_it_is_to_us() -> None:
    assert task_words.cancelling(TASK, runs=True) == "Cancelled: **`Review the parser`**. What runs for it is ended."
    assert task_words.cancelling(TASK, runs=False) == "Cancelled: **`Review the parser`**."
    assert task_words.cancelling(GIVEN, runs=False).endswith("`@bot:hs/workshop` is told in its thread.")
    assert "they end it" in task_words.not_ours(TASK)
    assert task_words.cancelled_by(ANNA) == "by `@anna:hs`"
    assert "is done 5 min ago already" in task_words.over_already(replace(TASK, state=TaskState.DONE), NOW)


def test_nothing_that_others_wrote_can_look_like_ours() -> None:
    sly = replace(TASK, title="**[x](http://evil)** @room", note="`/tasks`\u202e evil")
    text = task_words.shown(sly, NOW)

    assert "`**[x](http://evil)** @room`" in text
    assert "\u202e" not in text


def test_every_state_has_a_sign() -> None:
    assert set(SIGNS) == set(TaskState)


def test_what_gives_a_task_is_opened_as_it_was_typed() -> None:
    event = typed("[TASK] Review the parser")
    meta = read_meta({"com.aiagentchat.meta": {"version": 1, "id": "m1", "kind": "task"}})

    assert opened(event, meta, TASK.to, TASK.to).title == "Review the parser"  # type: ignore[arg-type]
