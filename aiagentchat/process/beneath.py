"""Opens and makes files where rooms may have put anything: a link to the daemon's secrets, a pipe that never speaks.

The daemon stands outside of the sandbox and may read what no room may. So it never follows a path that a room could
have bent: it opens beneath a folder, in one step (openat2) or, where the kernel or its filter has no such call, name by
name. Both refuse the same: `..`, whole paths, symbolic and magic links, other mounts, whatever is no regular file, and
a file that has a second name, which may be one of ours.

Descriptors are closed by whoever asked for them, and never inherited. Everything that is refused is a `NotOpened`.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from aiagentchat.core.errors import NotOpened


class Why(StrEnum):
    """Why something was not opened or made: `NotOpened.why`."""

    MISSING = "missing"
    OUTSIDE = "outside"
    """The path leads out of the folder: it is absolute, or has a `..`."""
    NAME = "name"
    """No file can be called that, or nobody calls one that: empty, `.`, NUL, too long."""
    LINK = "link"
    """A symbolic link, there or on the way."""
    LINKED = "linked"
    """The file has another name, perhaps outside (a hard link), or lost this one meanwhile."""
    KIND = "kind"
    """Something else than a regular file, or than a folder where one is needed."""
    MOUNT = "mount"
    """Something else is mounted there or on the way."""
    SIZE = "size"
    EXISTS = "exists"
    """Something is there already."""
    FAILED = "failed"
    """The operating system did not let us; `str(error)` has its words."""


Root: TypeAlias = Path | int
"""The folder that nothing leaves: a path that no room can bend, or a descriptor of it."""
Way: TypeAlias = Callable[[int, str, int], int]
"""Opens a relative path beneath a descriptor, with these flags. Raises OSError."""

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_OPENAT2 = 437  # on every architecture but Alpha
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x01, 0x02, 0x04, 0x08
_RESOLVE = _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS | _NO_XDEV
_NOT_THERE = frozenset({errno.ENOSYS, errno.EPERM})  # an old kernel; a filter of the container

# O_NONBLOCK: a pipe is opened at once, and then refused. O_NOCTTY: a terminal does not become ours.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_REASONS = {
    errno.ENOENT: Why.MISSING,
    errno.ELOOP: Why.LINK,
    errno.EXDEV: Why.MOUNT,
    errno.EEXIST: Why.EXISTS,
    errno.ENAMETOOLONG: Why.NAME,
    errno.ENOTDIR: Why.KIND,
    errno.EISDIR: Why.KIND,
    errno.ENXIO: Why.KIND,  # a socket
    errno.ENODEV: Why.KIND,
}

_libc = ctypes.CDLL(None, use_errno=True)


# ── the two ways ──────────────────────────────────────────────────────────────────────────────────────────────────


def in_one_step(folder: int, path: str, flags: int) -> int:
    """The kernel resolves the whole path and holds it beneath `folder`."""
    how = struct.pack("QQQ", flags, 0, _RESOLVE)
    descriptor: int = _libc.syscall(
        ctypes.c_long(_OPENAT2), ctypes.c_int(folder), os.fsencode(path), how, ctypes.c_size_t(len(how))
    )
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return descriptor


def name_by_name(folder: int, path: str, flags: int) -> int:
    """Look at each name without following it, and go on from what was looked at."""
    mount = _mount(folder)
    *on_the_way, last = path.split("/")
    at = os.dup(folder)
    try:
        for name in on_the_way:
            found = _look(at, name)
            os.close(at)
            at = found
            if not stat.S_ISDIR(os.fstat(at).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        os.close(_look(at, last))
        descriptor = os.open(last, flags | os.O_NOFOLLOW, dir_fd=at)
        try:
            _stay(descriptor, mount)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor
    finally:
        os.close(at)


def either_way(folder: int, path: str, flags: int) -> int:
    """In one step where that is possible."""
    try:
        return in_one_step(folder, path, flags)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
    return name_by_name(folder, path, flags)


def _look(folder: int, name: str) -> int:
    """A descriptor of what has this name, which opens nothing. Raises OSError for a symbolic link."""
    descriptor = os.open(name, _LOOK | os.O_NOFOLLOW, dir_fd=folder)
    if stat.S_ISLNK(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return descriptor


def _stay(descriptor: int, mount: str) -> None:
    # A bind mount has an id of its own: whoever has left the first one cannot be back, so the last name tells.
    if _mount(descriptor) != mount:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def _mount(descriptor: int) -> str:
    """The id of the mount that it was opened through: a device can be mounted twice."""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:  # noqa: PTH123 - the kernel's, no path
        return next(line.split()[1] for line in file if line.startswith("mnt_id:"))


# ── what is opened and made ───────────────────────────────────────────────────────────────────────────────────────


def open_beneath(root: Root, relative: str, *, most_bytes: int | None = None, way: Way = either_way) -> int:
    """A descriptor for reading a regular file with this one name, of at most `most_bytes`. Raises NotOpened.

    Without `most_bytes` it may be endless: bound what you read.
    """
    with _refusing(relative), _opened(root) as top, _parent(top, relative, way) as (folder, name):
        descriptor = way(folder, name, _READ)
        try:
            _judge(descriptor, folder, name, most_bytes)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def read_beneath(root: Root, relative: str, most_bytes: int) -> bytes:
    """What is in such a file, of at most `most_bytes`. Raises NotOpened."""
    with _refusing(relative), os.fdopen(open_beneath(root, relative, most_bytes=most_bytes), "rb") as file:
        data = file.read(most_bytes + 1)  # it may have grown since
    if len(data) > most_bytes:
        raise NotOpened(Why.SIZE, f"{relative!r} has more than {most_bytes} bytes")
    return data


def open_folder_beneath(root: Root, relative: str, *, way: Way = either_way) -> int:
    """A descriptor of a folder, to list it. Raises NotOpened."""
    with _refusing(relative), _opened(root) as top:
        return way(top, "/".join(_names(relative)), _LIST)


def create_beneath(root: Root, relative: str, *, mode: int = PRIVATE_FILE, way: Way = either_way) -> int:
    """A descriptor for writing a new file in a folder that is there. Raises NotOpened, also when something is there.

    Where the daemon is root, it belongs to whoever `root` belongs to.
    """
    with _refusing(relative), _opened(root) as top, _parent(top, relative, way) as (folder, name):
        descriptor = os.open(name, _NEW, mode, dir_fd=folder)
        try:
            _give(descriptor, top)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def make_folder_beneath(root: Root, relative: str, *, mode: int = PRIVATE_FOLDER, way: Way = either_way) -> None:
    """Make a folder, and those on the way to it, where they are not there. Raises NotOpened.

    Where the daemon is root, they belong to whoever `root` belongs to.
    """
    with _refusing(relative), _opened(root) as top:
        at = os.dup(top)
        try:
            for name in _names(relative):
                made = _mkdir(name, mode, at)
                inner = way(at, name, _LIST)
                os.close(at)
                at = inner
                if made:
                    _give(at, top)
        finally:
            os.close(at)


def _mkdir(name: str, mode: int, folder: int) -> bool:
    try:
        os.mkdir(name, mode, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def _give(descriptor: int, top: int) -> None:
    owner = os.fstat(top)
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _judge(descriptor: int, folder: int, name: str, most_bytes: int | None) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise NotOpened(Why.KIND, f"{name!r} is no regular file")
    # The second look is for a hard link that was taken away as soon as we had opened it: then one name is left, but
    # not this one. Whoever wants to pass both has to bring it back between them, and take it away within the second.
    again = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if (found.st_nlink, again.st_nlink) != (1, 1) or not os.path.samestat(found, again):
        raise NotOpened(Why.LINKED, f"{name!r} has another name")
    if most_bytes is not None and found.st_size > most_bytes:
        raise NotOpened(Why.SIZE, f"{name!r} has more than {most_bytes} bytes")


def _names(relative: str) -> list[str]:
    """The names in a path. Raises NotOpened if it leads out, or if one cannot be a name."""
    names = relative.split("/")
    if ".." in names or relative.startswith("/"):
        raise NotOpened(Why.OUTSIDE, f"{relative!r} leads out of its folder")
    if "" in names or "." in names or "\0" in relative or not _can_be_written(relative):
        raise NotOpened(Why.NAME, f"{relative!r} is no name")
    return names


def _can_be_written(relative: str) -> bool:
    try:
        os.fsencode(relative)
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _opened(root: Root) -> Iterator[int]:
    if isinstance(root, int):
        yield root
        return
    descriptor = os.open(root, _LOOK | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _parent(top: int, relative: str, way: Way) -> Iterator[tuple[int, str]]:
    """The folder that holds it, and its name there."""
    *on_the_way, name = _names(relative)
    folder = way(top, "/".join(on_the_way), _LOOK | os.O_DIRECTORY) if on_the_way else os.dup(top)
    try:
        yield folder, name
    finally:
        os.close(folder)


@contextmanager
def _refusing(relative: str) -> Iterator[None]:
    """Errors of the operating system become ours."""
    try:
        yield
    except OSError as error:
        why = _REASONS.get(error.errno or 0, Why.FAILED)
        raise NotOpened(why, f"{relative!r}: {error.strerror}") from error
