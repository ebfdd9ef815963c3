"""What is given to a turn that runs, what is held and joined, and what a message is a reply to."""

from dataclasses import replace

import pytest

from aiagentchat.core.commands import MOST_HELD_MS, Command, CommandState, RepliedTo, TurnRecord
from aiagentchat.core.effects import AcceptCommand, EditCommand, EraseText, KeepFile, NewSession
from aiagentchat.core.files import MediaFile
from aiagentchat.core.heard import heard
from aiagentchat.core.ids import EventId, TxnId
from aiagentchat.core.messages import Kind
from aiagentchat.core.parcels import Parcel
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    BERT,
    NOW,
    OTHER_ROOM,
    OTHER_SESSION,
    ROOM,
    SESSION,
    accept,
    command,
    incoming,
    parcel,
    settle,
    state_of,
    stop,
)

HOST, A, B, C = (EventId(f"${name}") for name in ("host", "a", "b", "c"))
HELD = NOW + 1_500


def urgent(event: EventId) -> Command:
    return replace(command(event), urgent=True)


def held(event: EventId, text: str, **more: object) -> Command:
    return replace(command(event), text=text, held_until=HELD, **more)  # type: ignore[arg-type]


async def running(ledger: Ledger, *given: EventId) -> None:
    """The host runs, and these were given to its turn."""
    await accept(ledger, command(HOST))
    assert await ledger.commands.start(HOST, NOW)
    for event in given:
        await accept(ledger, urgent(event))
        assert await ledger.commands.give(event, HOST, NOW)


async def end(ledger: Ledger, event: EventId = HOST, *carried: EventId) -> None:
    assert await ledger.commands.finish(event, CommandState.DONE, TurnRecord(), [], NOW, carried=carried)


# ── what is given to a turn ───────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_urgent_comes_before_what_waited_longer(ledger: Ledger) -> None:
    await accept(ledger, command(A), urgent(B), urgent(C))

    assert await ledger.commands.next_queued(ROOM) == urgent(B)
    assert await ledger.commands.queue(ROOM) == [urgent(B), urgent(C), command(A)]
    assert await ledger.commands.urgent(ROOM) == [urgent(B), urgent(C)]
    assert await ledger.commands.urgent(OTHER_ROOM) == []


async def test_what_is_given_runs_in_the_turn_of_its_host(ledger: Ledger) -> None:
    await running(ledger, A)

    given = replace(urgent(A), state=CommandState.RUNNING, host=HOST, started_at=NOW)
    assert await ledger.commands.get(A) == given
    assert [each.event for each in await ledger.commands.queue(ROOM)] == [HOST, A]
    assert [each.event for each in await ledger.commands.running()] == [HOST, A]


async def test_only_what_is_urgent_and_waits_is_given(ledger: Ledger) -> None:
    await running(ledger, A)
    await accept(ledger, command(B))

    assert not await ledger.commands.give(A, HOST, NOW)
    assert not await ledger.commands.give(B, HOST, NOW)
    assert not await ledger.commands.give(EventId("$nothing"), HOST, NOW)


async def test_nothing_is_given_to_what_does_not_run_or_is_to_end(ledger: Ledger) -> None:
    await accept(ledger, command(HOST), urgent(A), replace(urgent(B), room=OTHER_ROOM))
    before = await ledger.commands.give(A, HOST, NOW)
    await ledger.commands.start(HOST, NOW)
    elsewhere = await ledger.commands.give(B, HOST, NOW)
    await stop(ledger, HOST)

    assert not before
    assert not elsewhere
    assert not await ledger.commands.give(A, HOST, NOW)
    assert await state_of(ledger, A) is CommandState.QUEUED


@pytest.mark.parametrize("state", [CommandState.DONE, CommandState.CANCELLED, CommandState.TIMED_OUT])
async def test_what_was_given_ends_as_its_host_does(ledger: Ledger, state: CommandState) -> None:
    await running(ledger, A, B)
    assert await ledger.commands.finish(HOST, state, TurnRecord(), [], NOW)

    assert [await state_of(ledger, event) for event in (A, B)] == [state, state]
    assert await ledger.commands.queue(ROOM) == []


async def test_what_is_carried_runs_on_and_the_others_in_its_turn(ledger: Ledger) -> None:
    await running(ledger, A, B, C)
    await end(ledger, HOST, B, C)

    queue = await ledger.commands.queue(ROOM)
    assert [(each.event, each.state, each.host) for each in queue] == [
        (B, CommandState.RUNNING, None),
        (C, CommandState.RUNNING, B),
    ]
    assert await state_of(ledger, A) is CommandState.DONE
    await end(ledger, B)
    assert await state_of(ledger, C) is CommandState.DONE


async def test_what_was_not_given_is_not_carried(ledger: Ledger) -> None:
    await running(ledger)
    await accept(ledger, urgent(A))
    await end(ledger, HOST, A)

    assert await state_of(ledger, A) is CommandState.QUEUED
    assert await ledger.commands.start(A, NOW)


async def test_after_a_crash_each_is_reported_for_itself(ledger: Ledger) -> None:
    await running(ledger, A)

    assert await ledger.commands.interrupt(HOST, None, TurnRecord(), [], NOW)
    assert await state_of(ledger, A) is CommandState.RUNNING
    assert await ledger.commands.interrupt(A, None, TurnRecord(), [], NOW)


async def test_what_was_given_is_not_taken_up_again_without_its_host(ledger: Ledger) -> None:
    await running(ledger, A)
    assert await ledger.commands.finish(HOST, CommandState.FAILED, TurnRecord(), [], NOW)

    assert [found.event for found in await ledger.commands.retryable(ROOM, 5)] == [HOST]


# ── what is held ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_held_lets_the_others_pass_until_its_time(ledger: Ledger) -> None:
    await accept(ledger, held(A, "make"), command(B))

    assert await ledger.commands.next_queued(ROOM, NOW) == command(B)
    assert await ledger.commands.next_queued(ROOM, HELD) == held(A, "make")
    assert await ledger.commands.next_held(NOW) == HELD
    assert await ledger.commands.next_held(HELD) is None


async def test_a_room_in_which_all_is_held_has_no_work_yet(ledger: Ledger) -> None:
    await accept(ledger, held(A, "make"))

    assert await ledger.commands.rooms_with_work(NOW) == []
    assert await ledger.commands.rooms_with_work(HELD) == [ROOM]


async def test_a_clock_that_is_set_back_holds_nothing_for_ever(ledger: Ledger) -> None:
    await accept(ledger, held(A, "make"))
    long_ago = HELD - MOST_HELD_MS - 1

    assert await ledger.commands.next_queued(ROOM, long_ago) == held(A, "make")
    assert await ledger.commands.rooms_with_work(long_ago) == [ROOM]


# ── what is joined ────────────────────────────────────────────────────────────────────────────────────────────────


async def joined(ledger: Ledger, *texts: str) -> None:
    """Messages $a, $b, $c, joined to $a."""
    for event, text in zip((A, B, C), texts, strict=False):
        made = held(event, text)
        assert await settle(ledger, AcceptCommand(made, None if event == A else A), event=event)


async def text_of(ledger: Ledger) -> str:
    found = await ledger.commands.get(A)
    assert found is not None
    return found.text


async def test_what_is_joined_is_one_command_under_each_of_its_ids(ledger: Ledger) -> None:
    await joined(ledger, "make tea", "with milk", "no sugar")

    [queued] = await ledger.commands.queue(ROOM)
    assert queued == held(A, "make tea\n\nwith milk\n\nno sugar")
    assert await ledger.commands.get(B) == await ledger.commands.get(C) == queued
    assert await ledger.commands.parts(A) == {A: "make tea", B: "with milk", C: "no sugar"}


async def test_a_command_of_one_message_has_no_parts(ledger: Ledger) -> None:
    await joined(ledger, "make tea")

    assert await ledger.commands.parts(A) == {}


async def test_what_is_joined_holds_the_command_on_and_says_what_it_replies_to(ledger: Ledger) -> None:
    await joined(ledger, "make tea")
    later = replace(held(B, "with milk"), held_until=HELD + 700, about=C)
    await settle(ledger, AcceptCommand(later, A), event=B)

    found = await ledger.commands.get(A)
    assert found is not None
    assert (found.held_until, found.about) == (HELD + 700, C)


@pytest.mark.parametrize("why", ["it runs", "another sender", "another conversation", "it is not held", "another room"])
async def test_what_cannot_be_joined_is_a_command_of_its_own(ledger: Ledger, why: str) -> None:
    first = held(A, "make tea") if why != "it is not held" else command(A)
    await accept(ledger, first)
    if why == "it runs":
        await ledger.commands.start(A, NOW)
    second = replace(
        held(B, "with milk"),
        sender=BERT if why == "another sender" else ANNA,
        session=OTHER_SESSION if why == "another conversation" else SESSION,
        room=OTHER_ROOM if why == "another room" else ROOM,
    )
    await settle(ledger, AcceptCommand(second, A), event=B)

    assert await ledger.commands.get(B) == second
    assert await text_of(ledger) == first.text


async def test_each_message_of_a_command_can_be_changed(ledger: Ledger) -> None:
    await joined(ledger, "make tea", "with milk")
    await settle(ledger, EditCommand(B, "with lemon", ANNA), event="$edit1")
    await settle(ledger, EditCommand(A, "make coffee", ANNA), event="$edit2")
    await settle(ledger, EditCommand(B, "with salt", BERT), event="$edit3")

    assert await text_of(ledger) == "make coffee\n\nwith lemon"


async def test_what_runs_is_not_changed_in_part(ledger: Ledger) -> None:
    await joined(ledger, "make tea", "with milk")
    await ledger.commands.start(A, NOW)
    await settle(ledger, EditCommand(B, "with lemon", ANNA), event="$edit")

    assert await text_of(ledger) == "make tea\n\nwith milk"


async def test_a_message_that_is_taken_back_leaves_the_others(ledger: Ledger) -> None:
    await joined(ledger, "make tea", "with milk", "no sugar")
    await settle(ledger, EraseText(A, ROOM), event="$erase1")

    assert await text_of(ledger) == "with milk\n\nno sugar"
    assert await state_of(ledger, A) is CommandState.QUEUED
    await settle(ledger, EraseText(B, ROOM), event="$erase2")
    assert await text_of(ledger) == "no sugar"
    await settle(ledger, EraseText(C, ROOM), event="$erase3")
    assert await text_of(ledger) == ""
    assert await state_of(ledger, A) is CommandState.CANCELLED


async def test_nobody_takes_back_a_part_from_another_room(ledger: Ledger) -> None:
    await joined(ledger, "make tea", "with milk")
    await settle(ledger, EraseText(B, OTHER_ROOM), event="$erase")

    assert await text_of(ledger) == "make tea\n\nwith milk"


async def test_what_took_up_a_command_again_goes_when_a_part_of_it_is_taken_back(ledger: Ledger) -> None:
    await joined(ledger, "make tea", "with milk")
    await ledger.commands.start(A, NOW)
    await ledger.commands.finish(A, CommandState.FAILED, TurnRecord(), [], NOW)
    again = replace(command("$again"), text="make tea\n\nwith milk", origin=A)
    await accept(ledger, again)
    await settle(ledger, EraseText(B, ROOM), event="$erase")

    found = await ledger.commands.get(EventId("$again"))
    assert found is not None
    assert (found.state, found.text) == (CommandState.CANCELLED, "")
    assert await text_of(ledger) == "make tea"


@pytest.mark.parametrize("typed", ["", "/now "])
async def test_a_list_that_shows_its_first_words_is_erased_with_it(ledger: Ledger, typed: str) -> None:
    text = "the password of the safe is, as you know,\nmy birthday"
    await ledger.inbox.take_in("t", [incoming(A, typed + text)], NOW)
    await ledger.inbox.settle(A, [AcceptCommand(replace(command(A), text=text))], NOW)
    shown = parcel("list", "1. `the password of the safe is, as you know, my bi…`")
    await ledger.outbox.put([shown, parcel("other", "2. `what is the password`")], NOW)
    await settle(ledger, EraseText(A, ROOM), event="$erase")
    for each in ("list", "other"):
        await ledger.outbox.claim(NOW, device="D")
        await ledger.outbox.sent(TxnId(each), EventId(f"${each}"), NOW)

    kept = [await ledger.outbox.parcel_of(EventId(f"${each}")) for each in ("list", "other")]
    assert [each.content for each in kept if each] == [{}, {"body": "2. `what is the password`"}]


# ── what a message is a reply to ──────────────────────────────────────────────────────────────────────────────────


async def said(
    ledger: Ledger, txn: str, text: str, *, command: EventId | None = None, edits: str | None = None
) -> None:
    """A message of ours, which is in the room."""
    made = replace(parcel(txn, text, edits=edits), command=command)
    await ledger.outbox.put([made], NOW)
    assert await ledger.outbox.claim(NOW, device="D") is not None
    await ledger.outbox.sent(TxnId(txn), EventId(f"${txn}"), NOW)


async def turned(ledger: Ledger, event: EventId, answer: str, at: int) -> None:
    """A command that has run, and its answer."""
    await accept(ledger, command(event))
    await ledger.commands.start(event, at)
    await said(ledger, f"answer {event}", answer, command=event)
    await ledger.commands.finish(event, CommandState.DONE, TurnRecord(), [], at)


def reply_to(about: str) -> Command:
    return replace(command("$reply"), about=EventId(about))


async def test_an_old_answer_reads_as_it_was_last_changed(ledger: Ledger) -> None:
    await turned(ledger, A, "Te", NOW)
    await said(ledger, "edit", "Tea is ready.", command=A, edits=f"answer {A}")
    await turned(ledger, B, "Coffee is ready.", NOW + 1)

    assert await ledger.commands.replied_to(reply_to(f"$answer {A}")) == RepliedTo(text="Tea is ready.", of_agent=True)


async def test_the_last_answer_is_known_to_its_conversation(ledger: Ledger) -> None:
    await turned(ledger, A, "Tea is ready.", NOW)
    reply = reply_to(f"$answer {A}")

    assert await ledger.commands.replied_to(reply) is None
    await accept(ledger, reply)
    await ledger.commands.start(reply.event, NOW + 1)
    assert await ledger.commands.replied_to(reply) is None


async def test_another_conversation_does_not_know_it(ledger: Ledger) -> None:
    await turned(ledger, A, "Tea is ready.", NOW)
    await settle(ledger, NewSession(ROOM, OTHER_SESSION), event="$new")
    reply = replace(reply_to(f"$answer {A}"), session=OTHER_SESSION)

    assert await ledger.commands.replied_to(reply) == RepliedTo(text="Tea is ready.", of_agent=True)


async def test_what_the_daemon_said_is_no_word_of_the_agent(ledger: Ledger) -> None:
    await said(ledger, "notice", "Queued: yours is next.")

    assert await ledger.commands.replied_to(reply_to("$notice")) == RepliedTo(text="Queued: yours is next.")


async def test_what_somebody_typed_reads_as_it_was_changed(ledger: Ledger) -> None:
    await accept(ledger, command(A))
    await settle(ledger, EditCommand(A, "make coffee", ANNA), event="$edit")
    await ledger.inbox.take_in("t", [replace(incoming("$said", "I am thirsty"), sender=BERT)], NOW)

    assert await ledger.commands.replied_to(reply_to(A)) == RepliedTo(text="make coffee", by=ANNA)
    assert await ledger.commands.replied_to(reply_to("$said")) == RepliedTo(text="I am thirsty", by=BERT)


async def test_what_is_only_in_the_history_is_quoted_from_there(ledger: Ledger) -> None:
    notice = replace(incoming("$notice", "The build is red."), kind=Kind.NOTICE, sender=BERT)
    await ledger.inbox.take_in("t", [], NOW, heard([notice], lambda *_: True))
    told = RepliedTo(text="The build is red.", by=BERT)
    assert await ledger.commands.replied_to(reply_to("$notice")) == told
    assert await ledger.commands.replied_to(replace(reply_to("$notice"), room=OTHER_ROOM)) is None

    await settle(ledger, EraseText(notice.event, ROOM), event="$erase")
    assert await ledger.commands.replied_to(reply_to("$notice")) is None


async def test_what_is_erased_by_time_as_a_message_of_ours_is_quoted_from_the_history(ledger: Ledger) -> None:
    await said(ledger, "notice", "Queued: yours is next.")
    echo = replace(incoming("$notice", "Queued: yours is next."), sender=BERT, txn=TxnId("notice"))
    await ledger.inbox.take_in("t", [], NOW + 2, heard([echo], lambda *_: True))
    await ledger.housekeeping.erase(NOW + 1)

    assert await ledger.commands.replied_to(reply_to("$notice")) == RepliedTo(text="Queued: yours is next.", by=BERT)


@pytest.mark.parametrize("about", ["$nothing", "$elsewhere", "$gone"])
async def test_what_is_not_known_is_not_quoted(ledger: Ledger, about: str) -> None:
    await ledger.inbox.take_in("t", [replace(incoming("$elsewhere"), room=OTHER_ROOM), incoming("$gone")], NOW)
    await settle(ledger, EraseText(EventId("$gone"), ROOM), event="$erase")

    assert await ledger.commands.replied_to(reply_to(about)) is None


async def test_a_message_of_ours_that_was_deleted_is_not_quoted(ledger: Ledger) -> None:
    await said(ledger, "notice", "Queued: yours is next.")
    await settle(ledger, EraseText(EventId("$notice"), ROOM), event="$erase")

    assert await ledger.commands.replied_to(reply_to("$notice")) is None


async def test_a_picture_of_ours_says_what_is_written_below_it(ledger: Ledger) -> None:
    made = Parcel(txn=TxnId("bare"), room=ROOM, content={"msgtype": "m.image"})
    await ledger.outbox.put([made], NOW)
    await ledger.outbox.claim(NOW, device="D")
    await ledger.outbox.sent(made.txn, EventId("$bare"), NOW)

    assert await ledger.commands.replied_to(reply_to("$bare")) is None


# ── files that come with what is joined ───────────────────────────────────────────────────────────────────────────


async def test_the_files_of_all_its_messages_go_along_with_a_command(ledger: Ledger) -> None:
    waits, with_caption = (MediaFile(name=name, url=f"mxc://hs/{name}") for name in ("waits.png", "caption.png"))
    picture = replace(incoming("$picture", ""), kind=Kind.FILE, file=waits)
    captioned = replace(incoming(C, "no sugar"), kind=Kind.FILE, file=with_caption)
    await joined(ledger, "make tea")
    await ledger.inbox.take_in("t", [picture, captioned], NOW)
    await ledger.inbox.settle(picture.event, [KeepFile(picture.event, None)], NOW)
    await settle(ledger, AcceptCommand(held(B, "with milk"), A), event=B)
    await ledger.inbox.settle(captioned.event, [KeepFile(C, C), AcceptCommand(held(C, "no sugar"), A)], NOW)

    assert await ledger.commands.files_of(A) == [waits, with_caption]
