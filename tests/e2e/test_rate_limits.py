"""On a homeserver with the limits that Synapse ships with, answers arrive whole, in order, and as soon as they may."""

from pathlib import Path

import pytest

from rig.homeserver import Homeserver
from rig.limited import BURST, SECONDS_PER_EVENT, ask_all, limited
from rig.model import Model

ROOMS, TURNS = 2, 6
SPARE = 2
"""Events that may be spent on what is nice to have before the daemon knows how much there is to say."""
START_SECONDS = 10.0
"""Until the first answers are there, on a busy machine; the limit's clock only begins with them."""


@pytest.mark.long
async def test_answers_of_many_rooms_arrive_whole_in_order_and_in_time(
    model: Model, workplace: Path, tmp_path: Path
) -> None:
    with Homeserver(tmp_path / "limited", limits="default") as homeserver:
        async with limited(homeserver, model, workplace, rooms=ROOMS) as house:
            found = await ask_all(house, turns=TURNS, seconds=0.5, patience=60)
            lines = house.daemon.lines()

    finals = ROOMS * TURNS
    assert (found.answers, found.asked) == (finals, finals)
    assert finals <= found.sends <= finals + SPARE
    assert found.wall <= START_SECONDS + (finals + SPARE - BURST) * SECONDS_PER_EVENT
    assert len(found.refusals) == 1
    [told] = [line for line in lines if line["event"] == "outbox.rate_limited"]
    assert told["fix"].startswith(
        f"as an admin of the homeserver: POST /_synapse/admin/v1/users/{house.account.user_id}"
    )
