"""Which events are worth writing down: each row is a sentence."""

import pytest

from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.receive.intake import Rules, keep
from tests.fakes.people import ANNA, EVE, ME, OTHER, ROOM, event, typed

RULES = Rules(ME, lambda room: room == ROOM)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param(typed("hello"), True, id="a message of a user"),
        pytest.param(typed("hello", sender=EVE), True, id="a message of a stranger, who may have to be told"),
        pytest.param(event(Kind.FILE, "plan.pdf"), True, id="a file"),
        pytest.param(event(Kind.REACTION, "✅"), True, id="a reaction"),
        pytest.param(event(Kind.EDIT, "hello you"), True, id="an edit"),
        pytest.param(event(Kind.REDACTION), True, id="a redaction"),
        pytest.param(event(Kind.NOTICE, "hello"), False, id="a notice"),
        pytest.param(typed("hello", sender=ME), False, id="our own message"),
        pytest.param(event(Kind.REACTION, "✅", sender=ME), False, id="our own reaction"),
        pytest.param(typed("hello", room=OTHER), False, id="a message in a room that is not configured"),
        pytest.param(event(Kind.INVITE, room=OTHER), True, id="an invite into a room that is not configured"),
        pytest.param(event(Kind.INVITE, sender=EVE), True, id="an invite of a stranger"),
    ],
)
def test_what_is_for_us_is_kept(said: Incoming, kept: bool) -> None:
    assert keep([said], RULES, first=False) == [said] * kept


def test_of_the_first_sync_only_invites_count() -> None:
    invite = event(Kind.INVITE)

    assert keep([typed("old"), invite, event(Kind.REACTION, "✅")], RULES, first=True) == [invite]


def test_the_order_stays() -> None:
    said = [typed("one"), event(Kind.NOTICE, "x"), typed("two"), event(Kind.INVITE), typed("three", sender=ANNA)]

    assert keep(said, RULES, first=False) == [said[0], said[2], said[3], said[4]]
