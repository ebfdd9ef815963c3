"""The newest files of a folder that a room has made. Nothing is followed, and what is looked at has an end."""

import heapq
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from aiagentchat.core.errors import NotOpened
from aiagentchat.process.beneath import open_folder_beneath

MOST_ENTRIES = 20_000
"""Files and folders that are looked at."""
PASSED_OVER = frozenset({".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache"})
"""Folders full of files that nobody has written."""


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file."""

    changed: float
    """Seconds since the epoch."""
    path: str
    """From the root."""
    size: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found."""

    files: list[Found]
    """The newest first."""
    count: int
    """How many there are, as far as was looked."""
    whole: bool
    """Whether everything was looked at."""


def newest(root: Path, folder: str, most: int) -> Listing:
    """The `most` newest files in `folder` beneath `root` (empty: in all of it). Raises NotOpened if it is none."""
    walk = _Walk(root, folder)
    count = 0
    heap: list[tuple[float, str, int]] = []
    for found in walk.files():
        count += 1
        heapq.heappush(heap, (found.changed, found.path, found.size))
        if len(heap) > most:
            heapq.heappop(heap)
    return Listing([Found(*each) for each in sorted(heap, reverse=True)], count, not walk.cut)


class _Walk:
    def __init__(self, root: Path, folder: str) -> None:
        self.cut = False
        self._root = root
        self._waiting = deque([folder])
        self._entries = 0
        os.close(self._open(folder))

    def files(self) -> Iterator[Found]:
        while self._waiting and not self.cut:
            folder = self._waiting.popleft()
            with suppress(NotOpened, OSError):  # gone, or bent, since it was seen
                yield from self._in(folder)

    def _in(self, folder: str) -> Iterator[Found]:
        descriptor = self._open(folder)
        try:
            with closing(os.scandir(descriptor)) as entries:
                for entry in entries:
                    self._entries += 1
                    if self._entries > MOST_ENTRIES:
                        self.cut = True
                        return
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in PASSED_OVER:
                            self._waiting.append(path)
                        continue
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode):
                        yield Found(found.st_mtime, path, found.st_size)
        finally:
            os.close(descriptor)

    def _open(self, folder: str) -> int:
        if folder:
            return open_folder_beneath(self._root, folder)
        return os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
