"""Plain values → the schema, with every problem in a sentence.

A value that is wrong is reported and then left out, so that the checks that need the whole file can still run and
everything is said at once.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aiagentchat.config.document import WRONG
from aiagentchat.config.problems import Loc, Problems, show, suggest
from aiagentchat.config.schema import (
    MAY_BE_NULL,
    Agent,
    Defaults,
    File,
    Gateway,
    GatewayCaller,
    Git,
    Loki,
    Matrix,
    MountEntry,
    Power,
    Registry,
    Room,
    RoomBudget,
    RoomExchange,
    RoomLimits,
    Section,
)

_NOT_KNOWN = {
    "<<": "merge keys are not used here; what rooms share goes under defaults",
}
_EXAMPLES = {
    "matrix": 'matrix: {homeserver: "http://127.0.0.1:8008", user_id: "@claude:localhost"}',
    "homeserver": 'homeserver: "http://127.0.0.1:8008"',
    "user_id": 'user_id: "@claude:localhost"',
    "id": 'id: "!abc:localhost"',
    "path": "path: /srv/data",
}
_STAND_INS = {"homeserver": "http://localhost", "user_id": "@unknown:localhost"}
_ANYWHERE = "/"


def validate(data: dict[str, Any], problems: Problems) -> File:
    """What the file says. With problems it is only good for finding more of them."""
    for loc in list(_without_value(data, ())):
        if not problems.has(loc):
            problems.add(loc, _no_value(loc))
        leave_out(data, loc)
    try:
        return File.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            loc = detail["loc"]
            if _is_of_a_key(detail):
                problems.add(loc[:-1], _sentence(detail, loc[:-1]))
                remove(data, loc[:-1])
                continue
            if detail["type"] != "missing" or not problems.has(loc):
                problems.add(loc, _sentence(detail, loc))
            leave_out(data, loc)
    return File.model_validate(data)


def leave_out(data: dict[str, Any], loc: Loc) -> None:
    """Remove the value at `loc`, or put something harmless where one must be. Items of lists keep their numbers."""
    match loc:
        case ("matrix",):
            data["matrix"] = dict(_STAND_INS)
        case ("matrix", "homeserver" | "user_id" as key):
            data["matrix"][key] = _STAND_INS[key]
        case ("rooms", int(number)) | ("rooms", int(number), int(), *_):
            data["rooms"][number] = {"id": f"!{number}"}
        case ("rooms", int(number), "id"):
            data["rooms"][number]["id"] = f"!{number}"
        case ("defaults", "mounts", int(), *inner) | ("rooms", int(), "mounts", int(), *inner) if _is_needed(inner):
            _keep_mount(data, loc[: len(loc) - len(inner)])
        case ("agents", str(name)) if name in data["agents"]:
            data["agents"][name] = {}
        case _:
            remove(data, loc)


def remove(data: dict[str, Any], loc: Loc) -> None:
    """Remove the key at `loc`; for an item of a list, the key that the list belongs to."""
    holder: Any = data
    owner, key = data, loc[0]
    for part in loc:
        if isinstance(holder, dict):
            owner, key = holder, part
        if isinstance(holder, dict) and part not in holder:
            return
        holder = holder[part]
    del owner[str(key)]


def _is_needed(in_mount: list[str | int]) -> bool:
    """Whether a mount cannot do without this part of it."""
    return not in_mount or in_mount[0] == "path" or isinstance(in_mount[0], int)


def _keep_mount(data: dict[str, Any], loc: Loc) -> None:
    """Let the mount at `loc` be one, with a path that nobody looks at, so that the others are still looked at."""
    mounts: Any = data
    for part in loc[:-1]:
        mounts = mounts[part]
    known = mounts[loc[-1]]
    mounts[loc[-1]] = {**(known if isinstance(known, dict) else {}), "path": _ANYWHERE}


def _without_value(value: object, loc: Loc) -> Iterator[Loc]:
    if value is WRONG or (value is None and loc not in MAY_BE_NULL):
        yield loc
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _without_value(item, (*loc, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _without_value(item, (*loc, number))


def _is_of_a_key(detail: ErrorDetails) -> bool:
    """Whether not the value is wrong, but the name that it was given: pydantic then adds a part to its loc."""
    loc = detail["loc"]
    return (
        detail["type"] == "value_error"
        and loc[-1] == "[key]"
        and loc[-3:-2] in {("agents",), ("env",), ("callers",), ("labels",)}
    )


def _no_value(loc: Loc) -> str:
    if loc[-1] == "id":
        return 'has no value (a # starts a comment); put an alias in quotes, for example "#backend:localhost"'
    return "has no value; write one, or remove the line"


def _sentence(detail: ErrorDetails, loc: Loc) -> str:
    key = str(loc[-1])
    match detail["type"]:
        case "value_error":
            return str(detail["ctx"]["error"])
        case "missing":
            return f"is missing; write for example {_EXAMPLES[key]}"
        case "extra_forbidden":
            return _NOT_KNOWN.get(key) or f"this key is not known{suggest(key, _section_at(loc[:-1]).model_fields)}"
        case _:
            return f"{show(detail['input'])} is not a group of keys; write each key on its own line below, indented"


_IN_ROOMS: dict[str | int, type[Section]] = {
    "git": Git,
    "limits": RoomLimits,
    "budget": RoomBudget,
    "exchange": RoomExchange,
    "power": Power,
}
_AT_THE_TOP: dict[str | int, type[Section]] = {
    "matrix": Matrix,
    "defaults": Defaults,
    "gateway": Gateway,
    "registry": Registry,
    "loki": Loki,
}


def _section_at(loc: Loc) -> type[Section]:
    match loc:
        case ("defaults", "mounts", _) | ("rooms", _, "mounts", _):
            return MountEntry
        case ("defaults", key) | ("rooms", _, key):
            return _IN_ROOMS[key]
        case ("rooms", _):
            return Room
        case ("agents", _):
            return Agent
        case ("gateway", "callers", _):
            return GatewayCaller
        case (key,):
            return _AT_THE_TOP[key]
        case _:
            return File
