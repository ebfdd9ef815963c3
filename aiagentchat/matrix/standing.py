"""What the homeserver is, and what the account may do in a room. Asked once, for the doctor; nothing is changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.instances import INSTANCE
from aiagentchat.core.parcels import MESSAGE, REACTION
from aiagentchat.core.power import ABOVE_ALL, power_of
from aiagentchat.matrix.account_data import server_now
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.crypto.opening import ENCRYPTED
from aiagentchat.matrix.errors import TRANSPORT

_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The other side."""

    newest: str
    """The newest version of the specification that it speaks."""
    software: str = ""
    """Name and version, where it says them."""
    now: int | None = None
    """Its clock, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What we are in one room."""

    power: int | None
    """None: we made the room, and may do everything."""
    to_send: int
    to_react: int
    encrypted: bool
    to_register: int = 50
    """What it takes to say in the room's state that an instance is there."""

    def may(self, level: int) -> bool:
        """Whether our power reaches `level`."""
        return self.power is None or self.power >= level


async def server(client: Client) -> Server:
    """What the homeserver says about itself, to anybody. Raises Unreachable."""
    try:
        # Without our token: this is about the server, and a token that is not good would be what is refused.
        answer = await client.nio.send("GET", "/_matrix/client/versions")
        said = await client.nio.parse_body(answer)
    except TRANSPORT as problem:
        raise Unreachable(f"versions: {type(problem).__name__}") from problem
    versions = said.get("versions")
    if answer.status != _OK or not isinstance(versions, list) or not versions:
        raise Unreachable(f"versions: {answer.status}: this is no Matrix homeserver", status=answer.status)
    return Server(newest=str(versions[-1]), software=await _software(client), now=server_now(answer.headers))


async def _software(client: Client) -> str:
    """Many homeservers say it only to other homeservers."""
    try:
        answer = await client.nio.send("GET", "/_matrix/federation/v1/version")
        said = (await client.nio.parse_body(answer)).get("server")
    except TRANSPORT:
        return ""
    named = said if isinstance(said, dict) else {}
    return " ".join(str(named[key]) for key in ("name", "version") if isinstance(named.get(key), str))


async def joined_rooms(client: Client) -> frozenset[RoomId]:
    """The rooms that the account is in. Raises as `Client.ask`."""
    answer = await client.ask("joined rooms", "GET", "/_matrix/client/v3/joined_rooms")
    rooms = answer.content.get("joined_rooms")
    return (
        frozenset(RoomId(room) for room in rooms if isinstance(room, str)) if isinstance(rooms, list) else frozenset()
    )


async def standing(client: Client, room: RoomId, me: UserId) -> Standing:
    """What we are in `room`, which we are in. Raises as `Client.ask`."""
    create = await _state(client, room, "m.room.create", whole=True)
    levels = await _state(client, room, "m.room.power_levels", whole=True)
    encryption = await _state(client, room, "m.room.encryption")
    return weigh(me, create, _mapping(levels.get("content")) if levels else None, is_encrypted=bool(encryption))


def weigh(me: UserId, create: Mapping[str, Any], levels: Mapping[str, Any] | None, *, is_encrypted: bool) -> Standing:
    """The standing that the state of a room amounts to: `create` is a whole event, `levels` the content of one."""
    said = levels or {}
    events = _mapping(said.get("events"))
    default = _level(said.get("events_default"), 0)
    power = power_of(me, create, levels)
    return Standing(
        power=None if power == ABOVE_ALL else power or 0,
        to_send=_level(events.get(ENCRYPTED if is_encrypted else MESSAGE), default),
        to_react=_level(events.get(REACTION), default),
        encrypted=is_encrypted,
        to_register=_level(events.get(INSTANCE), _level(said.get("state_default"), 0 if levels is None else 50)),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _level(value: object, otherwise: int) -> int:
    return value if type(value) is int else otherwise


async def _state(client: Client, room: RoomId, type_: str, *, whole: bool = False) -> Mapping[str, Any]:
    """The content of a piece of state, or the `whole` event; empty if the room has none."""
    path = f"/_matrix/client/v3/rooms/{quote(room, safe='')}/state/{quote(type_, safe='')}/"
    answer = await client.ask(type_, "GET", f"{path}?format=event" if whole else path, or_nothing=True)
    content: Mapping[str, Any] = answer.content
    return content
