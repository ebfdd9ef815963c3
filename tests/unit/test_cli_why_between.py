"""`aiagentchat why …` of what programs have sent, and of tasks."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import AcceptCommand, OpenTask
from aiagentchat.core.exchange import Message, MessageState
from aiagentchat.core.ids import CallerName, EventId, MessageId, TaskId, UserId, txn_id
from aiagentchat.core.messages import MAIN, Kind, Receipt
from aiagentchat.core.meta import META_KEY, Address, Meta, MetaKind, written
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.tasks import Ours, Task, TaskState, assigned
from aiagentchat.store.ledger import Ledger
from tests.unit.test_cli_why import NOW, ROOM, YOU, Place, command, said, send, take

THEM = UserId("@them:localhost")
MESSAGE, TASK = "m0123456789abcdef", TaskId("t0123456789abcdef")
EVENT = EventId(f"$sent-{txn_id('message', MESSAGE)}")

Happening = Callable[[Ledger], Awaitable[None]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def sent(kind: MetaKind = MetaKind.QUESTION, to: UserId | None = THEM, task: Task | None = None) -> Happening:
    """A caller sends it."""
    meta = Meta(id=MessageId(MESSAGE), kind=kind, to=None if to is None else Address(to))
    wish = Message(meta=meta, room=ROOM, caller=CallerName("ci"), body="Is tea ready?", accepted_at=NOW)
    content = {"body": wish.body, META_KEY: written(meta)}
    parcel = Parcel(txn=txn_id("message", MESSAGE), room=ROOM, content=content)

    async def happening(ledger: Ledger) -> None:
        await ledger.messages.accept(wish, parcel, task=task)

    return happening


def receipt(says: MessageState) -> Happening:
    async def happening(ledger: Ledger) -> None:
        thread = None if says is MessageState.READ else MAIN
        receipts = [Receipt(room=ROOM, event=EVENT, user=THEM, thread=thread)]
        assert await ledger.messages.received(receipts, NOW + 70_000)

    return happening


def answer(kind: MetaKind = MetaKind.ANSWER) -> Happening:
    async def happening(ledger: Ledger) -> None:
        meta = Meta(id=MessageId("a1"), kind=kind, in_reply_to=MessageId(MESSAGE))
        come = said("$answer", "Tea is ready.", sender=THEM, meta=meta, by_agent=True)
        assert await ledger.messages.heard(come, NOW + 80_000)

    return happening


@pytest.mark.parametrize(
    ("happenings", "verdict"),
    [
        ([sent()], "Not sent yet: its parcel is waiting since 1"),
        ([sent(), send], f"Not answered yet: {THEM} has not been given it yet, as far as its receipts tell."),
        (
            [sent(), send, receipt(MessageState.DELIVERED)],
            f"Not answered yet: {THEM} has got it, and not begun yet.",
        ),
        (
            [sent(), send, receipt(MessageState.READ)],
            f"Not answered yet: {THEM} has begun, and not answered yet.",
        ),
        ([sent(), send, answer()], "Answered by $answer, 1 min 20 s after it was accepted."),
        ([sent(), send, answer(MetaKind.REFUSED)], "Not answered because it was refused by $answer (--content: why)."),
        ([sent(), send, answer(MetaKind.EXPIRED)], "Not answered because nobody had begun it when its time was over"),
        ([sent(MetaKind.STATUS, None), send], f"It is in the room as {EVENT}, and asks nobody for an answer."),
    ],
)
def test_of_what_a_program_has_sent_it_says_how_far_it_has_come(
    place: Place, happenings: list[Happening], verdict: str
) -> None:
    place.happens(*happenings)
    told = place.told(MESSAGE)

    assert told["verdict"].startswith(verdict)
    assert told["answered"] is not verdict.startswith("Not")
    assert (told["message"], told["room"], told["command"]) == (MESSAGE, ROOM, None)
    assert "ready" not in str(told)
    if send in happenings:
        assert place.told(EVENT)["verdict"] == told["verdict"]  # by the event that it has become


def test_a_message_that_the_homeserver_does_not_take_was_not_sent(place: Place) -> None:
    async def refused(ledger: Ledger) -> None:
        assert await ledger.outbox.claim(NOW, device="DEVICE")
        await ledger.outbox.give_up(txn_id("message", MESSAGE), "M_FORBIDDEN", NOW + 1)

    place.happens(sent(), refused)

    assert place.verdict(MESSAGE) == "Not sent: M_FORBIDDEN."


def test_its_rows_are_its_moments_and_its_texts_are_printed_for_whoever_asks(place: Place) -> None:
    place.happens(sent(), send, receipt(MessageState.READ), answer())
    shown = place.why(MESSAGE, "--content")
    rows = place.told(MESSAGE)["rows"]

    assert [row["what"] for row in rows] == ["accepted", "in the room", "delivered", "read", "answered"]
    assert rows[0]["more"] == f"question {MESSAGE} of ci, to {THEM}"
    assert shown.stdout.startswith(f"{MESSAGE} in ")
    assert ", by ci\n" in shown.stdout
    assert "Is tea ready?" in shown.stdout
    assert "Tea is ready." in shown.stdout


def test_of_a_task_that_we_gave_it_says_how_it_stands(place: Place) -> None:
    meta = Meta(id=MessageId(MESSAGE), kind=MetaKind.TASK, to=Address(THEM), task=TASK)
    given = assigned(meta, Address(THEM), ROOM, "Make tea.", by=Address(YOU), now=NOW)
    place.happens(sent(MetaKind.TASK, task=given), send)
    told = place.told(given.id)

    assert told["verdict"].startswith(f"Not done yet: {THEM} has it as assigned since")
    assert (told["task"], told["message"]) == (given.id, MESSAGE)
    assert [row["what"] for row in told["rows"]] == ["accepted", "task", "in the room"]
    assert place.told(MESSAGE)["task"] == given.id
    assert place.verdict(MESSAGE).startswith("Not answered yet")


def task(state: TaskState, **more: object) -> Task:
    values = {"thread": EventId("$task"), "by": Address(THEM), "to": Address(YOU), "ours": Ours.TAKEN, **more}
    return Task(
        id=TASK,
        room=ROOM,
        title="Make tea.",
        state=state,
        created_at=NOW,
        changed_at=NOW + 5_000,
        **values,  # type: ignore[arg-type]
    )


def test_of_a_task_that_we_work_on_it_says_what_its_command_does(place: Place) -> None:
    async def taken(ledger: Ledger) -> None:
        told = said("$task", sender=THEM, kind=Kind.TEXT, by_agent=True)
        await take(
            ledger,
            told,
            AcceptCommand(command("$task", sender=THEM)),
            OpenTask(task(TaskState.ACCEPTED, command=EventId("$task"))),
        )

    place.happens(taken)
    told = place.told(TASK)

    assert (told["command"], told["state"]) == ("$task", CommandState.QUEUED)
    assert told["verdict"].startswith("Not answered yet because")


def test_of_a_task_of_others_it_says_how_it_has_ended(place: Place) -> None:
    async def watched(ledger: Ledger) -> None:
        await take(ledger, said("$task", sender=THEM, by_agent=True), OpenTask(task(TaskState.DONE, ours=Ours.WATCHED)))

    place.happens(watched)
    told = place.told(TASK)

    assert told["verdict"].startswith("The task has ended as done, ")
    assert told["answered"]
    assert [row["what"] for row in told["rows"] if row["what"].startswith("task")] == ["task", "task done"]
