"""Ways to a folder, and who may bend them: whoever may change a link on the way chooses what is found at its end, also
when what is found now lies apart from everything that is his.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from aiagentchat.config.folders import detours, is_link, real, workspaces_of
from aiagentchat.config.settings import Mount, Settings
from aiagentchat.core.ids import RoomId


def changed_by_rooms(settings: Settings, slugs: Mapping[RoomId, str]) -> dict[Path, str]:
    """What any room may change, where it really lies, and whose it is in words."""
    workspaces = workspaces_of(settings, slugs)
    found = {real(settings.data_dir / "homes"): f"{settings.data_dir / 'homes'}, where rooms have their HOME"}
    for number, (room, workspace) in enumerate(zip(settings.rooms, workspaces, strict=True)):
        found.setdefault(real(workspace), f"{workspace}, the workspace of rooms[{number}] ({room.name})")
        for mount in _written(room.mounts):
            found.setdefault(real(mount.path), f"{mount.path}, which rooms[{number}] ({room.name}) has with mode rw")
    for mount in _written(settings.template.mounts):
        found.setdefault(real(mount.path), f"{mount.path}, which is in defaults.mounts with mode rw")
    return found


def bent(path: Path, changed: Mapping[Path, str]) -> str | None:
    """What is wrong with `path` when a link on the way there lies in something that a room may change."""
    found = [step for step in detours(path) if _around(step, changed)]
    if not found:
        return None
    step = next(filter(is_link, found), found[0])
    return (
        f"{path} leads through {step}, in {_around(step, changed)}: who works there could make it lead elsewhere; "
        f"write the folder itself ({real(path)}), or choose another one"
    )


def _around(step: Path, changed: Mapping[Path, str]) -> str | None:
    return next((changed[folder] for folder in step.parents if folder in changed), None)


def _written(mounts: tuple[Mount, ...]) -> Iterator[Mount]:
    return (mount for mount in mounts if mount.mode == "rw")
