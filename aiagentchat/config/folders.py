"""Where folders really lie, and whether they touch. Nothing here raises, whatever the disk says.

os.path is used where pathlib raises: a name that is too long, a parent that we may not read.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from aiagentchat.config.settings import Settings, slug_wish
from aiagentchat.core.ids import RoomId

_MOST_LINKS = 40
"""The kernel follows no more of them on one way (`man 7 path_resolution`): what is behind cannot be reached."""


def real(path: Path) -> Path:
    """Where `path` really lies, as far as it exists."""
    return Path(os.path.realpath(path))


def detours(path: Path) -> list[Path]:
    """The names that are looked up on the way to `path` and are no part of where it really lies: links, what leads to
    them, and what a `..` in the target of one leaves again. Each is in the folder where that really lies.

    Whoever may change one of these folders chooses what is found at `path`.
    """
    where = real(path)
    return [step for step in _steps(path) if not where.is_relative_to(step)]


def touch(one: Path, other: Path) -> bool:
    """Whether they are the same, or one lies in the other."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def holds(folder: Path, secret: Path) -> bool:
    """Whether `secret` is there, and lies in `folder`, or is it."""
    return exists(secret) and real(secret).is_relative_to(folder)


def is_link(path: Path) -> bool:
    """Whether `path` itself is a symbolic link."""
    return os.path.islink(path)  # noqa: PTH114


def exists(path: Path) -> bool:
    """Whether we can see anything there."""
    return os.path.lexists(path)


def not_a_folder(path: Path) -> str | None:
    """What is wrong with `path` when something else is there, or nothing ever can be."""
    if _goes_round(path):
        return f"{path} leads through symbolic links that go round in circles; choose another folder"
    if exists(path) and not os.path.isdir(path):  # noqa: PTH112
        return f"{path} is not a folder; choose another one"
    return None


def workspaces_of(settings: Settings, slugs: Mapping[RoomId, str]) -> list[Path]:
    """The workspace of each room; a room without a slug has the one it would like."""
    return [settings.workspace_of(room, slugs.get(room.id) or slug_wish(room)) for room in settings.rooms]


def _steps(path: Path) -> list[Path]:
    """Every name that is looked up on the way."""
    at, steps, links = Path("/"), [], 0
    left = [*reversed(path.parts[1:])]
    while left:
        name = left.pop()
        if name == "..":
            at = at.parent
            continue
        steps.append(at / name)
        target = _target(at / name)
        if target is None:
            at = at / name
            continue
        links += 1
        if links > _MOST_LINKS:
            break
        names = Path(target).parts
        if target.startswith("/"):
            at, names = Path("/"), names[1:]
        left += reversed(names)
    return steps


def _goes_round(path: Path) -> bool:
    try:
        os.stat(path)  # noqa: PTH116
    except (OSError, ValueError) as error:
        return isinstance(error, OSError) and error.errno == errno.ELOOP
    return False


def _target(path: Path) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - as it is written
    except (OSError, ValueError):
        return None
