"""The sandbox, as the lab uses it. The one place of the doctor that knows how runs are kept in."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiagentchat.core.isolation import Isolation
from aiagentchat.process.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What a decoy or the raid sees and becomes."""

    workspace: Path
    home: Path
    programs: tuple[Path, ...]
    uid: int | None = None


class Enclose(Protocol):
    """Makes the whole command line for the shim."""

    def __call__(self, isolation: Isolation, cell: Cell, argv: Sequence[str]) -> list[str]:
        """Of `argv`, kept in by `isolation`."""
        ...


async def start(command: Sequence[str], cell: Cell, env: dict[str, str]) -> Tree:
    """Start it as the cell's user. OSError if that is not possible."""
    more: dict[str, Any] = {} if cell.uid is None else {"uid": cell.uid}
    return await Tree.start(command, env=env, cwd=cell.workspace, **more)


def real_enclose() -> Enclose | None:
    """The sandbox of this program; None while it has none."""
    try:
        cells = importlib.import_module("aiagentchat.process.sandbox.cell")
        enclosing = importlib.import_module("aiagentchat.process.sandbox.enclose")
    except ModuleNotFoundError:
        return None
    make: Callable[..., Any] = cells.Cell
    put: Callable[..., list[str]] = enclosing.enclose

    def enclose(isolation: Isolation, cell: Cell, argv: Sequence[str]) -> list[str]:
        made = make(workspace=cell.workspace, home=cell.home, programs=cell.programs, uid=cell.uid)
        return put(isolation, made, argv)

    return enclose
