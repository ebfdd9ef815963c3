"""The border: what sqlite3 raises becomes `StoreError`, with what the operator can do about it.

Three kinds: what may pass by itself (`StoreUnavailable`: try again), what does not (`StoreCorrupt`: restore a backup),
and every other one, which is a fault of ours.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiagentchat.core.errors import StoreCorrupt, StoreError


class StoreUnavailable(StoreError):
    """The database cannot be used now. Trying again is right: the cause may go away."""

    def __init__(self, message: str, *, trouble: str) -> None:
        super().__init__(message)
        self.trouble = trouble
        """The cause in a few words of ours, without a path: a room may read it."""


_MAY_PASS = {
    sqlite3.SQLITE_BUSY: ("another process writes to it", "End that process, or try again."),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Its folder must exist and belong to the user that runs this."),
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space on the disk."),
    sqlite3.SQLITE_IOERR: ("the disk fails", "Look at the disk: is it full, or does the system's log tell of faults?"),
    sqlite3.SQLITE_LOCKED: ("another connection uses it", "End that one, or try again."),
    sqlite3.SQLITE_PROTOCOL: ("other processes use it all the time", "End those, or try again."),
    sqlite3.SQLITE_READONLY: (
        "it is read-only",
        "The file and its folder must be writable for the user that runs this.",
    ),
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY = 0xFF  # an extended code carries the primary one in its lowest byte


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise `StoreError` where sqlite3 raises anything. Its texts name tables and columns, never values."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(error, path) from error


def damaged(path: Path, what: str) -> StoreCorrupt:
    """The error that says what is wrong with the file, and how to restore it."""
    cause = " ".join(what.replace("*** in database main ***", "").split())
    return StoreCorrupt(
        f"The database {path} is damaged ({cause}), and nothing more is written to it. To restore it: 1. stop the "
        f"daemon; 2. move {path.name}, {path.name}-wal and {path.name}-shm out of {path.parent}; 3. copy a backup "
        f"(aiagentchat db backup makes them) to {path}; 4. run aiagentchat db check, and start the daemon. "
        "docs/how-to/back-up.md has the details."
    )


def _ours(error: sqlite3.Error, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    if code in _DAMAGED:
        return damaged(path, str(error))
    sentence = f"The database {path} cannot be used: {error}."
    if code in _MAY_PASS:
        trouble, advice = _MAY_PASS[code]
        return StoreUnavailable(f"{sentence} {advice}", trouble=trouble)
    return StoreError(f"{sentence} The log of this error is worth a bug report.")
