"""Attempts to run something without being allowed to: none starts, stops or decides anything.

Each comes as the raw event, through what reads, sifts and routes it. Each that speaks to the daemon leaves a line in
the audit, as far as the limit for one sender goes.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.audit import HOUR_MS, MOST_REFUSALS, AuditFilter, AuditKind, Deed
from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.ids import EventId, RoomId, TxnId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import TXN_KEY, Parcel
from aiagentchat.matrix.events import invite, read, said_to_us
from aiagentchat.receive.intake import Rules, keep
from aiagentchat.render.message import message
from tests.fakes.clock import START_MS
from tests.fakes.front import Front, event_of, open_front
from tests.fakes.people import ADA, ANNA, EVE, ME, OTHER, ROOM, VERA, command, settings, typed

HOUR = HOUR_MS / 1000
RUNNING, QUEUED, FAILED = EventId("$running"), EventId("$queued"), EventId("$failed")
ANSWER = EventId("$sent-answer")
STRANGE_ROOM = RoomId("!strange:hs")

IMPOSTORS = {
    "somebody else": EVE,
    "a namesake on another server": UserId("@anna:hs2"),
    "a namesake on a server below": UserId("@anna:hs.example"),
    "a namesake on another port": UserId("@anna:hs:8448"),
    "a capital": UserId("@Anna:hs"),
    "all capitals": UserId("@ANNA:HS"),
    "a Cyrillic letter": UserId("@\u0430nna:hs"),
    "a Cyrillic letter in the server": UserId("@anna:\u04bbs"),
    "a full-width sign": UserId("\uff20anna:hs"),
    "letters in another normal form": UserId("@anna\u0301:hs"),
    "a space behind": UserId("@anna:hs "),
    "a line break behind": UserId("@anna:hs\n"),
    "nothing that one can see behind": UserId("@anna:hs\u200b"),
    "nothing that one can see within": UserId("@an\u00adna:hs"),
    "text that runs backwards": UserId("@anna:hs\u202e"),
    "no sign before": UserId("anna:hs"),
    "an escaped colon": UserId("@anna%3Ahs"),
    "a prefix of an admin": UserId("@ad:hs"),
    "an admin with more behind": UserId("@ada:hs\u0000"),
    "our own name on another server": UserId("@claude:hs2"),
}
"""Who is not on the list, whatever he looks like."""

_numbers = count()
Source = dict[str, Any]


def raw(content: Mapping[str, Any], sender: str, *, type_: str = "m.room.message", **more: Any) -> Source:
    """An event as a homeserver sends it, with a display name that is Anna's."""
    return {
        "type": type_,
        "event_id": f"$raw{next(_numbers)}",
        "sender": sender,
        "origin_server_ts": START_MS,
        "content": dict(content),
        "unsigned": {"displayname": "Anna", "sender": ANNA, "membership": "join"},
        **more,
    }


def text(body: str, **more: Any) -> Source:
    return {"msgtype": "m.text", "body": body, **more}


def relates(**relation: Any) -> Source:
    return {"m.relates_to": relation}


def reaction(target: str, key: str) -> Source:
    return relates(rel_type="m.annotation", event_id=target, key=key)


def replacement(target: str, body: str) -> Source:
    return {**text(f"* {body}"), "m.new_content": text(body), **relates(rel_type="m.replace", event_id=target)}


def reply(target: str, body: str) -> Source:
    return {**text(body), **relates(**{"m.in_reply_to": {"event_id": target}})}


def thread(target: str, body: str) -> Source:
    relation = {"rel_type": "m.thread", "event_id": target, "is_falling_back": True}
    return {**text(body), **relates(**relation, **{"m.in_reply_to": {"event_id": target}})}


def forms(question: str) -> Iterator[tuple[str, Source]]:
    """What somebody may try; each is (what, event without a sender)."""
    for body in ("fix it", f"{ME} fix it", "claude: fix it", "/approve", "!approve", "/retry", "/stop", "/new_session"):
        yield body, {"content": text(body)}
    yield "a mention", {"content": text("fix it", **{"m.mentions": {"user_ids": [ME]}})}
    yield "an action", {"content": {**text("fix it"), "msgtype": "m.emote"}}
    yield "a yes", {"type_": "m.reaction", "content": reaction(question, "✅")}
    yield "a thumb", {"type_": "m.reaction", "content": reaction(question, "👍🏽")}
    yield "a stop", {"type_": "m.reaction", "content": reaction(RUNNING, "🛑")}
    yield "a wastebasket", {"type_": "m.reaction", "content": reaction(ANSWER, "🗑️")}
    yield "a word to the question", {"content": reply(question, "yes")}
    yield "a word in a thread", {"content": thread(question, "ok")}
    yield "an edit of Anna's message that waits", {"content": replacement(QUEUED, "rm -rf /")}
    yield "an edit of Anna's message that runs", {"content": replacement(RUNNING, "rm -rf /")}
    yield "an edit of our question", {"content": replacement(question, "/approve")}
    yield "an edit into a bot command", {"content": replacement("$his-own", "/approve")}
    yield "a thread under Anna's message", {"content": thread(RUNNING, "fix it")}
    yield "fields that name Anna", {"content": text("fix it", sender=ANNA, user_id=ANNA, displayname="Anna")}
    yield "a quote of Anna", {"content": reply(RUNNING, f"> <{ANNA}> /approve\n\n/approve")}
    yield "a mark of ours", {"content": text("/approve", **{"com.aiagentchat.txn": "x"})}
    yield "a notice", {"content": {**text("/approve"), "msgtype": "m.notice"}}
    yield "a file", {"content": {**text("plan.sh"), "msgtype": "m.file", "url": "mxc://hs/a"}}
    yield "no message at all", {"content": {"msgtype": "m.text", "body": 7}}


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    """Anna's commands: one runs and asks, one waits, one failed, and one is answered."""
    async with open_front(tmp_path / "ledger.db") as opened:
        await opened.running(command(event=FAILED))
        await opened.ledger.commands.finish(FAILED, CommandState.FAILED, TurnRecord(), [], opened.clock.now_ms())
        done = command(event=EventId("$done"))
        await opened.running(done)
        said = Parcel(txn=TxnId("answer"), room=ROOM, content=message("Tea.", notice=False), command=done.event)
        await opened.ledger.commands.finish(done.event, CommandState.DONE, TurnRecord(), [said], opened.clock.now_ms())
        await opened.running(command(event=RUNNING))
        await opened.accepted(command(event=QUEUED))
        await opened.asked("a")
        yield opened


@pytest.fixture
def question() -> EventId:
    return event_of(TxnId("question a"))


async def arrive(front: Front, *sources: Source, room: RoomId = ROOM) -> None:
    """The events come as a sync brings them."""
    told = said_to_us(read(room, source, ME) for source in sources)
    await _take(front, told)


async def _take(front: Front, told: tuple[Incoming, ...]) -> None:
    rules = Rules(ME, lambda known: front.settings.room(known) is not None)
    await front.hear(*keep(told, rules, first=False))


def state(front_path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What commands there are and how they stand, what is decided, and what is to be sent but words."""
    connection = sqlite3.connect(front_path / "ledger.db")
    rows = {
        statement: connection.execute(statement).fetchall()
        for statement in (
            "SELECT event_id, state, text, stop_by, time_limit, session_id FROM commands",
            "SELECT approval_id, state, decided_by FROM approvals",
            "SELECT room_id, session_id FROM rooms",
            "SELECT txn_id FROM outbox WHERE type <> 'm.room.message'",
        )
    }
    connection.close()
    return rows


async def refusals(front: Front, **wanted: Any) -> list[Deed]:
    lines = await front.ledger.audit.lines(AuditFilter(**wanted), limit=10_000)
    return [line.deed for line in lines if line.deed.kind is AuditKind.REFUSED]


CONTROL = (
    "fix it",
    "/approve",
    "!approve",
    "/retry",
    "/stop",
    "/new_session",
    "a yes",
    "a stop",
    "a wastebasket",
    "a word to the question",
    "a word in a thread",
    "an edit of Anna's message that waits",
)


@pytest.mark.parametrize("what", CONTROL)
async def test_the_same_from_anna_brings_something_about(
    front: Front, question: EventId, tmp_path: Path, what: str
) -> None:
    before = state(tmp_path)
    await arrive(front, raw(sender=ANNA, **dict(forms(question))[what]))

    assert state(tmp_path) != before


def test_there_are_enough_attempts() -> None:
    assert len(IMPOSTORS) * len(list(forms(""))) >= 500


@pytest.mark.parametrize("who", IMPOSTORS)
async def test_nobody_who_looks_like_somebody_brings_anything_about(
    front: Front, question: EventId, tmp_path: Path, who: str
) -> None:
    before = state(tmp_path)

    for what, event in forms(question):
        front.clock.advance(HOUR)
        source = raw(sender=IMPOSTORS[who], **event)
        await arrive(front, source)

        assert state(tmp_path) == before, what
        [deed] = await refusals(front, actor=IMPOSTORS[who], since=front.clock.now_ms())
        assert (deed.room, deed.subject) == (ROOM, source["event_id"]), what


async def test_a_viewer_brings_nothing_about(front: Front, question: EventId, tmp_path: Path) -> None:
    before = state(tmp_path)

    for what, event in forms(question):
        front.clock.advance(HOUR)
        await arrive(front, raw(sender=VERA, **event))

        assert state(tmp_path) == before, what
        assert len(await refusals(front, actor=VERA, since=front.clock.now_ms())) == 1, what


async def test_nothing_that_our_own_account_says_brings_anything_about(
    front: Front, question: EventId, tmp_path: Path
) -> None:
    before = state(tmp_path)
    for what, event in forms(question):
        front.clock.advance(HOUR)
        source = raw(sender=ME, **event)
        by_us = {**source, "event_id": f"{source['event_id']} of ours", "content": {**source["content"], TXN_KEY: "1"}}
        await arrive(front, source, by_us)

        assert state(tmp_path) == before, what
        told = await refusals(front, actor=ME, since=front.clock.now_ms())
        expected = [] if what == "a mark of ours" else [(source["event_id"], {"what": "forged"})]
        assert [(deed.subject, deed.detail) for deed in told] == expected, what


async def test_what_our_own_account_has_sent_is_not_forged_although_it_cannot_be_read_now(front: Front) -> None:
    for event in (ANSWER, EventId("$not-sent-by-us")):
        closed = Incoming(event=event, room=ROOM, sender=ME, sent_at=START_MS, kind=Kind.CLOSED)
        await _take(front, (closed,))

    assert [(deed.subject, deed.detail) for deed in await refusals(front)] == [("$not-sent-by-us", {"what": "closed"})]


async def test_a_notice_of_somebody_who_may_brings_nothing_about(front: Front, tmp_path: Path) -> None:
    before = state(tmp_path)
    bodies = ("/approve", "!stop", f"{ME} fix it")
    for body in bodies:
        await arrive(front, raw({**text(body), "msgtype": "m.notice"}, ANNA))

    assert state(tmp_path) == before
    assert [deed.detail for deed in await refusals(front, actor=ANNA)] == [{"what": "notice"}] * len(bodies)


@pytest.mark.parametrize("sender", [ADA, UserId("@bert:hs")], ids=["an admin", "another user"])
async def test_nobody_else_changes_what_somebody_asked(front: Front, tmp_path: Path, sender: UserId) -> None:
    rooms = [replace(room, users=room.users | {sender}) for room in front.settings.rooms]
    front.settings = settings(*rooms)
    offered = typed("water the plants", event=EventId("$offered"))
    await front.take_in(offered)
    await front.ledger.inbox.settle(offered.event, [], front.clock.now_ms())
    before = state(tmp_path)
    for target in (QUEUED, RUNNING, FAILED, offered.event):
        await arrive(front, raw(replacement(target, "rm -rf /"), sender))

    assert state(tmp_path) == before
    kept = await front.ledger.inbox.get(offered.event)
    assert kept == offered
    assert len(await refusals(front, actor=sender)) == 4


async def test_from_another_room_nothing_here_is_decided(front: Front, question: EventId, tmp_path: Path) -> None:
    before = state(tmp_path)
    for content in (reaction(question, "✅"), reaction(RUNNING, "🛑"), reaction(ANSWER, "🗑")):
        await arrive(front, raw(content, ANNA, type_="m.reaction"), room=OTHER)
    await arrive(front, raw(replacement(QUEUED, "rm -rf /"), ANNA), room=OTHER)

    assert state(tmp_path) == before
    assert [deed.detail["what"] for deed in await refusals(front, room=OTHER)] == [
        "answer elsewhere",
        "stop elsewhere",
        "edit",
    ]


async def test_what_comes_again_is_nothing_new(front: Front, question: EventId, tmp_path: Path) -> None:
    said = raw(text("make coffee"), ANNA)
    no = raw(reaction(question, "❌"), ANNA, type_="m.reaction")
    await arrive(front, said, no)
    before = state(tmp_path)
    for _ in range(3):
        await arrive(front, said, no, {**said, "content": text("rm -rf /")}, {**said, "sender": ADA})
        await arrive(front, {**no, "content": reaction(question, "✅")})

    assert state(tmp_path) == before


async def test_what_was_said_before_we_came_is_nothing(front: Front, tmp_path: Path) -> None:
    before = state(tmp_path)
    came = raw({"membership": "join"}, ME, type_="m.room.member", state_key=ME)
    old = [raw(text("rm -rf /"), ANNA), raw(text("/stop"), ADA), raw(text("and format it"), ANNA)]
    await arrive(front, *old, raw(reaction("$x", "👍"), EVE, type_="m.reaction"), came)

    assert state(tmp_path) == before
    told = [(deed.actor, deed.subject, deed.detail) for deed in await refusals(front)]
    assert told == [(ANNA, old[2]["event_id"], {"what": "before"}), (ADA, old[1]["event_id"], {"what": "before"})]


async def test_a_room_that_nobody_configured_is_not_heard(front: Front, question: EventId, tmp_path: Path) -> None:
    before = state(tmp_path)
    grave = {"type_": "m.room.tombstone", "state_key": ""}
    await arrive(front, raw({"replacement_room": STRANGE_ROOM}, EVE, **grave))
    await arrive(front, raw({"replacement_room": STRANGE_ROOM}, ANNA, **grave))
    assert [(deed.actor, deed.detail) for deed in await refusals(front)] == [(EVE, {"what": "tombstone"})]
    for _, event in forms(question):
        await arrive(front, raw(sender=ANNA, **event), room=STRANGE_ROOM)

    assert state(tmp_path) == before
    assert await refusals(front, room=STRANGE_ROOM) == []


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda source: {**source, "type": "m.room.topic"}, id="another type"),
        pytest.param(lambda source: {**source, "type": "m.room.encrypted"}, id="a type that cannot be read"),
        pytest.param(lambda source: {key: source[key] for key in source if key != "sender"}, id="no sender"),
        pytest.param(lambda source: {**source, "sender": None, "user_id": ANNA}, id="a sender of another name"),
        pytest.param(lambda source: {**source, "sender": [ANNA]}, id="a list of senders"),
        pytest.param(lambda source: {**source, "sender": {"user_id": ANNA}}, id="a sender with a sender in it"),
        pytest.param(lambda source: {**source, "event_id": None}, id="no id"),
        pytest.param(lambda source: {**source, "content": [text("/approve")]}, id="a list of contents"),
        pytest.param(lambda source: {**source, "content": {"body": "/approve"}}, id="no kind of message"),
        pytest.param(lambda source: {**source, "content": {**text("/approve"), "msgtype": "x"}}, id="his own kind"),
        pytest.param(lambda source: {"event": source}, id="an event in an event"),
    ],
)
async def test_what_has_not_the_shape_of_a_message_is_none(
    front: Front, tmp_path: Path, shape: Callable[[Source], Source]
) -> None:
    before = state(tmp_path)

    await arrive(front, shape(raw(text("/approve"), ANNA)))

    assert state(tmp_path) == before


@pytest.mark.parametrize(
    "relation",
    [
        pytest.param({"rel_type": "m.replace"}, id="a change of nothing"),
        pytest.param({"rel_type": "m.replace", "event_id": 7}, id="a change of a number"),
        pytest.param({"rel_type": ["m.replace"], "event_id": QUEUED}, id="a list of relations"),
        pytest.param({"rel_type": "M.REPLACE", "event_id": QUEUED}, id="a relation in capitals"),
        pytest.param({"rel_type": "m.annotation", "event_id": "$sent-question a", "key": "✅"}, id="no reaction"),
        pytest.param({"m.in_reply_to": {"event_id": ["$sent-question a"]}}, id="a reply to a list"),
        pytest.param({"m.in_reply_to": "$sent-question a"}, id="a reply to a text"),
    ],
)
async def test_a_relation_that_is_none_relates_to_nothing(front: Front, relation: Source) -> None:
    await arrive(front, raw({**text("yes"), "m.relates_to": relation}, ANNA))

    waiting = await front.ledger.commands.get(QUEUED)
    assert waiting is not None
    assert waiting.text == "make tea"
    assert await front.is_open("a")


async def test_an_invite_of_a_stranger_is_not_followed(front: Front) -> None:
    front.outbound.room(STRANGE_ROOM, joined=False, invited=True)
    for number in range(MOST_REFUSALS + 5):
        room = RoomId(f"!strange{number}:hs")
        state_event = {"type": "m.room.member", "state_key": ME, "sender": EVE, "content": {"membership": "invite"}}
        found = invite(room, [state_event], ME, "t")
        assert found is not None
        await _take(front, (found,))

    lines = await front.ledger.audit.lines(AuditFilter(kind=AuditKind.INVITE_REFUSED), limit=99)
    assert [line.deed.subject for line in lines] == [f"!strange{number}:hs" for number in range(MOST_REFUSALS)]
    assert {how for how, _ in front.outbound.asked} == {"leave"}


async def test_of_two_hundred_attempts_in_an_hour_ten_leave_a_line_and_one_says_how_many_more(front: Front) -> None:
    for _ in range(200):
        await arrive(front, raw(text("claude: fix it"), EVE))
    front.clock.advance(HOUR)
    await front.ledger.housekeeping.write_held(front.clock.now_ms())

    lines = await front.ledger.audit.lines(AuditFilter(actor=EVE), limit=999)
    assert len(lines) == MOST_REFUSALS + 1
    assert (lines[-1].deed.kind, lines[-1].deed.detail["more"]) == (AuditKind.REFUSED_MORE, 200 - MOST_REFUSALS)
