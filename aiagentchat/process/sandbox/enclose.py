"""From a cell and a command to the command line that keeps it in. Pure, but for a look at where this Python lies."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiagentchat.core.isolation import Isolation
from aiagentchat.process.inside import main as first  # also: it is compiled now, by who may keep what comes of it
from aiagentchat.process.sandbox.cell import Cell

INSIDE = Path(first.__file__).resolve().parent
BUBBLEWRAP = "bwrap"
STOP_FD = 9
"""Where the first program inside finds the shim's word that the command be interrupted."""
_BOOT = "import sys; sys.path.append(sys.argv[1]); from inside.main import main; main()"
_THERE = Path("/run/aiagentchat")
"""Where a sandbox with a file system of its own finds what is ours."""
_MIB = 2**20
_TMP, _TMP_MIB = "/tmp", 512  # noqa: S108 - that of the sandbox
_SHM, _SHM_MIB = "/dev/shm", 64  # noqa: S108
_VAR_TMP = "/var/tmp"  # noqa: S108
"""What lies there is memory. TMPDIR is in the room's HOME, on the disk."""
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = (
    "alternatives", "bash.bashrc", "ca-certificates", "ca-certificates.conf", "crypto-policies", "fonts", "gitconfig",
    "inputrc", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.conf", "localtime", "magic", "mime.types",
    "nsswitch.conf", "os-release", "pki", "protocols", "rpc", "services", "ssl", "terminfo", "timezone",
)  # fmt: skip
"""Of /etc only what programs need to run; who has an account here, or which hosts there are, is not for a room."""
PROC = (
    "/proc/cpuinfo", "/proc/filesystems", "/proc/loadavg", "/proc/meminfo", "/proc/stat", "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/random", "/proc/sys/vm/overcommit_memory", "/proc/uptime", "/proc/version",
)  # fmt: skip
"""Of /proc where a run shares it with all others: nothing that is of a process. So `ps` works in `strict` only."""
OURS = ("passwd", "group", "hosts")
"""Files of /etc that a sandbox gets in a version of its own (`identity`)."""


def bubblewrap() -> str | None:
    """Where it is; None if it is not here.

    A whole path, by the daemon's own PATH: that of a run is what its room says, and may lead into the workspace.
    """
    found = shutil.which(BUBBLEWRAP)
    return None if found is None else str(Path(found).absolute())


def identity(cell: Cell, uid: int, gid: int) -> dict[str, str]:
    """The files of `OURS`: there is root, there is nobody, and there is the user that the run is."""
    return {
        "passwd": (
            "root:x:0:0:root:/root:/usr/sbin/nologin\n"
            f"agent:x:{uid}:{gid}:agent:{cell.home}:/bin/bash\n"
            "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        ),
        "group": f"root:x:0:\nagent:x:{gid}:\nnogroup:x:65534:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    }


def identity_folder(home: Path) -> Path:
    """Where those files lie: beside the room's HOME, out of its reach."""
    return home.with_name(f"{home.name}.etc")


def enclose(isolation: Isolation, cell: Cell, argv: Sequence[str]) -> list[str]:
    """The command line for the shim."""
    match isolation:
        case Isolation.STRICT:
            return [
                *_bubblewrap(cell),
                *_inside(
                    cell, _THERE, [*_limits(cell, per_user=True), *_marks(cell.marks), "--seccomp", "private"], argv
                ),
            ]
        case Isolation.USERS | Isolation.LANDLOCK:
            held = [*_limits(cell, per_user=isolation is Isolation.USERS), "--seccomp", "shared", *_landlock(cell)]
            return _inside(cell, INSIDE.parent, held, argv)
        case Isolation.NONE:
            return _inside(cell, INSIDE.parent, _limits(cell, per_user=False), argv)


def _inside(cell: Cell, folder: Path, words: Sequence[str], argv: Sequence[str]) -> list[str]:
    gate = ["--gate", str(_THERE / "gate" if folder == _THERE else cell.gate)] if cell.gate else []
    python = [_python(), "-I", "-S", "-E", "-c", _BOOT, str(folder)]
    return [*python, *words, *gate, "--stop-fd", str(STOP_FD), "--", *argv]


def _limits(cell: Cell, *, per_user: bool) -> list[str]:
    """The kernel counts processes by user: where rooms share one, it would count those of the others (and ours)."""
    limits = cell.limits
    processes = ["--processes", str(limits.processes * MORE_PROCESSES)] if per_user and limits.processes else []
    size = ["--file-size", str(limits.file_size)] if limits.file_size else []
    return ["--nice", str(limits.niceness), *processes, *size]


MORE_PROCESSES = 2
"""How much farther than to the limit the kernel lets a run go. The shim looks, and what multiplies must not have come
to its end in the meantime: a program that finds no place then waits, or dies, and nobody knows of what."""


def _landlock(cell: Cell) -> list[str]:
    read = ["/usr", *SYSTEM, *PROC, *(f"/etc/{name}" for name in (*ETC, *OURS)), *map(str, _own_files(cell))]
    read += [str(mount.source) for mount in cell.mounts if mount.mode == "ro"]
    looked_at = [(cell.workspace, cell.workspace), *((mount.path, mount.source) for mount in cell.mounts)]
    write = [str(cell.workspace), str(cell.home)]
    write += [str(mount.source) for mount in cell.mounts if mount.mode == "rw"]
    return [
        "--landlock",
        *_marks({there: cell.marks[path] for path, there in looked_at if path in cell.marks}),
        *(word for path in read for word in ("--ro", path)),
        *(w for path in write for w in ("--rw", path)),
    ]


def _marks(marks: Mapping[Path, str]) -> list[str]:
    return [word for path, mark in marks.items() for word in ("--is", mark, str(path))]


def _same(path: Path) -> list[str]:
    """What is there; a link as a link where it leads to what is visible inside, too.

    /etc/localtime says by where it leads which time zone it is: programs that find a file there look through all zones
    for one that is the same, as the CLI does at every start.
    """
    leads_to = path.resolve() if path.is_symlink() else path
    if path != leads_to and leads_to.is_relative_to("/usr"):
        return ["--symlink", str(leads_to), str(path)]
    return ["--ro-bind-try", str(path), str(path)]


def _bubblewrap(cell: Cell) -> list[str]:
    # A user, pid, network, ipc, mount and host name of its own, and no way to make more of them.
    words = [
        bubblewrap() or BUBBLEWRAP,
        "--unshare-user",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
    ]
    words += ["--unshare-cgroup-try", "--disable-userns", "--hostname", "room", "--die-with-parent", "--new-session"]
    words += ["--ro-bind", "/usr", "/usr"]
    for path in SYSTEM:
        words += ["--symlink", f"usr{path}", path] if Path(path).is_symlink() else ["--ro-bind-try", path, path]
    for name in ETC:
        words += _same(Path("/etc", name))
    for name in OURS:
        words += ["--ro-bind", str(identity_folder(cell.home) / name), f"/etc/{name}"]
    words += ["--proc", "/proc", "--dev", "/dev", "--size", str(_SHM_MIB * _MIB), "--tmpfs", _SHM]
    words += ["--size", str(_TMP_MIB * _MIB), "--tmpfs", _TMP, "--symlink", "../tmp", _VAR_TMP]
    words += ["--ro-bind", str(INSIDE), str(_THERE / INSIDE.name)]
    for file in _own_files(cell):
        words += ["--ro-bind", str(file), str(file)]
    for folder in (cell.workspace, cell.home):
        words += ["--bind", str(folder), str(folder)]
    # The outer before the inner, or it would cover it.
    for mount in sorted(cell.mounts, key=lambda mount: mount.path):
        words += ["--ro-bind" if mount.mode == "ro" else "--bind", str(mount.source), str(mount.path)]
    if cell.gate:
        words += ["--ro-bind", str(cell.gate), str(_THERE / "gate")]
    # What is left of the root is memory; nothing is written there.
    return [*words, "--remount-ro", "/", "--chdir", str(cell.workspace), "--"]


def _own_files(cell: Cell) -> list[Path]:
    """What is not under /usr: this Python, if need be, and the programs of the run."""
    python = [] if Path(sys.base_prefix).is_relative_to("/usr") else [Path(sys.base_prefix)]
    return [*python, *cell.programs]


def _python() -> str:
    """The interpreter itself: a venv may lie where a room sees nothing."""
    return os.path.realpath(sys.executable)
