"""Landlock: which files, ports, signals and abstract sockets a process and its children may still reach.

No privileges are needed and nothing is undone. The kernel's ABI says what it can hold (`man 7 landlock`): files from 1,
renames from 2, truncation from 3, TCP ports from 4, device ioctls from 5, signals and abstract sockets from 6.
What no ABI holds: chmod, chown, utime and xattr of files whose path is known.
"""

import os
import stat
import struct

from .syscalls import LANDLOCK_ADD_RULE, LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF, no_new_privileges, syscall

_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FIRST = (1 << 13) - 1
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1 << 0, 1 << 1
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


def abi() -> int:
    """What this kernel can hold; 0 if nothing."""
    try:
        return syscall(LANDLOCK_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def handled(version: int) -> tuple[int, int, int]:
    """The rights over files, the network and other processes that are taken away, and the size of their struct."""
    files = _FIRST
    files |= REFER if version >= 2 else 0
    files |= TRUNCATE if version >= 3 else 0
    files |= IOCTL_DEV if version >= 5 else 0
    network = BIND_TCP | CONNECT_TCP if version >= 4 else 0
    scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS if version >= 6 else 0
    return files, network, scoped


def mark_of(found: os.stat_result) -> str:
    """Which file or folder that is, whatever it is called."""
    return f"{found.st_dev}:{found.st_ino}"


def restrict(
    *, read: list[str], write: list[str], connect: list[int], marks: "dict[str, str] | None" = None, version: int = 99
) -> int:
    """Keep this process and its children to these paths and ports. Returns the ABI that holds them.

    A path that is not there is left out. `version` pretends an older kernel. OSError if the kernel has no Landlock, or
    if there is something else at a path than `marks` says (`mark_of`).
    """
    marks = marks or {}
    version = min(version, abi())
    if version < 1:
        raise OSError("this kernel has no Landlock")
    files, network, scoped = handled(version)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = syscall(LANDLOCK_CREATE_RULESET, struct.pack("=QQQ", files, network, scoped), size, 0)
    for path in read:
        _allow(ruleset, path, (EXECUTE | READ_FILE | READ_DIR) & files, marks.get(path))
    for path in write:
        _allow(ruleset, path, files, marks.get(path))
    for path in DEVICES:
        _allow(ruleset, path, (READ_FILE | WRITE_FILE | IOCTL_DEV) & files)
    for port in connect if network else ():
        syscall(LANDLOCK_ADD_RULE, ruleset, _NET_PORT, struct.pack("=QQ", CONNECT_TCP, port), 0)
    no_new_privileges()
    syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return version


def _allow(ruleset: int, path: str, access: int, mark: "str | None" = None) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    found = os.fstat(descriptor)
    if mark is not None and mark_of(found) != mark:
        raise OSError(f"{path} is not the folder any more that was to be mounted")
    if not stat.S_ISDIR(found.st_mode):
        access &= _OF_FILES
    syscall(LANDLOCK_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", access, descriptor), 0)
    os.close(descriptor)
