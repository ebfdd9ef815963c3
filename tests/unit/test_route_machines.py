"""What the message of a program means: each row is a sentence."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.exchange import ExchangeRules
from aiagentchat.core.files import MediaFile
from aiagentchat.core.guards import Why
from aiagentchat.core.ids import CallerName, EventId, InstanceName, MessageId, RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Address, Meta, MetaKind, NoMeta
from aiagentchat.route.access import role_of
from aiagentchat.route.answers import ALWAYS, NO, NUMBERS, YES
from aiagentchat.route.decide import (
    FORGET,
    STOP,
    CameIn,
    Decision,
    Ignore,
    Removed,
    RoomReplaced,
    TakeBack,
    TakeFile,
    decide,
)
from aiagentchat.route.machines import AskedByAgent, TurnAway
from tests.fakes.people import ADA, ANNA, EVE, KITCHEN, ME, VERA, event, typed

KNOWN = ("help", "stop", "continue", "approve", "deny", "allow")
CUSTOM = ("deploy",)
DESK = InstanceName("desk")
TARGET = EventId("$target")
PLAN = MediaFile(name="plan.pdf", url="mxc://hs/plan")
ASKS = Meta(id=MessageId("m1"), to=Address(ME, DESK))
BY_NOBODY = Ignore("a program's, to nobody")
BROKEN = NoMeta("hop has the wrong shape")


def meaning(said: Incoming, **rules: Any) -> Decision:
    room = replace(KITCHEN, exchange=ExchangeRules(**rules), mention_only=True)
    return decide(said, room, role=role_of(said.sender, room), me=ME, known=KNOWN, custom=CUSTOM, instance=DESK)


def said(body: str = "make tea", meta: Meta | NoMeta | None = ASKS, **more: Any) -> Incoming:
    """A message of an agent; of Anna's account, unless told otherwise."""
    return typed(body, meta=meta, by_agent=True, **more)


def called(body: str = "make tea", meta: Meta = ASKS, **more: Any) -> Incoming:
    """A message of a caller of our gateway."""
    return typed(body, meta=meta, caller=CallerName("ci"), sender=ME, **more)


@pytest.mark.parametrize("kind", [MetaKind.MESSAGE, MetaKind.TASK, MetaKind.QUESTION])
@pytest.mark.parametrize("to", [Address(ME), Address(ME, DESK)])
def test_what_is_addressed_to_us_and_asks_for_something_is_for_the_agent(kind: MetaKind, to: Address) -> None:
    meta = replace(ASKS, kind=kind, to=to)

    assert meaning(said(meta=meta)) == AskedByAgent("make tea", meta)


@pytest.mark.parametrize("sender", [ANNA, ADA])
def test_users_and_admins_may_be_agents(sender: UserId) -> None:
    assert meaning(said(sender=sender)) == AskedByAgent("make tea", ASKS)


def test_the_prefix_for_people_is_no_part_of_the_text() -> None:
    meta = replace(ASKS, kind=MetaKind.TASK)

    assert meaning(said("[TASK] make tea", meta)) == AskedByAgent("make tea", meta)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(said(meta=None), BY_NOBODY, id="what only a daemon's mark is on"),
        pytest.param(said("@claude:hs make tea", None, mentions=frozenset({ME})), BY_NOBODY, id="a mention is not it"),
        pytest.param(said(meta=NoMeta()), BY_NOBODY, id="another version of the protocol"),
        pytest.param(said(meta=replace(ASKS, to=None)), BY_NOBODY, id="to nobody in particular"),
        pytest.param(
            said(meta=replace(ASKS, to=Address(ANNA))), Ignore("a program's, to somebody else"), id="to another account"
        ),
        pytest.param(
            said(meta=replace(ASKS, to=Address(ME, InstanceName("laptop")))),
            Ignore("a program's, to somebody else"),
            id="to another instance of ours",
        ),
        pytest.param(
            said(meta=BROKEN),
            Ignore("a program's, what it says about itself cannot be read: hop has the wrong shape", "meta"),
            id="what cannot be read",
        ),
        pytest.param(said(sender=EVE, meta=None), replace(BY_NOBODY, refusal="message"), id="of a stranger"),
        pytest.param(said("/stop", None, sender=VERA), replace(BY_NOBODY, refusal="message"), id="of a viewer"),
        pytest.param(said(sender=EVE, meta=replace(ASKS, to=None)), BY_NOBODY, id="of a stranger, to nobody"),
        pytest.param(
            said(sender=EVE, meta=BROKEN),
            Ignore("a program's, what it says about itself cannot be read: hop has the wrong shape", "message"),
            id="of a stranger, what cannot be read",
        ),
    ],
)
def test_what_is_not_addressed_to_us_means_nothing(message: Incoming, expected: Decision) -> None:
    assert meaning(message) == expected


@pytest.mark.parametrize("kind", [MetaKind.ANSWER, MetaKind.STATUS, MetaKind.REFUSED, MetaKind.EXPIRED])
@pytest.mark.parametrize("sender", [ANNA, VERA])
def test_what_answers_is_never_answered(kind: MetaKind, sender: UserId) -> None:
    assert meaning(said(meta=replace(ASKS, kind=kind), sender=sender)) == Ignore(f"a program's, {kind} begins nothing")


@pytest.mark.parametrize(
    ("message", "why"),
    [
        pytest.param(said(sender=VERA), Why.NOT_ALLOWED, id="a viewer"),
        pytest.param(said(sender=EVE), Why.NOT_ALLOWED, id="a stranger"),
        pytest.param(said("/stop"), Why.BOT_COMMAND, id="a bot command"),
        pytest.param(said("!continue"), Why.BOT_COMMAND, id="with the other sign"),
        pytest.param(said("/approve always"), Why.BOT_COMMAND, id="with more"),
        pytest.param(said("/stopp"), Why.BOT_COMMAND, id="a slip"),
        pytest.param(said("/xyzzy"), Why.BOT_COMMAND, id="what might be one"),
        pytest.param(said("/allow @eve:hs", sender=ADA), Why.BOT_COMMAND, id="with the account of an admin"),
        pytest.param(said("[TASK] /stop", replace(ASKS, kind=MetaKind.TASK)), Why.BOT_COMMAND, id="behind the prefix"),
        pytest.param(said(" \n"), Why.EMPTY, id="nothing"),
        pytest.param(said("[TASK] ", replace(ASKS, kind=MetaKind.TASK)), Why.EMPTY, id="nothing but the prefix"),
        pytest.param(said(meta=replace(ASKS, hop=5)), Why.TOO_FAR, id="too many turns away"),
        pytest.param(said(meta=replace(ASKS, budget=0)), Why.NO_BUDGET, id="no turn left"),
        pytest.param(event(Kind.FILE, "look", by_agent=True, meta=ASKS), Why.FILE, id="a file that is nowhere"),
        pytest.param(called("/stop"), Why.BOT_COMMAND, id="a bot command of a caller"),
        pytest.param(called(meta=replace(ASKS, hop=5)), Why.TOO_FAR, id="a run that is too many turns away"),
    ],
)
def test_what_asks_for_something_and_may_not_have_it_is_told_so(message: Incoming, why: Why) -> None:
    assert isinstance(message.meta, Meta)

    assert meaning(message) == TurnAway(message.meta, why)


@pytest.mark.parametrize("body", ["//stop", "/usr/bin is full", "!important", "/deploy now", "!deploy"])
def test_what_is_text_of_a_person_is_text_of_a_program(body: str) -> None:
    assert meaning(said(body)) == AskedByAgent(body, ASKS)
    assert meaning(called(body)) == AskedByAgent(body, ASKS)


def test_how_far_a_message_may_come_is_for_the_room_to_say() -> None:
    far = replace(ASKS, hop=9)

    assert meaning(said(meta=far), hops=9) == AskedByAgent("make tea", far)
    assert meaning(said(meta=replace(ASKS, hop=1)), hops=0) == TurnAway(replace(ASKS, hop=1), Why.TOO_FAR)


def test_a_caller_needs_no_role() -> None:
    assert meaning(called()) == AskedByAgent("make tea", ASKS)
    assert meaning(called(meta=replace(ASKS, to=Address(ANNA)))) == Ignore("a program's, to somebody else")


@pytest.mark.parametrize("sender", [ANNA, ADA])
@pytest.mark.parametrize("key", sorted(YES | NO | ALWAYS | STOP | FORGET | set(NUMBERS)))
def test_no_reaction_of_a_program_answers_or_stops_anything(key: str, sender: UserId) -> None:
    message = event(Kind.REACTION, key, target=TARGET, by_agent=True, sender=sender)

    assert meaning(message) == Ignore("reaction events of programs mean nothing")


@pytest.mark.parametrize("kind", [Kind.EDIT, Kind.NOTICE, Kind.MALFORMED, Kind.REACTION])
@pytest.mark.parametrize("sender", [ANNA, ADA])
def test_nothing_else_of_a_program_means_anything(kind: Kind, sender: UserId) -> None:
    message = event(kind, "✅", target=TARGET, by_agent=True, sender=sender, meta=ASKS, mentions=frozenset({ME}))

    assert meaning(message) == Ignore(f"{kind} events of programs mean nothing")


@pytest.mark.parametrize("sender", [VERA, EVE])
@pytest.mark.parametrize("kind", [Kind.EDIT, Kind.NOTICE, Kind.MALFORMED, Kind.REACTION])
def test_what_others_try_with_the_mark_of_a_program_is_noted_as_without_it(kind: Kind, sender: UserId) -> None:
    message = event(kind, "✅", target=TARGET, by_agent=True, sender=sender)

    assert meaning(message) == Ignore(f"{kind} events of programs mean nothing", refusal=kind.value)


@pytest.mark.parametrize("sender", [ANNA, ADA, EVE])
def test_what_a_program_deletes_is_gone_and_stops_nothing_of_others(sender: UserId) -> None:
    message = event(Kind.REDACTION, target=TARGET, by_agent=True, sender=sender)

    assert meaning(message) == TakeBack(TARGET, may_stop=False)


def test_a_deletion_without_a_target_is_nothing() -> None:
    message = event(Kind.REDACTION, by_agent=True)

    assert meaning(message) == Ignore("redaction events of programs mean nothing")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(
            event(Kind.FILE, "look", file=PLAN, by_agent=True, meta=ASKS),
            TakeFile(PLAN, AskedByAgent("look", ASKS)),
            id="a file that says what to do with it",
        ),
        pytest.param(
            event(Kind.FILE, file=PLAN, by_agent=True, meta=ASKS), TakeFile(PLAN, None), id="a file for what comes next"
        ),
        pytest.param(event(Kind.FILE, "look", file=PLAN, by_agent=True), BY_NOBODY, id="a file for nobody"),
        pytest.param(
            event(Kind.FILE, "/stop", file=PLAN, by_agent=True, meta=ASKS),
            TurnAway(ASKS, Why.BOT_COMMAND),
            id="a file that would be a bot command",
        ),
        pytest.param(
            event(Kind.FILE, "look", file=PLAN, by_agent=True, meta=ASKS, sender=EVE),
            TurnAway(ASKS, Why.NOT_ALLOWED),
            id="a stranger's file",
        ),
    ],
)
def test_a_file_is_taken_with_what_asks_for_something(message: Incoming, expected: Decision) -> None:
    assert meaning(message) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.LEFT, Removed()),
        (Kind.JOINED, CameIn()),
        (Kind.TOMBSTONE, RoomReplaced(RoomId("!new:hs"))),
        (Kind.FORGED, Ignore("!new:hs", refusal="forged")),
    ],
)
def test_what_happens_to_the_room_happens_by_whomever(kind: Kind, expected: Decision) -> None:
    assert meaning(event(kind, "!new:hs", by_agent=True)) == expected


_METAS = st.one_of(
    st.none(),
    st.builds(NoMeta, st.text(max_size=5)),
    st.builds(
        Meta,
        id=st.just(MessageId("m")),
        kind=st.sampled_from(MetaKind),
        to=st.sampled_from([None, Address(ME), Address(ME, DESK), Address(ANNA)]),
        hop=st.integers(0, 20),
        budget=st.one_of(st.none(), st.integers(0, 3)),
    ),
)
_BODIES = st.one_of(st.sampled_from(["/stop", "✅", "yes", "@claude:hs go", "claude: go", "", "tea"]), st.text())


@given(
    kind=st.sampled_from([Kind.TEXT, Kind.NOTICE, Kind.FILE, Kind.REACTION, Kind.EDIT, Kind.MALFORMED]),
    body=_BODIES,
    meta=_METAS,
    sender=st.sampled_from([ANNA, ADA, VERA, EVE]),
    target=st.sampled_from([None, TARGET]),
)
def test_whatever_a_program_says_it_asks_or_means_nothing(
    kind: Kind, body: str, meta: Meta | NoMeta | None, sender: UserId, target: EventId | None
) -> None:
    message = event(kind, body, meta=meta, sender=sender, target=target, by_agent=True, file=PLAN)

    assert isinstance(meaning(message), AskedByAgent | TurnAway | Ignore | TakeFile)
