"""Makes small pictures of those that go into rooms, from inside of a sandbox of its own (`process/thumbnail.py`).

The daemon unpacks no picture. What comes back is looked at by its first bytes, and is a picture of the size that was
asked for, or nothing.
"""

import asyncio
import base64
import binascii
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from aiagentchat.config.settings import Mount, Settings
from aiagentchat.core.errors import AgentUnavailable, NotOpened
from aiagentchat.core.ids import RoomId
from aiagentchat.core.isolation import Isolation, RunLimits
from aiagentchat.core.pictures import JPEG, PNG, Picture, picture_of
from aiagentchat.execute.aside import Aside, Corner, folder_beside
from aiagentchat.execute.places import Places
from aiagentchat.process import thumbnail
from aiagentchat.process.sandbox.cell import Cell

WIDTH, HEIGHT = 800, 600
"""What the specification asks a homeserver to make at most (Client-Server API, "Thumbnails")."""
SMALL_BYTES = 100_000
"""A picture that fits and has no more bytes than this is its own thumbnail."""
MOST_BYTES = 2 * 2**20
SECONDS = 10.0
_LIMITS = RunLimits(processes=16, memory=1024, file_size=16, niceness=10)
_BESIDE = "pictures"
_PROGRAM = Path(thumbnail.__file__).resolve()

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Corner:
    room: RoomId
    home: str
    uid: int | None


class Thumbnailer:
    """One for the whole daemon."""

    def __init__(self, isolation: Isolation, *, path: str = os.defpath) -> None:
        self._aside = Aside(isolation, path)

    async def of(self, data: bytes, spec: Corner) -> bytes | None:
        """A small picture of `data`; None where it is no picture, is small itself, or nothing came of it."""
        picture = picture_of(data)
        if picture is None or (_fits(picture) and len(data) <= SMALL_BYTES):
            return None
        found = await self._said(data, spec)
        small = _read(found) if isinstance(found, dict) else None
        if small is None:
            why = found if isinstance(found, str) else str(found.get("why", "it is no such picture"))[:80]
            log.warning("thumbnail.not_made", why=why)
        return small

    async def in_room(
        self, room: RoomId, data: bytes, *, places: Places, settings: Callable[[], Settings]
    ) -> bytes | None:
        """The same for what goes into a room without a turn; None also where the room has no place any more."""
        known = settings().room(room)
        if known is None:
            return None
        try:
            place = await places.of(known)
        except AgentUnavailable:
            return None
        return await self.of(data, _Corner(room, str(place.home), place.uid))

    async def _said(self, data: bytes, spec: Corner) -> dict[str, Any] | str:
        library = importlib.util.find_spec("PIL")
        if library is None or library.origin is None:
            return "Pillow is not installed"
        pillow = Path(library.origin).parent
        bundled = pillow.with_name("pillow.libs")  # of its wheels
        try:
            folder = folder_beside(spec, _BESIDE)
            # What is read there is not where the program may write: it cannot lead the next writing anywhere.
            given = await asyncio.to_thread(_put_down, data, folder)
        except (NotOpened, OSError) as error:
            return str(error)
        try:
            cell = Cell(
                workspace=folder,
                home=folder,
                mounts=(Mount(given),),
                programs=(
                    _PROGRAM,
                    *(each for each in (pillow, bundled) if each.exists()),
                ),
                limits=_LIMITS,
                uid=spec.uid,
            )
            argv = [str(_PROGRAM), str(pillow), str(given / "picture"), str(WIDTH), str(HEIGHT)]
            return await self._aside.said(cell, argv, seconds=SECONDS, name=f"thumbnail in {spec.room}")
        finally:
            await asyncio.to_thread(shutil.rmtree, given, ignore_errors=True)


def _put_down(data: bytes, beside: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"{beside.name}.", dir=beside.parent))
    file = folder / "picture"
    file.write_bytes(data)
    folder.chmod(0o711)
    file.chmod(0o644)
    return folder


def _read(found: Mapping[str, Any]) -> bytes | None:
    data = found.get("data")
    try:
        small = base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except binascii.Error:
        return None
    picture = picture_of(small)
    is_right = picture is not None and picture.mime in (PNG, JPEG) and _fits(picture) and len(small) <= MOST_BYTES
    return small if is_right else None


def _fits(picture: Picture) -> bool:
    return picture.width <= WIDTH and picture.height <= HEIGHT
