"""Looks at what a turn has changed in its workspace, from inside of a sandbox of its own (`process/snapshot.py`).

The daemon never runs git on what a room has made. What is kept to compare with lies beside the room's HOME, where no
run gets to. It costs nothing before a turn, and after one that has used tools about a tenth of a second; the very first
turn of a room that uses tools is accompanied by a look that gives way to everything else.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from aiagentchat.config.settings import Mount
from aiagentchat.core.changes import Changed
from aiagentchat.core.errors import NotOpened
from aiagentchat.core.isolation import Isolation, RunLimits
from aiagentchat.core.ports.agent import RunSpec
from aiagentchat.core.redact import Redacting, shapes_only
from aiagentchat.execute.aside import Aside, folder_beside
from aiagentchat.process import snapshot
from aiagentchat.process.sandbox.cell import Cell

LAST_SECONDS = 5.0
"""How long the end of a turn waits for what has changed; then it is told without."""
FIRST_SECONDS = 120.0
"""How long the first look at a workspace may take, beside the turn."""
_LIMITS = RunLimits(processes=64, memory=1024, file_size=256)
_LAST_OF_ALL = 19
_BESIDE = "changes"
_MOST_COUNTED = 10**9
COARSE_MS = 10
"""The kernel dates what it writes by a clock that may be late by so much."""
_NS = 1_000_000  # in a millisecond
_PROGRAM = Path(snapshot.__file__).resolve()

log = structlog.get_logger(__name__)


class Differ:
    """One for the whole daemon; of each room it is asked one thing at a time."""

    def __init__(self, isolation: Isolation, *, path: str = os.defpath, redacting: Redacting = shapes_only) -> None:
        self._aside = Aside(isolation, path)
        self._redacting = redacting
        self._given_up: set[str] = set()
        """Rooms (by HOME) that are not looked at any more in this life."""

    async def prepare(self, spec: RunSpec, now_ms: int) -> None:
        """See to it that there is something to compare with, where there is nothing yet. Never raises."""
        if spec.home not in self._given_up and not (_folder(spec) / snapshot.REPOSITORY / "index").exists():
            await self._looked(spec, now_ms, snapshot.FIRST, seconds=FIRST_SECONDS, niceness=_LAST_OF_ALL)

    async def changed(self, spec: RunSpec, since_ms: int) -> Changed | None:
        """What has changed since (milliseconds); None if nobody could say in time. Never raises."""
        if spec.home in self._given_up:
            return None
        found = await self._looked(spec, since_ms, seconds=LAST_SECONDS, niceness=spec.limits.niceness)
        if not isinstance(found.get("files"), int):
            return None
        patch = found.get("patch")
        return Changed(
            files=_count(found, "files"),
            added=_count(found, "added"),
            removed=_count(found, "removed"),
            patch=self._redacting()(patch) if isinstance(patch, str) else "",
            cut=found.get("cut") is True,
        )

    async def _looked(self, spec: RunSpec, since_ms: int, *wish: str, seconds: float, niceness: int) -> dict[str, Any]:
        """What the program says; nothing if it says nothing."""
        since_ns = (since_ms - COARSE_MS) * _NS
        try:
            cell = _cell(spec, niceness)
        except (NotOpened, OSError) as error:
            log.warning("changes.not_seen", why=str(error))
            return {}
        argv = [str(_PROGRAM), spec.workspace, str(since_ns), *wish]
        found = await self._aside.said(cell, argv, seconds=seconds, name=f"changes of {spec.room}")
        if isinstance(found, str):
            log.warning("changes.not_seen", why=found)
            return {}
        if "why" in found:
            # It would be the same after the next turn, and take as long.
            self._given_up.add(spec.home)
            log.warning("changes.not_seen", why=str(found["why"])[:80])
        return found


def _cell(spec: RunSpec, niceness: int) -> Cell:
    folder = folder_beside(spec, _BESIDE)
    return Cell(
        workspace=folder,
        home=folder,
        mounts=(Mount(Path(spec.workspace)),),
        programs=(_PROGRAM,),
        limits=replace(_LIMITS, niceness=niceness),
        uid=spec.uid,
    )


def _folder(spec: RunSpec) -> Path:
    """Beside the room's HOME, out of its reach."""
    home = Path(spec.home)
    return home.with_name(f"{home.name}.{_BESIDE}")


def _count(found: dict[str, Any], what: str) -> int:
    value = found.get(what)
    return min(_MOST_COUNTED, max(0, value)) if isinstance(value, int) else 0
