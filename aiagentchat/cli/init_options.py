"""What is wrong with the options of `aiagentchat init`, by their names: the file they make is not there yet. Pure."""

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, TypeAdapter, ValidationError

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
API_KEY, SETUP_TOKEN = "sk-ant-api", "sk-ant-oat"
"""How what pays for the model begins."""
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


def somebody_else_than(user_id: str) -> Fits:
    """What `users` takes, but for the account that answers."""

    def check(value: object) -> object:
        if value and value == user_id:
            raise ValueError(
                f"{show(value)} is the account that answers, and is not asked by itself; write your own id"
            )
        return value

    return fits(Annotated[Person, BeforeValidator(check)])


def problem_of_key(name: str, value: str) -> str:
    """Why a secret cannot be what it was given as; empty if it can."""
    if name == "ANTHROPIC_API_KEY" and value.startswith(SETUP_TOKEN):
        return "this is what `claude setup-token` prints, and no key; give it by --setup-token-file"
    if name == "CLAUDE_CODE_OAUTH_TOKEN" and value.startswith(API_KEY):
        return "this is a key, and not what `claude setup-token` prints; give it by --api-key-file"
    return ""


def remark_on_key(name: str, value: str) -> str:
    """What is odd about a secret that can be used all the same: another service may stand before the model."""
    if name not in ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN") or value.startswith((API_KEY, SETUP_TOKEN)):
        return ""
    return (
        f"{name} begins with neither {API_KEY} nor {SETUP_TOKEN}: if it is one of Anthropic's, it was not copied whole"
    )


def problems_of(answers: Answers) -> list[str]:
    """A line for each option whose value cannot be used by itself: its name, the value, what to write instead."""
    given: list[tuple[str, Iterable[str], Fits]] = [
        ("--homeserver", [answers.homeserver], fits(Url)),
        ("--user-id", [answers.user_id], fits(User)),
        ("--user", answers.users, somebody_else_than(answers.user_id)),
        ("--admin", answers.admins, somebody_else_than(answers.user_id)),
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
