"""Where a room lives on the disk: its workspace and its HOME. Both are made on first use, with one path for ever."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from aiagentchat.config.settings import RoomSettings, Settings, slug_wish
from aiagentchat.core.errors import AgentUnavailable
from aiagentchat.core.ports.ledger import Rooms
from aiagentchat.render import words

TEMPLATE = "_template"
"""The folder among the workspaces whose files a new workspace starts with."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """A room's folders."""

    workspace: Path
    home: Path


class Places:
    """Finds and makes them."""

    def __init__(self, rooms: Rooms, settings: Callable[[], Settings]) -> None:
        self._rooms = rooms
        self._settings = settings

    async def of(self, room: RoomSettings) -> Place:
        """The folders of `room`, made if they are not there. Raises AgentUnavailable if that is not possible."""
        settings = self._settings()
        slug = await self._rooms.slug(room.id, slug_wish(room))
        place = Place(settings.workspace_of(room, slug), settings.data_dir / "homes" / slug)
        try:
            self._make(place, settings.workspaces / TEMPLATE)
        except OSError as error:
            raise AgentUnavailable(f"workspace {place.workspace}: {error}", human=words.NO_WORKSPACE) from error
        return place

    def _make(self, place: Place, template: Path) -> None:
        if place.workspace.is_symlink():
            raise OSError("the workspace has become a symbolic link")
        place.home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if place.workspace.is_dir():
            return
        fresh = place.workspace.with_name(f".{place.workspace.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        if template.is_dir() and not template.is_symlink():
            shutil.copytree(template, fresh, symlinks=True)
        else:
            fresh.mkdir()
        fresh.rename(place.workspace)  # whole or not at all
        log.info("workspace.made", path=str(place.workspace))
