"""A house whose rooms are encrypted, and whose Anna is at Element in strict mode."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rig.conversation import Message
from rig.js_people import JsPeople
from rig.js_user import JsUser
from rig.model import Model
from rig.people import People
from tests.e2e.house import House, move_in

IN_CLEAR = {"m.reaction", "m.room.redaction", "m.room.member", "m.room.encrypted"}
"""What the homeserver may see of the daemon in an encrypted room: what it sees of Element."""


@asynccontextmanager
async def secret_house(
    people: People, elements: JsPeople, model: Model, folder: Path, *, encrypted: bool = True, **settings: Any
) -> AsyncIterator[tuple[House, JsUser]]:
    """A house as `move_in` makes it, and Anna, whose device shares keys with signed devices only."""
    anna = await elements.person()
    anna.makes_encrypted_rooms = encrypted
    async with move_in(people, model, folder, anna=anna, **settings) as house:
        yield house, anna


async def until_told(house: House, anna: JsUser, text: str) -> Message:
    """Wait for words of the daemon."""
    return await anna.until_message(house.room, text, sender=house.account.user_id)


def words_of_the_daemon(house: House, anna: JsUser) -> list[str]:
    """What it has said so far, without the rest of each message behind its first line."""
    said = (message for message in anna.view(house.room) if message.sender == house.account.user_id)
    return [message.body.partition("\n")[0] for message in said]


async def nothing_is_in_clear(house: House, anna: JsUser) -> None:
    """The homeserver can read no words of the daemon."""
    events = [event for event in await anna.history(house.room) if event["sender"] == house.account.user_id]

    assert {event["type"] for event in events} <= IN_CLEAR
    assert [event for event in events if "body" in event["content"]] == []


def all_can_be_read(house: House, anna: JsUser) -> None:
    """Anna's client reads everything, and Element draws no shield beside anything."""
    said = [message.id for message in anna.view(house.room)]

    assert anna.unreadable(house.room) == []
    assert {each: anna.sight(each).reason for each in said if anna.sight(each).shield != "none"} == {}
