"""What follows from a message, read from the ledger after it was routed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.config.settings import PowerNeeded, RoomSettings
from aiagentchat.core.approvals import ApprovalState
from aiagentchat.core.commands import Command, CommandState, TurnRecord
from aiagentchat.core.effects import PutParcel
from aiagentchat.core.ids import EventId, MessageId, RoomId, TxnId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Meta, MetaKind, read_meta
from aiagentchat.core.parcels import MESSAGE, PARCEL, REACTION, REDACTION, Parcel
from aiagentchat.render import away, manual, words
from aiagentchat.render.message import message, reaction
from aiagentchat.route.access import Roles
from aiagentchat.route.catch_up import OFFER_AFTER_MS
from aiagentchat.route.decide import Ask
from aiagentchat.route.refusals import REFUSALS_A_DAY
from tests.fakes.front import Front, event_of, open_front
from tests.fakes.members import powers
from tests.fakes.people import ADA, ANNA, EVE, KITCHEN, ME, OTHER, ROOM, VERA, command, event, settings, typed

DAY = 24 * 60 * 60
ASKED = Meta(id=MessageId("m1"))


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


def reacted(key: str, target: EventId, sender: UserId = ANNA) -> Incoming:
    return event(Kind.REACTION, key, target=target, sender=sender)


# ── commands ──


async def test_a_message_is_queued_as_it_was_typed(front: Front) -> None:
    said = typed("make tea\n\nwith milk", sender=ADA)

    await front.hear(said)

    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.event, queued.room, queued.sender) == (said.event, ROOM, ADA)
    assert queued.text == "make tea\n\nwith milk"
    assert queued.queued_at == front.clock.now_ms()


async def test_a_message_is_acknowledged_at_once(front: Front) -> None:
    said = typed("make tea")

    await front.hear(said)

    [eyes] = await front.deliver()
    assert (eyes.type, eyes.content, eyes.room, eyes.command) == (
        REACTION,
        reaction(said.event, "👀"),
        ROOM,
        said.event,
    )
    assert front.signals.shown == [(ROOM, said.event)]


async def test_the_messages_of_a_room_belong_to_one_conversation(front: Front) -> None:
    await front.hear(typed("one"), typed("two"), typed("elsewhere", room=OTHER))

    one, two = await front.ledger.commands.queue(ROOM)
    [elsewhere] = await front.ledger.commands.queue(OTHER)
    assert one.session == two.session == await front.ledger.sessions.current(ROOM)
    assert elsewhere.session != one.session


async def test_a_message_is_accepted_once_however_often_it_comes(front: Front) -> None:
    said = typed("make tea")

    for _ in range(3):
        await front.hear(said, said)

    assert [queued.event for queued in await front.ledger.commands.queue(ROOM)] == [said.event]
    assert len(await front.deliver()) == 1


async def test_what_is_said_about_a_message_has_the_same_transactions_in_every_life(front: Front) -> None:
    await front.accepted(command())
    said = typed("make tea")

    lives = [await front.dispatcher.effects(Ask("make tea"), said, Roles(room=KITCHEN)) for _ in range(2)]

    first, second = ([effect.parcel.txn for effect in life if isinstance(effect, PutParcel)] for life in lives)
    assert first == second
    assert len(set(first)) == 2


async def test_whoever_waits_is_told_the_place(front: Front) -> None:
    await front.running(command())

    assert await front.told(typed("second")) == [words.queue_place(1)]
    assert await front.told(typed("third")) == [words.queue_place(2)]


async def test_whoever_is_first_is_told_nothing(front: Front) -> None:
    assert await front.told(typed("first")) == []


async def test_whoever_writes_while_the_room_rests_is_told_until_when(front: Front) -> None:
    front.rest = 12.0

    assert await front.told(typed("first")) == [words.waits(12.0)]


async def test_the_queues_of_rooms_do_not_meet(front: Front) -> None:
    await front.accepted(command(), command())

    assert await front.told(typed("first here", room=OTHER)) == []


async def test_a_full_queue_takes_no_more_and_says_so(front: Front) -> None:
    front.settings = settings(max_queue=2)
    await front.accepted(command("one"), command("two"))
    said = typed("three")

    assert await front.told(said) == [words.queue_full(2)]
    assert await front.state(said.event) is CommandState.REJECTED
    assert [queued.text for queued in await front.ledger.commands.queue(ROOM)] == ["one", "two"]


async def test_a_rejected_message_gets_no_eyes(front: Front) -> None:
    front.settings = settings(max_queue=1)
    await front.accepted(command())

    await front.hear(typed("two"))

    assert [parcel.type for parcel in await front.deliver()] == ["m.room.message"]


async def test_all_rooms_together_take_only_so_much(front: Front) -> None:
    front.settings = settings(max_queue=2, max_queue_total=3)
    await front.accepted(command(), command(), command(room=OTHER))
    said = typed("four", room=OTHER)

    assert await front.told(said) == [words.queues_full(3)]
    assert await front.state(said.event) is CommandState.REJECTED


async def test_what_comes_before_a_restart_is_taken_and_told_so(front: Front) -> None:
    front.draining = True
    said = typed("make tea")

    assert await front.told(said) == [away.WAITS_FOR_RESTART]
    assert await front.state(said.event) is CommandState.QUEUED


async def test_a_queue_that_was_full_takes_again_when_something_ended(front: Front) -> None:
    front.settings = settings(max_queue=1)
    first, again = command(), typed("again")
    await front.accepted(first)
    await front.hear(reacted("🛑", first.event), again)

    assert await front.state(again.event) is CommandState.QUEUED


# ── who may not ──


async def test_a_stranger_who_talks_to_us_is_told_what_to_do(front: Front) -> None:
    said = typed("claude: make tea", sender=EVE)

    assert await front.told(said) == [words.refused(EVE, "kitchen")]
    assert await front.state(said.event) is None


async def test_a_stranger_who_talks_to_others_is_left_alone(front: Front) -> None:
    assert await front.told(typed("make tea", sender=EVE)) == []
    assert front.signals.shown == []


async def test_a_room_hears_a_few_refusals_a_day_and_no_more(front: Front) -> None:
    told = [await front.told(typed("/help", sender=EVE)) for _ in range(REFUSALS_A_DAY + 2)]

    assert REFUSALS_A_DAY == 5
    assert [len(texts) for texts in told] == [1] * REFUSALS_A_DAY + [0, 0]


async def test_refusals_are_counted_for_the_room_and_not_for_the_stranger(front: Front) -> None:
    for number in range(REFUSALS_A_DAY):
        await front.hear(typed("/help", sender=UserId(f"@eve{number}:hs")))
    await front.deliver()

    assert await front.told(typed("/help", sender=EVE)) == []
    assert await front.told(typed("/help", sender=EVE, room=OTHER)) == [words.refused(EVE, "garden")]


async def test_the_next_day_refusals_are_told_again(front: Front) -> None:
    for _ in range(REFUSALS_A_DAY + 1):
        await front.hear(typed("/help", sender=EVE))
    await front.deliver()
    front.clock.advance(DAY)

    assert await front.told(typed("/help", sender=EVE)) == [words.refused(EVE, "kitchen")]


async def test_a_viewer_is_told_that_nothing_was_run(front: Front) -> None:
    said = typed("make tea", sender=VERA)

    assert await front.told(said) == [words.VIEWER_MAY_NOT_RUN]
    assert await front.state(said.event) is None


@pytest.mark.parametrize("body", ["/stop", "/new_session", "/approve", "/deny no"])
async def test_a_viewer_may_not_use_what_changes_something(front: Front, body: str) -> None:
    running = command()
    await front.running(running)
    await front.asked("a")

    assert await front.told(typed(body, sender=VERA)) == [words.VIEWER_MAY_NOT_RUN]
    assert await front.ledger.commands.stop_requested(running.event) is None
    assert await front.ledger.sessions.current(ROOM) == running.session
    assert await front.is_open("a")


@pytest.mark.parametrize("body", ["/help", "/status", "/version"])
async def test_a_viewer_may_use_what_only_reads(front: Front, body: str) -> None:
    [told] = await front.told(typed(body, sender=VERA))

    assert told != words.VIEWER_MAY_NOT_RUN


# ── bot commands and files ──


async def test_a_bot_command_is_answered_as_a_quiet_reply(front: Front) -> None:
    said = typed("/version")

    await front.hear(said)

    [answer] = await front.deliver()
    assert answer.content["msgtype"] == "m.notice"
    assert answer.content["m.relates_to"] == {"m.in_reply_to": {"event_id": said.event}}
    assert front.signals.shown == [(ROOM, said.event)]
    assert await front.state(said.event) is None


async def test_a_slip_gets_the_nearest_name(front: Front) -> None:
    assert await front.told(typed("/statsu")) == [words.unknown_command("statsu", "status")]


async def test_what_starts_nothing_leaves_no_trace(front: Front) -> None:
    await front.hear(event(Kind.NOTICE, "make tea"), event(Kind.EDIT, "make tea", target=EventId("$old")))
    await front.hear(event(Kind.REDACTION, target=EventId("$old")))

    assert await front.deliver() == []
    assert await front.ledger.commands.queue(ROOM) == []


# ── approvals by reaction ──


@pytest.mark.parametrize(
    ("key", "state"),
    [("✅", ApprovalState.ALLOWED), ("👍🏽", ApprovalState.ALLOWED), ("❌", ApprovalState.DENIED)],
)
async def test_a_reaction_on_the_question_answers_it(front: Front, key: str, state: ApprovalState) -> None:
    question = await front.asked("a")

    await front.hear(reacted(key, question))

    answer = await front.answer("a")
    assert (answer.state, answer.decided_by, answer.reason) == (state, ANNA, "")


@pytest.mark.parametrize("sender", [EVE, VERA])
async def test_the_reaction_of_somebody_who_may_not_answers_nothing(front: Front, sender: UserId) -> None:
    question = await front.asked("a")

    await front.hear(reacted("✅", question, sender))

    assert await front.is_open("a")


@pytest.mark.parametrize("key", ["✅", "❌"])
async def test_another_user_does_not_answer_in_the_turn_of_somebody_else(front: Front, key: str) -> None:
    question = await front.asked("a", asker=ADA)

    assert await front.told(reacted(key, question)) == [words.not_yours_to_answer(ADA)]
    assert await front.is_open("a")


@pytest.mark.parametrize("asker", [ADA, ANNA])
async def test_an_admin_answers_in_every_turn(front: Front, asker: UserId) -> None:
    question = await front.asked("a", asker=asker)

    await front.hear(reacted("✅", question, ADA))

    assert (await front.answer("a")).decided_by == ADA


async def test_an_offer_is_answered_by_everybody_who_may_run_commands(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, users=frozenset({ANNA, EVE})))
    said = typed("old", late_ms=OFFER_AFTER_MS)
    await front.hear(said)
    [offered] = [parcel for parcel in await front.deliver() if parcel.type == MESSAGE]

    await front.hear(reacted("✅", event_of(offered.txn), EVE))

    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.event, queued.sender) == (said.event, ANNA)


async def test_the_first_answer_stands(front: Front) -> None:
    question = await front.asked("a")

    await front.hear(reacted("❌", question), reacted("✅", question, ADA))

    answer = await front.answer("a")
    assert (answer.state, answer.decided_by) == (ApprovalState.DENIED, ANNA)


async def test_a_reaction_answers_the_question_it_is_put_on_and_no_other(front: Front) -> None:
    await front.asked("a")
    second = await front.asked("b")

    await front.hear(reacted("✅", second))

    assert await front.is_open("a")
    assert not await front.is_open("b")


async def test_a_question_of_another_room_cannot_be_answered_from_here(front: Front) -> None:
    question = await front.asked("a", OTHER)

    await front.hear(reacted("✅", question))

    assert await front.is_open("a")


async def test_a_reaction_on_anything_else_answers_nothing(front: Front) -> None:
    await front.asked("a")
    said = typed("/version")
    await front.hear(said)
    [answer] = await front.deliver()

    await front.hear(reacted("✅", said.event), reacted("✅", event_of(answer.txn)), reacted("✅", EventId("$nowhere")))

    assert await front.is_open("a")


# ── stop by reaction ──


async def test_a_stop_on_a_queued_command_cancels_it(front: Front) -> None:
    queued = command()
    await front.accepted(queued)

    await front.hear(reacted("🛑", queued.event))

    assert await front.state(queued.event) is CommandState.CANCELLED
    assert [each.content["m.relates_to"]["key"] for each in await front.deliver()] == ["🛑"]


async def test_a_stop_on_a_running_command_asks_its_executor(front: Front) -> None:
    running = command()
    await front.running(running)

    await front.hear(reacted("🛑", running.event, ADA))

    assert await front.state(running.event) is CommandState.RUNNING
    assert await front.ledger.commands.stop_requested(running.event) == ADA
    assert await front.deliver() == []


async def test_a_stop_on_the_question_of_a_command_stops_the_command(front: Front) -> None:
    running = command(event=EventId(f"$asks {ROOM} {ANNA}"))
    await front.running(running)
    question = await front.asked("a")

    await front.hear(reacted("🛑", question))

    assert await front.ledger.commands.stop_requested(running.event) == ANNA


async def test_a_stop_on_what_answers_a_command_stops_the_command(front: Front) -> None:
    said = typed("make tea")
    await front.hear(said)
    [eyes] = await front.deliver()

    await front.hear(reacted("🛑", event_of(eyes.txn)))

    assert await front.state(said.event) is CommandState.CANCELLED


async def test_a_command_of_another_room_cannot_be_stopped_from_here(front: Front) -> None:
    elsewhere = command(room=OTHER)
    await front.running(elsewhere)

    await front.hear(reacted("🛑", elsewhere.event))

    assert await front.ledger.commands.stop_requested(elsewhere.event) is None


async def test_a_stop_on_nothing_of_ours_stops_nothing(front: Front) -> None:
    running = command()
    await front.running(running)
    await front.hear(typed("/version"))
    [answer] = await front.deliver()

    await front.hear(reacted("🛑", EventId("$nowhere")), reacted("🛑", event_of(answer.txn)))

    assert await front.ledger.commands.stop_requested(running.event) is None


# ── edits and redactions ──


def edited(text: str, target: EventId, sender: UserId = ANNA, **more: Any) -> Incoming:
    return event(Kind.EDIT, text, target=target, sender=sender, **more)


def redacted(target: EventId, sender: UserId = ANNA, **more: Any) -> Incoming:
    return event(Kind.REDACTION, target=target, sender=sender, **more)


async def text_of(front: Front, target: EventId) -> str:
    found = await front.ledger.commands.get(target)
    assert found is not None
    return found.text


async def refusals(front: Front) -> list[Meta]:
    """What agents were told of messages that are not begun."""
    metas = [read_meta(parcel.content) for parcel in await front.deliver()]
    return [meta for meta in metas if isinstance(meta, Meta)]


@pytest.mark.parametrize("sender", [ANNA, ADA])
async def test_an_agent_whose_message_is_taken_back_while_it_waits_is_told_that_it_is_not_begun(
    front: Front, sender: UserId
) -> None:
    waiting, running = command("make tea", meta=ASKED), command("make coffee", meta=ASKED, room=OTHER)
    await front.accepted(waiting)
    await front.running(running)

    await front.hear(redacted(waiting.event, sender), redacted(running.event, sender, room=OTHER))

    [told] = await refusals(front)
    assert (told.kind, told.in_reply_to) == (MetaKind.REFUSED, ASKED.id)


async def test_an_agent_whose_message_is_stopped_while_it_waits_is_told_so(front: Front) -> None:
    waiting = command("make tea", meta=ASKED)
    await front.accepted(waiting)

    await front.hear(reacted("🛑", waiting.event, sender=ADA))

    assert [told.kind for told in await refusals(front)] == [MetaKind.REFUSED]


async def test_an_agent_whose_turn_is_stopped_hears_it_from_the_turn(front: Front) -> None:
    running = command("make tea", meta=ASKED)
    await front.running(running)

    await front.hear(reacted("🛑", running.event, sender=ADA))

    assert await refusals(front) == []


async def test_an_edit_changes_what_waits_and_shows_it(front: Front) -> None:
    queued = command("make tea")
    await front.accepted(queued)

    await front.hear(edited("make coffee", queued.event))

    assert await text_of(front, queued.event) == "make coffee"
    [pencil] = await front.deliver()
    assert (pencil.type, pencil.content) == (REACTION, reaction(queued.event, "✏️"))


async def test_an_edit_to_nothing_changes_nothing(front: Front) -> None:
    queued = command("make tea")
    await front.accepted(queued)

    assert await front.told(edited(" \n", queued.event)) == []
    assert await text_of(front, queued.event) == "make tea"


@pytest.mark.parametrize(
    "edit", [edited("x", EventId("$c"), ADA), edited("x", EventId("$c"), room=OTHER)], ids=["by another", "elsewhere"]
)
async def test_nobody_else_changes_what_waits(front: Front, edit: Incoming) -> None:
    await front.accepted(command("make tea", event=EventId("$c")))

    assert await front.told(edit) == []
    assert await text_of(front, EventId("$c")) == "make tea"


async def test_an_edit_comes_too_late_for_what_runs_and_the_room_is_told(front: Front) -> None:
    running = command("make tea")
    await front.running(running)

    assert await front.told(edited("make coffee", running.event)) == [away.EDIT_TOO_LATE]
    assert await text_of(front, running.event) == "make tea"


async def test_an_edit_of_what_has_ended_is_nothing(front: Front) -> None:
    ended = command("make tea")
    await front.accepted(ended)
    await front.hear(reacted("🛑", ended.event))

    assert await front.told(edited("make coffee", ended.event)) == []
    assert await text_of(front, ended.event) == "make tea"


@pytest.mark.parametrize("sender", [ANNA, EVE], ids=["its sender", "a moderator"])
async def test_what_waits_is_not_run_once_it_is_redacted(front: Front, sender: UserId) -> None:
    queued = command()
    await front.accepted(queued)

    assert await front.told(redacted(queued.event, sender)) == []
    assert await front.state(queued.event) is CommandState.CANCELLED


async def test_redacting_what_runs_stops_it(front: Front) -> None:
    running = command()
    await front.running(running)

    await front.hear(redacted(running.event))

    assert await front.ledger.commands.stop_requested(running.event) == ANNA


async def test_a_stranger_does_not_stop_a_turn_by_redacting(front: Front) -> None:
    running = command()
    await front.running(running)

    await front.hear(redacted(running.event, EVE))

    assert await front.ledger.commands.stop_requested(running.event) is None


async def test_what_was_redacted_is_no_longer_kept_in_the_inbox(front: Front) -> None:
    said = typed("my password is x")
    await front.hear(said, redacted(said.event, room=OTHER))
    elsewhere = await front.ledger.inbox.get(said.event)

    await front.hear(redacted(said.event))

    assert elsewhere is not None
    assert elsewhere.body == said.body
    found = await front.ledger.inbox.get(said.event)
    assert found is not None
    assert found.body == ""


async def test_a_change_that_is_redacted_takes_back_what_was_to_be_run_as_changed(front: Front) -> None:
    queued = command("make tea")
    await front.accepted(queued)
    change = edited("make coffee with my password", queued.event)
    await front.hear(change)

    await front.hear(redacted(change.event))

    assert await front.state(queued.event) is CommandState.CANCELLED
    assert await text_of(front, queued.event) == ""


async def test_a_change_that_is_redacted_and_was_changed_again_takes_back_nothing_else(front: Front) -> None:
    queued = command("make tea")
    await front.accepted(queued)
    change = edited("make coffee", queued.event)
    await front.hear(change, edited("make soup", queued.event))

    await front.hear(redacted(change.event))

    assert await text_of(front, queued.event) == "make soup"


async def test_of_a_message_of_ours_that_is_redacted_the_edits_are_deleted(front: Front) -> None:
    ended = command()
    page = Parcel(txn=TxnId("page"), room=ROOM, content=message("one", notice=False), command=ended.event)
    edit = Parcel(txn=TxnId("edit"), room=ROOM, content=message("two", notice=True), edits=page.txn)
    await front.running(ended)
    for parcel in (page, edit):
        await front.ledger.outbox.put([parcel], front.clock.now_ms())
        await front.deliver()

    await front.hear(redacted(event_of(page.txn), EVE))

    assert [parcel.content for parcel in await front.deliver() if parcel.type == REDACTION] == [{PARCEL: edit.txn}]


# ── deleting an answer ──


async def answered_command(front: Front, asked: Command, *texts: str) -> list[EventId]:
    """The command has ended, and its answer, in so many messages, is in the room; their events."""
    await front.running(asked)
    pages = [
        Parcel(
            txn=TxnId(f"{asked.event} {text}"),
            room=asked.room,
            content=message(text, notice=False),
            command=asked.event,
        )
        for text in texts
    ]
    assert await front.ledger.commands.finish(asked.event, CommandState.DONE, TurnRecord(), pages, front.clock.now_ms())
    await front.deliver()
    return [event_of(page.txn) for page in pages]


async def deleted(front: Front) -> list[str]:
    """The parcels that are to be deleted."""
    return [parcel.content[PARCEL] for parcel in await front.deliver() if parcel.type == REDACTION]


@pytest.mark.parametrize("sender", [ANNA, ADA], ids=["whoever asked", "an admin"])
@pytest.mark.parametrize("key", ["🗑", "🗑️"])
async def test_a_wastebasket_on_an_answer_deletes_all_of_it(front: Front, sender: UserId, key: str) -> None:
    asked = command("make tea")
    [_, second] = await answered_command(front, asked, "one", "two")

    await front.hear(reacted(key, second, sender))

    assert await deleted(front) == [f"{asked.event} one", f"{asked.event} two"]
    assert await text_of(front, asked.event) == ""


async def test_a_wastebasket_on_the_question_deletes_its_answer(front: Front) -> None:
    asked = command("make tea")
    await answered_command(front, asked, "one")

    await front.hear(reacted("🗑", asked.event))

    assert await deleted(front) == [f"{asked.event} one"]


async def test_a_wastebasket_of_another_user_deletes_nothing(front: Front) -> None:
    asked = command("make tea", sender=ADA)
    [answer] = await answered_command(front, asked, "one")

    assert await front.told(reacted("🗑", answer)) == [words.NOT_YOURS_TO_FORGET]
    assert await text_of(front, asked.event) == "make tea"


@pytest.mark.parametrize("target", ["$nowhere", "$elsewhere"])
async def test_a_wastebasket_on_anything_else_deletes_nothing(front: Front, target: str) -> None:
    await front.accepted(command(room=OTHER, event=EventId("$elsewhere")))

    assert await front.told(reacted("🗑", EventId(target))) == []


async def test_forget_deletes_the_last_answer_and_then_the_one_before(front: Front) -> None:
    first, last = command("first"), command("last")
    await answered_command(front, first, "one")
    await answered_command(front, last, "two")

    for expected in ([f"{last.event} two"], [f"{first.event} one"]):
        await front.hear(typed("/forget"))
        parcels = await front.deliver()
        assert [parcel.content[PARCEL] for parcel in parcels if parcel.type == REDACTION] == expected
        assert [parcel.content["body"] for parcel in parcels if "body" in parcel.content] == [words.FORGETTING]
    assert await front.told(typed("/forget")) == [words.NOTHING_TO_FORGET]


async def test_forget_with_words_behind_it_deletes_nothing(front: Front) -> None:
    await answered_command(front, command("first"), "one")
    await front.hear(typed("/forget what I said about the tests"))
    [said] = await front.deliver()

    assert said.content["body"].startswith("I do not know what `what I said about the tests` behind `/forget` means")


async def test_forget_as_a_reply_deletes_the_answer_that_it_replies_to(front: Front) -> None:
    first = command("first")
    [answer] = await answered_command(front, first, "one")
    await answered_command(front, command("last"), "two")

    await front.hear(typed("/forget", target=answer))

    assert await deleted(front) == [f"{first.event} one"]


async def test_forget_as_a_reply_to_something_else_deletes_nothing(front: Front) -> None:
    await answered_command(front, command("last"), "two")

    assert await front.told(typed("/forget", target=EventId("$nowhere"))) == [words.NOTHING_TO_FORGET]


async def test_an_admin_without_the_power_of_one_deletes_nobodys_answer_but_his_own(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, power=PowerNeeded(admin=50)))
    front.members.states[ROOM] = powers({"users": {ADA: 0}})
    await answered_command(front, command("anna's"), "one")
    assert await front.told(typed("/forget", sender=ADA)) == [words.NOT_YOURS_TO_FORGET]

    front.members.states[ROOM] = powers({"users": {ADA: 50}})
    assert await front.told(typed("/forget", sender=ADA)) == [words.FORGETTING]


async def test_what_is_being_answered_is_not_deleted_yet(front: Front) -> None:
    running = command()
    await front.running(running)

    assert await front.told(typed("/forget", target=running.event)) == [words.FORGET_WHEN_ENDED]


# ── approvals in words ──


def replied(body: str, target: EventId, sender: UserId = ANNA) -> Incoming:
    return typed(body, target=target, sender=sender)


@pytest.mark.parametrize(
    ("body", "state", "said"),
    [
        ("yes", ApprovalState.ALLOWED, words.approval_allowed(ANNA)),
        ("no", ApprovalState.DENIED, words.approval_denied(ANNA, "")),
    ],
)
async def test_a_word_in_reply_to_the_question_answers_it(
    front: Front, body: str, state: ApprovalState, said: str
) -> None:
    question = await front.asked("a")

    assert await front.told(replied(body, question)) == [said]
    assert (await front.answer("a")).state is state
    assert await front.ledger.commands.queue(ROOM) == []


async def test_the_same_word_in_reply_to_anything_else_is_a_message(front: Front) -> None:
    await front.asked("a")
    said = replied("yes", EventId("$nowhere"))

    await front.hear(said)

    assert await front.is_open("a")
    assert await front.state(said.event) is CommandState.QUEUED


async def test_a_word_does_not_answer_a_question_of_another_room(front: Front) -> None:
    question = await front.asked("a", OTHER)

    await front.hear(replied("yes", question))

    assert await front.is_open("a")


@pytest.mark.parametrize("how", ["encrypted", "reply"])
async def test_where_words_are_wanted_a_reaction_decides_nothing_and_is_answered_once(front: Front, how: str) -> None:
    if how == "encrypted":
        await front.ledger.keyring.mark_encrypted(ROOM, front.clock.now_ms())
    else:
        front.settings = settings(replace(KITCHEN, approvals="reply"))
    question = await front.asked("a")

    assert await front.told(reacted("✅", question), reacted("👍", question, ADA)) == [words.IN_WORDS_HERE]
    assert await front.is_open("a")
    await front.hear(replace(replied("yes", question), encrypted=True))
    assert (await front.answer("a")).state is ApprovalState.ALLOWED


async def test_what_a_homeserver_can_have_written_is_nobodys_word_in_an_encrypted_room(front: Front) -> None:
    waiting = command("make tea")
    await front.accepted(waiting)
    question = await front.asked("a")
    await front.ledger.keyring.mark_encrypted(ROOM, front.clock.now_ms())
    forged = [typed("make coffee"), typed("/approve"), replied("yes", question), edited("coffee", waiting.event)]

    assert await front.told(*forged) == [words.IN_THE_CLEAR] * len(forged)
    assert await front.is_open("a")
    assert [queued.text for queued in await front.ledger.commands.queue(ROOM)] == ["make tea"]
    assert await front.told(replace(typed("make milk"), encrypted=True)) == [words.queue_place(1)]


async def test_an_encrypted_room_may_be_told_to_take_reactions(front: Front) -> None:
    await front.ledger.keyring.mark_encrypted(ROOM, front.clock.now_ms())
    front.settings = settings(replace(KITCHEN, approvals="reaction"))
    question = await front.asked("a")

    await front.hear(reacted("✅", question))

    assert (await front.answer("a")).state is ApprovalState.ALLOWED


# ── the room itself ──


async def test_a_message_that_cannot_be_read_is_answered(front: Front) -> None:
    assert await front.told(event(Kind.MALFORMED, raw="{}")) == [away.UNREADABLE]


async def test_an_upgrade_is_reported_and_not_followed(front: Front) -> None:
    assert await front.told(event(Kind.TOMBSTONE, "!new:hs")) == [away.room_replaced(RoomId("!new:hs"))]


async def test_a_part_that_could_not_be_read_is_reported(front: Front) -> None:
    assert await front.told(event(Kind.GAP_LOST, "1000–2000")) == [away.not_heard(1000, 2000)]


async def test_out_of_the_room_its_turn_stops_and_the_rest_waits_until_we_are_back(front: Front) -> None:
    running, queued = command(), command()
    await front.running(running)
    await front.accepted(queued)
    await front.hear(event(Kind.LEFT, "kick", sender=EVE))

    assert await front.ledger.commands.stop_requested(running.event) == EVE
    assert await front.state(queued.event) is CommandState.QUEUED
    assert await front.ledger.commands.rooms_with_work() == []

    await front.hear(event(Kind.JOINED, sender=ADA))

    assert await front.ledger.commands.rooms_with_work() == [ROOM]


# ── the welcome ──


async def test_whoever_lets_us_in_is_welcomed_once(front: Front) -> None:
    told = await front.told(event(Kind.JOINED, sender=ME))
    await front.hear(event(Kind.LEFT, "kick", sender=EVE))

    assert told == [manual.welcome("kitchen", [ADA, ANNA], only_to=None, asks=True)]
    assert await front.told(event(Kind.JOINED, sender=ME)) == []


@pytest.mark.parametrize(
    "room",
    [
        pytest.param(replace(KITCHEN, welcome=False), id="the operator wants none"),
        pytest.param(replace(KITCHEN, made_by=ADA), id="a room that was made in chat, which told enough"),
    ],
)
async def test_not_every_room_is_welcomed(front: Front, room: RoomSettings) -> None:
    front.settings = settings(room)

    assert await front.told(event(Kind.JOINED, sender=ME)) == []
