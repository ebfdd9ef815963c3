"""What becomes of what a caller wants to say."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import MOST_BODY, Caller, ExchangeRules, Outgoing
from aiagentchat.core.guards import gone_too_far
from aiagentchat.core.ids import CallerName, EventId, InstanceName, MessageId, RoomId, TaskId, UserId
from aiagentchat.core.meta import MOST_HOPS, Address, Meta, MetaKind, read_meta
from aiagentchat.exchange.drafts import begins, check, digest, draft, is_for_ours, onward

ROOM = RoomId("!kitchen:example.org")
OWN = Address(UserId("@us:example.org"), InstanceName("workshop"))
THEM = Address(UserId("@them:example.org"), InstanceName("shed"))
CI = Caller(name=CallerName("ci"))
NOW = 1_700_000_000_000


def outgoing(body: str = "Is it green?", **said: object) -> Outgoing:
    return Outgoing(room=ROOM, body=body, **said)  # type: ignore[arg-type]


def test_what_is_sent_says_what_it_is_to_people_and_to_programs() -> None:
    wish = outgoing(
        kind=MetaKind.QUESTION,
        to=THEM,
        in_reply_to=MessageId("m0"),
        task=TaskId("t1"),
        thread=EventId("$thread"),
        expires_at=NOW + 1,
        budget=3,
    )

    parcel = draft(CI, wish, OWN, id=MessageId("m1"), now=NOW, encrypted=False).parcel

    assert parcel.content["body"] == "[QUESTION] Is it green?"
    assert parcel.content["msgtype"] == "m.text"
    assert parcel.content["m.mentions"] == {"user_ids": [THEM.user]}
    assert parcel.thread == "$thread"
    assert read_meta(parcel.content) == Meta(
        id=MessageId("m1"),
        kind=MetaKind.QUESTION,
        instance=OWN.instance,
        to=THEM,
        in_reply_to=MessageId("m0"),
        task=TaskId("t1"),
        budget=3,
        expires_at=NOW + 1,
    )


def test_a_message_keeps_the_words_of_its_caller() -> None:
    made = draft(CI, outgoing("[TASK] **Mend** it"), OWN, id=MessageId("m1"), now=NOW, encrypted=False)

    assert made.message.body == made.parcel.content["body"] == "[TASK] **Mend** it"
    assert "<strong>Mend</strong>" in made.parcel.content["formatted_body"]
    assert made.message.caller == "ci"


def test_news_ring_nobodys_phone() -> None:
    parcel = draft(CI, outgoing(kind=MetaKind.STATUS), OWN, id=MessageId("m1"), now=NOW, encrypted=False).parcel

    assert (parcel.content["msgtype"], parcel.content["body"]) == ("m.notice", "[STATUS] Is it green?")


def test_a_session_speaks_as_itself() -> None:
    speaker = Caller(name=CallerName("ci"), instance=InstanceName("laptop"))

    made = draft(speaker, outgoing(), OWN, id=MessageId("m1"), now=NOW, encrypted=False)

    assert made.message.meta.instance == "laptop"


@pytest.mark.parametrize(
    ("to", "kind", "does"),
    [
        pytest.param(OWN, MetaKind.MESSAGE, True, id="to this instance"),
        pytest.param(Address(OWN.user), MetaKind.TASK, True, id="to this account"),
        pytest.param(Address(OWN.user, InstanceName("laptop")), MetaKind.MESSAGE, False, id="to a session of it"),
        pytest.param(THEM, MetaKind.MESSAGE, False, id="to somebody else"),
        pytest.param(None, MetaKind.MESSAGE, False, id="to nobody"),
        pytest.param(OWN, MetaKind.ANSWER, False, id="an answer"),
        pytest.param(OWN, MetaKind.STATUS, False, id="news"),
    ],
)
def test_a_turn_is_begun_by_what_asks_this_daemon_for_one(to: Address | None, kind: MetaKind, does: bool) -> None:
    wish = outgoing(to=to, kind=kind)

    waits = draft(CI, wish, OWN, id=MessageId("m1"), now=NOW, encrypted=False).waits

    assert begins(wish, OWN) is does
    assert (waits is not None) is (does or is_for_ours(wish, OWN))


def test_what_a_session_is_asked_comes_to_it_through_this_daemon() -> None:
    laptop = Address(OWN.user, InstanceName("laptop"))

    assert is_for_ours(outgoing(to=laptop), OWN)
    assert not any(is_for_ours(wish, OWN) for wish in (outgoing(to=THEM), outgoing(to=laptop, kind=MetaKind.ANSWER)))


def test_what_begins_a_turn_is_told_to_the_inbox_with_who_has_sent_it() -> None:
    made = draft(CI, outgoing(to=OWN, thread=EventId("$t")), OWN, id=MessageId("m1"), now=NOW, encrypted=False)

    waits = made.waits
    assert waits is not None
    assert (waits.event, waits.sender, waits.caller, waits.txn) == ("~m1", OWN.user, "ci", made.parcel.txn)
    assert (waits.by_agent, waits.meta, waits.thread, waits.body) == (True, made.message.meta, "$t", "Is it green?")
    assert made.parcel.content["m.mentions"] == {}


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        pytest.param(outgoing(" \n"), "empty", id="nothing"),
        pytest.param(outgoing("ä" * (MOST_BODY // 2 + 1)), str(MOST_BODY), id="too long"),
        pytest.param(outgoing(expires_at=NOW), "over already", id="over"),
        pytest.param(outgoing(kind=MetaKind.TASK), "for somebody", id="a task for nobody"),
        pytest.param(outgoing(kind=MetaKind.REFUSED), "daemons", id="what only daemons say"),
        pytest.param(outgoing(kind=MetaKind.EXPIRED), "daemons", id="what only daemons say, too"),
    ],
)
def test_what_makes_no_sense_is_invalid(wish: Outgoing, why: str) -> None:
    with pytest.raises(ExchangeRefused, match=why) as refused:
        check(wish, NOW)

    assert refused.value.code == "invalid"


def test_what_makes_sense_is_let_through() -> None:
    check(outgoing("x" * MOST_BODY, expires_at=NOW + 1, kind=MetaKind.TASK, to=THEM), NOW)


def test_what_no_event_can_hold_is_invalid() -> None:
    wish = outgoing("\\" * 25_000)

    plain = draft(CI, wish, OWN, id=MessageId("m1"), now=NOW, encrypted=False)
    assert plain.message.body == wish.body
    with pytest.raises(ExchangeRefused, match="Send it as a file"):
        draft(CI, wish, OWN, id=MessageId("m1"), now=NOW, encrypted=True)


@pytest.mark.parametrize(
    ("caller", "budget", "expected"),
    [
        pytest.param(CI, None, (0, None), id="a program"),
        pytest.param(CI, 5, (0, 5), id="a program with a budget"),
        pytest.param(Caller(name=CallerName("run"), in_turn=True), None, (1, None), id="a turn for a person"),
        pytest.param(
            Caller(name=CallerName("run"), in_turn=True, cause=Meta(id=MessageId("m"), hop=2, budget=4)),
            9,
            (3, 3),
            id="a turn for an agent",
        ),
        pytest.param(
            Caller(name=CallerName("run"), in_turn=True, cause=Meta(id=MessageId("m"), hop=2)),
            1,
            (3, 1),
            id="a turn for an agent that sets no budget",
        ),
    ],
)
def test_what_follows_is_further_from_a_person_and_has_less_left(
    caller: Caller, budget: int | None, expected: tuple[int, int | None]
) -> None:
    assert onward(caller, budget) == expected


@pytest.mark.parametrize(
    "cause", [Meta(id=MessageId("m"), hop=MOST_HOPS), Meta(id=MessageId("m"), budget=0)], ids=["too far", "used up"]
)
def test_nothing_follows_for_ever(cause: Meta) -> None:
    with pytest.raises(ExchangeRefused) as refused:
        onward(Caller(name=CallerName("run"), in_turn=True, cause=cause), None)

    assert refused.value.code == "full"


@given(st.integers(0, 16), st.one_of(st.none(), st.integers(0, 1000)), st.one_of(st.none(), st.integers(0, 1000)))
def test_whatever_is_asked_for_no_chain_is_longer_than_the_room_allows(
    hops: int, budget: int | None, asked: int | None
) -> None:
    rules, cause, turns = ExchangeRules(hops=hops), Meta(id=MessageId("m"), budget=budget), 0
    with suppress(ExchangeRefused):
        while gone_too_far(cause, rules) is None:
            turns += 1
            hop, left = onward(Caller(name=CallerName("run"), in_turn=True, cause=cause), asked)
            cause = replace(cause, hop=hop, budget=left)

    assert turns <= hops + 1
    assert budget is None or turns <= budget


def test_what_gives_a_task_is_one() -> None:
    wish = outgoing("Mend it.\nSoon.", kind=MetaKind.TASK, to=THEM, task=TaskId("t1"), expires_at=NOW + 5)

    task = draft(CI, wish, OWN, id=MessageId("m1"), now=NOW, encrypted=False).task

    assert task is not None
    assert (task.id, task.message, task.title, task.by, task.to) == ("t1", "m1", "Mend it.", OWN, THEM)
    assert (task.deadline, task.room) == (NOW + 5, ROOM)
    assert draft(CI, outgoing(to=THEM), OWN, id=MessageId("m1"), now=NOW, encrypted=False).task is None


def test_a_digest_is_the_same_for_the_same_wish_alone() -> None:
    wishes = [
        outgoing(),
        outgoing("Is it red?"),
        outgoing(kind=MetaKind.QUESTION),
        outgoing(to=THEM),
        outgoing(to=Address(THEM.user)),
        outgoing(task=TaskId("t")),
        outgoing(in_reply_to=MessageId("t")),
        outgoing(thread=EventId("t")),
        outgoing(budget=5),
        Outgoing(room=RoomId("!garden:example.org"), body="Is it green?"),
    ]
    digests = [digest(wish, None) for wish in wishes] + [digest(outgoing(), InstanceName("laptop"))]

    assert len(set(digests)) == len(digests)
    assert digest(outgoing(), None) == digest(outgoing(expires_at=5), None) == digests[0]
    assert digest(outgoing("\ud800"), None)
