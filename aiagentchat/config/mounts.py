"""Folders outside of the workspace that a room's agent may work in: which ones are acceptable.

What a mount must never open: the daemon's data, config.yaml, and what belongs to other rooms.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from aiagentchat.config.folders import exists, is_link, not_a_folder, real, touch, workspaces_of
from aiagentchat.config.problems import Loc, key_of
from aiagentchat.config.programs import changeable
from aiagentchat.config.settings import Mount, RoomSettings, Settings
from aiagentchat.config.ways import bent, changed_by_rooms
from aiagentchat.core.ids import RoomId

_NOT_IN_RULES = re.compile(r"[*?\[\\]|\s\Z")
"""The agent's rules read these as patterns, or not at all; a `ro` would then hold nothing back, or too much."""


class Mounted(NamedTuple):
    """A mount, and where the file says so."""

    loc: Loc
    room: int | None
    """The number of the room in `Settings.rooms`; None: of the defaults, and so of every room."""
    mount: Mount


def mounts_of(number: int, mounted: Sequence[Mounted]) -> tuple[Mount, ...]:
    """What room `number` has: the mounts of the defaults, then its own."""
    return tuple(each.mount for each in _seen_by(number, mounted))


def mounted_by(number: int, room: RoomSettings) -> list[Mounted]:
    """All mounts of room `number`, as if it had said them itself."""
    return [Mounted(("rooms", number, "mounts", position), number, mount) for position, mount in enumerate(room.mounts)]


def mount_problems(
    settings: Settings, slugs: Mapping[RoomId, str], mounted: Sequence[Mounted]
) -> Iterator[tuple[Mounted, str]]:
    """Each mount that is wrong, and why."""
    if not mounted:
        return
    workspaces = workspaces_of(settings, slugs)
    changed = changed_by_rooms(settings, slugs)
    for each in mounted:
        sentence = _alone(settings, each.mount.path) or _near_rooms(settings, workspaces, each)
        sentence = sentence or _below_what_changes(each, mounted) or bent(each.mount.path, changed)
        if each.mount.mode == "rw":
            sentence = sentence or changeable(settings, each.mount.path)
        if sentence:
            yield each, sentence
    for number in range(-1, len(settings.rooms)):  # -1: the defaults among themselves
        yield from _together(_seen_by(number, mounted))


def _seen_by(number: int, mounted: Sequence[Mounted]) -> list[Mounted]:
    return [each for each in mounted if each.room in {None, number}]


def _alone(settings: Settings, path: Path) -> str | None:
    if _NOT_IN_RULES.search(str(path)):
        return (
            f"{path} has a *, ?, [ or \\ in it, or a space at its end, which rules for the agent cannot name; "
            "rename the folder"
        )
    if is_link(path):
        return f"{path} is a symbolic link; write the folder that it points to"
    if not exists(path):
        return f"{path} does not exist, or cannot be seen by this user; create it, or remove the mount"
    if sentence := not_a_folder(path):
        return sentence
    where = real(path)
    if touch(where, real(settings.data_dir)):
        return f"{path} and data_dir ({settings.data_dir}) overlap; choose a folder apart from it"
    if real(settings.file).is_relative_to(where):
        return f"{path} holds {settings.file.name}, which is not for the agent; choose another folder"
    if secret := next((place for place in settings.secret_places if exists(place) and touch(where, real(place))), None):
        return f"{path} and {secret}, where secrets lie, overlap; choose another folder"
    if real(settings.workspaces).is_relative_to(where):
        return f"{path} holds the workspaces of all rooms ({settings.workspaces}); choose another folder"
    return None


def _near_rooms(settings: Settings, workspaces: Sequence[Path], each: Mounted) -> str | None:
    path, where = each.mount.path, real(each.mount.path)
    for number, (room, workspace) in enumerate(zip(settings.rooms, workspaces, strict=True)):
        there = real(workspace)
        if not touch(where, there):
            continue
        if number != each.room:
            return f"{path} overlaps {workspace}, the workspace of rooms[{number}] ({room.name}); choose another folder"
        if where.is_relative_to(there):
            return f"{path} is in this room's own workspace, where the agent works anyway; remove the mount"
        return f"{path} holds this room's own workspace ({workspace}); choose another folder"
    return None


def _together(mounted: Sequence[Mounted]) -> Iterator[tuple[Mounted, str]]:
    """Two mounts of one room. `ro` wins wherever it holds, so a `rw` beneath one would be an empty promise."""
    first: dict[Path, Mounted] = {}
    for each in mounted:
        same = first.setdefault(real(each.mount.path), each)
        if same is not each:
            yield each, f"{each.mount.path} is also {key_of(same.loc)}; remove one of the two"
    for where, each in first.items():
        outer = next((first[path] for path in where.parents if path in first and first[path].mount.mode == "ro"), None)
        if outer and each.mount.mode == "rw":
            around = f"{outer.mount.path}, which is {key_of(outer.loc)} with mode ro"
            yield each, f"{each.mount.path} is in {around}; mount both with the same mode"


def _below_what_changes(each: Mounted, mounted: Sequence[Mounted]) -> str | None:
    """A mount in a folder that any room may change: whoever works there can put a link into its place, or into the way
    to it, and the next run would get what that leads to."""
    changed = {real(other.mount.path): other for other in mounted if other.mount.mode == "rw"}
    outer = next((changed[path] for path in real(each.mount.path).parents if path in changed), None)
    if outer is None:
        return None
    return (
        f"{each.mount.path} is in {outer.mount.path}, which is {key_of(outer.loc)} with mode rw: who works there could "
        "put another folder into its place; choose a folder apart from it, or mount both with mode ro"
    )
