"""How much of the disk a room's folders take, step by step: whoever measures can do something else in between.

Rooms make these trees, to deceive us too. So nothing is followed, no other mount is entered, a file with many names
counts once, what is allocated counts and not what a file claims to hold, and what is remembered has an end.
"""

import os
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from aiagentchat.core.errors import NotOpened
from aiagentchat.process.beneath import Why, open_folder_beneath

MOST_ENTRIES = 1_000_000
"""Files and folders that are looked at; a tree with more is not measured to its end."""
MOST_WAITING = 8 * 1024 * 1024
"""Characters in the paths of folders that wait for their turn."""
_BLOCK = 512  # what st_blocks counts, whatever the file system
_GONE = frozenset({Why.MISSING, Why.LINK, Why.KIND, Why.MOUNT})
"""What a folder may have become since it was seen, or what is not ours to enter: nothing of it counts."""


class Measure:
    """One look at some folders. After it is over it says what was found."""

    def __init__(
        self,
        roots: Sequence[Path],
        *,
        since_ns: int = 0,
        most_entries: int = MOST_ENTRIES,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self.allocated = 0
        """Bytes."""
        self.largest = 0
        """Bytes of the largest file that was changed after `since_ns`."""
        self.entries = 0
        self.complete = True
        """Whether everything was seen: not if there is more than we look at, or if it is closed to us."""
        self._since_ns = since_ns
        self._most_entries = most_entries
        self._most_waiting = most_waiting
        self._linked: set[tuple[int, int]] = set()
        self._waiting: list[str] = []
        """Folders that were seen and not yet entered, as paths from the root that is looked at."""
        self._characters = 0
        self._given_up = False
        self._walk = self._look(roots)

    def step(self, entries: int) -> bool:
        """Look at about so many more. Whether it is over."""
        until = self.entries + entries
        return all(self.entries < until for _ in self._walk)

    def close(self) -> None:
        """Give it up. A step that another thread is in ends soon, and closes what it has open."""
        self._given_up = True
        with suppress(ValueError):  # that thread is in it
            self._walk.close()

    def _look(self, roots: Sequence[Path]) -> Generator[None, None, None]:
        """Comes back after each entry."""
        for root in roots:
            try:
                top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:
                continue  # it is not there (yet)
            try:
                yield from self._beneath(top)
            finally:
                os.close(top)

    def _beneath(self, top: int) -> Iterator[None]:
        self._waiting, self._characters = [""], 0
        while self._waiting:
            folder = self._waiting.pop()
            self._characters -= len(folder)
            for entry in self._entries(top, folder):
                if self.entries >= self._most_entries or self._given_up:
                    self.complete = False
                    return
                self.entries += 1
                if self._count(entry):
                    self._enter_later(f"{folder}/{entry.name}" if folder else entry.name)
                yield

    def _enter_later(self, folder: str) -> None:
        if self._characters + len(folder) > self._most_waiting:
            self.complete = False
            return
        self._characters += len(folder)
        self._waiting.append(folder)

    def _entries(self, top: int, folder: str) -> Iterator["os.DirEntry[str]"]:
        try:
            descriptor = open_folder_beneath(top, folder) if folder else os.open(".", os.O_RDONLY, dir_fd=top)
        except NotOpened as error:
            self.complete = self.complete and error.why in _GONE
            return
        except OSError:
            self.complete = False
            return
        try:
            with closing(os.scandir(descriptor)) as entries:
                yield from entries
        except OSError:
            self.complete = False
        finally:
            os.close(descriptor)

    def _count(self, entry: "os.DirEntry[str]") -> bool:
        """Count it; whether it is a folder."""
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:
            return False  # it is gone
        is_folder = stat.S_ISDIR(found.st_mode)
        if found.st_nlink > 1 and not is_folder:
            if (found.st_dev, found.st_ino) in self._linked:
                return False
            self._linked.add((found.st_dev, found.st_ino))
        self.allocated += found.st_blocks * _BLOCK
        if stat.S_ISREG(found.st_mode) and found.st_ctime_ns >= self._since_ns:
            self.largest = max(self.largest, found.st_size)
        return is_folder
