"""What the state of a room says to an account that is in it: what it is called, and what the account may do. Pure."""

from collections.abc import Mapping
from typing import Any

from aiagentchat.cli.exchange.states import listed
from aiagentchat.cli.exchange.wishes import Json
from aiagentchat.core.exchange import RoomView, Scope
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.power import level, power_of

_CREATE, _LEVELS, _ENCRYPTION = "m.room.create", "m.room.power_levels", "m.room.encryption"
NAMES = {"m.room.name": "name", "m.room.canonical_alias": "alias"}
"""What a room is called is said by these events, in these fields."""
TYPES = (_CREATE, _LEVELS, _ENCRYPTION, *NAMES)
"""The events of the state that are looked at."""

State = Mapping[tuple[str, str], Json]
"""By their types and keys."""


def states(answer: Json) -> dict[str, State]:
    """The rooms of the account, in the answer to a first sync, and what it tells of their state."""
    rooms = answer.get("rooms")
    joined = rooms.get("join") if isinstance(rooms, Mapping) else None
    return {str(room): _state(said) for room, said in (joined.items() if isinstance(joined, Mapping) else ())}


def _state(said: object) -> State:
    # The state is that before the timeline, in which there may be more of it.
    events = [event for part in ("state", "timeline") for event in listed({"room": said}, "room", part, "events")]
    return {(str(event.get("type")), key): event for event in events if isinstance(key := event.get("state_key"), str)}


def view(room: str, state: State, me: str) -> RoomView:
    """The room, and what the account may do there. Whether something of it begins a turn, a daemon's settings say."""
    is_encrypted = (_ENCRYPTION, "") in state
    scopes = {Scope.READ, *([Scope.SEND] if _may_send(state, me) else [])}
    return RoomView(
        room=RoomId(room),
        name=next(iter(names(state)), room),
        scopes=frozenset() if is_encrypted else frozenset(scopes),  # there are no keys here
        encrypted=is_encrypted,
    )


def names(state: State) -> list[str]:
    """What a room is called: as somebody has named it, and then its alias."""
    return [name for name in _named(state) if name]


def short_names(state: State) -> set[str]:
    """By what it can be asked for, in small letters."""
    return meant_by(*_named(state))


def meant_by(name: str, alias: str) -> set[str]:
    """By what words a room of that name and alias is meant, in small letters: also by its alias without the server."""
    local = alias.removeprefix("#").partition(":")[0] if alias.startswith("#") else ""
    return {word for each in (name, alias, local) if (word := each.strip().lower())}


def _named(state: State) -> tuple[str, str]:
    name, alias = (_content(state, kind).get(field) for kind, field in NAMES.items())
    return name.strip() if isinstance(name, str) else "", alias.strip() if isinstance(alias, str) else ""


def _may_send(state: State, me: str) -> bool:
    """As far as one can tell: what makes no sense is for the homeserver to judge."""
    levels = _content(state, _LEVELS) if (_LEVELS, "") in state else None
    power = power_of(UserId(me), state.get((_CREATE, ""), {}), levels)
    events = (levels or {}).get("events")
    by_kind = events if isinstance(events, Mapping) else {}
    needed = level(by_kind.get("m.room.message", (levels or {}).get("events_default", 0)))
    return power is None or needed is None or power >= needed


def _content(state: State, kind: str) -> Mapping[str, Any]:
    content = state.get((kind, ""), {}).get("content")
    return content if isinstance(content, Mapping) else {}
