"""How far a message of an agent may go on, and how often one may begin a turn: each row is a sentence."""

from dataclasses import replace

import pytest

from aiagentchat.core.exchange import Caller, ExchangeRules
from aiagentchat.core.guards import (
    AgentTurn,
    Halt,
    Limit,
    Standing,
    Why,
    gone_too_far,
    halted_by,
    is_counted,
    is_for,
    pair_of,
    used_up,
)
from aiagentchat.core.ids import CallerName, EventId, InstanceName, MessageId, UserId
from aiagentchat.core.meta import LATEST, Address, Meta
from tests.fakes.people import ANNA, ME, ROOM

DESK, LAPTOP = InstanceName("desk"), InstanceName("laptop")
OURS = Address(ME, DESK)
OTHER = UserId("@other:hs")
SAID = Meta(id=MessageId("m1"), to=OURS)
RULES = ExchangeRules(hops=4, pair_turns=2, room_turns=3)
TURN = AgentTurn(event=EventId("$1"), room=ROOM, pair="a b")
HALT = Halt(room=ROOM, limit=Limit.ROOM, turns=3, at=1)
RUN = Caller(name=CallerName("run"), in_turn=True)


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        pytest.param(None, False, id="to nobody in particular"),
        pytest.param(Address(ME), True, id="to whichever of us listens"),
        pytest.param(OURS, True, id="to this daemon"),
        pytest.param(Address(ME, LAPTOP), False, id="to somebody else with our account"),
        pytest.param(Address(ANNA, DESK), False, id="to another account's instance of the same name"),
        pytest.param(Address(ANNA), False, id="to another account"),
    ],
)
def test_a_message_is_for_whom_it_names(to: Address | None, expected: bool) -> None:
    assert is_for(replace(SAID, to=to), OURS) is expected


def test_without_a_name_of_our_own_nothing_is_for_an_instance() -> None:
    assert is_for(replace(SAID, to=Address(ME)), Address(ME))
    assert not is_for(SAID, Address(ME))


@pytest.mark.parametrize(
    ("meta", "caller", "expected"),
    [
        pytest.param(SAID, None, True, id="of another account"),
        pytest.param(SAID, "ci", False, id="of a program that somebody has given a token"),
        pytest.param(replace(SAID, instance=DESK), "ci", False, id="and that speaks as the daemon"),
        pytest.param(replace(SAID, instance=LAPTOP), "port", True, id="of a session with a name of its own"),
        pytest.param(replace(SAID, instance=DESK, hop=1), "run", True, id="of a run"),
    ],
)
def test_what_an_agent_asks_for_is_counted(meta: Meta, caller: str | None, expected: bool) -> None:
    assert is_counted(meta, None if caller is None else CallerName(caller), OURS) is expected


def test_a_pair_is_the_same_from_both_sides() -> None:
    theirs = pair_of(OTHER, SAID, Address(ME))

    assert theirs == pair_of(ME, replace(SAID, to=Address(OTHER)), Address(OTHER))
    assert theirs == f"{ME} {OTHER}"


def test_another_account_is_one_whatever_it_calls_its_instances() -> None:
    names = [pair_of(OTHER, replace(SAID, instance=name), OURS) for name in (None, DESK, LAPTOP)]

    assert len(set(names)) == 1


def test_what_goes_through_our_gateway_is_told_apart() -> None:
    assert pair_of(ME, replace(SAID, instance=LAPTOP), OURS) == f"{ME}/desk {ME}/laptop"


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        pytest.param(SAID, None, id="from a person"),
        pytest.param(replace(SAID, hop=4), None, id="as far as the room allows"),
        pytest.param(replace(SAID, hop=5), Why.TOO_FAR, id="one turn further"),
        pytest.param(replace(SAID, hop=LATEST), Why.TOO_FAR, id="as far as there is"),
        pytest.param(replace(SAID, budget=1), None, id="one turn is left"),
        pytest.param(replace(SAID, budget=0), Why.NO_BUDGET, id="no turn is left"),
    ],
)
def test_a_message_goes_on_for_so_far(meta: Meta, expected: Why | None) -> None:
    assert gone_too_far(meta, RULES) is expected


@pytest.mark.parametrize(
    ("rules", "standing", "expected"),
    [
        pytest.param(RULES, Standing(), None, id="nobody has asked yet"),
        pytest.param(RULES, Standing(in_pair=1, in_room=2), None, id="there is one left"),
        pytest.param(RULES, Standing(in_pair=2, in_room=2), Why.PAIR_USED_UP, id="these two had theirs"),
        pytest.param(RULES, Standing(in_pair=0, in_room=3), Why.ROOM_USED_UP, id="the others had all"),
        pytest.param(RULES, Standing(in_pair=2, in_room=3), Why.ROOM_USED_UP, id="both"),
        pytest.param(RULES, Standing(halt=HALT), Why.HALTED, id="the room is halted"),
        pytest.param(replace(RULES, pair_turns=0), Standing(), Why.OFF, id="no two may"),
        pytest.param(replace(RULES, room_turns=0), Standing(), Why.OFF, id="nobody may here"),
        pytest.param(replace(RULES, room_turns=0), Standing(halt=HALT), Why.HALTED, id="nobody may, and it is halted"),
    ],
)
def test_agents_begin_as_many_turns_as_they_may(rules: ExchangeRules, standing: Standing, expected: Why | None) -> None:
    assert used_up(rules, standing) is expected


def test_one_turn_too_many_halts_the_room() -> None:
    assert halted_by(Why.PAIR_USED_UP, RULES, TURN, 7) == Halt(room=ROOM, limit=Limit.PAIR, turns=2, pair="a b", at=7)
    assert halted_by(Why.ROOM_USED_UP, RULES, TURN, 7) == Halt(room=ROOM, limit=Limit.ROOM, turns=3, at=7)


@pytest.mark.parametrize("why", sorted(set(Why) - {Why.PAIR_USED_UP, Why.ROOM_USED_UP}))
def test_nothing_else_halts_it(why: Why) -> None:
    assert halted_by(why, RULES, TURN, 7) is None
