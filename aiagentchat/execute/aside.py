"""Runs a small program of ours for a room, inside of a sandbox of its own: what it says is its last line, as JSON.

For what has to look at something that a room has made (its files, its pictures) in a way that nobody should do in the
process that holds the keys.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiagentchat.core.errors import NotOpened
from aiagentchat.core.ids import RoomId
from aiagentchat.core.isolation import Isolation
from aiagentchat.process.beneath import make_folder_beneath
from aiagentchat.process.lines import TooLong
from aiagentchat.process.sandbox.cell import Cell
from aiagentchat.process.sandbox.enclose import enclose
from aiagentchat.process.sandbox.furnish import furnish
from aiagentchat.process.tree import Tree

_PYTHON = os.path.realpath(sys.executable)


@dataclass(frozen=True, slots=True)
class Aside:
    """How such programs are run here."""

    isolation: Isolation
    path: str = os.defpath
    """PATH of what they start."""

    async def said(self, cell: Cell, argv: Sequence[str], *, seconds: float, name: str) -> dict[str, Any] | str:
        """What Python, with these arguments, says in `cell`; or why nothing came of it. Never raises."""
        lines: list[bytes] = []
        try:
            async with asyncio.timeout(seconds):
                await self._run(cell, argv, lines, name)
        except TimeoutError:
            return "no time"
        except (NotOpened, OSError) as error:
            return str(error)
        found: Any = None
        with suppress(ValueError, RecursionError):
            found = json.loads(lines[-1]) if lines else None
        return found if isinstance(found, dict) else "it said nothing"

    async def _run(self, cell: Cell, argv: Sequence[str], lines: list[bytes], name: str) -> None:
        furnish(cell)
        command = enclose(self.isolation, cell, [_PYTHON, "-I", "-S", *argv])
        env = {"PATH": self.path, "HOME": str(cell.home), "LANG": "C.UTF-8"}
        tree = await Tree.start(command, env=env, cwd=cell.home, uid=cell.uid, limits=cell.limits)
        reached: list[str] = []

        def end(limit: str, _most: int) -> None:
            reached.append(limit)
            tree.end()

        tree.on_limit = end
        tree.watch()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(tree.serve(), name=name)
                async for line in tree.lines():
                    if not isinstance(line, TooLong):
                        lines[:] = [line]
        finally:
            tree.end()
        if reached:
            raise OSError(f"it was ended: too much of {reached[0]}")


class Corner(Protocol):
    """Where a room keeps what is its own: a `RunSpec` says so, among much else."""

    @property
    def room(self) -> RoomId:
        """Which room."""
        ...

    @property
    def home(self) -> str:
        """Its HOME."""
        ...

    @property
    def uid(self) -> int | None:
        """Its user; None: the daemon's own."""
        ...


def folder_beside(spec: Corner, name: str) -> Path:
    """A folder of that name beside the room's HOME, out of its reach; it is made. Raises NotOpened and OSError."""
    home = Path(spec.home)
    folder = home.with_name(f"{home.name}.{name}")
    make_folder_beneath(folder.parent, folder.name)
    if spec.uid is not None:
        os.chown(folder, spec.uid, spec.uid, follow_symlinks=False)
    return folder
