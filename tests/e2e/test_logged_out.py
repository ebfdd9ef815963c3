"""A device that somebody logs out while the daemon runs."""

from pathlib import Path

from rig.model import Model
from rig.people import People
from tests.e2e.house import move_in


async def test_a_daemon_that_is_logged_out_says_one_clear_sentence_and_ends_with_3(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace) as house:
        people.homeserver.request("POST", "/_matrix/client/v3/logout", {}, token=house.account.access_token)

        assert await house.daemon.wait() == 3
    [ended] = [line for line in house.daemon.lines() if line["event"] == "daemon.ended"]
    assert ended["exit_code"] == 3
    assert all(part in ended["error"] for part in ("logged out", "MATRIX_ACCESS_TOKEN", "MATRIX_PASSWORD"))
    said = house.daemon.tail(1000)
    assert "Traceback" not in said
    assert house.account.access_token not in said
