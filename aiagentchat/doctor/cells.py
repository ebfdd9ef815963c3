"""The sandbox, as the doctor uses it: exactly as a run of a room gets it."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiagentchat.app.isolation import needed
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import IsolationRefused
from aiagentchat.core.isolation import LADDER, Isolation
from aiagentchat.doctor.lab import place_for_labs
from aiagentchat.process.sandbox.cell import Cell
from aiagentchat.process.sandbox.enclose import STOP_FD, enclose
from aiagentchat.process.sandbox.furnish import furnish
from aiagentchat.process.sandbox.ladder import Tried, attempt, choose
from aiagentchat.process.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Which ways of isolation work here, and which one is taken."""

    chosen: Isolation | None
    """None: none of them is enough."""
    tried: tuple[Tried, ...] = ()
    """All of them, the best first."""
    why_not: str = ""
    """What the daemon says when none is enough."""


async def start(isolation: Isolation, cell: Cell, argv: Sequence[str], env: Mapping[str, str]) -> Tree:
    """Start `argv` in a sandbox of this kind. OSError if that is not possible."""
    furnish(cell)
    command = enclose(isolation, cell, argv)
    return await Tree.start(command, env=env, cwd=cell.workspace, uid=cell.uid, stop_fd=STOP_FD)


def _folder(data_dir: Path) -> Path:
    """Where the daemon itself tries them, if that can be used: it may lie where the rooms' users cannot get to."""
    try:
        is_open = os.geteuid() != 0 or data_dir.stat().st_mode & stat.S_IXOTH
    except OSError:
        return place_for_labs()
    return data_dir if is_open and os.access(data_dir, os.W_OK | os.X_OK) else place_for_labs()


async def look(settings: Settings, environ: Mapping[str, str]) -> Found:
    """Try every way, and choose as the daemon does."""
    folder, uid = _folder(settings.data_dir), settings.room_uids[1] if os.geteuid() == 0 else None
    reach = needed(settings, environ)
    tried = tuple([await attempt(isolation, folder=folder, uid=uid, reach=reach) for isolation in LADDER])
    try:
        choice = await choose(settings.isolation, settings.isolation_minimum, folder=folder, uid=uid, reach=reach)
    except IsolationRefused as error:
        return Found(chosen=None, tried=tried, why_not=str(error))
    return Found(chosen=choice.isolation, tried=tried)
