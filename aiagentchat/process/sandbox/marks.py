"""Looks whether what is to be mounted, or worked in, still lies where it did when config.yaml was read.

A path is only a name, and whoever can change a folder on the way to it chooses what is found there. config.yaml may not
say such a mount; but a room may still be at work in a folder that it was given before a reload. So no link is followed,
on no step of the way, and what is found is noted: the sandbox is entered only if it has that, and nothing else, there.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from aiagentchat.config.settings import Mount
from aiagentchat.process.inside.landlock import mark_of

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def marked(mounts: Sequence[Mount]) -> dict[Path, str]:
    """What each of them is, by its path. OSError, whose `filename` is the path, where one is not there any more."""
    return {mount.path: _mark(mount) for mount in mounts}


def _mark(mount: Mount) -> str:
    try:
        at = os.open("/", _STEP)
        try:
            for name in mount.source.parts[1:]:
                inner = os.open(name, _STEP, dir_fd=at)
                os.close(at)
                at = inner
            return mark_of(os.fstat(at))
        finally:
            os.close(at)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(mount.path)) from error
