"""Where a room lives on the disk: its workspace and its HOME. Both are made on first use, with one path for ever."""

import asyncio
import shutil
import stat
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from aiagentchat.config.folders import real
from aiagentchat.config.settings import RoomSettings, Settings, slug_wish
from aiagentchat.core.errors import AgentUnavailable
from aiagentchat.core.ports.ledger import Rooms
from aiagentchat.process.give import give
from aiagentchat.render import words

TEMPLATE = "_template"
"""The folder among the workspaces whose files a new workspace starts with."""

_WAY = 0o711
"""A folder that others go through and cannot list."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """A room's folders."""

    workspace: Path
    home: Path
    uid: int | None = None
    """Whose they are; None: the daemon's."""
    source: Path | None = None
    """Where the workspace lay, links followed, when config.yaml was read."""


class Places:
    """Finds and makes them."""

    def __init__(self, rooms: Rooms, settings: Callable[[], Settings], *, own_users: bool = False) -> None:
        self._rooms = rooms
        self._settings = settings
        self._own_users = own_users
        """Whether each room is a user of its own."""
        self._making: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """By room: its folders are made by one at a time."""

    async def of(self, room: RoomSettings) -> Place:
        """The folders of `room`, made if they are not there. Raises AgentUnavailable if that is not possible."""
        settings = self._settings()
        slug = await self._rooms.slug(room.id, slug_wish(room))
        uid = await self._uid(room, settings)
        source = settings.workspace_source(room, slug)
        place = Place(settings.workspace_of(room, slug), settings.data_dir / "homes" / slug, uid, source)
        try:
            async with self._making[slug]:
                # Not here: to give a large workspace to a user of its own takes as long as there are files in it.
                await asyncio.to_thread(self._make, place, settings.workspaces / TEMPLATE)
        except OSError as error:
            raise AgentUnavailable(f"workspace {place.workspace}: {error}", human=words.NO_WORKSPACE) from error
        return place

    async def _uid(self, room: RoomSettings, settings: Settings) -> int | None:
        if not self._own_users:
            return None
        first, last = settings.room_uids
        uid = await self._rooms.uid(room.id, first, last)
        if uid is None:
            raise AgentUnavailable(f"room_uids {first}-{last}: all are taken", human=words.NO_UID)
        return uid

    def _make(self, place: Place, template: Path) -> None:
        if place.workspace.is_symlink():
            raise OSError("the workspace has become a symbolic link")
        if place.source is not None and real(place.workspace) != place.source:
            raise OSError(f"it is not where it was when config.yaml was read ({place.source}); reload if that is right")
        place.home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not place.workspace.is_dir():
            self._make_workspace(place, template)
        if place.uid is not None:
            # The rooms' users go through here; they cannot list it.
            for folder in (place.home.parent, place.home.parent.parent):
                folder.chmod(_WAY)
            place.home.mkdir(mode=0o700, exist_ok=True)
            for folder in (place.workspace, place.home):
                _be_on_the_way(folder)
                give(folder, place.uid)

    def _make_workspace(self, place: Place, template: Path) -> None:
        fresh = place.workspace.with_name(f".{place.workspace.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        for missing in reversed([folder for folder in fresh.parents if not folder.exists()]):
            missing.mkdir(exist_ok=True)  # another room's may have been made at this moment
            if place.uid is not None:
                missing.chmod(_WAY)
        if template.is_dir() and not template.is_symlink():
            shutil.copytree(template, fresh, symlinks=True)
        else:
            fresh.mkdir()
        fresh.rename(place.workspace)  # whole or not at all
        log.info("workspace.made", path=str(place.workspace))


def _be_on_the_way(folder: Path) -> None:
    """OSError if a user who is nobody in particular does not get to `folder`."""
    for parent in folder.parents:
        if not parent.stat().st_mode & stat.S_IXOTH:
            raise OSError(f"the room's user does not get through {parent}: chmod o+x, or choose another place")
