"""What the account may do in a room, from the room's state, whatever is in it."""

from dataclasses import replace
from typing import Any

import pytest

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import UserId
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.standing import Standing, server, weigh
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.wire import Say, http, tell, wire

ME = UserId("@me:hs")


def create(sender: str = "@other:hs", **content: Any) -> dict[str, Any]:
    return {"sender": sender, "content": content}


@pytest.mark.parametrize(
    ("made", "levels", "power", "send", "react"),
    [
        (create(), None, 0, 0, 0),
        (create("@me:hs", room_version="11"), None, 100, 0, 0),
        (create("@me:hs", creator="@me:hs"), None, 100, 0, 0),
        (create("@me:hs", room_version="11"), {}, 0, 0, 0),
        (create(), {"users": {"@me:hs": 50}, "events_default": 20}, 50, 20, 20),
        (create(), {"users_default": 10, "events": {"m.room.message": 5, "m.reaction": 30}}, 10, 5, 30),
        (create("@me:hs", room_version="12"), {"events_default": 100}, None, 100, 100),
        (create(room_version="12", additional_creators=["@me:hs"]), {}, None, 0, 0),
        (create("@me:hs", room_version="11"), {"users": {}}, 0, 0, 0),
        (create(room_version=7), {"users": 3, "events": [], "events_default": "50"}, 0, 0, 0),
    ],
)
def test_power_is_weighed_as_the_room_version_has_it(
    made: dict[str, Any], levels: dict[str, Any] | None, power: int | None, send: int, react: int
) -> None:
    found = weigh(ME, made, levels, is_encrypted=False)

    assert replace(found, to_register=0) == Standing(
        power=power, to_send=send, to_react=react, encrypted=False, to_register=0
    )


@pytest.mark.parametrize(
    ("levels", "needed"),
    [
        (None, 0),
        ({}, 50),
        ({"state_default": 20}, 20),
        ({"state_default": 20, "events": {"com.aiagentchat.instance": 5}}, 5),
        ({"state_default": "20", "events": {"com.aiagentchat.instance": "5"}}, 50),
    ],
)
def test_what_it_takes_to_register_is_what_the_room_asks_for_that_state(
    levels: dict[str, Any] | None, needed: int
) -> None:
    assert weigh(ME, create(), levels, is_encrypted=False).to_register == needed


async def asked(*answers: Say) -> Any:
    """What `server` makes of these answers."""
    async with wire() as said:
        said.answers = list(answers)
        client = Client(Account(homeserver=said.url, user=ME, device_name="d"), MemoryAccounts())
        try:
            return await server(client)
        finally:
            await client.close()


async def test_a_homeserver_says_what_it_is_and_what_time_it_is() -> None:
    found = await asked(
        tell({"versions": ["r0.6.1", "v1.15"]}, "Date: Tue, 01 Sep 2026 10:00:00 GMT"),
        tell({"server": {"name": "Synapse", "version": "1.163"}}),
    )

    assert (found.newest, found.software, found.now) == ("v1.15", "Synapse 1.163", 1_788_256_800_000)


async def test_a_homeserver_that_does_not_say_its_name_is_one_all_the_same() -> None:
    found = await asked(tell({"versions": ["v1.1"]}), http(404, b"not here", kind="text/plain"))

    assert (found.newest, found.software, found.now) == ("v1.1", "", None)


@pytest.mark.parametrize(
    "answer", [http(200, b"<html>"), tell({"versions": []}), tell({"versions": ["v1"]}, status=502)]
)
async def test_what_is_no_homeserver_is_told_apart(answer: Say) -> None:
    with pytest.raises(Unreachable):
        await asked(answer)
