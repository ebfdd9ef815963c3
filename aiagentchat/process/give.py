"""Give a folder to another user: for a room that gets one of its own."""

import os
import stat
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


def give(folder: Path, uid: int) -> None:
    """Make everything in `folder` belong to `uid`, unless the folder does already. OSError if that is not possible.

    Links are never followed, and a file with a second name is left alone: the other name may be a file of the daemon's
    that a run of its own user has linked there. Nothing of the room may run meanwhile.
    """
    if folder.stat(follow_symlinks=False).st_uid == uid:
        return
    for _, _, files, at in os.fwalk(folder, topdown=False, follow_symlinks=False):
        for name in files:
            _give_file(name, at, uid)
        os.fchown(at, uid, uid)  # the folder itself comes last: until then it is tried again
    log.info("workspace.given", path=str(folder), uid=uid)


def _give_file(name: str, at: int, uid: int) -> None:
    file = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    try:
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            os.chown(f"/proc/self/fd/{file}", uid, uid)
        elif stat.S_ISLNK(found.st_mode):
            os.chown(name, uid, uid, dir_fd=at, follow_symlinks=False)
    finally:
        os.close(file)
