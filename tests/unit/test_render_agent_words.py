"""What agents and people read of each other in the same events."""

import pytest

from aiagentchat.core.commands import Command
from aiagentchat.core.ids import EventId, InstanceName, MessageId, TaskId, txn_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.meta import AFTERWORD, META_KEY, STARTS, Address, Meta, MetaKind, NoMeta, read_meta, written
from aiagentchat.render import agent_words
from aiagentchat.render.agent_words import agent_message, out_of_time, signed, turned_down
from aiagentchat.render.message import message
from tests.fakes.people import ANNA, EVE, ROOM, command, typed

ATTIC = InstanceName("attic")
ASKED = Meta(id=MessageId("m1"), instance=InstanceName("cellar"), to=Address(EVE), hop=1)
TASK = Meta(id=MessageId("m2"), kind=MetaKind.TASK, task=TaskId("t1"))


@pytest.mark.parametrize("kind", MetaKind)
def test_a_message_says_its_kind_to_both_and_rings_where_it_asks_for_something(kind: MetaKind) -> None:
    meta = Meta(id=MessageId("m1"), kind=kind, to=Address(EVE))

    content = agent_message("clean up", meta)
    is_quiet = kind in {MetaKind.STATUS, MetaKind.REFUSED, MetaKind.EXPIRED}
    assert read_meta(content) == meta
    assert content["msgtype"] == ("m.notice" if is_quiet else "m.text")
    assert content["m.mentions"] == ({"user_ids": [EVE]} if kind in STARTS else {})
    assert content["body"].removeprefix(f"[{kind.upper()}] ") == "clean up"


def test_a_message_for_nobody_mentions_nobody() -> None:
    assert agent_message("hello", Meta(id=MessageId("m1")))["m.mentions"] == {}


def test_a_message_may_answer_an_event() -> None:
    content = agent_message("done", ASKED, reply_to=EventId("$asked"))

    assert content["m.relates_to"] == {"m.in_reply_to": {"event_id": "$asked"}}


def test_an_answer_to_a_person_is_not_signed() -> None:
    said = message("done", notice=False)

    assert signed(said, command(), "page", instance=ATTIC) is said


def test_an_answer_to_an_agent_says_what_it_answers() -> None:
    said = message("done", notice=False)

    content = signed(said, command(meta=ASKED), "page", instance=ATTIC, part=2, last=False)
    assert {key: content[key] for key in said} == said
    assert read_meta(content) == Meta(
        id=MessageId("page"),
        kind=MetaKind.ANSWER,
        instance=ATTIC,
        to=Address(ANNA, InstanceName("cellar")),
        in_reply_to=MessageId("m1"),
        hop=2,
        part=2,
        last=False,
    )


def test_what_ends_an_answer_stands_behind_all_of_it() -> None:
    found = read_meta(signed({}, command(meta=ASKED), "end", instance=None))

    assert isinstance(found, Meta)
    assert (found.part, found.last) == (AFTERWORD, True)


@pytest.mark.parametrize("asked", [typed("hello"), typed("hello", meta=NoMeta("no")), command()])
def test_a_person_is_not_turned_down_in_the_language_of_agents(asked: Incoming | Command) -> None:
    assert turned_down(asked, "No.") == out_of_time(asked) == []


def test_an_agent_is_told_why_its_message_will_not_be_answered() -> None:
    asked = typed("hello", meta=ASKED)

    [parcel] = turned_down(asked, "The room is full.", instance=ATTIC)
    assert (parcel.room, parcel.thread, parcel.command, parcel.edits) == (ROOM, None, None, None)
    assert parcel.content == {
        **message("The room is full.", notice=True, reply_to=asked.event),
        META_KEY: written(
            Meta(
                id=MessageId(parcel.txn),
                kind=MetaKind.REFUSED,
                instance=ATTIC,
                to=Address(ANNA, InstanceName("cellar")),
                in_reply_to=MessageId("m1"),
                hop=2,
            )
        ),
    }


def test_it_is_told_once_whatever_is_wrong_with_it() -> None:
    asked = typed("hello", meta=ASKED)

    [refused], [expired] = turned_down(asked, "No."), out_of_time(asked)
    assert refused.txn == expired.txn == txn_id(asked.event, "turned down")
    assert expired.content["body"] == agent_words.OUT_OF_TIME
    found = read_meta(expired.content)
    assert isinstance(found, Meta)
    assert found.kind is MetaKind.EXPIRED


def test_it_is_told_in_the_thread_of_the_task() -> None:
    given, later = typed("clean up", meta=TASK), typed("more", meta=TASK, thread=EventId("$root"))

    assert [parcel.thread for parcel in (*turned_down(given, "No."), *turned_down(later, "No."))] == [
        given.event,
        "$root",
    ]


def test_what_ends_a_command_belongs_to_it() -> None:
    waiting = command(meta=ASKED)

    [parcel] = turned_down(waiting, agent_words.stopped_before_it_began(EVE))
    assert parcel.command == waiting.event
    assert "`@eve:hs`" in parcel.content["body"]
