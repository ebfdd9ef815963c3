"""Who is in our rooms and with what power, as far as the syncs tell: nobody has to be asked while they do.

Whoever says something is in the room, and stays in it until an event says otherwise. So it costs no request to know
that of somebody who has just typed. What a sync may have left out (a gap in the timeline) makes us forget; what is not
known is asked for. Of power the homeserver tells all that changes, in the timeline or in the state.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.power import Powers
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.reading import listed, mapped

FRESH_MS = 180_000
"""Longer than any sync waits for news. Without one for so long, somebody may have left and we do not know."""
ASK_SECONDS = 10.0
"""How long the homeserver may take to say whether somebody is in a room."""
MOST_KNOWN = 10_000
"""People of one room who are remembered; of a room with more, all are forgotten and asked for again."""
POWER_TYPES = ("m.room.create", "m.room.power_levels")
"""The state that power comes from."""

_MEMBER = "m.room.member"
_NO_LEVELS_AT_ALL: Mapping[str, Any] = {"users": None}
"""In the place of levels that are no object: nobody has any power by these."""


@dataclass(slots=True)
class _Room:
    create: Mapping[str, Any] = field(default_factory=dict)
    levels: Mapping[str, Any] | None = None
    people: dict[str, bool] = field(default_factory=dict)
    """Whether they are in the room."""
    is_past: bool = False
    """Whether we have left. What was said before is judged by the levels of then."""

    def hear(self, told: Mapping[str, Any]) -> None:
        """What a sync tells of the room, in its order."""
        timeline = mapped(told.get("timeline"))
        if timeline.get("limited") is True or len(self.people) > MOST_KNOWN:
            self.people.clear()
        for source in listed(mapped(told.get("state")).get("events")):
            self._state(mapped(source))
        for source in listed(timeline.get("events")):
            self._said(mapped(source))

    def _said(self, source: Mapping[str, Any]) -> None:
        """One event of the timeline. Only who is in a room can say something there; who goes says that."""
        sender, key = source.get("sender"), source.get("state_key")
        if isinstance(sender, str) and not (source.get("type") == _MEMBER and key == sender):
            self.people[sender] = True
        self._state(source)

    def _state(self, source: Mapping[str, Any]) -> None:
        key, content = source.get("state_key"), source.get("content")
        match source.get("type"):
            case "m.room.member" if isinstance(key, str):
                self.people[key] = mapped(content).get("membership") == "join"
            case "m.room.create" if key == "":
                self.create = source
            case "m.room.power_levels" if key == "":
                self.levels = content if isinstance(content, dict) else _NO_LEVELS_AT_ALL
            case _:
                pass


class Roster:
    """The Members port."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._heard_at = 0
        self._rooms: dict[str, _Room] = {}

    def hear(self, told: Mapping[str, Any]) -> None:
        """The whole answer of a sync."""
        self._heard_at = self._clock.now_ms()
        rooms = mapped(told.get("rooms"))
        for name, room in mapped(rooms.get("join")).items():
            known = self._rooms.get(name)
            if known is None or known.is_past:
                known = self._rooms[name] = _Room()
            known.hear(mapped(room))
        for name in mapped(rooms.get("leave")):
            if (known := self._rooms.get(name)) is not None:
                known.is_past, known.people = True, {}

    def powers(self, room: RoomId) -> Powers | None:
        """What power comes from; None before a sync has told of the room."""
        known = self._rooms.get(room)
        return None if known is None else Powers(create=known.create, levels=known.levels)

    async def is_in(self, room: RoomId, user: UserId) -> bool:
        """Whether `user` is a member now: known, or asked for. Raises as `Client.ask`."""
        known = self._known(room, user)
        if known is not None:
            return known
        path = f"/_matrix/client/v3/rooms/{quote(room, safe='')}/state/{_MEMBER}/{quote(user, safe='')}"
        try:
            async with asyncio.timeout(ASK_SECONDS):
                answer = await self._client.ask("membership", "GET", path, or_nothing=True)
        except TimeoutError as problem:
            raise Unreachable(f"membership: nothing within {ASK_SECONDS:.0f} s") from problem
        known = self._known(room, user)  # a sync may have told meanwhile, and later than this answer
        return answer.content.get("membership") == "join" if known is None else known

    def _known(self, room: RoomId, user: UserId) -> bool | None:
        known = self._rooms.get(room)
        if known is None or abs(self._clock.now_ms() - self._heard_at) > FRESH_MS:
            return None
        return known.people.get(user)
