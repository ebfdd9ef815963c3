"""Read receipts of a sync → `Receipt`. Pure, and safe with any JSON: what does not have the right shape is none."""

from collections.abc import Iterator, Mapping
from typing import Any

from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import Receipt
from aiagentchat.core.meta import LATEST
from aiagentchat.matrix.reading import listed, mapped

TYPE = "m.receipt"
MOST_RECEIPTS = 2000
"""More than this in one answer are not read: a homeserver tells those of a whole large room only at the first sync."""


def receipts(rooms: Mapping[str, Any], me: UserId) -> Iterator[Receipt]:
    """How far others say that they have read, in the rooms of a sync's answer that we are in."""
    for name, room in rooms.items():
        for source in listed(mapped(mapped(room).get("ephemeral")).get("events")):
            match source:
                case {"type": str(type_), "content": {**content}} if type_ == TYPE:
                    yield from _of_room(RoomId(name), content, me)
                case _:
                    continue


def _of_room(room: RoomId, content: Mapping[Any, object], me: UserId) -> Iterator[Receipt]:
    for event, kinds in content.items():
        for user, said in mapped(mapped(kinds).get("m.read")).items():
            if user != me and isinstance(said, dict) and isinstance(said.get("thread_id"), str | None):
                yield Receipt(
                    room=room,
                    event=EventId(event),
                    user=UserId(user),
                    thread=said.get("thread_id"),
                    at=_moment(said.get("ts")),
                )


def _moment(said: object) -> int:
    return said if isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= LATEST else 0
