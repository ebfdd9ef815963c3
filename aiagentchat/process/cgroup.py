"""A cgroup for each run, where a subtree of the kernel's tree was delegated to the daemon (systemd: `Delegate=`).

There the kernel itself holds a run's memory and processes to their limits, and counts what a look at /proc cannot see
or sees late: files in memory, and what lives for less than a quarter of a second. Everywhere else the shim looks.
Facts and names are those of the kernel's Documentation/admin-guide/cgroup-v2.rst; who may use a subtree is systemd's
CGROUP_DELEGATION: a file system tree, of which a process may only change what was handed to it.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from aiagentchat.core.isolation import RunLimits

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
DAEMON = "daemon"
"""The daemon's own cgroup: one that hands controllers down may hold no processes itself."""
CONTROLLERS = frozenset({"memory", "pids"})
_MARKS = ("user.delegate", "trusted.delegate")
"""How systemd marks the top of a subtree that it leaves to somebody else."""
_MIB = 2**20

log = structlog.get_logger(__name__)


class NotDelegatedError(Exception):
    """There is no subtree for us; the text says why."""


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One run's."""

    path: Path
    """Its folder: the run joins it before it is anything else."""

    def kill(self) -> None:
        """End everything in it at once, where the kernel can (since 5.14)."""
        with contextlib.suppress(OSError):
            (self.path / "cgroup.kill").write_text("1", encoding="ascii")


@dataclass(frozen=True, slots=True)
class Subtree:
    """What was delegated to us. Get it by `claim`."""

    path: Path

    @contextmanager
    def cgroup(self, run: str, limits: RunLimits) -> Iterator[Cgroup | None]:
        """One for a run, while the block lasts. None when it cannot be made: then the shim's looks must do."""
        try:
            cgroup = self._make(run, limits)
        except OSError as error:
            log.warning("cgroup.not_made", error=str(error))
            yield None
            return
        try:
            yield cgroup
        finally:
            cgroup.kill()
            try:
                cgroup.path.rmdir()
            except OSError as error:
                log.warning("cgroup.not_removed", path=str(cgroup.path), error=str(error))

    def _make(self, run: str, limits: RunLimits) -> Cgroup:
        path = self.path / f"run-{run}"
        path.mkdir()
        try:
            if limits.processes:
                _write(path / "pids.max", str(limits.processes))
            if limits.memory:
                _write(path / "memory.max", str(limits.memory * _MIB))
                with contextlib.suppress(FileNotFoundError):  # a kernel without swap
                    _write(path / "memory.swap.max", "0")
            return Cgroup(path)
        except OSError:
            with contextlib.suppress(OSError):
                path.rmdir()
            raise


def claim(root: Path = ROOT, own: Path = OWN) -> Subtree:
    """Make the cgroup that we are alone in ours: move into a leaf of it, and hand memory and pids down.

    Raises NotDelegatedError, and then everything is as it was.
    """
    try:
        path = _mine(root, own)
        leaf = path / DAEMON
        leaf.mkdir(exist_ok=True)
        try:
            _write(leaf / "cgroup.procs", str(os.getpid()))
            _write(path / "cgroup.subtree_control", " ".join(f"+{name}" for name in sorted(CONTROLLERS)))
        except OSError:
            with contextlib.suppress(OSError):
                _write(path / "cgroup.procs", str(os.getpid()))
                leaf.rmdir()
            raise
    except OSError as error:
        raise NotDelegatedError(f"{error.filename}: {error.strerror}") from error
    return Subtree(path)


def _mine(root: Path, own: Path) -> Path:
    lines = own.read_text(encoding="utf-8").splitlines()
    relative = next((line[3:] for line in lines if line.startswith("0::")), None)
    if relative is None:
        raise NotDelegatedError("there is no cgroup v2")
    path = root / relative.strip("/")
    if missing := CONTROLLERS - {*(path / "cgroup.controllers").read_text(encoding="ascii").split()}:
        raise NotDelegatedError(f"{path} has no {' and no '.join(sorted(missing))} controller")
    # A namespace's own root is its container's; the machine's is no one's, and we are not alone in that.
    if not (_is_marked(path) or relative == "/" if os.geteuid() == 0 else path.stat().st_uid == os.geteuid()):
        raise NotDelegatedError(f"{path} was not handed to us")
    if {*(path / "cgroup.procs").read_text(encoding="ascii").split()} != {str(os.getpid())}:
        raise NotDelegatedError(f"{path} has other processes")
    return path


def _is_marked(path: Path) -> bool:
    for name in _MARKS:
        with contextlib.suppress(OSError):
            return os.getxattr(path, name) == b"1"
    return False


def _write(file: Path, text: str) -> None:
    # What is not there is not made: these files are the kernel's.
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)
