"""Other agents ask us for something: what is run, counted, refused, halted, and let go on, read from the ledger."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.approvals import Approval, ApprovalKind, Picked
from aiagentchat.core.audit import AuditFilter, AuditKind
from aiagentchat.core.commands import CommandState
from aiagentchat.core.exchange import Caller, ExchangeRules
from aiagentchat.core.files import MediaFile
from aiagentchat.core.guards import WINDOW_MS, Limit, Why
from aiagentchat.core.ids import ApprovalId, CallerName, InstanceName, MessageId, TxnId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import META_KEY, Address, Meta, MetaKind, read_meta
from aiagentchat.core.parcels import Parcel
from aiagentchat.exchange.drafts import onward
from aiagentchat.render import guard_words
from aiagentchat.render.agent_words import stopped_before_it_began
from aiagentchat.render.message import message
from aiagentchat.route.refusals import REFUSALS_A_DAY
from tests.fakes.front import OURS, Front, event_of, open_front
from tests.fakes.people import ADA, ANNA, EVE, GARDEN, KITCHEN, ME, OTHER, ROOM, VERA, command, event, settings, typed

BOT, CAT = UserId("@bot:hs"), UserId("@cat:hs")
"""Accounts of other daemons, which are users here."""
PLAN = MediaFile(name="plan.pdf", url="mxc://hs/plan")


def house(**rules: Any) -> tuple[RoomSettings, RoomSettings]:
    """The rooms, with agents in them."""
    users = KITCHEN.users | {BOT, CAT}
    kitchen, garden = (replace(room, users=users, exchange=ExchangeRules(**rules)) for room in (KITCHEN, GARDEN))
    return kitchen, garden


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        opened.settings = settings(*house(), max_queue=100)
        yield opened


def asks(number: int = 1, sender: UserId = BOT, body: str = "make tea", **more: Any) -> Incoming:
    """An agent asks us for something."""
    meta = Meta(id=MessageId(f"m{number}"), to=more.pop("to", OURS), **more.pop("meta", {}))
    return typed(body, sender=sender, by_agent=True, meta=meta, **more)


def calls(number: int = 1, **more: Any) -> Incoming:
    """A caller of our gateway asks us for something."""
    said = asks(number, sender=ME, **more)
    return replace(said, by_agent=False, caller=CallerName("ci"))


async def heard(front: Front, *events: Incoming) -> list[Parcel]:
    """They come; what is sent about them."""
    await front.hear(*events)
    return await front.deliver()


async def refusals(front: Front, *events: Incoming) -> list[Meta]:
    """They come; what the agents that sent them are told."""
    found = (read_meta(parcel.content) for parcel in await heard(front, *events))
    return [meta for meta in found if isinstance(meta, Meta)]


async def audited(front: Front, kind: AuditKind) -> list[object]:
    lines = await front.ledger.audit.lines(AuditFilter(kind=kind), limit=99)
    return [line.deed.detail.get("what", line.deed.actor) for line in lines]


# ── what is run ──


async def test_what_an_agent_asks_for_is_queued_with_what_its_answer_must_say(front: Front) -> None:
    said = asks(meta={"kind": MetaKind.QUESTION, "hop": 2}, body="[QUESTION] make tea")

    assert await heard(front, said) == []
    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.event, queued.sender, queued.text, queued.meta) == (said.event, BOT, "make tea", said.meta)
    assert queued.caller is None


async def test_agents_get_no_reactions_and_no_place_in_the_queue(front: Front) -> None:
    await front.running(command())

    assert await heard(front, asks(1), asks(2)) == []


async def test_what_a_caller_sends_is_run_in_our_name_and_known_as_theirs(front: Front) -> None:
    said = calls()

    assert await heard(front, said) == []
    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.sender, queued.caller, queued.meta) == (ME, "ci", said.meta)
    [line] = await front.ledger.audit.lines(AuditFilter(kind=AuditKind.ASKED), limit=9)
    assert line.deed.detail == {"caller": "ci", "hop": 0}


async def test_what_an_agent_said_while_we_were_away_is_run_and_not_offered(front: Front) -> None:
    said = asks(late_ms=3 * WINDOW_MS)

    assert await heard(front, said) == []
    assert await front.state(said.event) is CommandState.QUEUED


async def test_two_messages_of_an_agent_are_two_commands(front: Front) -> None:
    front.settings = settings(*(replace(room, debounce=5.0) for room in house()))
    await front.hear(asks(1), asks(2))

    assert len(await front.ledger.commands.queue(ROOM)) == 2


async def test_what_only_talks_begins_nothing(front: Front) -> None:
    talk = typed("tea is ready", sender=BOT, by_agent=True)

    assert await heard(front, talk, asks(to=Address(ANNA)), asks(meta={"kind": MetaKind.ANSWER})) == []
    assert await front.ledger.commands.queue(ROOM) == []
    assert await front.ledger.audit.lines(AuditFilter(), limit=9) == []


async def test_a_file_goes_along_with_what_asks_for_something(front: Front) -> None:
    said = replace(asks(body="look"), kind=Kind.FILE, file=PLAN)
    before = replace(asks(2, body=""), kind=Kind.FILE, file=PLAN)

    assert await heard(front, before, said) == []
    assert await front.ledger.commands.files_of(said.event) == [PLAN, PLAN]


async def test_a_file_that_is_too_large_is_refused_with_what_it_comes_with(front: Front) -> None:
    said = replace(asks(body="look"), kind=Kind.FILE, file=replace(PLAN, size=2**40))

    assert [meta.kind for meta in await refusals(front, said)] == [MetaKind.REFUSED]
    assert await front.ledger.commands.queue(ROOM) == []


# ── what is refused ──


async def test_a_refusal_says_which_message_it_is_about_and_why(front: Front) -> None:
    said = asks(meta={"hop": 9, "task": "t1", "instance": InstanceName("laptop")}, thread="$thread")

    [told] = await heard(front, said)
    meta = read_meta(told.content)
    assert isinstance(meta, Meta)
    assert (meta.kind, meta.in_reply_to, meta.task, meta.to) == (
        MetaKind.REFUSED,
        "m1",
        "t1",
        Address(BOT, InstanceName("laptop")),
    )
    assert meta.instance == OURS.instance
    assert told.content["m.relates_to"] == {"m.in_reply_to": {"event_id": said.event}}
    assert (told.content["msgtype"], told.thread) == ("m.notice", "$thread")
    assert "9 turns of agents away from a person" in told.content["body"]
    assert await audited(front, AuditKind.REFUSED) == ["hops"]


async def test_a_refusal_is_said_once_in_every_life(front: Front) -> None:
    said = asks(meta={"hop": 9})
    room = front.settings.room(ROOM)
    assert room is not None
    roles = await front.doors.roles(room)
    assert roles is not None

    decision = await front.dispatcher.decision(said, roles)
    first, second = [await front.dispatcher.effects(decision, said, roles) for _ in range(2)]
    assert first == second


async def test_what_is_too_late_is_told_as_expired(front: Front) -> None:
    now = front.clock.now_ms()
    late, last = asks(1, meta={"expires_at": now - 1}), asks(2, meta={"expires_at": now})

    assert [(meta.kind, meta.in_reply_to) for meta in await refusals(front, late, last)] == [(MetaKind.EXPIRED, "m1")]
    assert await front.state(last.event) is CommandState.QUEUED
    assert await audited(front, AuditKind.REFUSED) == ["expired"]


@pytest.mark.parametrize("sender", [EVE, VERA])
async def test_who_may_not_ask_is_told_so_only_so_often(front: Front, sender: UserId) -> None:
    told = await refusals(front, *(asks(number, sender=sender) for number in range(REFUSALS_A_DAY + 3)))

    assert [meta.in_reply_to for meta in told] == [f"m{number}" for number in range(REFUSALS_A_DAY)]
    assert await front.ledger.commands.queue(ROOM) == []
    assert await audited(front, AuditKind.REFUSED) == ["message"] * (REFUSALS_A_DAY + 3)


async def test_a_full_queue_refuses_and_keeps_what_it_refused(front: Front) -> None:
    front.settings = settings(*house(), max_queue=1)
    await front.accepted(command())
    said = asks()

    assert [meta.kind for meta in await refusals(front, said)] == [MetaKind.REFUSED]
    assert await front.state(said.event) is CommandState.REJECTED
    assert (await front.ledger.guards.standing(ROOM, "", 0)).in_room == 0


async def test_what_comes_unencrypted_into_an_encrypted_room_is_refused(front: Front) -> None:
    await front.ledger.keyring.mark_encrypted(ROOM, 1)
    sealed = replace(asks(2), encrypted=True)

    assert [meta.in_reply_to for meta in await refusals(front, asks(1), sealed, calls(3))] == ["m1"]
    assert len(await front.ledger.commands.queue(ROOM)) == 2


async def test_whoever_is_dropped_from_the_queue_is_told_in_words(front: Front) -> None:
    said = asks()
    await heard(front, said)

    [told, answered] = await heard(front, typed("/queue drop 1"))
    assert answered.content["body"].startswith("Dropped")
    meta = read_meta(told.content)
    assert isinstance(meta, Meta)
    assert (meta.kind, meta.in_reply_to) == (MetaKind.REFUSED, "m1")
    assert stopped_before_it_began(ANNA) in told.content["body"]
    assert await front.state(said.event) is CommandState.CANCELLED


async def test_the_queue_says_which_program_has_asked(front: Front) -> None:
    await heard(front, asks(1), calls(2), typed("by me"))

    [told] = await front.told(typed("/queue"))
    assert "of `@bot:hs` (an agent)" in told
    assert "of `ci` (through my gateway)" in told
    assert "`by me` of `@anna:hs`, for" in told


# ── what programs cannot do ──


@pytest.mark.parametrize("sender", [BOT, ADA])
async def test_no_program_answers_a_question_whatever_its_account_may(front: Front, sender: UserId) -> None:
    question = await front.asked("a", asker=sender)
    tries = [
        event(Kind.REACTION, "✅", target=question, sender=sender, by_agent=True),
        typed("yes", target=question, sender=sender, by_agent=True),
        replace(asks(1, sender=sender, body="yes"), target=question),
        replace(asks(2, sender=sender, body="/approve"), target=question),
        replace(calls(3, body="yes"), target=question),
    ]
    await heard(front, *tries)

    assert await front.is_open("a")
    await heard(front, typed("yes", target=question, sender=ADA))
    assert not await front.is_open("a")


async def test_what_a_program_taps_with_the_account_of_a_person_is_no_part_of_the_answer(front: Front) -> None:
    question = await front.asked("a", kind=ApprovalKind.CHOICE, options=("tea", "coffee"), many=True)
    await heard(
        front,
        event(Kind.REACTION, "2️⃣", target=question, by_agent=True),
        event(Kind.REACTION, "1️⃣", target=question),
        event(Kind.REACTION, "✅", target=question),
    )

    assert (await front.answer("a")).picked == Picked((1,))


async def test_no_program_stops_or_changes_what_runs_and_waits(front: Front) -> None:
    running, said = command(sender=BOT), asks()
    await front.running(running)
    await heard(front, said)
    for target in (running.event, said.event):
        await heard(
            front,
            event(Kind.REACTION, "🛑", target=target, sender=BOT, by_agent=True),
            event(Kind.EDIT, "drop the tables", target=target, sender=BOT, by_agent=True),
        )
    await heard(front, event(Kind.REDACTION, target=running.event, sender=CAT, by_agent=True))

    assert await front.ledger.commands.stop_requested(running.event) is None
    assert [queued.text for queued in await front.ledger.commands.queue(ROOM)][-1] == "make tea"


async def test_what_a_program_takes_back_itself_is_not_run(front: Front) -> None:
    said = asks()
    await heard(front, said, event(Kind.REDACTION, target=said.event, sender=BOT, by_agent=True))

    assert await front.state(said.event) is CommandState.CANCELLED


async def test_people_answer_what_is_asked_in_the_turn_of_a_program(front: Front) -> None:
    said = asks()
    await heard(front, said)
    approval = Approval(
        id=ApprovalId("a"), room=ROOM, command=said.event, tool="Bash", expires_at=front.clock.now_ms() + 1000
    )
    content = message("May it?", notice=False)
    question = Parcel(txn=TxnId("q"), room=ROOM, content=content, command=said.event, approval=approval.id)
    await front.ledger.approvals.ask(approval, [question], front.clock.now_ms())
    await front.deliver()

    await heard(front, event(Kind.REACTION, "✅", target=event_of(question.txn), sender=VERA))
    assert await front.is_open("a")
    await heard(front, event(Kind.REACTION, "✅", target=event_of(question.txn), sender=ANNA))
    assert not await front.is_open("a")


# ── budgets ──


async def test_two_agents_begin_so_many_turns_and_then_the_room_is_halted(front: Front) -> None:
    front.settings = settings(*house(pair_turns=2), max_queue=100)
    first, second, third, fourth = (asks(number) for number in range(4))
    assert await heard(front, first, second) == []

    halted, refused = await heard(front, third)
    halt = await front.ledger.guards.halt(ROOM)
    assert halt is not None
    assert (halt.limit, halt.turns, halt.pair) == (Limit.PAIR, 2, f"{BOT} {ME}/desk")
    assert (halted.content["body"], halted.content["msgtype"]) == (guard_words.halted(halt), "m.text")
    assert META_KEY not in halted.content
    assert "`/continue`" in halted.content["body"]
    assert "begun 2 turns within an hour with each other" in refused.content["body"]

    [again] = await heard(front, fourth)
    assert "halted" in again.content["body"]
    assert await audited(front, AuditKind.REFUSED) == ["pair turns", "halted"]
    assert await audited(front, AuditKind.HALTED) == [BOT]
    assert [queued.event for queued in await front.ledger.commands.queue(ROOM)] == [first.event, second.event]


async def test_the_others_may_still_go_on_until_the_room_has_had_its_turns(front: Front) -> None:
    front.settings = settings(*house(pair_turns=5, room_turns=3), max_queue=100)
    await heard(front, asks(1), asks(2), asks(3, sender=CAT))

    halted, refused = await heard(front, asks(4, sender=CAT))
    halt = await front.ledger.guards.halt(ROOM)
    assert halt is not None
    assert (halt.limit, halt.turns, halt.pair) == (Limit.ROOM, 3, "")
    assert "Agents have begun 3 turns within an hour in this room" in halted.content["body"]
    assert isinstance(read_meta(refused.content), Meta)


async def test_a_halt_is_of_one_room(front: Front) -> None:
    front.settings = settings(*house(pair_turns=1), max_queue=100)
    await heard(front, asks(1), asks(2))

    assert await refusals(front, asks(3, room=OTHER)) == []


async def test_a_halt_is_not_for_people_and_their_programs(front: Front) -> None:
    front.settings = settings(*house(pair_turns=1, room_turns=1), max_queue=100)
    await heard(front, asks(1), asks(2))
    typed_, called = typed("make tea"), calls(3)
    await front.hear(typed_, called)

    assert [await front.state(said.event) for said in (typed_, called)] == [CommandState.QUEUED] * 2
    assert (await front.ledger.guards.standing(ROOM, "", 0)).in_room == 1


async def test_a_session_and_a_run_that_speak_through_us_are_agents(front: Front) -> None:
    front.settings = settings(*house(room_turns=2), max_queue=100)
    session = calls(1, meta={"instance": InstanceName("laptop")})
    run = calls(2, meta={"instance": OURS.instance, "hop": 1})

    assert await refusals(front, session, run) == []
    assert len(await refusals(front, calls(3, meta={"hop": 1}))) == 1


async def test_turns_count_for_an_hour(front: Front) -> None:
    front.settings = settings(*house(pair_turns=1), max_queue=100)
    await heard(front, asks(1))
    front.clock.advance(WINDOW_MS / 1000)

    assert await refusals(front, asks(2)) == []


async def test_where_agents_may_begin_nothing_they_are_refused_and_nothing_is_halted(front: Front) -> None:
    front.settings = settings(*house(room_turns=0))

    [told] = await heard(front, asks())
    assert "Agents may begin nothing in this room" in told.content["body"]
    assert await front.ledger.guards.halts() == []
    assert await audited(front, AuditKind.REFUSED) == [Why.OFF.value]


async def test_a_message_that_comes_again_is_counted_once(front: Front) -> None:
    said = asks()
    for _ in range(3):
        await heard(front, said, said)

    assert (await front.ledger.guards.standing(ROOM, "", 0)).in_room == 1


@pytest.mark.parametrize(
    ("says_how_far", "turns"), [pytest.param(True, 5, id="by their hops"), pytest.param(False, 6, id="or by our count")]
)
async def test_two_that_answer_each_other_for_ever_stop_by_themselves(
    tmp_path: Path, says_how_far: bool, turns: int
) -> None:
    async with open_front(tmp_path / "here.db") as here, open_front(tmp_path / "there.db") as there:
        begun, hop, fronts = 0, 0, [here, there]
        for front in fronts:
            front.settings = settings(*house(hops=4, pair_turns=3), max_queue=100)
        for number in range(100):
            said = asks(number, meta={"hop": hop})
            await fronts[number % 2].hear(said)
            if await fronts[number % 2].state(said.event) is not CommandState.QUEUED:
                break
            begun += 1
            assert isinstance(said.meta, Meta)
            run = Caller(name=CallerName("run"), cause=said.meta, in_turn=True)
            hop = onward(run, None)[0] if says_how_far else 0

        assert begun == turns


# ── /continue, /status ──


async def halt(front: Front) -> None:
    """The room is halted."""
    front.settings = settings(*house(pair_turns=1), max_queue=100)
    await heard(front, asks(1), asks(2))


async def test_a_person_lets_agents_go_on_and_they_are_counted_anew(front: Front) -> None:
    await halt(front)

    [told] = await front.told(typed("/continue"))
    assert told.startswith("▶️ Agents may go on here")
    assert await front.ledger.guards.halt(ROOM) is None
    assert await refusals(front, asks(3)) == []
    assert len(await refusals(front, asks(4))) == 1
    assert await audited(front, AuditKind.CONTINUED) == [ANNA]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(typed("/continue", sender=BOT, by_agent=True), id="an agent"),
        pytest.param(asks(9, body="/continue"), id="an agent that asks us for it"),
        pytest.param(asks(9, body="/continue", sender=ADA), id="with the account of an admin"),
        pytest.param(calls(9, body="/continue"), id="a program of the operator's"),
        pytest.param(typed("/continue", sender=VERA), id="a viewer"),
        pytest.param(typed("/continue", sender=EVE), id="a stranger"),
    ],
)
async def test_nobody_else_lets_them_go_on(front: Front, said: Incoming) -> None:
    await halt(front)
    await heard(front, said)

    assert await front.ledger.guards.halt(ROOM) is not None


async def test_where_nothing_is_halted_nothing_is_counted_anew(front: Front) -> None:
    await heard(front, asks())

    [told] = await front.told(typed("/continue"))
    assert told.startswith("Agents are not halted here, so nothing was changed. They have begun 1 of the 30 turns")
    assert (await front.ledger.guards.standing(ROOM, "", 0)).in_room == 1


async def test_status_tells_how_agents_stand(front: Front) -> None:
    assert "Agents:" not in (await front.told(typed("/status")))[0]
    await halt(front)
    assert "- ⛔ Agents: halted since " in (await front.told(typed("/status")))[0]
    await heard(front, typed("/continue"), asks(3))
    assert "- Agents: have begun 1 of the 30 turns that they may in an hour" in (await front.told(typed("/status")))[0]
