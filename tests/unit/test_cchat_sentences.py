"""How far a message has come, in sentences."""

from typing import Any

import pytest

from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.sentences import how_far, how_task_is, when
from aiagentchat.cli.exchange.wishes import moment_of, seconds_of
from tests.fakes.gateway_server import ATTIC, NOW, WORKSHOP

TO = "@agent:hs/workshop"
MOMENTS = dict.fromkeys(("accepted_at", "sent_at", "delivered_at", "read_at", "ended_at"), NOW)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({"state": "accepted"}, "not in the room yet: the daemon has it"),
        ({"state": "sent", "to": None}, "it is for nobody in particular, so nothing follows"),
        ({"state": "sent", "to": TO}, "not delivered: workshop is online"),
        ({"state": "sent", "to": "@agent:hs/attic"}, "not delivered: attic is offline since"),
        ({"state": "sent", "to": "@agent:hs"}, "not delivered: workshop is online"),
        ({"state": "sent", "to": "@eve:hs/x"}, "@eve:hs/x is not in the registry"),
        ({"state": "delivered", "to": TO}, "not begun: it waits for its turn there (workshop is online)"),
        ({"state": "read", "to": TO}, "no answer yet (workshop is online)"),
        ({"state": "answered", "to": TO}, "answered by @agent:hs/workshop at"),
        ({"state": "refused", "to": TO, "why": "No\x1b[2J."}, "refused by @agent:hs/workshop: No."),
        ({"state": "expired", "to": TO, "why": "Late."}, "it was not begun in time (Late.)"),
        ({"state": "new one"}, "new one"),
    ],
)
def test_each_state_says_why_it_is_not_further(message: dict[str, Any], sentence: str) -> None:
    assert sentence in how_far({**MOMENTS, **message}, [WORKSHOP, ATTIC], NOW)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ({"state": "assigned", "thread": None}, "given to @agent:hs/workshop at"),
        ({"state": "assigned", "thread": None}, "not in the room yet"),
        ({"state": "assigned"}, "nothing was heard of it yet: workshop is online"),
        ({"state": "assigned", "to": "@agent:hs/attic"}, "nothing was heard of it yet: attic is offline since"),
        ({"state": "accepted"}, "not begun: it waits for its turn there (workshop is online)"),
        ({"state": "working", "note": "Half\x1b[2J of it."}, "(workshop is online): Half of it."),
        ({"state": "done"}, "done by @agent:hs/workshop at"),
        ({"state": "failed", "note": "Outcome unknown."}, ": Outcome unknown."),
        ({"state": "refused", "note": "No."}, "refused by @agent:hs/workshop at"),
        ({"state": "cancelled"}, "cancelled at"),
        ({"state": "expired"}, "it was not begun by its deadline"),
        ({"state": "new one"}, "new one"),
    ],
)
def test_each_state_of_a_task_says_why_it_is_not_further(task: dict[str, Any], sentence: str) -> None:
    given = {"to": TO, "thread": "$task", "changed_at": NOW, "note": "", **task}

    assert sentence in how_task_is(given, [WORKSHOP, ATTIC], NOW)


def test_who_is_busy_is_said_to_be() -> None:
    assert "workshop is online and busy" in how_far({"state": "sent", "to": TO}, [{**WORKSHOP, "status": "busy"}], NOW)


def test_a_moment_that_nobody_knows_is_a_question_mark() -> None:
    assert (when(None, NOW), when(0, NOW)) == ("?", "?")


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("30s", 30), ("15m", 900), ("2h", 7200), ("1d", 86400)])
def test_a_time_may_be_written_in_several_ways(text: str, seconds: int) -> None:
    assert seconds_of(text, "--timeout") == seconds
    assert moment_of(text, "--since", NOW, ahead=False) == NOW - seconds * 1000
    assert moment_of(text, "--expires", NOW, ahead=True) == NOW + seconds * 1000


def test_what_is_longer_ago_than_there_is_time_is_the_beginning_of_it() -> None:
    assert moment_of("999999w", "--since", NOW, ahead=False) == 0


@pytest.mark.parametrize("text", ["", "soon", "1y", "-3s", "99999-01-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(NotDone) as raised:
        moment_of(text, "--since", NOW, ahead=False)

    assert raised.value.exit is Exit.USAGE
