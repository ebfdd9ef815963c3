"""When a room is searched before something is said again."""

import pytest

from aiagentchat.core.ids import TxnId
from aiagentchat.core.parcels import Attempt, Parcel
from aiagentchat.send.search import LOOK_UP_AFTER_MS, SLACK_MS, searched_from
from tests.fakes.people import ROOM

NOW = 1_700_000_000_000
PARCEL = Parcel(txn=TxnId("t"), room=ROOM, content={})
DEVICE = "HERE"


@pytest.mark.parametrize(
    ("tried_at", "tried_as", "expected"),
    [
        pytest.param(None, None, None, id="never tried"),
        pytest.param(NOW, DEVICE, None, id="tried just now"),
        pytest.param(NOW - LOOK_UP_AFTER_MS, DEVICE, None, id="tried a while ago"),
        pytest.param(NOW - LOOK_UP_AFTER_MS - 1, DEVICE, NOW - LOOK_UP_AFTER_MS - 1 - SLACK_MS, id="tried long ago"),
        pytest.param(NOW - 1, "THERE", NOW - 1 - SLACK_MS, id="tried by another device"),
        pytest.param(NOW - 1, None, NOW - 1 - SLACK_MS, id="tried by nobody knows whom"),
        pytest.param(NOW + 1, DEVICE, 0, id="tried in the future: the clock was turned back"),
        pytest.param(5, DEVICE, 0, id="tried when time began"),
    ],
)
def test_a_room_is_searched_for_what_may_be_there_unknown(
    tried_at: int | None, tried_as: str | None, expected: int | None
) -> None:
    attempt = Attempt(parcel=PARCEL, tried_at=tried_at, tried_as=tried_as)

    assert searched_from(attempt, DEVICE, NOW) == expected


def test_the_search_begins_before_a_homeserver_forgets() -> None:
    assert LOOK_UP_AFTER_MS < 30 * 60_000
