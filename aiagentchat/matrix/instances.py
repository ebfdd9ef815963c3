"""The registry room: what a sync tells of it, and what is put there. nio has no words for either."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from aiagentchat.core.errors import Refused
from aiagentchat.core.ids import DelayId, RoomId, UserId
from aiagentchat.core.instances import INSTANCE, Heard, Told, read_told
from aiagentchat.core.parcels import Content
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.events import sent_at
from aiagentchat.matrix.reading import Breath, listed, mapped

DELAY_FEATURE = "org.matrix.msc4140"
"""As homeservers call it while it is no part of the specification."""

_DELAYED = f"/_matrix/client/unstable/{DELAY_FEATURE}/delayed_events"
_MEMBER = "m.room.member"
_NOT_FOUND = 404
_UNRECOGNIZED = "M_UNRECOGNIZED"


async def heard(rooms: Mapping[str, Any], registry: RoomId | None, breath: Breath) -> Heard:
    """What the rooms of a sync's answer tell of the registry room."""
    if registry is None:
        return Heard()
    if registry in mapped(rooms.get("leave")):
        return Heard(is_out=True)
    room = mapped(mapped(rooms.get("join")).get(registry))
    timeline = mapped(room.get("timeline"))
    told: list[Told] = []
    moved: dict[UserId, bool] = {}
    # What stood when the timeline begins, then what it changes.
    for source in (*listed(mapped(room.get("state")).get("events")), *listed(timeline.get("events"))):
        await breath.take()
        match source:
            case {"type": type_, "state_key": str(key), "sender": str(sender), **more} if type_ == INSTANCE:
                told.append(read_told(key, UserId(sender), more.get("content"), sent_at(source)))
            case {"type": type_, "state_key": str(user), "content": {"membership": membership}} if type_ == _MEMBER:
                moved[UserId(user)] = membership == "join"
            case _:
                continue
    return Heard(told=tuple(told), moved=moved, has_gap=timeline.get("limited") is True)


class MatrixRegistryRoom:
    """The RegistryRoom port."""

    def __init__(self, client: Client, room: RoomId) -> None:
        self._client = client
        self._room = f"/_matrix/client/v3/rooms/{quote(room, safe='')}"

    async def join(self) -> None:
        """Be in the room."""
        await self._client.ask("join the registry room", "POST", f"{self._room}/join", {})

    async def members(self) -> frozenset[UserId]:
        """Who is in the room."""
        answer = await self._client.ask("members of the registry room", "GET", f"{self._room}/joined_members")
        return frozenset(map(UserId, mapped(answer.content.get("joined"))))

    async def put(self, key: str, content: Content) -> None:
        """Have this state at `key`."""
        await self._client.ask("register", "PUT", self._state(key), content)

    async def may_delay(self, seconds: float) -> bool:
        """Whether the homeserver says so.

        A homeserver that has never heard of it passes over what asks for a delay, and puts the event there at once: so
        it is asked before that is tried.
        """
        answer = await self._client.ask("capabilities", "GET", "/_matrix/client/v3/capabilities", or_nothing=True)
        said = mapped(answer.content.get("capabilities")).get(f"{DELAY_FEATURE}.delayed_events")
        if said is not None:
            most = mapped(said).get("max_delay_ms")
            return isinstance(most, int) and most >= seconds * 1000
        answer = await self._client.ask("versions", "GET", "/_matrix/client/versions", or_nothing=True)
        return mapped(answer.content.get("unstable_features")).get(DELAY_FEATURE) is True

    async def put_later(self, key: str, content: Content, *, seconds: float) -> DelayId | None:
        """Have this state at `key` in so many seconds."""
        query = urlencode({f"{DELAY_FEATURE}.delay": round(seconds * 1000)})
        try:
            answer = await self._client.ask("delay", "PUT", f"{self._state(key)}?{query}", content)
        except Refused:
            return None
        found = answer.content.get("delay_id")
        return DelayId(found) if isinstance(found, str) else None

    async def postpone(self, delay: DelayId) -> bool:
        """As long again, from now on."""
        return await self._manage(delay, "restart")

    async def pending(self, key: str) -> Sequence[DelayId]:
        """What will still come to `key`."""
        try:
            answer = await self._client.ask("delayed events", "GET", _DELAYED)
        except Refused:
            return []  # by a homeserver that cannot list them
        found = []
        for each in listed(answer.content.get("delayed_events")):
            match each:
                case {"delay_id": str(delay), "room_id": room, "type": type_, "state_key": at} if type_ == INSTANCE:
                    if at == key and self._is_here(room):
                        found.append(DelayId(delay))
                case _:
                    continue
        return found

    async def cancel(self, delay: DelayId) -> None:
        """Have it not happen."""
        await self._manage(delay, "cancel")

    async def _manage(self, delay: DelayId, action: str) -> bool:
        """Whether there was something to do this with."""
        path = f"{_DELAYED}/{quote(delay, safe='')}"
        try:
            await self._client.ask(action, "POST", f"{path}/{action}", {})
        except Refused as error:
            if error.errcode != _UNRECOGNIZED:
                return self._not_there(error)
        else:
            return True
        try:  # as homeservers of before have it
            await self._client.ask(action, "POST", path, {"action": action})
        except Refused as error:
            return self._not_there(error)
        return True

    @staticmethod
    def _not_there(error: Refused) -> bool:
        if error.status != _NOT_FOUND:
            raise error
        return False

    def _is_here(self, room: object) -> bool:
        return isinstance(room, str) and self._room.endswith(f"/{quote(room, safe='')}")

    def _state(self, key: str) -> str:
        return f"{self._room}/state/{quote(INSTANCE, safe='')}/{quote(key, safe='')}"
