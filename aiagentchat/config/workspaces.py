"""Where rooms may work: in folders of their own, away from the daemon's data and from config.yaml.

Folders are compared by where they really lie, so that a symbolic link further up hides nothing.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from aiagentchat.config.folders import holds, is_link, not_a_folder, real, touch, workspaces_of
from aiagentchat.config.mounts import mount_problems, mounted_by
from aiagentchat.config.programs import changeable
from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.config.ways import bent, changed_by_rooms
from aiagentchat.core.errors import ConfigError
from aiagentchat.core.ids import RoomId


class _Place(NamedTuple):
    number: int
    room: RoomSettings
    path: Path
    real: Path


def check_folders(settings: Settings, slugs: Mapping[RoomId, str]) -> None:
    """Raise `ConfigError` unless workspaces and mounts are acceptable with the slugs that the store has fixed."""
    problems = [
        f"{settings.rooms[number].source}.workspace: {sentence}"
        for number, sentence in workspace_problems(settings, slugs)
    ]
    problems += [
        f"{room.source}.mounts: {sentence}"
        for number, room in enumerate(settings.rooms)
        for _, sentence in mount_problems(settings, slugs, mounted_by(number, room))
    ]
    if problems:
        raise ConfigError(problems)


def root_problem(settings: Settings) -> str | None:
    """What is wrong with `workspaces` as a whole."""
    root, data = real(settings.workspaces), real(settings.data_dir)
    if touch(root, data):
        return f"{settings.workspaces} and data_dir ({settings.data_dir}) overlap; give each its own folder"
    return not_a_folder(settings.workspaces)


def workspace_problems(settings: Settings, slugs: Mapping[RoomId, str]) -> Iterator[tuple[int, str]]:
    """The number of a room in `settings.rooms`, and what is wrong with its workspace."""
    places = [
        _Place(number, room, path, real(path))
        for number, (room, path) in enumerate(zip(settings.rooms, workspaces_of(settings, slugs), strict=True))
    ]
    changed = changed_by_rooms(settings, slugs)
    for place in places:
        sentence = _alone(settings, place) or bent(place.path, changed)
        if sentence:
            yield place.number, sentence
    for first, second in combinations(places, 2):
        by_name = first.room.workspace is None and second.room.workspace is None  # names differ, or that was said
        if not by_name and touch(first.real, second.real):
            yield second.number, _together(first, second)


def _alone(settings: Settings, place: _Place) -> str | None:
    path = place.path
    if link := _link(path, settings.workspaces):
        return f"{link} is a symbolic link; write the folder that it points to, or make it a real one"
    if place.room.workspace is not None and touch(place.real, real(settings.data_dir)):
        return f"{path} and data_dir ({settings.data_dir}) overlap; choose a folder apart from it"
    if real(settings.file).is_relative_to(place.real):
        return f"{path} holds {settings.file.name}, which the agent could then change; choose another folder"
    if secret := next((each for each in settings.secret_places if holds(place.real, each)), None):
        return f"{path} holds {secret}, where secrets lie; choose another folder"
    if sentence := changeable(settings, path):
        return sentence
    root = real(settings.workspaces)
    if root.is_relative_to(place.real):
        return f"{path} holds the workspaces of all rooms ({settings.workspaces}); choose a folder in it"
    if not place.real.is_relative_to(root) and not place.room.workspace_outside:
        return (
            f"{path} is outside of workspaces ({settings.workspaces}); "
            "if that is intended, add workspace_outside: true to this room"
        )
    return not_a_folder(path)


def _together(first: _Place, second: _Place) -> str:
    other = f"of rooms[{first.number}] ({first.room.name})"
    if first.real == second.real:
        return f"{second.path} is also the workspace {other}; give each room a folder of its own"
    return f"{second.path} overlaps {first.path}, the workspace {other}; give each room a folder of its own"


def _link(path: Path, root: Path) -> Path | None:
    """The first symbolic link on the way from `root` down to `path`; outside of it only `path` itself counts."""
    steps = [path]
    if path.is_relative_to(root):
        steps = [step for step in (*reversed(path.parents), path) if step != root and step.is_relative_to(root)]
    return next(filter(is_link, steps), None)
