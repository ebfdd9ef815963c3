"""The unix socket of one run: nobody but its user may connect, and nothing is left of it in the end.

An address of a unix socket has 107 bytes, and a path to a room's folder is easily longer: the socket is bound through
the open folder (`/proc/self/fd/…/name`), which is short wherever the folder is.
"""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BACKLOG = 128
"""Connections that wait to be taken."""
_MODE = 0o600


@contextmanager
def listening(path: Path, uid: int | None) -> Iterator[socket.socket]:
    """A socket at `path` that belongs to `uid`. OSError where none can be made.

    One that an earlier life left there is replaced; anything else that is there stays, and is the error.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _remove_stale(path.name, folder)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as listener:
            # Before it has a name: the file gets the mode of the socket, so that at no moment others may connect.
            os.fchmod(listener.fileno(), _MODE)
            listener.bind(f"/proc/self/fd/{folder}/{path.name}")
            ours = _identity(path.name, folder)
            try:
                _hand_over(path.name, folder, uid)
                listener.listen(BACKLOG)
                yield listener
            finally:
                if ours == _identity(path.name, folder):
                    os.unlink(path.name, dir_fd=folder)
    finally:
        os.close(folder)


def _hand_over(name: str, folder: int, uid: int | None) -> None:
    os.chmod(name, _MODE, dir_fd=folder)  # a umask may have taken too much
    if uid is not None:
        os.chown(name, uid, -1, dir_fd=folder, follow_symlinks=False)


def _remove_stale(name: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)


def _identity(name: str, folder: int) -> tuple[int, int] | None:
    """Which file this is; None if there is none. A younger gate may have put its own in the place of ours."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
