"""Which conversations a room has, what they are called, and which one it is in."""

from dataclasses import replace

import pytest

from aiagentchat.core.commands import Command, CommandState, TurnRecord
from aiagentchat.core.effects import AcceptCommand, EraseText, ForgetAnswer, NameSession, NewSession, SetModel
from aiagentchat.core.ids import EventId, SessionId
from aiagentchat.core.sessions import Session
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    DEVICE,
    NOW,
    OTHER_ROOM,
    OTHER_SESSION,
    ROOM,
    SESSION,
    accept,
    command,
    parcel,
    settle,
    waiting_texts,
)

NEW = SessionId("5e551011-0000-4000-8000-00000000000a")
ROOT = EventId("$root")


def said(event: str, text: str, session: SessionId = SESSION, **more: object) -> Command:
    return replace(command(event, session=session), text=text, **more)  # type: ignore[arg-type]


async def name_of(ledger: Ledger, session: SessionId = SESSION) -> str | None:
    found = await ledger.sessions.get(session)
    return None if found is None else found.name


async def ran(ledger: Ledger, event: str, now: int = NOW) -> None:
    assert await ledger.commands.start(EventId(event), now)
    assert await ledger.commands.finish(EventId(event), CommandState.DONE, TurnRecord(), [], now)


# ── names ──


async def test_the_first_command_names_its_conversation(ledger: Ledger) -> None:
    await accept(ledger, said("$a", "Fix the build"), said("$b", "And the docs"))

    assert await ledger.sessions.get(SESSION) == Session(id=SESSION, room=ROOM, name="fix-the-build", used_at=NOW)


async def test_a_rejected_command_names_nothing(ledger: Ledger) -> None:
    await accept(ledger, replace(command("$a"), state=CommandState.REJECTED), said("$b", "soup"))

    assert await name_of(ledger) == "soup"


async def test_a_command_of_the_agents_own_names_nothing(ledger: Ledger) -> None:
    await accept(ledger, said("$a", "/agent compact", own="compact"))

    assert await name_of(ledger) is None


async def test_no_two_of_a_room_have_the_same_name_and_other_rooms_do_not_count(ledger: Ledger) -> None:
    elsewhere = replace(command("$c", OTHER_ROOM, NEW), text="tea")
    await accept(ledger, said("$a", "tea"), said("$b", "tea", OTHER_SESSION), elsewhere)

    assert [await name_of(ledger, each) for each in (SESSION, OTHER_SESSION, NEW)] == ["tea", "tea-2", "tea"]


async def test_somebody_may_name_it_before_and_after_its_first_command(ledger: Ledger) -> None:
    await settle(ledger, NameSession(ROOM, SESSION, "login"), event="$1")
    await accept(ledger, said("$a", "tea"))
    assert await name_of(ledger) == "login"
    await settle(ledger, NameSession(ROOM, SESSION, "logout"), event="$2")

    assert await name_of(ledger) == "logout"


async def test_a_name_that_another_has_meanwhile_gets_a_number(ledger: Ledger) -> None:
    await accept(ledger, said("$a", "tea"), said("$b", "soup", OTHER_SESSION))
    await settle(ledger, NameSession(ROOM, OTHER_SESSION, "tea"), event="$1")

    assert await name_of(ledger, OTHER_SESSION) == "tea-2"


async def test_of_a_message_that_was_taken_back_no_word_stays_in_a_name(ledger: Ledger) -> None:
    await accept(ledger, said("$a", "my password"), said("$b", "session", OTHER_SESSION))
    await settle(ledger, EraseText(EventId("$a"), ROOM), event="$1")

    assert await name_of(ledger) == "session-2"
    assert await name_of(ledger, OTHER_SESSION) == "session"


async def test_a_name_that_somebody_chose_stays_when_the_first_message_is_taken_back(ledger: Ledger) -> None:
    await accept(ledger, said("$a", "my password"))
    await settle(ledger, NameSession(ROOM, SESSION, "login"), EraseText(EventId("$a"), ROOM), event="$1")

    assert await name_of(ledger) == "login"


# ── use ──


async def test_turns_are_counted_and_the_last_used_comes_first(ledger: Ledger) -> None:
    await accept(ledger, said("$a", "tea"), said("$b", "soup", OTHER_SESSION), said("$c", "more tea"))
    await ran(ledger, "$a", NOW + 1)
    await ran(ledger, "$b", NOW + 2)

    sessions = await ledger.sessions.of_room(ROOM, 10)
    assert [(each.name, each.turns, each.used_at) for each in sessions] == [("soup", 1, NOW + 2), ("tea", 1, NOW + 1)]
    await ran(ledger, "$c", NOW + 3)
    assert [each.name for each in await ledger.sessions.of_room(ROOM, 1)] == ["tea"]
    assert await ledger.sessions.of_room(OTHER_ROOM, 10) == []


async def test_what_is_not_known_has_no_name(ledger: Ledger) -> None:
    await ledger.sessions.mark_begun(SESSION, NOW)

    assert await ledger.sessions.get(SESSION) is None
    assert await ledger.sessions.begun(SESSION)


async def test_a_conversation_that_was_named_has_not_begun(ledger: Ledger) -> None:
    await accept(ledger, command("$a"))
    assert not await ledger.sessions.begun(SESSION)
    await ledger.sessions.mark_begun(SESSION, NOW)

    assert await ledger.sessions.begun(SESSION)
    assert await name_of(ledger) == "make-tea"


async def test_what_takes_the_place_of_a_conversation_is_called_after_it_and_has_its_turn(ledger: Ledger) -> None:
    await accept(ledger, said("$a", "tea"), said("$b", "more"))
    assert await ledger.commands.start(EventId("$a"), NOW)
    await ledger.sessions.replace(ROOM, SESSION, NEW, NOW + 5)

    found = await ledger.sessions.get(NEW)
    assert found == Session(id=NEW, room=ROOM, name="tea-2", used_at=NOW + 5, turns=1)
    assert await name_of(ledger) == "tea"
    assert [each.session for each in await ledger.commands.queue(ROOM)] == [NEW, NEW]


async def test_what_takes_the_place_of_a_conversation_without_a_name_has_one(ledger: Ledger) -> None:
    await ledger.sessions.replace(ROOM, SESSION, NEW, NOW)

    assert await name_of(ledger, NEW) == "session"


# ── threads ──


async def test_a_thread_has_its_own_conversation_beside_that_of_the_room(ledger: Ledger) -> None:
    await accept(ledger, said("$a", "tea"))
    in_thread = said("$b", "soup", OTHER_SESSION, thread=ROOT)
    await settle(ledger, AcceptCommand(in_thread, of_thread=True), event="$b")

    assert await ledger.sessions.current(ROOM) == SESSION
    assert await ledger.sessions.current(ROOM, ROOT) == OTHER_SESSION
    assert await ledger.sessions.current(ROOM, EventId("$other")) is None
    assert await ledger.sessions.current(OTHER_ROOM, ROOT) is None
    assert (await ledger.sessions.of_room(ROOM, 10))[0].thread in (ROOT, None)
    found = await ledger.sessions.get(OTHER_SESSION)
    assert found is not None
    assert found.thread == ROOT


async def test_a_thread_stays_in_its_first_conversation_until_it_is_led_into_another(ledger: Ledger) -> None:
    for event, session in (("$a", SESSION), ("$b", OTHER_SESSION)):
        made = said(event, "tea", session, thread=ROOT)
        await settle(ledger, AcceptCommand(made, of_thread=True), event=event)
    assert await ledger.sessions.current(ROOM, ROOT) == SESSION
    await settle(ledger, NewSession(ROOM, NEW, ROOT), event="$1")

    assert await ledger.sessions.current(ROOM, ROOT) == NEW
    assert await ledger.sessions.current(ROOM) is None


async def test_a_thread_whose_conversation_is_replaced_goes_on_in_the_new_one(ledger: Ledger) -> None:
    made = said("$a", "tea", thread=ROOT)
    await settle(ledger, AcceptCommand(made, of_thread=True), event="$a")
    await ledger.sessions.replace(ROOM, SESSION, NEW, NOW)

    assert await ledger.sessions.current(ROOM, ROOT) == NEW
    assert (await ledger.sessions.of_room(ROOM, 1))[0].thread == ROOT


async def test_a_command_keeps_its_thread_and_what_it_runs(ledger: Ledger) -> None:
    made = said("$a", "/agent compact", thread=ROOT, own="compact")
    await accept(ledger, made)

    assert await ledger.commands.get(EventId("$a")) == made


async def test_what_answers_a_command_goes_into_its_thread(ledger: Ledger) -> None:
    await accept(ledger, said("$a", "tea", thread=ROOT), command("$b"))
    parcels = [
        replace(parcel("1"), command=EventId("$a")),
        replace(parcel("2"), command=EventId("$b")),
        replace(parcel("3"), thread=EventId("$elsewhere"), command=EventId("$a")),
        parcel("4"),
    ]
    await ledger.outbox.put(parcels, NOW)
    threads = []
    while (claimed := await ledger.outbox.claim(NOW, device=DEVICE)) is not None:
        await ledger.outbox.sent(claimed.parcel.txn, EventId(f"${claimed.parcel.txn}"), NOW)
        threads.append(claimed.parcel.thread)

    assert threads == [ROOT, None, "$elsewhere", None]


# ── what was taken back ──


async def test_it_is_known_which_commands_of_a_conversation_were_taken_back(ledger: Ledger) -> None:
    await accept(ledger, said("$a", "tea"), said("$b", "soup"), said("$c", "cake"), said("$d", "x", OTHER_SESSION))
    answer = replace(parcel("1", "So."), command=EventId("$b"))
    await ledger.outbox.put([answer], NOW)
    await waiting_texts(ledger)
    await settle(ledger, EraseText(EventId("$a"), ROOM), ForgetAnswer(EventId("$b"), ANNA), event="$1")

    assert [each.event for each in await ledger.commands.of_session(ROOM, SESSION)] == ["$a", "$b", "$c"]
    assert await ledger.commands.was_taken_back(ROOM, SESSION) == {"$a", "$b"}
    assert await ledger.commands.of_session(OTHER_ROOM, SESSION) == []


# ── the model of a room ──


@pytest.mark.parametrize("known", [False, True])
async def test_a_room_keeps_its_model_until_it_is_taken_back(ledger: Ledger, known: bool) -> None:
    if known:
        await ledger.rooms.slug(ROOM, "kitchen")
    assert await ledger.rooms.model(ROOM) is None
    await settle(ledger, SetModel(ROOM, "opus"), event="$1")
    assert await ledger.rooms.model(ROOM) == "opus"
    assert await ledger.rooms.model(OTHER_ROOM) is None
    await settle(ledger, SetModel(ROOM, None), event="$2")

    assert await ledger.rooms.model(ROOM) is None
