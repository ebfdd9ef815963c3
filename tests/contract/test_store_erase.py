"""What was taken back is nowhere any more: in no table, and in no file of the database."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState
from aiagentchat.core.audit import AuditFilter
from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.effects import (
    AcceptCommand,
    DecideApproval,
    EditCommand,
    EraseText,
    ForgetAnswer,
    ForgetEdits,
    OpenApproval,
    PutParcel,
)
from aiagentchat.core.exchange import Message
from aiagentchat.core.heard import heard
from aiagentchat.core.ids import ApprovalId, CallerName, EventId, MessageId, TxnId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import META_KEY, Address, Meta, MetaKind, written
from aiagentchat.core.parcels import MESSAGE, PARCEL, REDACTION, Parcel
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    BERT,
    DEVICE,
    NOW,
    OTHER_ROOM,
    ROOM,
    accept,
    command,
    incoming,
    parcel,
    settle,
    state_of,
)

A, B = EventId("$a"), EventId("$b")
SECRET = 'correct horse „battery“ "staple"'
MINUTE = 60_000
ANSWER = Parcel(txn=TxnId("answer"), room=ROOM, content={"body": f"You said {SECRET}."}, command=A)


async def take_back(ledger: Ledger, event: EventId = A, now: int = NOW) -> None:
    """The message is redacted."""
    redaction = replace(incoming(f"$redaction-{event}"), kind=Kind.REDACTION, target=event)
    await ledger.inbox.take_in("t", [redaction], now)
    assert await ledger.inbox.settle(redaction.event, [EraseText(event, ROOM)], now)


async def asked(ledger: Ledger, event: EventId = A, text: str = SECRET) -> None:
    """A message with the secret in it is a command."""
    await ledger.inbox.take_in("t", [incoming(event, text)], NOW)
    assert await ledger.inbox.settle(event, [AcceptCommand(replace(command(event), text=text))], NOW)


async def ended(ledger: Ledger, event: EventId = A, *parcels: Parcel, state: CommandState = CommandState.DONE) -> None:
    await ledger.commands.start(event, NOW)
    assert await ledger.commands.finish(event, state, TurnRecord(), parcels, NOW)


async def deliver(ledger: Ledger) -> list[Parcel]:
    parcels = []
    while (claimed := await ledger.outbox.claim(NOW, device=DEVICE)) is not None:
        await ledger.outbox.sent(claimed.parcel.txn, EventId(f"$sent-{claimed.parcel.txn}"), NOW)
        parcels.append(claimed.parcel)
    return parcels


def found(path: Path, text: str = "battery") -> int:
    """How often a part of the secret is in the database's files, whatever they hold."""
    return sum(file.read_bytes().count(text.encode()) for file in path.glob("ledger.db*"))


async def gone(ledger: Ledger, path: Path) -> bool:
    await ledger.housekeeping.checkpoint()
    return found(path) == 0


async def test_a_command_that_has_ended_and_its_answer_are_gone_at_once(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger)
    await ended(ledger, A, ANSWER)
    await deliver(ledger)
    assert found(tmp_path) > 0

    await take_back(ledger)

    assert found(tmp_path) == 0  # without waiting for the janitor


async def test_what_is_taken_back_a_moment_later_leaves_with_the_janitor(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger, A)
    await take_back(ledger, B)
    await take_back(ledger, A)
    assert await gone(ledger, tmp_path)

    await asked(ledger, EventId("$c"))
    await take_back(ledger, EventId("$c"), NOW + MINUTE)
    assert found(tmp_path) == 0


async def test_what_waits_is_cancelled_and_gone(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger)
    await take_back(ledger)

    assert await state_of(ledger, A) is CommandState.CANCELLED
    assert await gone(ledger, tmp_path)


async def test_what_runs_goes_on_and_its_text_is_gone(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger)
    await ledger.commands.start(A, NOW)
    await take_back(ledger)

    assert await state_of(ledger, A) is CommandState.RUNNING
    assert await gone(ledger, tmp_path)


async def test_what_it_still_says_is_sent_and_then_gone(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger)
    await ledger.commands.start(A, NOW)
    before = replace(ANSWER, txn=TxnId("before"))
    await ledger.outbox.put([before], NOW)
    await take_back(ledger)
    await ledger.outbox.put([ANSWER], NOW)

    assert [parcel.content for parcel in await deliver(ledger)] == [before.content, ANSWER.content]
    assert await gone(ledger, tmp_path)


@pytest.mark.parametrize("how", ["given up", "superseded"])
async def test_what_it_does_not_come_to_say_is_gone_too(ledger: Ledger, tmp_path: Path, how: str) -> None:
    await asked(ledger)
    await ledger.commands.start(A, NOW)
    edits = [replace(ANSWER, txn=TxnId(f"e{number}"), edits=TxnId("first")) for number in range(2)]
    await ledger.outbox.put([parcel("first")], NOW)
    await deliver(ledger)
    await ledger.outbox.put([edits[0]], NOW)
    await take_back(ledger)
    if how == "superseded":
        await ledger.outbox.put([edits[1]], NOW)
        assert len(await deliver(ledger)) == 1
    else:
        claimed = await ledger.outbox.claim(NOW, device=DEVICE)
        assert claimed is not None
        await ledger.outbox.give_up(claimed.parcel.txn, "no", NOW)

    assert await gone(ledger, tmp_path)


async def test_its_changes_are_gone_whoever_could_read_them(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger, A, "make tea")
    edit = replace(incoming("$edit", SECRET), kind=Kind.EDIT, target=A)
    odd = replace(incoming("$odd", ""), kind=Kind.MALFORMED, raw=f'{{"event_id":"{A}","body":"battery"}}')
    await ledger.inbox.take_in("t", [edit, odd], NOW)
    await ledger.inbox.settle(edit.event, [EditCommand(A, SECRET, ANNA)], NOW)
    await ledger.inbox.settle(odd.event, [], NOW)
    assert not await gone(ledger, tmp_path)

    await take_back(ledger)

    assert await gone(ledger, tmp_path)


async def test_what_could_not_be_read_is_gone_itself(ledger: Ledger, tmp_path: Path) -> None:
    odd = replace(incoming(A, ""), kind=Kind.MALFORMED, raw='{"body":"battery"}')
    await ledger.inbox.take_in("t", [odd], NOW)
    await take_back(ledger)

    assert await gone(ledger, tmp_path)


async def test_what_took_it_up_again_is_gone_and_not_run(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger)
    await ended(ledger, state=CommandState.FAILED)
    retried = replace(command(B), text=SECRET, origin=A)
    told = replace(parcel("told", f"Running again: {SECRET}"), command=B)
    await settle(ledger, AcceptCommand(retried), PutParcel(told), event=B)
    await ended(ledger, B, replace(ANSWER, command=B), state=CommandState.FAILED)
    third = replace(command("$c"), text=SECRET, origin=B)
    await settle(ledger, AcceptCommand(third), event="$c")
    await deliver(ledger)

    await take_back(ledger)

    assert await state_of(ledger, EventId("$c")) is CommandState.CANCELLED
    assert await gone(ledger, tmp_path)


async def test_a_question_of_its_turn_is_gone_and_nobody_goes_on(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger)
    await ledger.commands.start(A, NOW)
    tool = Approval(id=ApprovalId("t"), room=ROOM, command=A, tool="Bash", expires_at=NOW, shown=SECRET)
    await ledger.approvals.ask(tool, [replace(ANSWER, approval=tool.id)], NOW)
    resume = replace(tool, id=ApprovalId("r"), kind=ApprovalKind.RESUME)
    await ledger.commands.interrupt(A, resume, TurnRecord(), [], NOW)
    await deliver(ledger)

    await take_back(ledger)

    after = await ledger.approvals.get(resume.id)
    assert after == replace(resume, shown="", state=ApprovalState.WITHDRAWN)
    assert await gone(ledger, tmp_path)


async def test_an_offer_that_quotes_it_is_gone_and_can_still_be_answered(ledger: Ledger, tmp_path: Path) -> None:
    await settle(ledger, event=A)
    await settle(ledger, event=B)
    offer = Approval(
        id=ApprovalId("o"), room=ROOM, command=A, tool="", expires_at=NOW, kind=ApprovalKind.OFFER, events=(A, B)
    )
    shown = replace(parcel("q", "- battery, cut short …"), approval=offer.id)
    await settle(ledger, OpenApproval(offer), PutParcel(shown), event="$offer")
    await deliver(ledger)

    await take_back(ledger, B)

    assert await ledger.approvals.open_in(ROOM) == [offer]
    assert await gone(ledger, tmp_path)


async def test_a_reason_that_was_given_is_gone_with_what_answers_it(ledger: Ledger, tmp_path: Path) -> None:
    question = Approval(id=ApprovalId("t"), room=ROOM, command=B, tool="Bash", expires_at=NOW)
    await ledger.approvals.ask(question, [], NOW)
    no = DecideApproval(approval=question.id, state=ApprovalState.DENIED, by=ANNA, reason="battery low")
    relation = {"m.in_reply_to": {"event_id": A}}
    told = Parcel(txn=TxnId("told"), room=ROOM, content={"body": "Denied: battery…", "m.relates_to": relation})
    await ledger.inbox.take_in("t", [incoming(A, "/deny battery low")], NOW)
    await ledger.inbox.settle(A, [no, PutParcel(told)], NOW)
    await deliver(ledger)

    await take_back(ledger)

    assert await gone(ledger, tmp_path)


async def test_a_message_of_ours_is_gone_and_is_not_changed_any_more(ledger: Ledger, tmp_path: Path) -> None:
    edit = replace(ANSWER, txn=TxnId("edit"), edits=ANSWER.txn)
    await ledger.outbox.put([ANSWER], NOW)
    await deliver(ledger)
    await ledger.outbox.put([edit], NOW)
    await deliver(ledger)
    await ledger.outbox.put([replace(edit, txn=TxnId("waiting"))], NOW)

    await take_back(ledger, EventId("$sent-answer"))
    await ledger.outbox.put([replace(edit, txn=TxnId("later"))], NOW)

    assert await deliver(ledger) == []
    assert await gone(ledger, tmp_path)


async def test_of_a_message_of_ours_the_edits_are_deleted_from_the_room(ledger: Ledger) -> None:
    await ledger.outbox.put([ANSWER], NOW)
    await deliver(ledger)
    await ledger.outbox.put([replace(ANSWER, txn=TxnId("edit"), edits=ANSWER.txn)], NOW)
    await deliver(ledger)

    await settle(ledger, ForgetEdits(EventId("$sent-answer"), ROOM))

    assert [(each.type, each.content) for each in await deliver(ledger)] == [(REDACTION, {PARCEL: "edit"})]


async def test_a_redaction_elsewhere_erases_nothing(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger)
    await ended(ledger, A, ANSWER)
    await deliver(ledger)
    before = found(tmp_path)
    await settle(ledger, EraseText(A, OTHER_ROOM), EraseText(EventId("$sent-answer"), OTHER_ROOM), event="$r")
    await ledger.housekeeping.checkpoint()

    kept = await ledger.commands.get(A)
    assert kept is not None
    assert kept.text == SECRET
    assert before > 0
    assert not await gone(ledger, tmp_path)


async def test_the_audit_tells_of_commands_and_of_our_messages_alone(ledger: Ledger) -> None:
    await asked(ledger)
    await ledger.inbox.take_in("t", [incoming(B)], NOW)
    await take_back(ledger, B)
    await take_back(ledger, A)

    rows = [line.deed.subject for line in await ledger.audit.lines(AuditFilter(), limit=9)]
    assert rows == [A, A]


# ── an answer that is forgotten ──


async def test_an_answer_is_deleted_with_all_its_edits_in_their_order(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger)
    await ledger.commands.start(A, NOW)
    page = [replace(ANSWER, txn=TxnId(name)) for name in ("one", "two")]
    reaction = Parcel(txn=TxnId("eyes"), room=ROOM, type="m.reaction", content={"m.relates_to": {}}, command=A)
    edit = replace(ANSWER, txn=TxnId("edit"), edits=TxnId("one"))
    elsewhere = replace(ANSWER, txn=TxnId("other"), command=B, content={"body": "Tea is ready."})
    quoting = replace(ANSWER, txn=TxnId("quoting"), command=B)
    for each in (reaction, page[0], edit, page[1], elsewhere, quoting):
        await ledger.outbox.put([each], NOW)
        await deliver(ledger)
    await ended(ledger)

    await settle(ledger, ForgetAnswer(A, BERT), event="$forget")

    deletions = await deliver(ledger)
    assert [(each.type, each.content[PARCEL]) for each in deletions] == [
        (REDACTION, "one"),
        (REDACTION, "edit"),
        (REDACTION, "two"),
    ]
    kept = await ledger.commands.get(A)
    assert kept is not None
    assert kept.text == ""
    [*_, line] = await ledger.audit.lines(AuditFilter(), limit=9)
    assert (line.deed.actor, line.deed.detail) == (BERT, {"messages": 2, "edits": 1})
    connection = sqlite3.connect(tmp_path / "ledger.db")
    rows = dict(connection.execute("SELECT txn_id, content FROM outbox WHERE type = 'm.room.message'"))
    connection.close()
    assert [rows[name] for name in ("one", "edit", "two", "quoting")] == ["{}"] * 4
    assert "Tea" in rows["other"]


async def test_what_nobody_has_read_is_not_said_and_what_may_have_arrived_is_deleted(ledger: Ledger) -> None:
    await asked(ledger)
    await ended(ledger, A, *(replace(ANSWER, txn=TxnId(name)) for name in ("tried", "fresh")))
    claimed = await ledger.outbox.claim(NOW, device=DEVICE)
    assert claimed is not None
    await ledger.outbox.postpone(claimed.parcel.txn, NOW)

    await settle(ledger, ForgetAnswer(A, ANNA), event="$forget")

    parcels = await deliver(ledger)
    assert (parcels[0].type, parcels[0].txn) == (MESSAGE, "tried")
    assert [each.content for each in parcels[1:]] == [{PARCEL: "tried"}]


async def test_a_second_time_deletes_nothing_more(ledger: Ledger) -> None:
    await asked(ledger)
    await ended(ledger, A, ANSWER)
    await deliver(ledger)
    for event in ("$1", "$2"):
        await settle(ledger, ForgetAnswer(A, ANNA), event=event)

    assert len(await deliver(ledger)) == 1


async def test_where_nothing_was_said_nothing_is_forgotten(ledger: Ledger) -> None:
    await asked(ledger)
    await ended(ledger)
    await settle(ledger, ForgetAnswer(A, ANNA), event="$forget")

    assert await deliver(ledger) == []
    assert len(await ledger.audit.lines(AuditFilter(), limit=9)) == 1


async def test_the_last_answer_is_the_last_one_that_is_still_there(ledger: Ledger) -> None:
    assert await ledger.commands.last_answered(ROOM) is None
    for event in (A, B):
        await asked(ledger, event)
        await ended(ledger, event, replace(ANSWER, txn=TxnId(f"p{event}"), command=event))
    await accept(ledger, command("$running"))
    await deliver(ledger)

    for event in (B, A):
        last = await ledger.commands.last_answered(ROOM)
        assert last is not None
        assert last.event == event
        await settle(ledger, ForgetAnswer(event, ANNA), event=f"$forget-{event}")
    assert await ledger.commands.last_answered(ROOM) is None


async def test_a_room_that_is_encrypted_is_so_for_ever(ledger: Ledger) -> None:
    assert not await ledger.rooms.is_encrypted(ROOM)
    await ledger.rooms.slug(ROOM, "kitchen")
    assert not await ledger.rooms.is_encrypted(ROOM)
    for moment in (NOW, NOW + 1):
        await ledger.keyring.mark_encrypted(ROOM, moment)

    assert await ledger.rooms.is_encrypted(ROOM)
    assert not await ledger.rooms.is_encrypted(OTHER_ROOM)


# ── the history ──

SAID = EventId("$said")


async def hear(ledger: Ledger, *events: Incoming) -> None:
    """The events come by sync."""
    await ledger.inbox.take_in("t", [], NOW, heard(events, lambda *_: True))


def ours(event: EventId, txn: str, body: str, *, edits: EventId | None = None, sent_at: int = NOW) -> Incoming:
    """An event of ours, as it comes back."""
    kind = Kind.TEXT if edits is None else Kind.EDIT
    return replace(incoming(event, body), kind=kind, target=edits, sender=BERT, txn=TxnId(txn), sent_at=sent_at)


async def kept(ledger: Ledger) -> list[str]:
    return [said.body for said in (await ledger.history.latest(ROOM, 100)).messages]


async def test_what_is_taken_back_is_not_in_the_history_either(ledger: Ledger, tmp_path: Path) -> None:
    for number in range(20):
        await hear(ledger, incoming(f"$m{number}", f"message {number} of the kitchen"))
    await hear(ledger, incoming(A, SECRET), incoming(B, "something else"))
    assert found(tmp_path) > 0

    await take_back(ledger)

    assert found(tmp_path) == 0
    assert len(await kept(ledger)) == 21


async def test_what_a_message_read_before_its_edits_is_gone_too(ledger: Ledger, tmp_path: Path) -> None:
    await hear(ledger, incoming(A, SECRET))
    for number in range(5):
        await hear(ledger, replace(incoming(f"$e{number}", f"{SECRET} {number}"), kind=Kind.EDIT, target=A))
    await hear(ledger, replace(incoming("$last", "nothing"), kind=Kind.EDIT, target=A))
    await take_back(ledger)

    assert await gone(ledger, tmp_path)


async def test_the_answer_to_it_leaves_the_history_with_it(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger)
    await hear(ledger, incoming(A, SECRET))
    await ended(ledger, A, ANSWER)
    await deliver(ledger)
    await hear(ledger, ours(EventId("$sent-answer"), "answer", f"You said {SECRET}."))
    await take_back(ledger)

    assert await kept(ledger) == []
    assert await gone(ledger, tmp_path)


async def test_an_answer_that_comes_back_after_that_is_not_kept(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger)
    await ended(ledger, A, ANSWER)
    await take_back(ledger)
    await deliver(ledger)
    await hear(ledger, ours(EventId("$sent-answer"), "answer", f"You said {SECRET}."))

    assert await kept(ledger) == []
    assert await gone(ledger, tmp_path)


async def test_an_edit_of_an_answer_that_comes_back_after_that_is_not_kept(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger)
    await ledger.commands.start(A, NOW)
    await ledger.outbox.put([replace(parcel("first", "…"), command=A)], NOW)
    await deliver(ledger)
    await hear(ledger, ours(SAID, "first", "I begin"))
    await ledger.outbox.put([replace(ANSWER, txn=TxnId("edit"), edits=TxnId("first"))], NOW)
    await take_back(ledger)
    await deliver(ledger)
    await hear(ledger, ours(EventId("$edit"), "edit", f"You said {SECRET}.", edits=SAID, sent_at=NOW + 1))

    assert await kept(ledger) == []
    assert await gone(ledger, tmp_path)


async def test_a_forgotten_answer_leaves_the_history(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger, A, "say it")
    await ended(ledger, A, ANSWER)
    await deliver(ledger)
    await hear(ledger, ours(EventId("$sent-answer"), "answer", f"You said {SECRET}."))
    await settle(ledger, ForgetAnswer(A, ANNA))

    assert await kept(ledger) == []
    assert await gone(ledger, tmp_path)


async def test_what_time_has_taken_is_not_in_the_file(ledger: Ledger, tmp_path: Path) -> None:
    await hear(ledger, incoming(A, SECRET))
    await ledger.inbox.take_in("t", [], NOW + MINUTE, heard([incoming(B, "younger")], lambda *_: True))
    await ledger.housekeeping.erase(NOW + 1)

    assert await kept(ledger) == ["younger"]
    assert await gone(ledger, tmp_path)


async def test_what_was_sent_for_somebody_outside_goes_with_its_event(ledger: Ledger, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        for name, event, answer in (("m1", A, None), ("m2", B, A)):
            connection.execute(
                "INSERT INTO messages (id, room_id, caller, digest, kind, body, meta, txn_id, state, accepted_at,"
                " event_id, answer, answer_event) VALUES (?, ?, 'ci', 'd', 'task', ?, '{}', ?, 'sent', 1, ?, ?, ?)",
                (name, ROOM, SECRET if event == A else "work", name, event, SECRET, answer),
            )
        connection.execute(
            "INSERT INTO tasks (id, room_id, thread, title, by_user, to_user, ours, state, created_at, changed_at)"
            " VALUES ('t1', ?, ?, ?, '@a:hs', '@b:hs', 'given', 'assigned', 1, 1)",
            (ROOM, A, SECRET),
        )
    await take_back(ledger)

    assert await gone(ledger, tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        assert connection.execute("SELECT body FROM messages ORDER BY id").fetchall() == [("",), ("work",)]


# ── what programs say to each other ──

PROGRAM = UserId("@program:example.org")


async def sent_for_a_program(ledger: Ledger, name: str, body: str = "Is it ready?") -> EventId:
    """A question that a caller has sent to a program in the room; the event that it is."""
    meta = Meta(id=MessageId(name), kind=MetaKind.QUESTION, to=Address(PROGRAM))
    asking = Message(meta=meta, room=ROOM, caller=CallerName("ci"), body=body, accepted_at=NOW)
    content = {"body": body, META_KEY: written(meta)}
    await ledger.messages.accept(asking, Parcel(txn=TxnId(name), room=ROOM, content=content))
    await deliver(ledger)
    return EventId(f"$sent-{name}")


async def answered(
    ledger: Ledger, name: str, event: EventId, body: str, part: int = 0, kind: MetaKind = MetaKind.ANSWER
) -> None:
    """The program answers with this part of several."""
    meta = Meta(id=MessageId(f"of-{event[1:]}"), kind=kind, in_reply_to=MessageId(name), part=part, last=part == 1)
    said = replace(incoming(event, body), sender=PROGRAM, meta=meta, by_agent=True)
    await ledger.inbox.take_in("t", [said], NOW)
    await ledger.messages.heard(said, NOW)
    assert await ledger.inbox.settle(event, [], NOW)


async def answer_to(ledger: Ledger, name: str) -> str:
    kept = await ledger.messages.get(MessageId(name))
    assert kept is not None
    return kept.answer


async def test_a_part_of_an_answer_to_a_program_is_gone_and_the_others_are_the_answer(
    ledger: Ledger, tmp_path: Path
) -> None:
    await sent_for_a_program(ledger, "m1")
    await answered(ledger, "m1", A, SECRET)

    await take_back(ledger)
    assert await gone(ledger, tmp_path)

    await answered(ledger, "m1", B, "It is ready.", part=1)
    assert await answer_to(ledger, "m1") == "It is ready."


@pytest.mark.parametrize("deleted", [A, B], ids=["its first part", "its last part"])
async def test_an_answer_to_a_program_is_gone_with_any_of_its_parts(
    ledger: Ledger, tmp_path: Path, deleted: EventId
) -> None:
    await sent_for_a_program(ledger, "m1")
    await answered(ledger, "m1", A, "battery" if deleted == A else "It is:")
    await answered(ledger, "m1", B, "battery" if deleted == B else "So it is.", part=1)
    assert "battery" in await answer_to(ledger, "m1")

    await take_back(ledger, deleted)

    assert await answer_to(ledger, "m1") == ""
    assert await gone(ledger, tmp_path)


async def test_what_is_there_of_an_answer_goes_with_what_it_answers(ledger: Ledger, tmp_path: Path) -> None:
    asking = await sent_for_a_program(ledger, "m1", SECRET)
    await answered(ledger, "m1", A, f"You ask for the {SECRET}:")
    await ledger.inbox.settle(A, [], NOW)

    await take_back(ledger, asking)
    await take_back(ledger, A)  # what was heard of it is a message of its own

    assert await gone(ledger, tmp_path)


async def test_why_something_was_refused_is_gone_with_the_refusal(ledger: Ledger, tmp_path: Path) -> None:
    await sent_for_a_program(ledger, "m1")
    await answered(ledger, "m1", A, "The battery is low.", kind=MetaKind.REFUSED)
    await take_back(ledger)

    assert await gone(ledger, tmp_path)


async def test_what_programs_have_quoted_of_it_is_gone_and_nothing_else(ledger: Ledger, tmp_path: Path) -> None:
    await hear(ledger, incoming(A, SECRET))  # a person's, which begins nothing
    await sent_for_a_program(ledger, "m1", f"What is “{SECRET}”?")
    await sent_for_a_program(ledger, "m2")
    await sent_for_a_program(ledger, "m3")
    await answered(ledger, "m2", EventId("$m2"), f"Somebody said {SECRET}", part=1)
    await answered(ledger, "m3", EventId("$m3"), f"Somebody said {SECRET}")
    await take_back(ledger)

    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        bodies = connection.execute("SELECT body, answer FROM messages ORDER BY id").fetchall()
        parts = connection.execute("SELECT body FROM message_parts").fetchall()
    assert bodies == [("", ""), ("Is it ready?", ""), ("Is it ready?", "")]
    assert parts == [("",), ("",)]


async def test_a_short_word_is_not_looked_for_in_what_programs_say(ledger: Ledger) -> None:
    await hear(ledger, incoming(A, "ready"))
    await sent_for_a_program(ledger, "m1")
    await take_back(ledger)

    kept = await ledger.messages.get(MessageId("m1"))
    assert kept is not None
    assert kept.body == "Is it ready?"


async def test_what_leaves_the_history_a_moment_later_leaves_the_file_with_the_janitor(
    ledger: Ledger, tmp_path: Path
) -> None:
    await hear(ledger, incoming(A, "something"), incoming(B, SECRET), incoming("$c", SECRET))
    await take_back(ledger, A)
    await take_back(ledger, B)
    assert found(tmp_path) > 0
    await take_back(ledger, EventId("$c"))

    assert await gone(ledger, tmp_path)
