"""What is kept of messages that we have accepted to send, and the moves that they make."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.effects import AcceptCommand
from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import MOST_PARTS, Message, MessageState
from aiagentchat.core.heard import heard as all_heard
from aiagentchat.core.ids import CallerName, EventId, InstanceName, MessageId, RoomId, TxnId, UserId, txn_id
from aiagentchat.core.messages import MAIN, Incoming, Kind, Receipt
from aiagentchat.core.meta import META_KEY, Address, Meta, MetaKind, Step, written
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.tasks import TaskState, assigned
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import ANNA, BERT, DEVICE, NOW, OTHER_ROOM, ROOM, OpenLedger, command, settle

US = UserId("@us:example.org")
THEM = UserId("@them:example.org")
CI = CallerName("ci")
THREAD = EventId("$thread")


def made(
    id_: str,
    *,
    to: UserId | Address | None = THEM,
    kind: MetaKind = MetaKind.QUESTION,
    room: RoomId = ROOM,
    caller: CallerName = CI,
    expires_at: int | None = None,
) -> Message:
    address = to if to is None or isinstance(to, Address) else Address(to)
    meta = Meta(id=MessageId(id_), kind=kind, to=address, expires_at=expires_at)
    return Message(meta=meta, room=room, caller=caller, body=f"text of {id_}", accepted_at=NOW)


def parcel_for(message: Message, thread: EventId | None = None) -> Parcel:
    content = {"msgtype": "m.text", "body": message.body, META_KEY: written(message.meta)}
    return Parcel(txn=txn_id("message", message.id), room=message.room, content=content, thread=thread)


async def accept(ledger: Ledger, message: Message, *, thread: EventId | None = None, key: str | None = None) -> Message:
    return await ledger.messages.accept(message, parcel_for(message, thread), key=key, digest=message.body)


async def send_all(ledger: Ledger) -> list[TxnId]:
    """Send everything; each becomes the event $<the txn>."""
    sent = []
    while (claimed := await ledger.outbox.claim(NOW, device=DEVICE)) is not None:
        await ledger.outbox.sent(claimed.parcel.txn, EventId(f"${claimed.parcel.txn}"), NOW + 1)
        sent.append(claimed.parcel.txn)
    return sent


def event_of(message: Message) -> EventId:
    return EventId(f"${txn_id('message', message.id)}")


async def state_of(ledger: Ledger, message: Message) -> MessageState:
    found = await ledger.messages.get(message.id)
    assert found is not None
    return found.state


def receipt(event: EventId, thread: str | None = None, user: UserId = THEM, room: RoomId = ROOM) -> Receipt:
    return Receipt(room=room, event=event, user=user, thread=thread)


def said(
    body: str,
    to: Message,
    *,
    kind: MetaKind = MetaKind.ANSWER,
    part: int = 0,
    last: bool = True,
    sender: UserId = THEM,
    room: RoomId = ROOM,
    edits: str | None = None,
    event: str = "$answer",
    at: int = NOW,
) -> Incoming:
    meta = Meta(id=MessageId(f"a{part}"), kind=kind, in_reply_to=to.id, part=part, last=last)
    return Incoming(
        event=EventId(event),
        room=room,
        sender=sender,
        sent_at=at,
        kind=Kind.TEXT if edits is None else Kind.EDIT,
        body=body,
        target=None if edits is None else EventId(edits),
        meta=meta,
        by_agent=True,
    )


def reply(body: str, to: Message, sender: UserId = THEM) -> Incoming:
    return Incoming(
        event=EventId("$reply"),
        room=ROOM,
        sender=sender,
        sent_at=NOW,
        kind=Kind.TEXT,
        body=body,
        target=event_of(to),
    )


# --- accepting


async def test_a_message_is_kept_with_its_parcel(ledger: Ledger) -> None:
    message = made("m1", expires_at=NOW + 5)

    accepted = await accept(ledger, message)

    assert accepted == message == await ledger.messages.get(message.id)
    assert await ledger.outbox.unsent() == 1


async def test_what_it_begins_here_waits_until_it_is_in_the_room(ledger: Ledger) -> None:
    message = made("m1", to=US)
    waits = Incoming(
        event=EventId("~m1"),
        room=ROOM,
        sender=US,
        sent_at=NOW,
        kind=Kind.TEXT,
        body=message.body,
        meta=message.meta,
        by_agent=True,
        caller=CI,
        txn=parcel_for(message).txn,
    )

    await ledger.messages.accept(message, parcel_for(message), waits=waits)
    before = await ledger.inbox.unrouted(10)
    await send_all(ledger)
    [after] = await ledger.inbox.unrouted(10)

    assert before == []
    assert after == replace(waits, event=event_of(message), txn=None)


async def test_a_task_is_given_with_its_message_and_follows_it(ledger: Ledger) -> None:
    message = made("m1", kind=MetaKind.TASK)
    task = assigned(message.meta, Address(THEM), ROOM, message.body, by=Address(US), now=NOW)

    await ledger.messages.accept(message, parcel_for(message), task=task, key="k", digest="d")
    await ledger.messages.accept(made("m2"), parcel_for(made("m2")), task=task, key="k", digest="d")
    before = await ledger.tasks.listed([ROOM])
    await send_all(ledger)
    await ledger.messages.received([receipt(event_of(message))], NOW)
    [after] = await ledger.tasks.listed([ROOM])

    assert before == [task]
    assert (after.thread, after.state) == (event_of(message), TaskState.WORKING)


async def test_the_same_key_of_the_same_caller_is_the_same_message(ledger: Ledger) -> None:
    first = await accept(ledger, made("m1"), key="k")
    again = await ledger.messages.accept(made("m2"), parcel_for(made("m2")), key="k", digest=first.body)
    other = await accept(ledger, made("m3", caller=CallerName("other")), key="k")

    assert (again.id, other.id) == (first.id, "m3")
    assert await ledger.messages.get(MessageId("m2")) is None
    assert await ledger.outbox.unsent() == 2
    assert await ledger.messages.by_key(CI, "k") == first
    assert await ledger.messages.by_key(CI, "another") is None


async def test_the_same_key_for_another_message_is_a_conflict(ledger: Ledger) -> None:
    await accept(ledger, made("m1"), key="k")

    with pytest.raises(ExchangeRefused) as refused:
        await accept(ledger, made("m2"), key="k")

    assert refused.value.code == "conflict"
    assert await ledger.outbox.unsent() == 1


async def test_messages_and_keys_last_longer_than_a_life(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as ledger:
        await accept(ledger, made("m1"), key="k")

    async with backend(tmp_path / "ledger.db") as ledger:
        again = await ledger.messages.accept(made("m2"), parcel_for(made("m2")), key="k", digest="text of m1")

    assert again.id == "m1"


# --- on its way


async def test_a_parcel_that_is_sent_is_a_message_that_is_sent(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))

    await send_all(ledger)
    found = await ledger.messages.get(message.id)

    assert found is not None
    assert (found.state, found.event, found.sent_at) == (MessageState.SENT, event_of(message), NOW + 1)
    assert await ledger.messages.by_event(event_of(message)) == found


async def test_a_parcel_that_is_given_up_is_a_message_that_is_refused(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))
    claimed = await ledger.outbox.claim(NOW, device=DEVICE)
    assert claimed is not None

    await ledger.outbox.give_up(claimed.parcel.txn, "M_FORBIDDEN", NOW)
    found = await ledger.messages.get(message.id)

    assert found is not None
    assert found.state is MessageState.REFUSED
    assert "M_FORBIDDEN" not in found.why
    assert found.why


# --- receipts


async def test_a_receipt_delivers_what_was_sent_before_it_and_nothing_after(ledger: Ledger) -> None:
    first, second, third = [await accept(ledger, made(f"m{number}")) for number in range(3)]
    await send_all(ledger)

    changed = await ledger.messages.received([receipt(event_of(second), MAIN)], NOW + 2)

    assert changed == [first.id, second.id]
    assert [await state_of(ledger, each) for each in (first, second, third)] == ["delivered", "delivered", "sent"]


async def test_a_receipt_of_a_thread_is_for_that_alone(ledger: Ledger) -> None:
    main = await accept(ledger, made("m1"))
    threaded = await accept(ledger, made("m2"), thread=THREAD)
    await send_all(ledger)

    in_thread = await ledger.messages.received([receipt(event_of(threaded), THREAD)], NOW + 2)
    in_main = await ledger.messages.received([receipt(event_of(threaded), MAIN)], NOW + 3)

    assert (in_thread, in_main) == ([threaded.id], [main.id])
    assert await state_of(ledger, threaded) is MessageState.DELIVERED


async def test_a_receipt_without_a_thread_reads_all_of_the_room_up_to_it(ledger: Ledger) -> None:
    first, threaded = await accept(ledger, made("m1")), await accept(ledger, made("m2"), thread=THREAD)
    last = await accept(ledger, made("m3"))
    await send_all(ledger)
    await ledger.messages.received([receipt(event_of(first), MAIN)], NOW + 2)

    changed = await ledger.messages.received([receipt(event_of(threaded))], NOW + 3)

    assert changed == [first.id, threaded.id]
    found = [await ledger.messages.get(each.id) for each in (first, threaded, last)]
    assert [(each.state, each.delivered_at, each.read_at) for each in found if each is not None] == [
        (MessageState.READ, NOW + 2, NOW + 3),
        (MessageState.READ, NOW + 3, NOW + 3),
        (MessageState.SENT, None, None),
    ]


async def test_the_root_of_a_thread_is_delivered_with_its_thread(ledger: Ledger) -> None:
    task = await accept(ledger, made("m1", kind=MetaKind.TASK))
    await send_all(ledger)

    assert await ledger.messages.received([receipt(event_of(task), event_of(task))], NOW) == [task.id]


async def test_what_others_have_said_since_is_behind_what_was_sent_before(ledger: Ledger) -> None:
    before, after = await accept(ledger, made("m1")), await accept(ledger, made("m2"))
    await send_all(ledger)
    for number, event in enumerate((event_of(before), EventId("$others"), event_of(after))):
        spoken = Incoming(event=event, room=ROOM, sender=BERT, sent_at=NOW + number, kind=Kind.TEXT, body="x")
        await ledger.inbox.take_in(None, [], NOW, all_heard([spoken], lambda _, __: True))

    assert await ledger.messages.received([receipt(EventId("$others"))], NOW) == [before.id]


async def test_receipts_of_others_and_of_other_rooms_say_nothing(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))
    await send_all(ledger)

    for each in (
        receipt(event_of(message), user=BERT),
        receipt(event_of(message), room=OTHER_ROOM),
        receipt(EventId("$nobody-knows")),
    ):
        assert await ledger.messages.received([each], NOW) == []

    assert await state_of(ledger, message) is MessageState.SENT
    assert await ledger.messages.received([], NOW) == []


async def test_a_receipt_that_comes_late_is_no_news(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))
    await send_all(ledger)
    await ledger.messages.received([receipt(event_of(message))], NOW)

    assert await ledger.messages.received([receipt(event_of(message), MAIN)], NOW) == []
    assert await state_of(ledger, message) is MessageState.READ


# --- answers


async def test_an_answer_is_its_parts_in_their_order_as_they_read_last(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))
    await send_all(ledger)
    heard = ledger.messages.heard

    states = [
        await heard(said("Wait", message, part=0, last=False, event="$p0"), NOW),
        await heard(said("two", message, part=1, last=False, event="$p1", at=NOW + 2), NOW),
        await heard(said("[ANSWER] One.", message, part=0, last=False, event="$e0", edits="$p0", at=NOW + 3), NOW),
        await heard(said("Wai", message, part=0, last=False, event="$old", edits="$p0", at=NOW + 1), NOW),
    ]
    answered = await heard(said("Two.", message, part=1, event="$e1", edits="$p1", at=NOW + 4), NOW + 5)

    assert states == [None] * 4
    assert answered is not None
    assert answered == await ledger.messages.get(message.id)
    assert (answered.state, answered.answer, answered.answer_event) == (MessageState.ANSWERED, "One.\n\nTwo.", "$p1")
    assert (answered.ended_at, answered.delivered_at, answered.read_at) == (NOW + 5, NOW + 5, NOW + 5)


async def test_an_answer_is_what_the_agent_wrote_and_a_persons_is_taken_to_the_letter(ledger: Ledger) -> None:
    asked, refused, told = [await accept(ledger, made(name)) for name in ("m1", "m2", "m3")]
    await send_all(ledger)
    wrote, rings_nobody = "Ask @bob:example.org, not @room.", "Ask @\u2060bob:example.org, not @\u2060room."

    answered = await ledger.messages.heard(said(rings_nobody, asked), NOW)
    turned_down = await ledger.messages.heard(said(rings_nobody, refused, kind=MetaKind.REFUSED, event="$r"), NOW)
    typed = await ledger.messages.heard(reply(rings_nobody, told), NOW)

    assert answered is not None
    assert turned_down is not None
    assert typed is not None
    assert (answered.answer, turned_down.why, typed.answer) == (wrote, wrote, rings_nobody)


async def test_parts_may_come_in_any_order(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))
    await send_all(ledger)

    await ledger.messages.heard(said("One.", message, part=0, last=False, event="$p0"), NOW)
    answered = await ledger.messages.heard(said("Three.", message, part=2, event="$p2"), NOW)

    assert answered is not None
    assert answered.answer == "One.\n\nThree."


async def test_an_answer_that_is_whole_is_not_changed_any_more(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))
    await send_all(ledger)
    await ledger.messages.heard(said("Yes.", message), NOW)

    assert await ledger.messages.heard(said("No.", message, event="$edit", edits="$answer", at=NOW + 1), NOW) is None
    assert await ledger.messages.heard(said("No.", message, kind=MetaKind.REFUSED, event="$r"), NOW) is None
    found = await ledger.messages.get(message.id)
    assert found is not None
    assert found.answer == "Yes."


async def test_an_answer_has_only_so_many_parts_and_always_an_end(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))
    await send_all(ledger)
    for part in range(MOST_PARTS + 5):
        await ledger.messages.heard(said(f"{part}", message, part=part, last=False, event=f"$p{part}"), NOW)

    answered = await ledger.messages.heard(said("end", message, part=10_000, event="$end"), NOW)

    assert answered is not None
    assert answered.answer.split("\n\n") == [*map(str, range(MOST_PARTS)), "end"]


async def test_a_long_answer_is_cut(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))
    await send_all(ledger)
    for part in range(10):
        await ledger.messages.heard(said("x" * 50_000, message, part=part, last=part == 9, event=f"$p{part}"), NOW)

    found = await ledger.messages.get(message.id)

    assert found is not None
    assert len(found.answer) == 256_000
    assert found.answer.endswith(" […]")


@pytest.mark.parametrize(
    ("kind", "state"), [(MetaKind.REFUSED, MessageState.REFUSED), (MetaKind.EXPIRED, MessageState.EXPIRED)]
)
async def test_a_refusal_ends_a_message_with_its_words(ledger: Ledger, kind: MetaKind, state: MessageState) -> None:
    message = await accept(ledger, made("m1"))
    await send_all(ledger)

    ended = await ledger.messages.heard(said("The room is halted.", message, kind=kind), NOW + 5)

    assert ended is not None
    assert (ended.state, ended.why, ended.ended_at, ended.answer) == (state, "The room is halted.", NOW + 5, "")


async def test_only_whom_a_message_was_for_answers_it_and_only_in_its_room(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))
    for_nobody = await accept(ledger, made("m2", to=None))
    await send_all(ledger)

    heard = [
        await ledger.messages.heard(said("Yes.", message, sender=BERT), NOW),
        await ledger.messages.heard(said("Yes.", message, room=OTHER_ROOM), NOW),
        await ledger.messages.heard(said("Yes.", message, kind=MetaKind.STATUS), NOW),
        await ledger.messages.heard(said("Yes.", message, kind=MetaKind.MESSAGE), NOW),
        await ledger.messages.heard(said("Yes.", made("m3")), NOW),
        await ledger.messages.heard(said("Yes.", for_nobody), NOW),
        await ledger.messages.heard(reply("Yes.", message, sender=ANNA), NOW),
        await ledger.messages.heard(replace(reply("Yes.", message), target=None), NOW),
        await ledger.messages.heard(replace(reply("Yes.", message), by_agent=True), NOW),
        await ledger.messages.heard(replace(reply("Yes.", message), target=EventId("$else")), NOW),
    ]

    assert heard == [None] * 10
    assert await state_of(ledger, message) is MessageState.SENT


async def test_a_person_answers_by_a_reply(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1", to=ANNA))
    await send_all(ledger)

    answered = await ledger.messages.heard(reply("[ANSWER] Half past nine.", message, sender=ANNA), NOW)

    assert answered is not None
    assert (answered.state, answered.answer, answered.answer_event) == ("answered", "Half past nine.", "$reply")


# --- what this daemon answers to its own callers


async def ask_here(ledger: Ledger, id_: str = "m1", *, to: UserId | Address = US) -> Message:
    """A caller has asked this daemon, and a turn has begun with it; or a session that speaks through it."""
    message = made(id_, to=to)
    waits = Incoming(
        event=EventId(f"~{id_}"),
        room=ROOM,
        sender=US,
        sent_at=NOW,
        kind=Kind.TEXT,
        body=message.body,
        meta=message.meta,
        by_agent=True,
        caller=CI,
        txn=parcel_for(message).txn,
    )
    await ledger.messages.accept(message, parcel_for(message), waits=waits)
    await send_all(ledger)
    return message


def own(
    to: Message,
    body: str,
    *,
    kind: MetaKind = MetaKind.ANSWER,
    command: str | None = "",
    last: bool = True,
    **more: str,
) -> Parcel:
    meta = Meta(id=MessageId("a"), kind=kind, to=Address(US), in_reply_to=to.id, last=last)
    edits = more.get("edits")
    return Parcel(
        txn=TxnId(more.get("txn", "answer")),
        room=ROOM,
        content={"body": body, META_KEY: written(meta)},
        command=event_of(to) if command == "" else None if command is None else EventId(command),
        edits=None if edits is None else TxnId(edits),
    )


async def test_our_own_answer_is_known_once_it_is_in_the_room(ledger: Ledger) -> None:
    message = await ask_here(ledger)
    await ledger.outbox.put([own(message, "It is", last=False)], NOW)
    await send_all(ledger)
    before = await state_of(ledger, message)
    await ledger.outbox.put([own(message, "It is green.", txn="edit", edits="answer")], NOW)
    await send_all(ledger)
    found = await ledger.messages.get(message.id)

    assert before is MessageState.SENT
    assert found is not None
    assert (found.state, found.answer, found.answer_event) == (MessageState.ANSWERED, "It is green.", "$answer")


async def test_our_own_refusal_ends_a_message_that_never_became_a_command(ledger: Ledger) -> None:
    message = await ask_here(ledger)
    await ledger.outbox.put([own(message, "The room is halted.", kind=MetaKind.REFUSED, command=None)], NOW)
    await send_all(ledger)
    found = await ledger.messages.get(message.id)

    assert found is not None
    assert (found.state, found.why) == (MessageState.REFUSED, "The room is halted.")


LAPTOP = Address(US, InstanceName("laptop"))


def by_session(to: Message, body: str, *, instance: InstanceName | None = LAPTOP.instance, **more: Any) -> Parcel:
    meta = Meta(id=MessageId("s"), kind=MetaKind.ANSWER, instance=instance, in_reply_to=to.id)
    meta = replace(meta, **more)
    return Parcel(txn=TxnId("session"), room=ROOM, content={"body": body, META_KEY: written(meta)})


async def test_what_a_session_answers_to_a_caller_here_is_known_once_it_is_in_the_room(ledger: Ledger) -> None:
    message = await ask_here(ledger, to=LAPTOP)
    await ledger.outbox.put([by_session(message, "[ANSWER] It is green.")], NOW)
    before = await state_of(ledger, message)
    await send_all(ledger)
    found = await ledger.messages.get(message.id)

    assert before is MessageState.SENT
    assert found is not None
    assert (found.state, found.answer, found.answer_event) == (MessageState.ANSWERED, "It is green.", "$session")


async def test_a_session_says_that_it_has_begun(ledger: Ledger) -> None:
    message = await ask_here(ledger, to=LAPTOP)
    await ledger.outbox.put([by_session(message, "half", kind=MetaKind.STATUS, step=Step.PROGRESS)], NOW)
    await send_all(ledger)

    assert await state_of(ledger, message) is MessageState.READ


@pytest.mark.parametrize("instance", [None, InstanceName("desk"), InstanceName("other")])
async def test_nobody_but_the_session_answers_what_it_was_asked(ledger: Ledger, instance: InstanceName | None) -> None:
    message = await ask_here(ledger, to=LAPTOP)
    await ledger.outbox.put([by_session(message, "Yes.", instance=instance)], NOW)
    await send_all(ledger)

    assert await state_of(ledger, message) is MessageState.SENT


async def test_what_has_become_a_command_is_answered_by_its_turn_alone(ledger: Ledger) -> None:
    message = await ask_here(ledger, to=LAPTOP)
    made_of_it = replace(command(event_of(message)), room=ROOM)
    await settle(ledger, AcceptCommand(made_of_it), event=event_of(message))
    await ledger.outbox.put([by_session(message, "Yes.")], NOW)
    await send_all(ledger)

    assert await state_of(ledger, message) is MessageState.SENT


@pytest.mark.parametrize(
    ("instance", "state"),
    [
        (InstanceName("attic"), MessageState.ANSWERED),
        (None, MessageState.ANSWERED),
        (InstanceName("cellar"), MessageState.SENT),
    ],
)
async def test_another_instance_of_the_account_does_not_answer_for_the_one_that_was_named(
    ledger: Ledger, instance: InstanceName | None, state: MessageState
) -> None:
    message = await accept(ledger, made("m1", to=Address(THEM, InstanceName("attic"))))
    await send_all(ledger)
    answer = said("Yes.", message)
    assert isinstance(answer.meta, Meta)

    await ledger.messages.heard(replace(answer, meta=replace(answer.meta, instance=instance)), NOW)

    assert await state_of(ledger, message) is state


async def test_news_of_its_task_say_that_a_message_was_begun(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1", kind=MetaKind.TASK))
    await send_all(ledger)
    news = said("half of it", message, kind=MetaKind.STATUS)
    assert isinstance(news.meta, Meta)
    found = []
    for step in (Step.ACCEPTED, Step.PROGRESS, Step.DONE):
        await ledger.messages.heard(replace(news, meta=replace(news.meta, step=step)), NOW)
        found.append(await state_of(ledger, message))

    assert found == [MessageState.SENT, MessageState.READ, MessageState.READ]
    assert await ledger.messages.heard(replace(news, meta=replace(news.meta, step=Step.PROGRESS)), NOW) is None


async def test_what_a_caller_says_is_no_answer_of_ours(ledger: Ledger) -> None:
    message, for_others = await ask_here(ledger), await accept(ledger, made("m2"))
    await send_all(ledger)
    forged = [
        own(message, "Yes.", command=None, txn="t1"),
        own(message, "Yes.", command="$another", txn="t2"),
        own(message, "Yes.", kind=MetaKind.STATUS, txn="t3"),
        own(for_others, "Yes.", txn="t4"),
        own(for_others, "No.", kind=MetaKind.REFUSED, txn="t5"),
        own(made("m3"), "Yes.", txn="t6"),
        replace(own(message, "Yes.", txn="t7"), room=OTHER_ROOM),
    ]

    await ledger.outbox.put(forged, NOW)
    await send_all(ledger)

    assert [await state_of(ledger, each) for each in (message, for_others)] == [MessageState.SENT] * 2


# --- ends, and what is open


async def test_what_was_not_offered_to_the_homeserver_is_withdrawn_with_its_message(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))

    closed = await ledger.messages.close(message.id, MessageState.EXPIRED, "Too late.", NOW)

    assert closed
    assert await send_all(ledger) == []
    assert await state_of(ledger, message) is MessageState.EXPIRED


async def test_what_was_offered_may_be_in_the_room_and_stays(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))
    claimed = await ledger.outbox.claim(NOW, device=DEVICE)
    assert claimed is not None

    await ledger.messages.close(message.id, MessageState.EXPIRED, "Too late.", NOW)
    await ledger.outbox.sent(claimed.parcel.txn, event_of(message), NOW)

    assert await state_of(ledger, message) is MessageState.EXPIRED


async def test_what_is_over_is_not_ended_again(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))

    assert await ledger.messages.close(message.id, MessageState.REFUSED, "No.", NOW)
    assert not await ledger.messages.close(message.id, MessageState.EXPIRED, "Late.", NOW)
    assert not await ledger.messages.close(MessageId("m-none"), MessageState.EXPIRED, "Late.", NOW)
    assert not await ledger.messages.close((await accept(ledger, made("m2"))).id, MessageState.ANSWERED, "", NOW)


async def test_what_somebody_is_to_answer_is_open_until_it_is_over(ledger: Ledger) -> None:
    question = await accept(ledger, made("m1"))
    for_nobody = await accept(ledger, made("m2", to=None))
    news = await accept(ledger, made("m3", kind=MetaKind.STATUS))
    elsewhere = await accept(ledger, made("m4", room=OTHER_ROOM))
    others = await accept(ledger, made("m5", caller=CallerName("other")))
    before = [each.id for each in await ledger.messages.open()]
    counted = await ledger.messages.open_of(CI, ROOM)
    await send_all(ledger)

    assert before == [question.id, for_nobody.id, news.id, elsewhere.id, others.id]
    assert counted == (3, 4)
    assert [each.id for each in await ledger.messages.open(ROOM)] == [question.id, others.id]
    assert await ledger.messages.open_of(CI, ROOM) == (1, 2)
    await ledger.messages.close(question.id, MessageState.REFUSED, "", NOW)
    assert await ledger.messages.open_of(CI, ROOM) == (0, 1)
    assert await ledger.messages.counts() == {MessageState.REFUSED: 1, MessageState.SENT: 4}


async def test_the_bell_rings_when_a_state_has_changed(ledger: Ledger) -> None:
    message = await accept(ledger, made("m1"))
    await send_all(ledger)
    rung = [await ledger.messages.bell.wait(0.01)]

    await ledger.messages.received([receipt(event_of(message))], NOW)
    rung.append(await ledger.messages.bell.wait(0.01))
    await ledger.messages.heard(said("Yes.", message), NOW)
    rung += [await ledger.messages.bell.wait(0.01), await ledger.messages.bell.wait(0.01)]

    assert rung == [True, True, True, False]
