"""What one run may see, use and become. Whatever is not said here it does not get."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiagentchat.config.settings import Mount
from aiagentchat.core.isolation import RunLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run's share of the machine. Every path is the same inside and outside, in every way of keeping it in."""

    workspace: Path
    home: Path
    mounts: tuple[Mount, ...] = ()
    """Other folders."""
    marks: Mapping[Path, str] = field(default_factory=dict)
    """By the paths of mounts and of the workspace, what each was when it was looked at (`marks.marked`): inside it must
    be that, or nothing is started."""
    programs: tuple[Path, ...] = ()
    """Files and folders that it may read and run, beside what is under /usr."""
    gate: Path | None = None
    """The unix socket of its way out."""
    limits: RunLimits = field(default_factory=RunLimits)
    uid: int | None = None
    """The user that it becomes; None: it stays the daemon's."""
