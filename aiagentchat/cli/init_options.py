"""What is wrong with the options of `aiagentchat init`, by their names: the file they make is not there yet. Pure."""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from aiagentchat.bootstrap.begin import Answers, room_entries
from aiagentchat.config.fields import Folder, Person, RoomRef, Url, User, is_loopback
from aiagentchat.config.problems import show

Fits: TypeAlias = Callable[[str], object]
"""Raises ValidationError for what cannot be used."""

_OPTIONS = {
    "matrix.homeserver": "--homeserver",
    "matrix.user_id": "--user-id",
    "matrix.allow_http": "--allow-http",
    "defaults.users": "--user",
    "defaults.admins": "--admin",
    "registry.room": "--registry-room",
    "data_dir": "--data-dir",
    "workspaces": "--workspaces",
}
"""Which option a key of the file has its value from; the rooms are counted."""
_ROOM = re.compile(r"rooms\[(\d+)\]")
_PROBLEM = re.compile(r":\d+: ([^:\s]+): (.+)", re.DOTALL)


def fits(kind: Any) -> Fits:  # noqa: ANN401 - a type with its checks
    """What a key of this type takes."""
    return TypeAdapter(kind).validate_python


def fits_room(word: str) -> object:
    """A name makes an alias; anything else must be an id or an alias already."""
    entry, *_ = room_entries(Answers(homeserver="", user_id="@a:b", users=(), rooms=(word,)))
    return fits(RoomRef)(entry["id"])


def problem_of(word: str, kind: Fits) -> str:
    """What is wrong with an answer; empty if nothing is."""
    try:
        kind(word)
    except ValidationError as error:
        return str(error.errors()[0].get("ctx", {}).get("error", "this cannot be used"))
    return ""


def problems_of(answers: Answers) -> list[str]:
    """A line for each option whose value cannot be used by itself: its name, the value, what to write instead."""
    given: list[tuple[str, Iterable[str], Fits]] = [
        ("--homeserver", [answers.homeserver], fits(Url)),
        ("--user-id", [answers.user_id], fits(User)),
        ("--user", answers.users, fits(Person)),
        ("--admin", answers.admins, fits(Person)),
        ("--room", answers.rooms, fits_room),
        ("--registry-room", _if_given(answers.registry), fits(RoomRef)),
        ("--data-dir", _if_given(answers.data_dir), fits(Folder)),
        ("--workspaces", _if_given(answers.workspaces), fits(Folder)),
    ]
    found = [
        f"{option}: {problem}"
        for option, values, kind in given
        for value in values
        if (problem := problem_of(value, kind))
    ]
    if answers.homeserver.startswith("http:") and not (is_loopback(answers.homeserver) or answers.allow_http):
        found.append(
            f"--homeserver: {show(answers.homeserver)} would send the password and every message in the clear; "
            "write https://…, or add --allow-http if the way there is private"
        )
    return found


def by_option(problem: str, file: str, answers: Answers) -> str:
    """A problem of the file that the options would make, as one of the option that its key has its value from."""
    match = _PROBLEM.fullmatch(problem.removeprefix(file))
    if match is None:
        return problem
    key, sentence = match.groups()
    if room := _ROOM.match(key):
        return f"--room {show(answers.rooms[int(room[1])])}: {sentence}"
    option = _OPTIONS.get(key.partition("[")[0])
    return problem if option is None else f"{option}: {sentence}"


def _if_given(value: str) -> list[str]:
    return [value] if value else []
