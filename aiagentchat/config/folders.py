"""Where folders really lie, and whether they touch. Nothing here raises, whatever the disk says.

os.path is used where pathlib raises: a name that is too long, a parent that we may not read.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from aiagentchat.config.settings import Settings, slug_wish
from aiagentchat.core.ids import RoomId


def real(path: Path) -> Path:
    """Where `path` really lies, as far as it exists."""
    return Path(os.path.realpath(path))


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
    """What is wrong with `path` when something else is there."""
    if exists(path) and not os.path.isdir(path):  # noqa: PTH112
        return f"{path} is not a folder; choose another one"
    return None


def workspaces_of(settings: Settings, slugs: Mapping[RoomId, str]) -> list[Path]:
    """The workspace of each room; a room without a slug has the one it would like."""
    return [settings.workspace_of(room, slugs.get(room.id) or slug_wish(room)) for room in settings.rooms]
